"""The pages of what was changed: by whom, in which rows, from what to what, and the way back.

The list of change sets is an ordinary list of the admin, so it is filtered, searched and exported
like any other. A change set's page shows its rows as far as the visitor may see them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import flask
import sqlalchemy as sa
from flask import request
from flask.typing import ResponseReturnValue
from flask_admin.base import expose
from markupsafe import Markup
from werkzeug.utils import redirect

from admin_app import changed_rows, changes, database, inspection, pages, row_history, saving
from admin_app import contexts as c
from admin_app.changes import images, undoing, versions
from admin_app.changes.audit import ChangeSetRecord, RowChangeRecord
from admin_app.changes.capture import TOLD
from admin_app.changes.undoing import Step
from admin_app.errors import Forbidden, WriteRefused
from admin_app.navigation import breadcrumbs
from admin_app.views import ModelView

RECENT = 10
"""Changes that the first page tells of."""

SHOWN_ROWS = 200
"""Rows of one change set, or changes of one row, that a page shows."""

_VERBS = {
    "create": "created",
    "edit": "changed",
    "delete": "deleted",
    "cells": "changed",
    "undo": "undid the change of",
    "revert": "set back a field of",
    "restore": "brought back a version of",
}
_OPPOSITES = {"insert": "delete", "update": "update", "delete": "insert"}
_RIGHTS = {"insert": "delete", "update": "change", "delete": "add"}
"""What somebody must be allowed to do to a row in order to undo what was done to it."""


class HistoryView(ModelView):
    """The history of the whole site, as a list of change sets."""

    stands_last = True
    """The menu has it after everything of the host's own."""
    can_create = can_edit = can_delete = False
    column_list = ("at", "actor", "source", "model", "label", "row_count", "reason")
    column_labels = {
        "at": "When",
        "actor": "Who",
        "source": "By",
        "model": "What",
        "label": "Row",
        "row_count": "Rows",
    }
    column_default_sort = ("id", True)
    column_searchable_list = ("actor", "label", "reason")
    column_display_actions = False
    description = "Every change made here, and the way to undo it."

    plural = "changes"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.singular = "Change"

    def is_accessible(self) -> bool:
        return self.may("view") and bool(self.admin.has_table(ChangeSetRecord))

    def is_visible(self) -> bool:
        return True

    @property
    def column_formatters(self) -> dict[str, Any]:  # type: ignore[override]
        return {
            "at": lambda v, context, record, name: row_history.moment(record.at),
            "source": lambda v, context, record, name: row_history.source_of(record),
            "model": lambda v, context, record, name: self._noun(record.model),
        }

    def _narrowed(self, what: str, model: Any) -> sa.ColumnElement[bool] | None:
        found = super()._narrowed(what, model)
        if model is not self.model:
            return found
        both = [one for one in (found, self._visible()) if one is not None]
        return sa.and_(*both) if both else None

    def _visible(self) -> sa.ColumnElement[bool] | None:
        """Which changes the visitor may know of; None where he may see every row of every model.

        Of a model of which he sees some rows only, those that he made himself.
        """
        views = self.views_by_table()
        seen = {
            name: v
            for name, v in views.items()
            if v.is_accessible() and v.may("view") and v.may("history")
        }
        whole = [name for name, view in seen.items() if not view.is_narrowed]
        if len(whole) == len(views):
            return None
        principal = self.principal()
        own = ChangeSetRecord.actor_id == principal.id if principal else sa.false()
        return sa.or_(ChangeSetRecord.model.in_(whole), ChangeSetRecord.model.in_(seen) & own)

    def _is_own(self, record: ChangeSetRecord) -> bool:
        """Whether the visitor made the change himself."""
        principal = self.principal()
        return principal is not None and record.actor_id == principal.id

    def _in_reach(
        self, record: ChangeSetRecord, rows: Sequence[RowChangeRecord]
    ) -> Sequence[RowChangeRecord]:
        """Those of ``rows`` that the visitor may see: his own changes, else what his lists hold."""
        if self._is_own(record):
            return rows
        views, tables = self.views_by_table(), self.tables()
        hidden: set[int] = set()
        for name in {r.table_name for r in rows}:
            view, table = views.get(name), tables.get(name)
            if view is None or table is None or not view.is_narrowed:
                continue
            keys = {r.id: undoing.key_of(r, table) for r in rows if r.table_name == name}
            reached = changed_rows.reached(view, table, list(keys.values()))
            hidden |= {n for n, key in keys.items() if reached is not None and key not in reached}
        return [r for r in rows if r.id not in hidden]

    def views_by_table(self) -> dict[str, Any]:
        """The view of each table that a mapped class of the site has."""
        return changed_rows.views_by_table(self.admin.recorded_views())

    def _noun(self, table_name: str | None) -> str | None:
        view = self.views_by_table().get(table_name or "")
        return table_name and (str(view.name) if view is not None else inspection.words(table_name))

    def tables(self) -> dict[str, sa.Table]:
        """Every table of the metadata that the site's classes are mapped in."""
        return changed_rows.tables_of(self.admin.recorded_views())

    def counters(self) -> dict[sa.Table, versions.Counter]:
        """The columns of `tables` that count the changes of a row (``version_id_col``)."""
        return versions.counters(view.mapper for view in self.admin.recorded_views())

    @expose("/details/")
    def details_view(self) -> ResponseReturnValue:
        """One change set with its rows."""
        _, record = self._requested("view")
        return self._page(record)

    def _page(self, record: ChangeSetRecord, status: int = 200) -> ResponseReturnValue:
        rows = self._in_reach(record, _rows_of(self.get_session(), record, SHOWN_ROWS))
        reader = _reader(self, rows)
        shown = [s for r in rows if (s := _row(reader, r)) is not None]
        html = self.render("admin/history/change_set.html", page=_set_page(self, record, shown))
        return html, status

    @expose("/row/")
    def row_view(self) -> ResponseReturnValue:
        """What was done to one row, or the whole row as it was ``at`` some time."""
        row = row_history.requested(self)
        at = request.args.get("at", "").strip()
        html: str = (
            self.render(
                "admin/history/row_at.html",
                page=row_history.at_page(row, row_history.parse_at(at)),
            )
            if at
            else self.render("admin/history/row.html", page=row_history.page(row))
        )
        return html

    @expose("/restore/", methods=("GET", "POST"))
    def restore_view(self) -> ResponseReturnValue:
        """POST brings a row back as it was ``at`` some time; GET only shows it so."""
        if request.method == "GET":
            return redirect(self.get_url(".row_view", **request.args))
        return row_history.restore(self)

    @expose("/revert/", methods=("GET", "POST"))
    def revert_view(self) -> ResponseReturnValue:
        """POST sets one field of a row back to what it held before a change; GET leads away."""
        if request.method == "GET":
            return redirect(self.get_url(".index_view"))
        return row_history.revert(self)

    @expose("/undo/", methods=("GET", "POST"))
    def undo_view(self) -> ResponseReturnValue:
        """GET shows what an undo would do, POST does it."""
        if request.method == "POST":
            database.begin_write(self.get_session(), self.mapper)
        _, record = self._requested("view")
        steps = self.steps_of(record, lock=request.method == "POST")
        if request.method == "GET":
            return self._undo_page(record, steps)
        return self._undo(record, steps)

    def steps_of(self, record: ChangeSetRecord, *, lock: bool) -> list[Step]:
        """What undoing ``record`` would do now; Forbidden when the principal may not."""
        session = self.get_session()
        rows = _rows_of(session, record, None)
        self._require_rights(record, rows)
        return undoing.plan(session, rows, self.tables(), self.counters(), lock=lock)

    def _undo_page(self, record: ChangeSetRecord, steps: Sequence[Step]) -> str:
        page = _undo_page(self, record, steps)
        page.reason = saving.reason_field(self._explained(steps))
        html: str = self.render("admin/history/undo.html", page=page)
        return html

    def _explained(self, steps: Sequence[Step]) -> Any:
        """The view that asks most for the reason of a change, of those that ``steps`` are about."""
        views = self.views_by_table()
        found = [v for name in {s.record.table_name for s in steps} if (v := views.get(name))]
        asked = {v.change_reason: v for v in found}
        return asked.get("required", asked.get("optional", self))

    def _require_rights(self, record: ChangeSetRecord, rows: Sequence[RowChangeRecord]) -> None:
        views = self.views_by_table()
        for name, kind in sorted({(r.table_name, r.kind) for r in rows}):
            view = views.get(name)
            if view is None and name in TOLD and not self._administers():
                raise Forbidden("Only who may do everything can undo what roles were given.")
            if view is None:
                continue
            if not (view.is_accessible() and view.allows(_RIGHTS[kind])):
                raise Forbidden(
                    f"You may not undo this: it would {_RIGHTS[kind]} rows of {view.name}."
                )
            view.require("undo")
        for view in {v for v in views.values() if v.is_narrowed}:
            own = [r for r in rows if views.get(r.table_name) is view]
            is_told = len(self._in_reach(record, own)) == len(own)
            if own and not (is_told and _all_in_reach(view, own)):
                raise Forbidden(
                    f"You may not undo this: it concerns {view.name} out of your reach."
                )

    def _administers(self) -> bool:
        return bool(self.admin.policy.may(self.principal(), "administer"))

    def _undo(self, record: ChangeSetRecord, steps: Sequence[Step]) -> ResponseReturnValue:
        chosen = {int(t) for t in request.form.getlist("overwrite") if t.isascii() and t.isdigit()}
        number, label, model = record.id, record.label, record.model
        is_due = any(s.state == "ready" or s.record.id in chosen for s in steps)
        try:
            reason = saving.reason(self._explained(steps), is_due=is_due)
        except WriteRefused as refusal:
            flask.flash(refusal.sentence, "error")
            return self._undo_page(record, steps), 400
        try:
            with changes.change_set(
                self.get_session(),
                self.principal(),
                "undo",
                mapper=self.mapper,
                is_recorded=True,
                request_id=pages.request_id(),
                undoes_id=number,
                reason=reason,
                is_chained=saving.chains_history(self),
            ) as change_set:
                change_set.label = label
                change_set.about["model"] = model
                count = undoing.apply(change_set, steps, chosen, self.counters())
        except WriteRefused as refusal:
            saving.try_again(refusal)
            flask.flash(f"Nothing was undone. {refusal.sentence}", "error")
            return redirect(flask.url_for(f"{self.endpoint}.undo_view", id=number), 303)
        done = change_set.id
        if done is None:
            flask.flash("There was nothing left to undo.", "warning")
            return redirect(self.get_url(".details_view", id=number), 303)
        flask.flash(
            saving.undo_message(f"{_rows(count)} undone.", self.undo_page_url(done)), "success"
        )
        return redirect(self.get_url(".details_view", id=done), 303)

    def recent(self) -> list[c.Activity]:
        """The last changes of models that the visitor may see, in one statement."""
        if not self.is_accessible():
            return []
        statement = sa.select(ChangeSetRecord).order_by(ChangeSetRecord.id.desc()).limit(RECENT)
        visible = self._narrowed("view", self.model)
        if visible is not None:
            statement = statement.where(visible)
        return [_activity(self, record) for record in self.get_session().scalars(statement)]

    def actor_url(self, record: ChangeSetRecord) -> str | None:
        """Where everything is that the one has changed who made ``record``."""
        if record.actor_id is None:
            return None
        url: str = flask.url_for(f"{self.endpoint}.index_view", actor_id__is=record.actor_id)
        return url

    def model_url(self, view: Any, source: str | None = None) -> str:
        """Where the changes are that were made of rows of ``view``, perhaps only of one kind."""
        table = view.mapper.local_table.key
        url: str = self.get_url(".index_view", model__is=table, source__is=source)
        return url

    def undo_page_url(self, number: int) -> str:
        """Where a change set is undone."""
        url: str = flask.url_for(f"{self.endpoint}.undo_view", id=number)
        return url

    def row_url(self, view: Any, text: str, **more: Any) -> str:
        """Where the history of the row with the identity ``text`` of ``view`` is."""
        url: str = flask.url_for(f"{self.endpoint}.row_view", of=view.endpoint, id=text, **more)
        return url

    def restore_url(self, row: row_history.Row, at: str) -> str:
        """Where a POST brings ``row`` back as it was ``at`` some time."""
        url: str = self.get_url(
            ".restore_view", of=row.view.endpoint, id=row.text, at=at, url=row.url(at=at)
        )
        return url

    def revert_url(self, row: row_history.Row, number: int, column: str) -> str:
        """Where a POST takes back what the change ``number`` of ``row`` did to ``column``."""
        where = {"of": row.view.endpoint, "row": row.text, "url": row.url()}
        url: str = self.get_url(".revert_view", id=number, column=column, **where)
        return url


