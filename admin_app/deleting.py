"""Deleting rows: the page that shows the plan and asks, the refusal, and moving what blocks.

What a delete would do is worked out by `changes.delete_plan`. Here it is put into words, with the
rows that the visitor may see; what he may not delete blocks. A POST is checked against the plan
once more, inside its change set and after the hooks: what is blocked is asked again, as 409.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import flask
import sqlalchemy as sa
from flask import g, request
from flask.typing import ResponseReturnValue
from sqlalchemy import orm

from admin_app import changes, inspection, listing, model_pages
from admin_app import contexts as c
from admin_app.changes import delete_plan
from admin_app.changes.delete_plan import DeletePlan, Effect
from admin_app.errors import NotFound, WriteRefused
from admin_app.lookups import OWN, RowLookup

SAMPLE = 5
"""Rows of a group that the page names; the others are counted."""
OPEN_GROUPS = 8
"""Groups up to which each shows its rows at once; where there are more they are folded."""
FILTERED = 50
"""Rows that the address of a filtered list names at most."""
MOVE = "move:"
"""What the name of a control begins with that names another row for what points at the rows."""


def ask(
    view: Any,
    rows: Sequence[Any],
    asked: int,
    url: str,
    hidden: list[tuple[str, str]],
    *,
    is_part: bool = False,
    note: str = "",
) -> ResponseReturnValue:
    """The page that shows what deleting ``rows`` would do; ``asked`` is how many were chosen.

    With ``is_part`` they are the first of those, 0 for many, and a job does it. ``note`` is told
    above. Its status says whether a delete has just been refused: 409, or 403 for want of a right.
    """
    drawn = _Drawn(view, rows, view.get_delete_plan(rows))
    if is_part:
        drawn.be_part_of(asked)
    words = f"Delete {drawn.what}"
    page = model_pages.confirm_page(view, words, f"{words}?", rows, asked, hidden, url=url)
    drawn.fill(page, asked)
    page.note = note
    status = g.pop("admin_blocked", 200)
    return flask.make_response(view.render(view.delete_template, page=page), status)


def check(view: Any, change_set: changes.ChangeSet, rows: Sequence[Any]) -> DeletePlan | None:
    """Move what the form says to move, then refuse what the plan of the delete says is blocked.

    Called within the change set of the delete, after the hooks. The plan, unless the application
    has made it otherwise than it is. Raises WriteRefused, also where rows would go along that the
    visitor may not delete.
    """
    change_set.session.flush()
    plan = view.get_delete_plan(rows)
    nouns = sorted({_noun(view, e, 2) for e in lacking(view, plan)})
    if nouns:
        told = f"You may not delete {' and '.join(nouns)}, which would go along."
        raise _refusal(told, 403)
    if plan.is_blocked and _move(view, change_set, rows, plan):
        plan = view.get_delete_plan(rows)
    if plan.is_blocked:
        blocking = dict.fromkeys(_blocking(view, e) for e in plan.blockers)
        raise _refusal(f"Nothing was deleted: {'; '.join(blocking)}.")
    return None if is_own(view, "get_delete_plan") else plan


def _refusal(sentence: str, status: int = 409) -> WriteRefused:
    g.admin_blocked = status
    return WriteRefused(sentence)


def was_blocked() -> bool:
    """Whether `check` has refused the delete of this request."""
    return "admin_blocked" in g


def lacking(view: Any, plan: DeletePlan) -> list[Effect]:
    """The rows that would be deleted along, of classes of which the visitor may delete none."""
    return [
        e
        for e in plan.consequences
        if e.fate == "deleted" and e.mapper is not None and not _may(view, "delete", e.mapper)
    ]


def _may(view: Any, what: str, mapper: orm.Mapper[Any], key: str | None = None) -> bool:
    own = view if mapper is view.mapper else view.view_of(mapper)
    if own is not None:
        return bool(own.may(what, key))
    if not hasattr(view.admin, "policy"):
        return True
    return bool(view.admin.policy.may(view.principal(), what, mapper.class_, key))


# Words

_REASONS = {
    "rule": "the database keeps them together",
    "not null": "{column} may not be empty",
    "key": "{column} is part of their key",
    "default": "the default of {column} is no other row",
    "unknown": "the relationship to them needs passive_deletes=True",
}
_FATES = {
    "deleted": ("deletes", "{rows}"),
    "unlinked": ("unlinks", "{rows}"),
    "emptied": ("empties", "{column} of {rows}"),
    "reset": ("resets", "{column} of {rows}"),
}


def _noun(view: Any, effect: Effect, count: int) -> str:
    """What the rows of ``effect`` are called: after their class, else after their table."""
    mapper = effect.mapper
    if effect.relationship is not None:
        mapper = effect.relationship.mapper
    own = None if mapper is None else view.view_of(mapper)
    if mapper is not None and own is not None and own.mapper is mapper:
        return str(own.singular if count == 1 else own.name).lower()
    name = effect.table.name if mapper is None else mapper.class_.__name__
    singular = inspection.words(name).lower()
    if count == 1:
        return singular
    return singular if mapper is None and singular.endswith("s") else inspection.plural(singular)


def _column(view: Any, effect: Effect) -> str:
    """What the columns of ``effect`` are called in their own pages."""
    key = _pointer(effect)
    own = None if effect.mapper is None else view.view_of(effect.mapper)
    if key is not None and own is not None:
        return str(own.get_column_name(key))
    return ", ".join(inspection.words(col.key.removesuffix("_id")) for col in effect.columns)


def _pointer(effect: Effect) -> str | None:
    """The attribute by which rows of ``effect`` point: a relationship, else the one column."""
    if effect.mapper is None or not effect.columns:
        return None
    for relationship in effect.mapper.relationships:
        is_to_one = relationship.direction is orm.RelationshipDirection.MANYTOONE
        if is_to_one and set(relationship.local_columns) == set(effect.columns):
            return str(relationship.key)
    if len(effect.columns) > 1:
        return None
    return inspection.key_of(effect.mapper, effect.columns[0])


def _counted(view: Any, effect: Effect, count: int, *, is_cut: bool = False) -> str:
    more = "more than " if is_cut else ""
    return f"{more}{count:,} {_noun(view, effect, count)}"


def _blocking(view: Any, effect: Effect) -> str:
    verb = "points" if effect.count == 1 else "point"
    reason = _REASONS.get(effect.reason, "").format(column=_column(view, effect))
    where = f" (by {_column(view, effect).lower()})" if effect.columns else ""
    rows = _counted(view, effect, effect.count)
    return f"{rows} still {verb} here{where}" + (f": {reason}" if reason else "")


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


class _Drawn:
    """The plan of a delete as the visitor is shown it."""

    def __init__(self, view: Any, rows: Sequence[Any], plan: DeletePlan) -> None:
        self.view = view
        self.rows = rows
        self.plan = plan
        self.reach = view.reach()
        self.lacking = lacking(view, plan)
        self.is_part = False
        count = len(rows)
        noun = view.singular.lower() if count == 1 else view.plural
        label = inspection.label(view.mapper)
        self.what = f"“{label.of(rows[0])}”" if count == 1 else f"{count:,} {noun}"
        self.button = f"Delete {noun}" if count == 1 else f"Delete {count:,} {noun}"

    def be_part_of(self, asked: int) -> None:
        """Speak of ``asked`` rows, 0 for many, of which these are the first."""
        noun = f"{asked:,} {self.view.plural}" if asked else f"all {self.view.plural} that match"
        self.is_part = True
        self.what, self.button = f"the first {len(self.rows):,}", f"Delete {noun}"

    def fill(self, page: c.ConfirmPage, asked: int) -> None:
        """Put the plan into ``page``."""
        is_blocked = bool(self.rows) and (self.plan.is_blocked or bool(self.lacking))
        page.sentence = self._sentence(asked)
        page.headline = self._headline(is_blocked)
        page.blockers = [self._missing(e) for e in self.lacking]
        page.blockers += [self._blocker(e) for e in self.plan.blockers]
        page.groups = [self._group(e) for e in self.plan.consequences if e not in self.lacking]
        page.is_folded = len(page.groups) > OPEN_GROUPS
        page.is_cut = self.plan.is_cut
        can_move = not self.lacking and all(b.move is not None for b in page.blockers)
        if not can_move:
            for group in page.blockers:
                group.move = None
        page.is_moving = bool(page.blockers) and can_move
        page.can_submit = bool(self.rows) and (
            not is_blocked or page.is_moving or (not self.lacking and decides_itself(self.view))
        )
        if self.is_part:
            page.is_moving, page.can_submit = False, not self.lacking
            page.title = page.heading = f"{self.button}?"
        elif is_blocked and (page.is_moving or not page.can_submit):
            yet = " yet" if page.is_moving else ""
            page.title = page.heading = f"{self.what} cannot be deleted{yet}"
        page.submit_text = f"Move and {self.button[0].lower()}{self.button[1:]}"
        if not page.is_moving:
            page.submit_text = self.button

    def _sentence(self, asked: int) -> str:
        sentence = "Nothing has been changed yet."
        if self.is_part:
            return (
                f"{sentence} A job does it, some rows at a time; rows that something stands "
                "against are left and listed. This is what comes of the first."
            )
        if asked > len(self.rows):
            sentence += f" {asked - len(self.rows):,} of the ticked rows are gone already."
        return sentence

    def _headline(self, is_blocked: bool) -> str:
        if not self.rows:
            return ""
        if is_blocked:
            obstacles = self._obstacles()
            return f"{obstacles[0].upper()}{obstacles[1:]}."
        counts: dict[tuple[str, str, str], int] = {}
        nouns: dict[tuple[str, str, str], Effect] = {}
        for effect in self.plan.consequences:
            column = _column(self.view, effect) if effect.fate in ("emptied", "reset") else ""
            place = (effect.fate, column, _noun(self.view, effect, 2))
            counts[place] = counts.get(place, 0) + effect.count
            nouns[place] = effect
        if not counts:
            return f"Deleting {self.what} touches no other row."
        parts: dict[str, list[str]] = {}
        for (fate, column, _), count in counts.items():
            rows = _counted(self.view, nouns[fate, column, _], count)
            parts.setdefault(fate, []).append(_FATES[fate][1].format(rows=rows, column=column))
        told = [f"{_FATES[fate][0]} {_listed(parts[fate])}" for fate in _FATES if fate in parts]
        more = " and more" if self.plan.is_cut else ""
        return f"Deleting {self.what} also {_listed(told)}{more}."

    def _obstacles(self) -> str:
        if self.lacking:
            parts = [_counted(self.view, e, e.count) for e in self.lacking]
            return f"{_listed(parts)} would go along, which you may not delete"
        found: dict[str, tuple[Effect, set[delete_plan.Key]]] = {}
        for effect in self.plan.blockers:
            _, keys = found.setdefault(_noun(self.view, effect, 2), (effect, set()))
            keys.update(effect.keys)
        parts = [_counted(self.view, effect, len(keys)) for effect, keys in found.values()]
        is_one = sum(len(keys) for _, keys in found.values()) == 1
        return f"{_listed(parts)} {'stands' if is_one else 'stand'} in the way"

    def _group(self, effect: Effect) -> c.PlanGroup:
        links, more_text = self._sample(effect)
        column = _column(self.view, effect) if effect.fate in ("emptied", "reset") else ""
        rows = _counted(self.view, effect, effect.count, is_cut=self.plan.is_cut)
        return c.PlanGroup(
            kind=effect.fate,
            text=_FATES[effect.fate][1].format(rows=rows, column=column),
            note="by the database" if effect.cause == "database" else "",
            rows=links,
            more_text=more_text,
        )

    def _missing(self, effect: Effect) -> c.PlanGroup:
        links, more_text = self._sample(effect)
        return c.PlanGroup(
            kind="blocks",
            text=_counted(self.view, effect, effect.count, is_cut=self.plan.is_cut),
            note=f"You may not delete {_noun(self.view, effect, 2)}, which would go along.",
            rows=links,
            more_text=more_text,
        )

    def _blocker(self, effect: Effect) -> c.PlanGroup:
        links, more_text = self._sample(effect)
        where = f" (by {_column(self.view, effect).lower()})" if effect.columns else ""
        reason = _REASONS.get(effect.reason, "").format(column=_column(self.view, effect))
        rows = _counted(self.view, effect, effect.count, is_cut=self.plan.is_cut)
        return c.PlanGroup(
            kind="blocks",
            text=rows + where,
            note=f"{reason[:1].upper()}{reason[1:]}." if reason else "",
            rows=links,
            more_text=more_text,
            list_url=self._list_url(effect),
            move=self._move_control(effect),
        )

    def _sample(self, effect: Effect) -> tuple[list[c.Link], str | None]:
        """The first rows that the visitor may see, and how many more there are."""
        mapper, keys = effect.mapper, list(effect.keys)
        if effect.relationship is not None:
            mapper, keys = effect.relationship.mapper, effect.far_keys()
        if mapper is None or not self.reach.may_read(mapper) or not keys:
            return [], None
        found, hidden = _seen(self.view, mapper, keys, self.reach.rows(mapper))
        label, link = inspection.label(mapper), self.view.links(mapper)
        more = effect.count - hidden - len(found)
        told = [f"{more:,} more"] if more else []
        if hidden:
            told.append(f"{hidden:,} that you may not see")
        links = [c.Link(label.of(i), link(i)) for i in found]
        return links, (("and " if links else "") + " and ".join(told)) if told else None

    def _list_url(self, effect: Effect) -> str | None:
        """The list of what blocks: its rows that point at those that are to go."""
        key = _pointer(effect)
        own = None if effect.mapper is None or key is None else self.view.view_of(effect.mapper)
        if own is None or not own.may("view") or not own.is_accessible() or key is None:
            return None
        near = list(dict.fromkeys(effect.keys.values()))
        target = _class_over(self.plan, effect)
        if target is None or len(near) > FILTERED or not self.reach.may_read(own.mapper, key):
            return None
        found, _ = _seen(self.view, target, near, None, FILTERED)
        text_of = inspection.identity_text(target)
        url: str = own.url_for("list", **{f"{key}__is": [text_of.of(i) for i in found]})
        return url

    def _move_control(self, effect: Effect) -> c.Move | None:
        if not can_move(self.view, self.plan, effect):
            return None
        mapper = effect.mapper
        rows = None if mapper is None else self.reach.rows(mapper)
        if mapper is None or (
            rows is not None and _seen(self.view, mapper, [*effect.keys], rows)[1]
        ):
            return None
        name = _move_name(effect)
        noun = self.view.singular.lower()
        these = "it" if effect.count == 1 else f"all {effect.count:,}"
        return c.Move(
            name=name,
            label=f"Move {these} to another {noun}",
            url=RowLookup(self.view, OWN, self.view.mapper).url(),
            value=request.form.get(name, ""),
        )


def decides_itself(view: Any) -> bool:
    """Whether the application's own code has a say in deletes: it may undo what blocks them."""
    return is_own(view) or is_own(view, "on_model_delete")


