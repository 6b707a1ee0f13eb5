"""The filters of a list as a visitor sees them: as chips, and in a form that makes them.

The form is a page of its own, reached over the list's address by the argument ``filter``; a script
shows it beside the list instead. It works by sending itself: each of its buttons, and each choice
that changes what else can be chosen, asks for it anew, with what was entered so far. Only its last
button leads to the list, by the address that `filters.arguments` writes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import unquote, urlencode

import sqlalchemy as sa
from flask import request
from flask.typing import ResponseReturnValue
from flask_admin.contrib.sqla.view import ModelView as FlaskAdminModelView
from markupsafe import Markup
from sqlalchemy import orm
from werkzeug.utils import redirect

from admin_app import columns, filter_words, filters, inspection
from admin_app import contexts as c
from admin_app.errors import InvalidRequest
from admin_app.filter_form import Box, Kept, Line, Reader, box_of, changed, joined_rows, operator_of
from admin_app.filter_form import sent as sent_form
from admin_app.filters import Group, Target, kinds, periods
from admin_app.listing import ListState
from admin_app.navigation import breadcrumbs

ARGUMENT = "filter"
"""The argument that asks for the form, and says which of its buttons was pressed."""

DEPTH = 2
"""Relationships away from which columns are offered; an address may go further."""

MOST_COLUMNS = 400
"""Columns that the form offers."""

MakeUrl = Callable[..., str]


# What a host allows


def allowed(view: Any) -> Iterable[str] | None:
    """The paths through relationships that a URL may filter by: those of ``column_filters``.

    None, for all of them, where there is no such option.
    """
    if view.column_filters is None:
        return None
    found: set[str] = set()
    for name in named(view):
        found.add(name)
        with contextlib.suppress(InvalidRequest):
            relationship = inspection.resolve(view.mapper, name).relationship
            if relationship is not None:
                # In Flask-Admin, naming a relationship offers the columns that it leads to.
                found.update(f"{name}.{key}" for key in inspection.columns(relationship.mapper))
    return found


def named(view: Any) -> list[str]:
    """The columns and relationships that ``column_filters`` names."""
    given = [f for f in view.column_filters or () if not hasattr(f, "apply")]
    return [columns.name_of(view.mapper, attribute) for attribute in given]


def is_offered(view: Any) -> bool:
    """Whether the list can be filtered by columns: not where a host's own code makes its rows."""
    return not view.has_own_rows and (view.column_filters is None or bool(named(view)))


def positional(view: Any) -> list[Any] | None:
    """The filters that Flask-Admin makes of ``column_filters``, which old links number.

    It has none for JSON, binaries, intervals, arrays and the like, and would refuse to start;
    such columns are filtered by ours alone.
    """
    if not view.column_filters:
        return None
    found: list[Any] = []
    for name in view.column_filters:
        if view.is_valid_filter(name):
            found.append(view.handle_filter(name))
        else:
            found += view.scaffold_filters(name) or ()
    return found


def own_filters(view: Any) -> list[Any]:
    """The filters of Flask-Admin's kind that the form does not stand for: the host's own."""
    own = [f for f in view.column_filters or () if hasattr(f, "apply")]
    is_stock = type(view).scaffold_filters is FlaskAdminModelView.scaffold_filters
    is_stock &= type(view).filter_converter is FlaskAdminModelView.filter_converter
    if not is_stock or view.has_own_rows:
        return list(view._filters or ())
    return own


# On the list


def chips(view: Any, state: ListState, url: MakeUrl) -> list[c.Chip]:
    """The filters of the list in words, each with the way to be rid of it."""
    known = filter_words.labels(view, state.filters)
    return [
        c.Chip(
            *filter_words.member(view, view.mapper, member, known),
            url(filters=filters.without(state.filters, (place,)), page=None),
        )
        for place, member in enumerate(state.filters.members)
    ]


def unfiltered(state: ListState) -> ListState:
    """``state`` for rows that a host's own code makes, which knows nothing of these filters."""
    if not state.filters:
        return state
    note = "The rows of this list come from elsewhere and cannot be filtered so."
    notes = (*state.notes, note)
    return dataclasses.replace(state, filters=filters.EVERYTHING, notes=notes)


@contextlib.contextmanager
def told(view: Any, state: ListState) -> Iterator[None]:
    """A block that lists rows: a value that only the database could judge becomes a sentence."""
    try:
        yield
    except sa.exc.DataError as error:
        code = getattr(error.orig, "pgcode", None) or getattr(error.orig, "sqlstate", None)
        if not state.filters or not str(code).startswith("22"):
            raise
        view.get_session().rollback()
        raise InvalidRequest("A filter has a value that its column cannot hold.") from None


# The form


def answer(view: Any) -> ResponseReturnValue | None:
    """What the list answers where the request asks for the form; None where it does not."""
    do = request.args.get(ARGUMENT)
    if do is None or not is_offered(view):
        return None
    form = _Form(view)
    if do == "edit":
        top = box_of(form.state.filters)
        changed(top, "add")
        return form.page(top, [])
    top = sent_form(request.args.items(multi=True))
    if do == "apply":
        tree, errors = form.reader.tree(top)
        return form.page(top, errors) if errors else redirect(form.list_url(tree), 303)
    changed(top, do)
    return form.page(top, [])