def _activity(history: HistoryView, record: ChangeSetRecord) -> c.Activity:
    view = history.views_by_table().get(record.model or "")
    noun = "" if view is None else str(view.singular).lower()
    count = record.row_count - 1
    return c.Activity(
        who=record.actor or "Somebody",
        who_url=history.actor_url(record),
        did=f"{_VERBS.get(record.source, 'changed')} {noun}".strip(),
        what=f"“{record.label}”" if record.label else f"change {record.id}",
        url=flask.url_for(f"{history.endpoint}.details_view", id=record.id),
        when=row_history.moment(record.at),
        more=f"and {count:,} more {'row' if count == 1 else 'rows'}" if count else "",
    )


def _rows(count: int) -> str:
    return "One row is" if count == 1 else f"{count:,} rows are"


def _all_in_reach(view: Any, rows: Sequence[RowChangeRecord]) -> bool:
    """Whether every row that is still there is one that the visitor may change."""
    table = view.mapper.local_table
    session = view.get_session()
    connection = session.connection(bind_arguments={"mapper": view.mapper})
    keys = [undoing.key_of(r, table) for r in rows if r.table_name == table.key]
    reach = view.get_listing("change").base().with_only_columns(*table.primary_key.columns)
    for criterion in images.having(table, keys, connection.dialect):
        there = sa.select(sa.func.count()).select_from(table).where(criterion)
        inside = sa.select(sa.func.count()).select_from(reach.where(criterion).subquery())
        if session.scalar(there) != session.scalar(inside):
            return False
    return True


