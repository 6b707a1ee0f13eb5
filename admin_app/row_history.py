"""The history of one row: what was done to it, the whole row as it was, and the way back to that.

Bringing back a version, or one field of it, is reviewed first and is a change set like any other.
It writes what the history holds, as an undo does, so hooks for forms do not run.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import flask
import sqlalchemy as sa
from flask import g, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from sqlalchemy import orm
from werkzeug.utils import redirect

from admin_app import (
    changed_rows,
    changes,
    database,
    inspection,
    moments,
    pages,
    rendering,
    review,
    saving,
    subtypes,
)
from admin_app import contexts as c
from admin_app.changes import images, rebuilding, undoing, versions
from admin_app.changes.audit import ChangeSetRecord, RowChangeRecord
from admin_app.changes.rebuilding import At, Then
from admin_app.changes.undoing import Step
from admin_app.errors import Forbidden, InvalidRequest, NotFound, WriteRefused
from admin_app.listing import Listing
from admin_app.navigation import breadcrumbs

SHOWN = 100
"""Changes of a row that its page shows at once."""

MOST_RECORDS = 2_000
"""Changes of a row, newest first, by which it is taken back."""

_SOURCES = {
    "create": "New row",
    "import": "Import",
    "edit": "Form",
    "bulk_edit": "Edit of many rows",
    "delete": "Delete",
    "cells": "Cells of the list",
    "undo": "Undo",
    "revert": "Revert of a field",
    "restore": "Earlier version",
    "program": "Program",
    "database": "Another program",
}

_THEN = Markup("As it was on %s.")
_NOT_THEN = Markup("On %s it was not there.")
_LEFT_BY = Markup("As %s left it on %s.")
_FOUND_BY = Markup("As %s found it on %s, and deleted it.")
_NOT_THERE = Markup("When %s made this change on %s it was not there.")

_show_moment = rendering.by_type(sa.DateTime(timezone=True), is_cut=False)


def moment(at: dt.datetime) -> Markup:
    """When something was done, to the second."""
    return _show_moment(at.replace(microsecond=0))


def source_of(record: ChangeSetRecord) -> str:
    """What the pages call where ``record`` came from."""
    return _SOURCES.get(record.source, record.source)


@dataclass(slots=True)
class Row:
    """A row, perhaps one that is gone, with what is known of it, newest first."""

    history: Any
    view: Any
    text: str
    identity: tuple[Any, ...]
    instance: Any
    mapper: orm.Mapper[Any]
    records: list[RowChangeRecord]

    @property
    def label(self) -> str:
        """What the row is called; of one that is gone, what it was called when it went."""
        if self.instance is not None:
            return inspection.label(self.view.mapper).of(self.instance)
        kept = self.records[0].change_set if self.records else None
        if kept is not None and kept.label and kept.model == self.view.mapper.local_table.key:
            return str(kept.label)
        return f"{self.view.singular} {self.text}"

    def url(self, **more: Any) -> str:
        """Where its history is."""
        url: str = self.history.row_url(self.view, self.text, **more)
        return url

    @property
    def session(self) -> Any:
        return self.history.get_session()

    @property
    def tables(self) -> list[sa.Table]:
        """The tables that it has a part in and a key of its own."""
        return [t for t in self.mapper.tables if isinstance(t, sa.Table) and t.primary_key.columns]

    def key(self, table: sa.Table) -> images.Key:
        """Its key in ``table``."""
        connection = self.session.connection(bind_arguments={"clause": table})
        names = [column.name for column in table.primary_key.columns]
        values = dict(zip(names, self.identity, strict=False))
        return images.key_of_values(connection, table, values)

    def current(self, table: sa.Table, *, lock: bool = False) -> images.Image | None:
        """What it holds in ``table``."""
        connection = self.session.connection(bind_arguments={"clause": table})
        return rebuilding.current_image(connection, table, self.key(table), lock=lock)

    def then(self, at: At, *, lock: bool = False) -> list[Then]:
        """What it held ``at`` that time, by table."""
        return [
            rebuilding.rebuilt(
                table,
                self.key(table),
                self.current(table, lock=lock),
                [r for r in self.records if r.table_name == table.key],
                at,
            )
            for table in self.tables
        ]

    def changes(self) -> list[RowChangeRecord]:
        """Its changes with those of the rows that tie it to others (many to many), newest first."""
        between = {
            relationship.secondary
            for relationship in self.mapper.relationships
            if isinstance(relationship.secondary, sa.Table) and not relationship.viewonly
        }
        ties = versions.ties_of(self.session, self.mapper, self.identity, between, MOST_RECORDS)
        return sorted([*self.records, *ties], key=lambda record: -record.id)

    def may(self, what: str) -> bool:
        """Whether the visitor may ``change`` this row back, or ``add`` one that is gone."""
        if not (self.view.is_accessible() and self.view.allows(what) and self.view.may("undo")):
            return False
        if what == "add":
            return True
        return self.view.get_listing("change").one(self.session, self.identity) is not None

    def attribute(self, column: sa.Column[Any]) -> str:
        """The attribute of ``column``, by which the policy is asked."""
        return inspection.key_of(self.mapper, column) or column.name


def find(history: Any, endpoint: str | None, text: str) -> Row:
    """The row of the view ``endpoint`` whose key is ``text``; NotFound when it is out of reach."""
    views = history.admin.recorded_views()
    view = next((v for v in views if v.endpoint == endpoint), None)
    if view is None or not view.may("view") or not view.is_accessible():
        raise NotFound("There is no such page.")
    view.require("history")
    identity = inspection.identity_text(view.mapper).decode(text)
    instance = view.get_one(text)
    if instance is None and view.is_narrowed:
        raise NotFound(f"There is no {view.singular.lower()} “{inspection.shorten(text)}”.")
    session = history.get_session()
    mapper = view.mapper if instance is None else _mapper_of(view, instance)
    records = versions.records_of(session, mapper, identity, MOST_RECORDS)
    if instance is None:
        for other in view.mapper.self_and_descendants:
            if other is view.mapper or other.concrete or not set(other.tables) - set(mapper.tables):
                continue
            found = versions.records_of(session, other, identity, MOST_RECORDS)
            if {r.table_name for r in found} > {r.table_name for r in records}:
                mapper, records = other, found
    return Row(history, view, text, identity, instance, mapper, records)


def _mapper_of(view: Any, instance: Any) -> orm.Mapper[Any]:
    mapper = orm.object_mapper(instance)
    return mapper if mapper.isa(view.mapper) else view.mapper


def requested(history: Any) -> Row:
    """The row that the address names: ``of`` its view, ``id`` its key."""
    return find(history, request.args.get("of"), request.args.get("id", ""))


def _reader(row: Row, images_: Sequence[tuple[str, Any, Any]]) -> changed_rows.Reader:
    reader = changed_rows.Reader(row.history.views_by_table(), row.history.tables())
    reader.learn(images_)
    return reader


# What was done to it


def page(row: Row) -> c.RowHistoryPage:
    """The changes of ``row``, newest first, each field with a way back."""
    before = request.args.get("before", "")
    last = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
    found = [r for r in row.changes() if last is None or r.id < last]
    shown = found[:SHOWN]
    reader = _reader(row, [(r.table_name, r.old, r.new) for r in shown])
    revertible = _Revertible(row)
    entries = []
    for record in shown:
        drawn = reader.row(
            record.table_name, record.kind, record.key, record.old, record.new, id=record.id
        )
        if drawn is not None:
            entries.append(_entry(row, record, revertible.marked(record, drawn)))
    title = f"History of {row.label}"
    return c.RowHistoryPage(
        title=title,
        heading=title,
        breadcrumbs=_breadcrumbs(row, ("History", None)),
        is_gone=row.instance is None,
        changes=entries,
        older_url=row.url(before=shown[-1].id) if len(found) > SHOWN else None,
        at_url=row.history.get_url(".row_view"),
        at_hidden=[("of", row.view.endpoint), ("id", row.text)],
    )


def _entry(row: Row, record: RowChangeRecord, drawn: c.HistoryRow) -> c.HistoryEntry:
    by = record.change_set
    return c.HistoryEntry(
        when=moment(by.at),
        who=by.actor or "nobody who was signed in",
        by=source_of(by),
        reason=by.reason,
        url=row.history.get_url(".details_view", id=by.id),
        undo_url=row.history.undo_page_url(by.id),
        row=drawn,
        at_url=row.url(at=by.id),
    )


def _breadcrumbs(row: Row, *steps: tuple[str, str | None]) -> list[Any]:
    view, url = row.view, None
    if row.instance is not None:
        url = view.url_for("details" if view.can_view_details else "edit", id=row.text)
    return breadcrumbs(
        view, (str(view.name), view.get_url(".index_view")), (row.label, url), *steps
    )


class _Revertible:
    """Which fields of which changes can be set back by whoever looks at the page."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.may = row.instance is not None and row.may("change")
        self.current = {t.key: row.current(t) for t in row.tables} if self.may else {}
        self.columns = {
            t.key: {col.name for col in _writable(row, t)} for t in (row.tables if self.may else ())
        }

    def marked(self, record: RowChangeRecord, drawn: c.HistoryRow) -> c.HistoryRow:
        """``drawn`` with the address at which each of its fields is set back."""
        current = self.current.get(record.table_name)
        if record.kind != "update" or current is None:
            return drawn
        names = {
            name
            for name, value in record.old.items()
            if name in self.columns[record.table_name]
            and undoing.is_restorable(value)
            and current.get(name) != value
        }
        url = self.row.history.revert_url
        columns = [
            replace(one, revert_url=url(self.row, record.id, one.name))
            if one.name in names
            else one
            for one in drawn.columns
        ]
        return replace(drawn, columns=columns)