class _Form:
    """The form of one request."""

    def __init__(self, view: Any) -> None:
        self.view = view
        listing = view.get_listing()
        self.state: ListState = listing.parse(request.args)
        self.reader = Reader(view.mapper, listing.reach, listing.dialect, listing.filterable)
        self.options: dict[str, Markup] = {}

    def list_url(self, tree: Group) -> str:
        """The list, filtered by ``tree``, otherwise as it is."""
        pairs = [*self._others(), *filters.arguments(tree)]
        path = request.root_path + request.path
        return f"{path}?{urlencode(pairs, safe=',:!')}" if pairs else path

    def _others(self) -> list[tuple[str, str]]:
        """The arguments of the list but for its filters and its page."""
        skipped = {ARGUMENT, "page", "after", "before", "at", "count"}
        return [
            (name, value)
            for name, value in request.args.items(multi=True)
            if name not in skipped and not name.startswith("w.") and not filters.is_argument(name)
        ]

    def page(self, top: Box, errors: list[str]) -> ResponseReturnValue:
        view, title = self.view, f"Filter {str(self.view.name).lower()}"
        tree, _ = self.reader.tree(top)
        back = self.list_url(self.state.filters)
        if not top.lines:
            top.lines.append(Line())
        page = c.FiltersPage(
            title=title,
            breadcrumbs=breadcrumbs(view, (str(view.name), back), (title, None)),
            action_url=request.root_path + request.path,
            # The filters that are on, for the way back; a button of the form leaves them out.
            hidden=[*self._others(), *filters.arguments(self.state.filters)],
            kinds=_options(_JOINTS, top.kind),
            items=[self._item(item, str(n)) for n, item in enumerate(top.lines, 1)],
            periods=[periods.words(name) for name in periods.NAMED],
            preview=filter_words.sentence(view, tree, filter_words.labels(view, tree, None)),
            cancel_url=back,
            clear_url=self.list_url(filters.EVERYTHING) if self.state.filters else None,
            errors=errors,
        )
        html: str = view.render("admin/model/filters.html", page=page)
        return html

    def _item(self, item: Line | Kept | Box, place: str) -> c.FilterLine | c.FilterBox:
        if isinstance(item, Line):
            return self._line(item, place, "")
        if isinstance(item, Kept):
            tree, _ = self.reader.tree(Box("all", "", [item]))
            words = filter_words.sentence(
                self.view, tree, filter_words.labels(self.view, tree, None)
            )
            return c.FilterBox(f"w.{place}.", place, [], [], words, item.text)
        lines = [
            self._line(line, f"{place}.{n}", item.through)
            for n, line in enumerate(item.lines or [Line()], 1)
            if isinstance(line, Line)
        ]
        return c.FilterBox(f"w.{place}.", place, self._kinds(item), lines)

    def _kinds(self, box: Box) -> list[c.FilterOption]:
        """How a group may join its lines, behind a relationship to many rows or without one."""
        joints = list(_JOINTS)
        for target in filters.targets(self.view.mapper, self.reader.reach, self.reader.dialect):
            relationship = target.relationship
            if relationship is None or not relationship.uselist or not self._offers(target.name):
                continue
            noun = filter_words.label(self.view, target.name)
            joints.append((f"some:{target.name}", f"{noun}: one of them meets all of"))
            joints.append((f"no:{target.name}", f"{noun}: none of them meets all of"))
        if box.through and all(value != box.joint for value, _ in joints):
            joints.append((box.joint, f"{box.through}: {box.kind} of them meets all of"))
        return _options(joints, box.joint)

    def _offers(self, name: str) -> bool:
        return self.reader.allowed is None or name in self.reader.allowed

    def _line(self, line: Line, place: str, through: str) -> c.FilterLine:
        name, found = f"w.{place}.", self.reader.target(through, line.column)
        chosen = self._chosen(line.column if found is not None else "", through)
        if found is None:
            return c.FilterLine(name, place, "", chosen, [], "none", [])
        operator = operator_of(line, found)
        values = line.values if line.was in ("", line.column) else []
        made = [(o.name, filter_words.asks(o, found)) for o in self._operators(found, operator)]
        control = _control(found, operator, values)
        return c.FilterLine(
            name,
            place,
            line.column,
            chosen,
            _options(made, operator.name),
            control,
            [joined_rows(self._rows(values))] if control == "row" else _padded(values, operator),
            choices=_choices(found, values),
            periods=operator.takes == "period",
            is_range=operator.takes == "range",
            can_have_more=control not in ("choice", "row", "none") and bool(values),
            **self._picker(found, values, through) if control == "row" else {},
        )

    def _operators(self, found: Target, current: filters.Operator) -> list[filters.Operator]:
        """Those that mean something: a column that always has a value is never empty."""
        column = found.path.column
        is_certain = (
            column is not None
            and not column.is_nullable
            and not found.steps
            and not isinstance(found.kind, kinds.Text | kinds.Json | kinds.Array | kinds.Range)
        )
        return [
            o for o in found.operators if o is current or not is_certain or o.takes != "nothing"
        ]

    @staticmethod
    def _rows(values: list[str]) -> list[str]:
        return [unquote(text) for value in values for text in value.split(",") if text.strip()]

    def _picker(self, found: Target, values: list[str], through: str) -> dict[str, Any]:
        mapper = found.row_mapper
        assert mapper is not None
        path = f"{through}.{found.name}" if through else found.name
        tree = Group("all", (filters.Condition(path, "is", tuple(self._rows(values))),))
        labels = filter_words.labels(self.view, tree, None)
        rows = [{"id": t, "text": labels.get((mapper, t), t)} for t in self._rows(values)]
        lookup = self.view.lookup_for_filter(path)
        return {"lookup_url": lookup.url(), "chosen": json.dumps(rows, ensure_ascii=False)}

    # Columns to choose from

    def _chosen(self, column: str, through: str) -> Markup:
        """The options of a select of columns, with ``column`` chosen."""
        if through not in self.options:
            self.options[through] = self._columns(through)
        markup = self.options[through]
        if not column:
            return markup
        value = Markup(' value="%s"') % column
        if value + ">" not in markup:
            label = filter_words.label(self.view, column, f"{through}." if through else "")
            return Markup('<option value="%s" selected>%s</option>') % (column, label) + markup
        return Markup(markup.replace(value + ">", value + " selected>", 1))  # noqa: S704 - escaped

    def _columns(self, through: str) -> Markup:
        mapper = self.reader.mapper_behind(through)
        noun = inspection.words(mapper.class_.__name__) if through else str(self.view.singular)
        groups: list[Markup] = []
        self._count = 0
        self._collect(groups, mapper, through, "", noun, 0, None)
        return Markup("").join(groups)

    def _collect(
        self,
        groups: list[Markup],
        mapper: orm.Mapper[Any],
        through: str,
        prefix: str,
        noun: str,
        depth: int,
        back: Any,
    ) -> None:
        found = [
            target
            for target in filters.targets(mapper, self.reader.reach, self.reader.dialect)
            if back is None or target.relationship not in back._reverse_property
        ]
        base = f"{through}.{prefix}" if through else prefix
        offered = [t for t in found if self._is_listed(base + t.name)]
        options = [
            Markup('<option value="%s">%s</option>')
            % (prefix + t.name, filter_words.label(self.view, t.name, base))
            for t in offered[: MOST_COLUMNS - self._count]
        ]
        self._count += len(options)
        if options:
            groups.append(
                Markup('<optgroup label="%s">%s</optgroup>') % (noun, Markup("").join(options))
            )
        for target in found if depth < DEPTH else ():
            inner = target.relationship
            if inner is not None and self._count < MOST_COLUMNS:
                words = filter_words.label(self.view, target.name, base)
                title = words if depth == 0 else f"{noun} › {words}"
                path = f"{prefix}{target.name}."
                self._collect(groups, inner.mapper, through, path, title, depth + 1, inner)

    def _is_listed(self, name: str) -> bool:
        """Whether the form offers ``name``: what ``column_filters`` names, or everything."""
        allowed = self.reader.allowed
        return allowed is None or name in allowed