def _rows_of(session: Any, record: ChangeSetRecord, limit: int | None) -> Sequence[RowChangeRecord]:
    statement = (
        sa.select(RowChangeRecord)
        .where(RowChangeRecord.change_set_id == record.id)
        .order_by(RowChangeRecord.id)
        .limit(limit)
    )
    return list(session.scalars(statement))


def _row(reader: changed_rows.Reader, record: RowChangeRecord) -> c.HistoryRow | None:
    """What a page shows of ``record``; None where the visitor may not see it."""
    return reader.row(
        record.table_name, record.kind, record.key, record.old, record.new, id=record.id
    )


def _undone(reader: changed_rows.Reader, step: Step, counter: str | None) -> c.HistoryRow | None:
    """What a page shows of what undoing ``step`` would do; the column ``counter`` counts on."""
    record, current = step.record, step.current or {}
    before, after = record.new, record.old
    if step.current is not None:
        before = {n: v for n, v in current.items() if record.kind == "insert" or n in record.old}
    if record.kind == "update":
        before, after = ({n: v for n, v in i.items() if n != counter} for i in (before, after))
    return reader.row(
        record.table_name,
        _OPPOSITES[record.kind],
        record.key,
        before,
        after,
        id=record.id,
        state=step.state,
        is_chosen=str(record.id) in request.form.getlist("overwrite"),
        current={n: current[n] for n in step.differing if n in current},
    )