def _writable(row: Row, table: sa.Table) -> list[sa.Column[Any]]:
    """The columns of ``table`` that may be set back, and that the visitor may change."""
    counter = row.history.counters().get(table)
    return [
        column
        for column in images.writable(table)
        if not column.primary_key
        and (counter is None or column is not counter.column)
        and row.view.may("view", row.attribute(column))
        and row.view.may("change", row.attribute(column))
    ]


# The row as it was


def parse_at(text: str) -> At:
    """What ``at`` of an address says: the number of a change set, or a moment.

    A moment without an offset is in the time zone of the visitor. InvalidRequest for any other.
    """
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(
            f"“{inspection.shorten(text)}” is no moment: write it as 2026-03-31 17:05."
        ) from None
    try:
        return moments.typed(at).astimezone(dt.UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(str(error)) from None


def at_page(row: Row, at: At) -> c.RowAtPage:
    """The whole of ``row`` as it was ``at`` that time."""
    made = _made_by(row, at)
    then = row.then(at)
    there = any(one.image is not None for one in then)
    drawn = _Drawn(row, then)
    columns = list(drawn.columns()) if there else []
    what = "change" if row.instance is not None else "add"
    can_restore = there and _can_restore(row, then, what)
    label = row.label
    older, newer = _neighbours(row, at)
    return c.RowAtPage(
        title=f"{label} as it was",
        heading=f"{label} as it was",
        breadcrumbs=_breadcrumbs(row, ("History", row.url()), ("As it was", None)),
        sentence=_sentence(row, at, made, there),
        notes=list(drawn.notes(what if can_restore else "")) if there else [],
        columns=columns,
        is_gone=row.instance is None,
        differs=any(column.is_different for column in columns),
        restore_url=row.history.restore_url(row, request.args["at"]) if can_restore else None,
        history_url=row.url(),
        older_url=None if older is None else row.url(at=older),
        newer_url=None if newer is None else row.url(at=newer),
        at_url=row.history.get_url(".row_view"),
        at_hidden=[("of", row.view.endpoint), ("id", row.text)],
    )


def _made_by(row: Row, at: At) -> ChangeSetRecord | None:
    """The change set that ``at`` names; NotFound when the history has none of that number."""
    if not isinstance(at, int):
        return None
    found: ChangeSetRecord | None = row.session.get(ChangeSetRecord, at)
    if found is None:
        raise NotFound(f"The history has no change {at}. It may have been forgotten.")
    return found


def _sentence(row: Row, at: At, made: ChangeSetRecord | None, there: bool) -> Markup:
    if isinstance(at, dt.datetime):
        when = moment(moments.local(at))
        return (_THEN if there else _NOT_THEN) % when
    assert made is not None
    is_end = any(r.change_set_id == made.id and r.kind == "delete" for r in row.records)
    by = (made.actor or "somebody", moment(made.at))
    if not there:
        return _NOT_THERE % by
    return (_FOUND_BY if is_end else _LEFT_BY) % by


def _neighbours(row: Row, at: At) -> tuple[int | None, int | None]:
    """The change sets before and after, of those that changed the row."""
    made = {r.change_set_id: versions.aware(r.change_set.at) for r in row.records}
    if isinstance(at, int):
        before = [n for n in made if n < at]
        after = [n for n in made if n > at]
    else:
        before = [n for n, when in made.items() if when <= at]
        after = [n for n, when in made.items() if when > at]
    return max(before, default=None), min(after, default=None)


def _can_restore(row: Row, then: Sequence[Then], what: str) -> bool:
    steps = list(_steps(row, then))
    return bool(steps) and all(s.state == "ready" for s in steps) and row.may(what)


def _steps(row: Row, then: Sequence[Then]) -> Iterator[Step]:
    """What brings the row back as it was ``then``, as far as the visitor may write it."""
    counters = row.history.counters()
    for one in then:
        names = [column.name for column in _writable(row, one.table)]
        step = rebuilding.step(one, names, counters)
        if step is not None:
            yield step


class _Drawn:
    """The columns of a row as it was."""

    def __init__(self, row: Row, then: Sequence[Then]) -> None:
        self.row = row
        self.then = then
        self.reader = _reader(row, [(one.table.key, one.image, one.current) for one in then])

    def _seen(self, one: Then) -> Iterator[sa.Column[Any]]:
        """The columns that the visitor may see, the key once."""
        for column in one.table.columns:
            is_again = column.primary_key and one is not self.then[0]
            if not is_again and self.reader.may_read(one.table.key, column.name):
                yield column

    def columns(self) -> Iterator[c.ValueThen]:
        """What each column held, and what it holds now where that is something else."""
        for one in self.then:
            differing = set(one.differing())
            for column in self._seen(one):
                yield self._column(one, column.name, column.name in differing)

    def _column(self, one: Then, name: str, is_different: bool) -> c.ValueThen:
        image, current, table = one.image or {}, one.current or {}, one.table.key
        is_known = name in image
        return c.ValueThen(
            label=self.reader.label(table, name),
            value=self.reader.value(table, name, image[name]) if is_known else None,
            now=self.reader.value(table, name, current[name]) if is_different else None,
            both=changed_rows.both(current[name], image[name]) if is_different else None,
            is_different=is_different,
            is_unsure=name in one.unsure,
        )

    def notes(self, what: str) -> Iterator[str]:
        """What has to be known about it; ``what`` is said when it could be brought back."""
        if any(one.is_before_history for one in self.then):
            yield (
                "The history of this row does not reach back so far. Shown is the earliest that is "
                "known."
            )
        unsure = self._labels(lambda one: one.unsure)
        if unsure:
            yield f"Also changed without the history, so perhaps not as shown: {unsure}."
        unknown = self._labels(lambda one: one.unknown)
        if unknown:
            yield f"Not in the history: {unknown}."
        kept = self._labels(self._kept) if what else ""
        if kept:
            yield f"Stays as it is, if you bring this version back: {kept}."

    def _kept(self, one: Then) -> set[str]:
        """Columns that were something else, and that will not be written."""
        if one.current is None:
            return {n for n, v in (one.image or {}).items() if not undoing.is_restorable(v)}
        counters = self.row.history.counters()
        names = {column.name for column in _writable(self.row, one.table)}
        kept = set(one.differing()) - (names & set(rebuilding.restorable(one, counters)))
        # A number that counts the versions goes on counting.
        return kept - {counters[one.table].column.name} if one.table in counters else kept

    def _labels(self, names_of: Any) -> str:
        found = [
            self.reader.label(one.table.key, column.name)
            for one in self.then
            for names in [names_of(one)]
            for column in self._seen(one)
            if column.name in names
        ]
        return ", ".join(found)


# The way back


def restore(history: Any) -> ResponseReturnValue:
    """Bring back the version that the address names."""
    _begin(history)
    row = requested(history)
    at = parse_at(request.args.get("at", ""))
    _made_by(row, at)
    then = row.then(at, lock=True)
    is_gone = all(one.current is None for one in then)
    _require(row, "add" if is_gone else "change")
    steps = list(_steps(row, then))
    if any(step.state != "ready" for step in steps):
        flask.flash("The history does not hold enough of this version to bring it back.", "error")
        return redirect(row.url(at=request.args["at"]), 303)
    if not steps:
        flask.flash(f"{row.label} is as it was already.", "warning")
        return redirect(row.url(), 303)
    what = "add" if is_gone else "change"
    return _write(row, steps, "restore", what, f"{row.label} is as it was again.")


def revert(history: Any) -> ResponseReturnValue:
    """Set one field back to what it held before the change of a row that the address names."""
    _begin(history)
    number, name = request.args.get("id", ""), request.args.get("column", "")
    is_number = number.isascii() and number.isdigit() and len(number) < 19
    record = history.get_session().get(RowChangeRecord, int(number)) if is_number else None
    if record is None or history.get_one(record.change_set_id) is None:
        raise NotFound("There is no such change.")
    row = find(history, request.args.get("of"), request.args.get("row", ""))
    _require(row, "change")
    table = next((t for t in row.tables if t.key == record.table_name), None)
    is_field = record.kind == "update" and name in record.old
    if record not in row.records or table is None or not is_field or name not in table.columns:
        raise NotFound("There is no such change.")
    if table.columns[name] not in _writable(row, table):
        raise Forbidden("You may not set this field back.")
    key, current = row.key(table), row.current(table, lock=True)
    if current is None or not undoing.is_restorable(record.old[name]):
        flask.flash("The history does not hold what this field was before.", "error")
        return redirect(row.url(), 303)
    step = rebuilding.step(
        Then(table, key, {name: record.old[name]}, current), None, history.counters()
    )
    label = _reader(row, []).label(table.key, name)
    if step is None:
        flask.flash(f"{label} is as it was already.", "warning")
        return redirect(row.url(), 303)
    if current[name] != record.new.get(name):
        g.admin_told = [_since(row, record, name, current)]
    told = f"{label} of {row.label} is set back."
    return _write(row, [step], "revert", "change", told, record.change_set_id)


def _begin(history: Any) -> None:
    if request.method == "POST":
        database.begin_write(history.get_session(), history.mapper, review.kind())


def _require(row: Row, what: str) -> None:
    if not row.may(what):
        raise Forbidden(f"You may not {subtypes.VERBS[what]} this {row.view.singular.lower()}.")


def _since(row: Row, record: RowChangeRecord, name: str, current: Mapping[str, Any]) -> Markup:
    """That the field was changed since: what the change left in it, what it is now, by whom."""
    value = record.new.get(name)
    reader = _reader(row, [(record.table_name, {name: value}, dict(current))])
    by = next(
        (
            r.change_set
            for r in row.records
            if r.id > record.id and r.table_name == record.table_name and name in (r.new or {})
        ),
        None,
    )
    return Markup("%s was changed since, %s: that change left it as %s, it is %s now.") % (
        reader.label(record.table_name, name),
        "without the history"
        if by is None
        else Markup("by %s on %s") % (by.actor or "somebody", moment(by.at)),
        reader.value(record.table_name, name, value),
        reader.value(record.table_name, name, current[name]),
    )


def _write(
    row: Row,
    steps: Sequence[Step],
    source: str,
    what: str,
    told: str,
    undoes_id: int | None = None,
) -> ResponseReturnValue:
    """Take the ``steps`` in a change set, and go back to the history of the row."""
    history, view, label, back = row.history, row.view, row.label, row.url()
    g.admin_reason_of = view
    try:
        with changes.change_set(
            row.session,
            history.principal(),
            source,
            mapper=view.mapper,
            is_recorded=True,
            request_id=pages.request_id(),
            reason=None if changes.is_preview() else saving.reason(view),
            undoes_id=undoes_id,
            is_chained=saving.chains_history(history),
        ) as change_set:
            change_set.label = label
            undoing.apply(change_set, steps, (), history.counters())
            _stay_in_reach(row, what)
    except WriteRefused as refusal:
        saving.try_again(refusal)
        flask.flash(f"Nothing was changed. {refusal.sentence}", "error")
        return redirect(back, 303)
    if change_set.id is not None:
        flask.flash(saving.undo_message(told, history.undo_page_url(change_set.id)), "success")
    return redirect(back, 303)


def _stay_in_reach(row: Row, what: str) -> None:
    """WriteRefused when the row would be none that the policy lets the visitor write."""
    narrowed = row.view._narrowed(what, row.view.model)
    if narrowed is None:
        return
    if Listing(row.view.mapper, criteria=[narrowed]).one(row.session, row.identity) is None:
        noun = row.view.singular.lower()
        raise WriteRefused(f"With these values the {noun} would be out of your reach.")
