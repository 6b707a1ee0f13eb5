"""The review of a write: what it would do, shown before it is done, and done only if it does that.

Beside each button that writes stands another, *Review*, which sends the same form with `ASK`. It
runs as it always does, but for the commit: there it is taken back, and a page tells every row that
it would change. The page holds the whole form, to be sent again with what was `SEEN`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import flask
import sqlalchemy as sa
from flask import g, request
from markupsafe import Markup
from werkzeug.utils import redirect

from admin_app import changed_rows, changes, inspection, rendering, saving
from admin_app import contexts as c
from admin_app.changes.preview import Review, Reviewed, ReviewedRow, Statement
from admin_app.explaining import lines
from admin_app.navigation import breadcrumbs

ASK = "_review"
"""The name of the button that asks for a review."""
BACK = "_back"
"""The name of the button that leads from a review back to the form."""
SEEN = "_reviewed"
"""What was seen in a review, sent with the write."""

SHOWN_ROWS = 200
"""Rows of a review that the page shows."""

_VERBS = {"insert": "create", "update": "change", "delete": "delete"}


def run(view: Any, route: Callable[[], Any]) -> Any:
    """Answer with ``route``, or with a review of what it writes where the form asks for that."""
    asked = _asked()
    if asked is None or "admin_review" in g:
        return route()
    messages = list(flask.session.get("_flashes", ()))
    expected = request.form[SEEN] if asked == SEEN else None
    review = Review(view.get_session(), _key(), _about(view), expected)
    g.admin_review = asked
    if asked == BACK:
        g.admin_status = 200
    answer = None
    try:
        with review:
            answer = route()
    except Reviewed:
        pass
    except sa.exc.DBAPIError as error:
        return _out_of_time(view, error, route)
    if not review.is_stopped:
        return answer
    # What the route would have said after it had saved has not come true.
    flask.session["_flashes"] = messages
    if asked == BACK:
        # A host's own code saved without asking whether the form was only wanted again.
        return redirect(request.full_path, 303)
    status = 200 if expected is None else 409
    return view.render("admin/review.html", page=_page(view, review)), status


def _asked() -> str | None:
    if request.method != "POST":
        return None
    return next((name for name in (BACK, ASK, SEEN) if name in request.form), None)


def is_going_back() -> bool:
    """Whether the request only wants its form again, with what was typed, from a review."""
    return bool(g.get("admin_review") == BACK)


def kind() -> Literal["write", "preview"]:
    """What the transaction of this request is: a write, or one that is only tried."""
    return "preview" if changes.is_preview() else "write"


def _out_of_time(view: Any, error: sa.exc.DBAPIError, route: Callable[[], Any]) -> Any:
    """The form again, saying that others kept the rows for too long; other errors go on."""
    refusal = changes.explain(error, view.mapper)
    if refusal is None or not _is_form(view) or is_going_back():
        raise error
    flask.flash(refusal.sentence, "error")
    g.admin_review, g.admin_status = BACK, 409
    return route()


def _key() -> bytes:
    key = flask.current_app.secret_key or ""
    return b"review:" + (key if isinstance(key, bytes) else key.encode())


def _about(view: Any) -> str:
    """Who sends what to where: a review is of nothing else."""
    principal = view.principal()
    # A page sends every line end as CRLF, whatever it was told.
    sent = sorted(
        (name, "\n".join(value.splitlines()))
        for name, value in _sent()
        if name != saving.REASON_FIELD
    )
    return json.dumps([principal.id if principal else None, request.full_path, sent])


def _sent() -> Iterator[tuple[str, str]]:
    """The whole form, but for what belongs to one time that it is sent."""
    for name, value in request.form.items(multi=True):
        if name not in (ASK, BACK, SEEN, "csrf_token"):
            yield name, value


def _is_form(view: Any) -> bool:
    pages = ("create_view", "edit_view", "cells_view")
    return request.endpoint in {f"{view.endpoint}.{page}" for page in pages}


# The page


@dataclass(slots=True)
class _Row:
    """Changes of one row, in every table that it has a part in; the foremost is of its class."""

    parts: list[ReviewedRow]
    view: Any
    noun: tuple[str, str]

    @property
    def lead(self) -> ReviewedRow:
        return self.parts[0]

    @property
    def kind(self) -> str:
        return self.lead.change.kind


class _Rows:
    """The rows of a review, as far as the visitor may see them."""

    def __init__(self, view: Any, review: Review) -> None:
        views = _views(view)
        self.view = view
        self.reader = changed_rows.Reader(
            changed_rows.views_by_table(views), changed_rows.tables_of(views)
        )
        self.hidden = 0
        self._count = 0
        self.by_table: dict[str, list[_Row]] = {}
        rows = list(self._joined(review.rows))
        reached = self._reached(rows)
        for row in sorted(rows, key=lambda r: r.view is not view):
            table = row.lead.change.table.key
            if self.reader.may_see(table) and id(row) in reached:
                self.by_table.setdefault(table, []).append(row)
            else:
                self.hidden += 1

    def _joined(self, rows: Sequence[ReviewedRow]) -> Iterator[_Row]:
        """``rows`` with those put together that are one row of a class of several tables."""
        found: dict[tuple[str, str, str], list[ReviewedRow]] = {}
        for row in rows:
            change = row.change
            view = self.reader.views.get(change.table.key)
            root = change.table
            if view is not None and not view.mapper.concrete:
                root = view.mapper.base_mapper.local_table
            found.setdefault((root.key, change.kind, change.key_text), []).append(row)
        for parts in found.values():
            parts.sort(key=lambda part: -self._depth(part))
            view = self.reader.views.get(parts[0].change.table.key)
            one, several = self.reader.nouns(parts[0].change.table.key)
            yield _Row(parts, view, (one.lower(), several.lower()))

    def _depth(self, row: ReviewedRow) -> int:
        view = self.reader.views.get(row.change.table.key)
        return 0 if view is None else len(view.mapper.tables)

    def _reached(self, rows: Sequence[_Row]) -> set[int]:
        """Which of ``rows`` are within the visitor's reach; a new one is, in his own form."""
        found: set[int] = set()
        groups: dict[tuple[Any, sa.Table], list[_Row]] = {}
        for row in rows:
            if row.view is None or (row.kind == "insert" and row.view.model is self.view.model):
                found.add(id(row))
            else:
                groups.setdefault((row.view, row.lead.change.table), []).append(row)
        for (view, table), group in groups.items():
            keys = changed_rows.reached(view, table, [r.lead.change.key for r in group])
            found |= {id(r) for r in group if keys is None or r.lead.change.key in keys}
        return found

    def tables(self) -> list[c.ChangedTable]:
        """What the page shows of each table, the one that was asked about first."""
        limit = max(20, SHOWN_ROWS // max(len(self.by_table), 1))
        found = []
        for rows in self.by_table.values():
            labels = _labels(rows[0].view, rows[:limit])
            parts = (part.change for row in rows[:limit] for part in row.parts)
            self.reader.learn((p.table.key, p.old, p.new) for p in parts)
            shown = [self._shown(row, labels) for row in rows[:limit]]
            more = len(rows) - len(shown)
            found.append(
                c.ChangedTable(
                    title=self.reader.nouns(rows[0].lead.change.table.key)[1],
                    count=len(rows),
                    rows=[row for row in shown if row is not None],
                    more_text=f"and {more:,} more" if more else None,
                )
            )
        return found

    def _shown(self, row: _Row, labels: Mapping[str, str]) -> c.HistoryRow | None:
        drawn = [self._part(part) for part in row.parts]
        first = drawn[0]
        if first is None:
            return None
        columns = {column.label: column for part in drawn if part for column in part.columns}
        is_different = any(part.is_different for part in row.parts)
        label = labels.get(row.lead.change.key_text, "")
        is_named = label and label.lower() not in first.text.lower()
        return replace(
            first,
            text=f"{first.text} · {label}" if is_named else first.text,
            columns=list(columns.values()),
            state="differs" if is_different else "",
        )

    def _part(self, part: ReviewedRow) -> c.HistoryRow | None:
        made = dict.fromkeys(part.anew, "made when it is applied")
        for name, table in part.new_rows.items():
            made[name] = f"the new {self.reader.nouns(table.key)[0].lower()}"
        change = part.change
        self._count += 1
        return self.reader.row(
            change.table.key,
            change.kind,
            change.key_text,
            change.old,
            change.new,
            id=self._count,
            made=made,
        )

    def sentence(self) -> str:
        """What the write will do, counted: "create 1 order, and change 2 products"."""
        counts: dict[str, list[str]] = {}
        for rows in self.by_table.values():
            for kind, verb in _VERBS.items():
                count = sum(row.kind == kind for row in rows)
                if count:
                    counts.setdefault(verb, []).append(_counted(count, rows[0].noun))
        parts = [f"{verb} {_listed(counted)}" for verb, counted in counts.items()]
        return _listed(parts, ", and " if any(" and " in p for p in parts) else " and ")


def _labels(view: Any, rows: Sequence[_Row]) -> dict[str, str]:
    """What those of ``rows`` are called that are in the database, by their keys."""
    there: dict[str, str] = {}
    for row in rows:
        text = changed_rows.identity_of(row.lead.change.key_text)
        if text is not None and row.kind != "insert":
            there[text] = row.lead.change.key_text
    found = {} if view is None else changed_rows.labels(view, there)
    return {there[text]: label for text, label in found.items()}


def _views(view: Any) -> list[Any]:
    """The views of the classes that the visitor may come upon."""
    known = getattr(view.admin, "views_by_model", None)
    if known is not None:
        return list(known.values())
    return [v for v in view.admin._views if hasattr(v, "get_listing")]


def _counted(count: int, noun: tuple[str, str]) -> str:
    return f"{count:,} {noun[0] if count == 1 else noun[1]}"


def _listed(words: Sequence[str], last: str = " and ") -> str:
    return last.join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _page(view: Any, review: Review) -> c.ReviewPage:
    rows = _Rows(view, review)
    what, back = rows.sentence(), view._return_url()
    is_changed = review.expected is not None
    if is_changed:
        heading = "It would now do something else"
        sentence = (
            "Nothing has been changed. Since you looked, somebody has changed what it is about."
        )
        sentence += f" Now it would {what}." if what else " Now it would change nothing you see."
    else:
        heading = f"This will {what}" if what else "This changes nothing"
        sentence = "Nothing has been changed yet. It was tried in the database and taken back."
    files: dict[str, list[str]] = {}
    for name, file in request.files.items(multi=True):
        if file.filename:
            files.setdefault(name, []).append(file.filename)
    # What has no form of its own is explained here.
    explained = g.get("admin_reason_of")
    reason = None if explained is None else saving.reason_field(explained)
    return c.ReviewPage(
        title=heading,
        heading=heading,
        breadcrumbs=breadcrumbs(view, (str(view.name), back), ("Review", None)),
        sentence=sentence,
        notes=list(_notes(rows, review)),
        footnote=_footnote(review),
        tables=rows.tables(),
        statements=list(_statements(rows, review)) if view.may("query") else [],
        action_url=request.full_path,
        hidden=[
            *(pair for pair in _sent() if reason is None or pair[0] != reason.name),
            *_csrf(),
            (SEEN, review.token),
        ],
        files=list(files.items()),
        can_go_back=_is_form(view),
        can_submit=bool(review.rows),
        is_danger={r.change.kind for r in review.rows} == {"delete"},
        cancel_url=back,
        reason=reason,
    )


def _notes(rows: _Rows, review: Review) -> Iterator[str]:
    yield from g.get("admin_told", ())
    if rows.hidden:
        yield f"{_counted(rows.hidden, ('row', 'rows'))} that you may not see would change as well."
    if review.gone:
        yield (
            f"{_counted(review.gone, ('change', 'changes'))} that you looked at would not happen "
            "in the same way any more."
        )
    if review.has_unseen:
        yield (
            "The application also runs SQL given as text. What rows that changes is not known here."
        )


def _footnote(review: Review) -> str:
    """What could not be taken back."""
    words = "What the application's own code does outside of the database cannot be taken back."
    if any(row.anew and row.change.kind == "insert" for row in review.rows):
        words += " Numbers that the database gave to new rows stay used up."
    return words


def _csrf() -> Iterator[tuple[str, str]]:
    """The token of the form, which was good a moment ago."""
    if token := request.form.get("csrf_token"):
        yield "csrf_token", token


def _statements(rows: _Rows, review: Review) -> Iterator[c.ReviewStatement]:
    for statement in review.statements:
        given = (statement.parameters or {}).items()
        values = [(name, _value(rows, statement, name, value)) for name, value in given]
        yield c.ReviewStatement(lines.of_sql(statement.sql), statement.count, values)


def _value(rows: _Rows, statement: Statement, name: str, value: Any) -> Markup:
    """A parameter as the visitor may see it: a secret, or what is hidden from him, only as such."""
    column, table = statement.column(name), statement.table
    if inspection.is_secret(name) or inspection.is_secret(column or ""):
        return changed_rows.SECRET
    if table is not None and not (
        rows.reader.may_see(table.key)
        and (column is None or rows.reader.may_read(table.key, column))
    ):
        return changed_rows.MADE % "hidden"
    if isinstance(value, bytes | bytearray | memoryview):
        return rendering.size(len(bytes(value)))
    return rendering.render(value)