def is_own(view: Any, name: str = "delete_model") -> bool:
    """Whether the hook ``name`` of ``view`` is the application's own code."""
    hook = getattr(type(view), name)
    return not hook.__module__.startswith(("admin_app.", "flask_admin."))


def _class_over(plan: DeletePlan, effect: Effect) -> orm.Mapper[Any] | None:
    """The class of the rows that those of ``effect`` point at."""
    known = (m for m in plan.mapper.registry.mappers if m.local_table is effect.target)
    return min(known, key=lambda m: len(list(m.iterate_to_root())), default=None)


def _seen(
    view: Any,
    mapper: orm.Mapper[Any],
    keys: Sequence[delete_plan.Key],
    rows: sa.Select[Any] | None,
    size: int = SAMPLE,
) -> tuple[list[Any], int]:
    """The first rows of ``mapper`` with ``keys``, labels loaded, and how many are out of reach.

    ``rows`` are those in reach, None for all.
    """
    session = view.get_session()
    dialect = session.get_bind(mapper=mapper).dialect
    found: list[Any] = []
    hidden = 0
    for portion in _portions(keys if rows is not None else keys[:size]):
        among = delete_plan.rows_with(mapper, portion, dialect)
        statement = (sa.select(mapper.class_) if rows is None else rows).where(among)
        if rows is not None:
            counted = statement.with_only_columns(
                *(getattr(mapper.class_, k) for k in inspection.identity_keys(mapper)),
                maintain_column_froms=True,
            )
            number = sa.select(sa.func.count()).select_from(
                counted.distinct().order_by(None).subquery()
            )
            hidden += len(portion) - session.scalar(number, bind_arguments={"mapper": mapper})
        if len(found) < size:
            statement = statement.options(*listing.label_options(mapper))
            found += session.scalars(statement.limit(size - len(found))).unique()
    listing.load_chains(session, found)
    return found, hidden