_JOINTS = (
    ("all", "all of these"),
    ("any", "any of these"),
    ("none", "none of these"),
    ("notall", "not all of these"),
)


def _options(pairs: Iterable[tuple[str, str]], chosen: str) -> list[c.FilterOption]:
    return [c.FilterOption(value, text, value == chosen) for value, text in pairs]


def _padded(values: list[str], operator: filters.Operator) -> list[str]:
    """The values to show, with a place for the first one."""
    if operator.takes == "range":
        return [*values, *[""] * (len(values) % 2)] or ["", ""]
    if operator.takes == "period":
        values = [_told_period(value) for value in values]
    return values or [""]


def _told_period(text: str) -> str:
    """A relative period in words; one of the calendar stays as it is, for it is typed so."""
    plain = periods.canonical(text)
    return periods.words(plain) if plain[:1].isalpha() else text


def _choices(found: Target, values: list[str]) -> list[c.FilterOption]:
    return [c.FilterOption(v, str(w), v in values) for v, w in found.kind.choices()]


_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_AND_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}")
_NUMBER = re.compile(r"-?[0-9]*\.?[0-9]+")
_NATIVE = {
    "number": _NUMBER,
    "date": _DATE,
    "datetime": _DATE,
    "time": re.compile(r"[0-9]{2}:[0-9]{2}"),
}


def _control(found: Target, operator: filters.Operator, values: list[str]) -> str:
    """What a value is entered with; a native control drops what it cannot show, so not always."""
    control = found.kind.control
    if operator.takes == "nothing":
        return "none"
    if operator.takes == "period" or control in ("text", "none"):
        return "text"
    if control in _NATIVE:
        filled = [value for value in values if value]
        if control == "datetime" and filled and all(map(_DATE_AND_TIME.fullmatch, filled)):
            return "datetime-local"
        if not all(map(_NATIVE[control].fullmatch, filled)):
            return "text"
        return "date" if control == "datetime" else control
    return control