def _undo_tables(history: HistoryView, steps: Sequence[Step]) -> list[c.ChangedTable]:
    """The rows that an undo is about, by table."""
    reader = _reader(history, [step.record for step in steps[:SHOWN_ROWS]])
    counters = {table.key: found.column.name for table, found in history.counters().items()}
    shown: dict[str, list[c.HistoryRow]] = {}
    for step in steps[:SHOWN_ROWS]:
        row = _undone(reader, step, counters.get(step.record.table_name))
        if row is not None:
            shown.setdefault(step.record.table_name, []).append(row)
    counts = Counter(step.record.table_name for step in steps)
    return [
        c.ChangedTable(
            title=reader.nouns(name)[1],
            count=counts[name],
            rows=rows,
            more_text=f"and {counts[name] - len(rows):,} more"
            if counts[name] > len(rows)
            else None,
        )
        for name, rows in shown.items()
    ]


def _reader(history: HistoryView, records: Sequence[RowChangeRecord]) -> changed_rows.Reader:
    """What draws ``records``, and knows what the rows are called that they point to."""
    reader = changed_rows.Reader(history.views_by_table(), history.tables())
    reader.learn((r.table_name, r.old, r.new) for r in records)
    return reader


def _set_page(
    history: HistoryView, record: ChangeSetRecord, rows: list[c.HistoryRow]
) -> c.ChangeSetPage:
    title = _title(history, record)
    hidden = record.row_count - len(rows)
    return c.ChangeSetPage(
        title=title,
        heading=title,
        breadcrumbs=breadcrumbs(
            history, (str(history.name), history.get_url(".index_view")), (title, None)
        ),
        facts=_facts(history, record),
        rows=rows,
        more_text=f"and {hidden:,} more that are not shown" if hidden > 0 else None,
        undo_url=history.undo_page_url(record.id) if record.row_count else None,
    )