def _portions(keys: Sequence[Any], size: int = 1_000) -> Iterator[Sequence[Any]]:
    for start in range(0, len(keys), size):
        yield keys[start : start + size]


# Moving what blocks to another row


def _move_name(effect: Effect) -> str:
    return f"{MOVE}{effect.table.name}.{','.join(col.name for col in effect.columns)}"


def can_move(view: Any, plan: DeletePlan, effect: Effect) -> bool:
    """Whether what blocks can be made to point at another row than those that are to go."""
    key = _pointer(effect)
    if effect.mapper is None or key is None or plan.is_cut:
        return False
    chosen = plan.effects[0]
    own = view.view_of(effect.mapper)
    return (
        effect.reason in ("rule", "not null", "default")
        and effect.target is chosen.table
        and all(near in chosen.keys for near in effect.keys.values())
        and own is not None
        and own.is_accessible()
        and own.allows("change")
        and own.may("change", key)
        and view.reach().may_read(effect.mapper, key)
    )


def _move(view: Any, change_set: changes.ChangeSet, rows: Sequence[Any], plan: DeletePlan) -> bool:
    """Make what blocks point at the rows that the form names for it; whether it names any."""
    wanted = [(e, request.form.get(_move_name(e), "")) for e in plan.blockers]
    for effect, text in wanted:
        if text:
            if not can_move(view, plan, effect):
                raise _refusal(f"You may not move {_noun(view, effect, 2)}.")
            _point_at(view, change_set, effect, _other(view, rows, text))
    change_set.session.flush()
    return any(text for _, text in wanted)


def _other(view: Any, rows: Sequence[Any], text: str) -> Any:
    """The row that ``text`` names, which is not one of ``rows``."""
    noun = view.singular.lower()
    lookup = RowLookup(view, OWN, view.mapper)
    try:
        found = lookup.fetch([inspection.identity_text(view.mapper).decode(text)])
    except NotFound:
        found = []
    if not found or found[0] in rows:
        raise _refusal(f"Nothing was deleted: choose another {noun} to move these rows to.")
    return found[0]


def _point_at(view: Any, change_set: changes.ChangeSet, effect: Effect, target: Any) -> None:
    mapper, key = effect.mapper, _pointer(effect)
    assert mapper is not None
    assert key is not None
    session = change_set.session
    own = view.view_of(mapper).over(mapper)
    dialect = session.get_bind(mapper=mapper).dialect
    moved = 0
    for portion in _portions(list(effect.keys)):
        among = delete_plan.rows_with(mapper, portion, dialect)
        for row in session.scalars(own.get_listing("change").base().where(among)).unique():
            moved += 1
            if key in mapper.relationships:
                setattr(row, key, target)
            else:
                column = next(iter(effect.columns[0].foreign_keys)).column
                setattr(row, key, getattr(target, inspection.key_of(view.mapper, column) or ""))
    if moved < effect.count:
        raise _refusal(
            f"Nothing was deleted: {effect.count - moved:,} of the {_noun(view, effect, 2)} may "
            "not be moved by you."
        )