def _title(history: HistoryView, record: ChangeSetRecord) -> str:
    noun = history._noun(record.model) if record.model != "admin_change_set" else None
    what = f"“{record.label}”" if record.label else noun or f"change {record.id}"
    verbs = {
        "create": "Created",
        "edit": "Changed",
        "delete": "Deleted",
        "undo": "Undid",
        "revert": "Set back",
        "restore": "Brought back",
    }
    return f"{verbs.get(record.source, 'Changed')} {what}"


def _facts(history: HistoryView, record: ChangeSetRecord) -> list[tuple[str, Any]]:
    facts: list[tuple[str, Any]] = [
        ("When", row_history.moment(record.at)),
        ("Who", _who(history, record)),
        ("By", row_history.source_of(record)),
        ("Rows", f"{record.row_count:,}"),
    ]
    if record.reason:
        facts.append(("Reason", record.reason))
    if record.request_id:
        facts.append(("Request", record.request_id))
    if record.job_id is not None and history.admin.jobs is not None:
        url = history.admin.jobs.page_url(record.job_id)
        facts.append(("Job", Markup('<a class="link" href="%s">job %s</a>') % (url, record.job_id)))
    if record.undoes_id is not None:
        url = history.get_url(".details_view", id=record.undoes_id)
        facts.append(
            ("Undoes", Markup('<a class="link" href="%s">change %s</a>') % (url, record.undoes_id))
        )
    return facts


def _who(history: HistoryView, record: ChangeSetRecord) -> str:
    url = history.actor_url(record)
    if url is None:
        return "nobody who was signed in"
    return Markup('<a class="link" href="%s">%s</a>') % (url, record.actor or record.actor_id)


def _undo_page(history: HistoryView, record: ChangeSetRecord, steps: Sequence[Step]) -> c.UndoPage:
    counts: Mapping[str, int] = {
        state: sum(s.state == state for s in steps)
        for state in ("ready", "changed", "done", "lost")
    }
    title = f"Undo: {_title(history, record)[:1].lower()}{_title(history, record)[1:]}?"
    back = history.get_url(".details_view", id=record.id)
    return c.UndoPage(
        title=title,
        heading=title,
        breadcrumbs=breadcrumbs(
            history,
            (str(history.name), history.get_url(".index_view")),
            (_title(history, record), back),
            ("Undo", None),
        ),
        tables=_undo_tables(history, steps),
        counts=counts,
        action_url=history.undo_page_url(record.id),
        cancel_url=back,
        can_submit=counts["ready"] + counts["changed"] > 0,
    )
