"""The routes of a list as a file: its rows, in the order and the columns that one asks for."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import sqlalchemy as sa
from flask import request
from flask.typing import ResponseReturnValue
from flask_admin.base import expose
from sqlalchemy import orm
from werkzeug.datastructures import MultiDict
from werkzeug.utils import redirect

from admin_app import (
    _flask_admin,
    chooser,
    export_pages,
    exports,
    forms,
    formulas,
    inspection,
    listing,
)
from admin_app.actions import action
from admin_app.columns import Offers
from admin_app.errors import InvalidRequest
from admin_app.inspection import Path
from admin_app.listing import Listing, ListState, Selection, selection, totals


class ExportRoutes:
    """What makes files of a list."""

    get_url: Any
    require: Any

    @expose("/export/<export_type>/")
    def export(self, export_type: str) -> ResponseReturnValue:
        """The rows of the list as a file, in its columns, order, search and filters."""
        self.require("export")
        return _answer(self, export_type, request.args)

    @expose("/export/", methods=("GET", "POST"))
    def export_page(self) -> ResponseReturnValue:
        """The choice of a file; what it chooses is the address of one.

        Too many rows for an address are posted, and answered with the file itself.
        """
        self.require("export")
        sent = request.form if request.method == "POST" else request.args
        type_ = sent.get("format")
        if type_ is None:
            return export_pages.page(self, *_asked(self, sent), sent)
        arguments = export_pages.asked(sent)
        if request.method == "POST":
            return _answer(self, type_, arguments)
        _check_type(self, type_)
        url = self.get_url(".export", export_type=type_, **dict(arguments.lists()))
        return redirect(url.replace("%2C", ","), 303)

    @action(
        "export",
        "Export…",
        right="export",
        on=("list", "details"),
        takes="selection",
        _is_own=True,
    )
    def action_export(self, chosen: Selection) -> ResponseReturnValue:
        """Choose a file of the rows that are ticked, or of all that match."""
        self.require("export")
        arguments = _of_selection(chosen)
        return export_pages.page(self, *_asked(self, arguments), arguments)


def _of_selection(chosen: Selection) -> MultiDict[str, str]:
    """``chosen`` as the arguments of a list, in the order and columns that it was chosen in."""
    shown = parse_qsl(urlsplit(request.form.get("url", "")).query)
    kept = [pair for pair in shown if pair[0] in ("sort", "desc", "columns", "group")]
    kept += [("rowid", key) for key in chosen.keys]
    return MultiDict([*kept, *(chosen.query or ()), *(("except", k) for k in chosen.excepted)])


def _answer(view: Any, type_: str, arguments: MultiDict[str, str]) -> ResponseReturnValue:
    """The file of this type, of the rows and columns that ``arguments`` describe."""
    _check_type(view, type_)
    if type_ in exports.FORMATS:
        return _file(view, type_, arguments)
    answer: ResponseReturnValue = for_request(view)._export_tablib(type_, view._return_url())
    return answer


def _check_type(view: Any, type_: str) -> None:
    if type_ not in view.export_types:
        types, shown = ", ".join(view.export_types), inspection.shorten(type_)
        raise InvalidRequest(f"{view.name} are exported as {types}, not as “{shown}”.")
    if type_ not in exports.FORMATS:
        exports.require(type_)


def _file(view: Any, type_: str, arguments: MultiDict[str, str]) -> ResponseReturnValue:
    """What `exports` makes of the rows and columns that ``arguments`` describe."""
    options = exports.read_options(arguments)
    offers, rows, state = _asked(view, arguments)
    shown = export_pages.chosen(view, offers, state, arguments)
    whole = _whole(view, [column.path for column in shown], options.is_raw)
    columns = [
        column for one in shown if (column := _column(view, one, options, whole)) is not None
    ]
    if not columns:
        raise InvalidRequest("Choose at least one column: a file without any has no rows.")
    rows.columns = [column.wanted.path for column in columns]
    name = view.get_export_name(export_type=type_)
    read = _pieces(view, rows, state, columns, whole, arguments)
    return exports.response(type_, name, str(view.name), columns, read, options)


def _column(
    view: Any, shown: chooser.Shown, options: exports.Options, whole: frozenset[str]
) -> exports.Column | None:
    told = _told(view, shown, whole)
    return exports.column(shown.name, shown.label, shown.path, told, options)


def _told(view: Any, shown: chooser.Shown, whole: frozenset[str]) -> exports.Told:
    """What the view says of a column: a host's formatters and words, else what a row holds."""
    name, path = shown.name, shown.path
    if view.has_own_export_values:
        return exports.Told(functools.partial(_armed_of_host, view, name), is_own=True)
    types = _flask_admin.own_type_formatters(view.column_type_formatters_export)
    is_own = bool(types or _formatter(view, name)) or not hasattr(path.mapper.class_, path.key)
    column = path.column
    codec = None if column is None or is_own else forms.codec_for(column.type)
    return exports.Told(
        _value(view, name),
        is_own=is_own or view.has_own_rows,
        choices=(view._column_choices_map or {}).get(name),
        is_whole=path.name in whole,
        write=None if codec is None else codec.write,
    )


def _pieces(
    view: Any,
    rows: Listing,
    state: ListState,
    columns: Sequence[exports.Column],
    whole: frozenset[str],
    arguments: MultiDict[str, str],
) -> Iterator[listing.Columns]:
    """The values of the columns, a piece of rows at a time, all from one moment."""
    if view.has_own_rows:
        filters = _flask_admin.list_filters(view)
        found = [r.instance for r in _flask_admin.page_of(view, state, filters).rows]
        return iter([[[c.wanted.ask(i) for i in found] for c in columns]] if found else [])
    dialect = view.dialect_name()
    statement = _selected(rows, state, arguments)
    statement = rows.ordered(statement, totals.grouped(rows, state).order, dialect)
    if state.page_size:
        statement = statement.limit(state.page_size)
    has_content = any(
        c.wanted.how == "value"
        and c.wanted.path.column
        and inspection.is_binary(c.wanted.path.column.type)
        for c in columns
    )
    return _streamed(
        _own_session(view),
        rows,
        statement,
        [column.wanted for column in columns],
        whole,
        listing.SMALL_PIECE if has_content else listing.PIECE,
    )


def _selected(rows: Listing, state: ListState, arguments: MultiDict[str, str]) -> Any:
    """The rows that ``arguments`` name one by one, else all that match, without some of them."""
    if keys := arguments.getlist("rowid"):
        return Selection(tuple(dict.fromkeys(keys))).statement(rows)
    statement = rows.asked(state)
    if excepted := arguments.getlist("except"):
        among = selection.among(rows, selection.decoded(rows, excepted))
        statement = statement.where(sa.not_(among))
    return statement


def _streamed(
    session: Any,
    rows: Listing,
    statement: Any,
    wanted: Sequence[listing.Wanted],
    whole: frozenset[str],
    piece: int,
) -> Iterator[listing.Columns]:
    try:
        with listing.snapshot(session, rows.mapper):
            yield from listing.pieces(rows, session, statement, wanted, whole=whole, piece=piece)
    finally:
        session.close()


def _own_session(view: Any) -> Any:
    """A session for the file alone: that of the request may end before the file does."""
    session = view.get_session()
    # Its connection is let go, or a visitor would hold two of them.
    session.rollback()
    return session.session_factory() if isinstance(session, orm.scoped_session) else session


# As Flask-Admin has it


def for_request(view: Any) -> Any:
    """``view`` with the export columns of this request, for what Flask-Admin does with them."""
    offers, _, state = _asked(view, request.args)
    exporter = copy.copy(view)
    exporter._export_columns = [
        (column.name, column.label) for column in chooser.exported(view, offers, state)
    ]
    return exporter


def rows(view: Any) -> Iterator[Any]:
    """The instances of the list that the request describes, in its order, search and filters."""
    _, found, state = _asked(view, request.args)
    found.columns = [_path(view, name) for name, _ in view._export_columns]
    # The session of the request has ended by the time that a response is streamed.
    return _rows(view, found, state, _flask_admin.list_filters(view))


def _asked(view: Any, sent: MultiDict[str, str]) -> tuple[Offers, Listing, ListState]:
    offers = chooser.offers(view)
    refine = view._refinement(_flask_admin.list_filters(view))
    found = view.get_listing(offers=offers, refine=refine)
    narrowed = view._narrowed("export", view.model)
    if narrowed is not None:
        found.criteria = [*found.criteria, narrowed]
    arguments = MultiDict((k, v) for k, v in sent.items(multi=True) if k not in _NOT_OF_LISTS)
    state = found.parse(arguments, [name for name, _ in view._list_columns])
    if state.notes:
        # A list shows a note beside what it makes of an argument; a file would not.
        raise InvalidRequest(state.notes[0])
    state = dataclasses.replace(state, page=0, page_size=view.export_max_rows)
    return offers, found, state


_NOT_OF_LISTS = frozenset({"page", "after", "before", "at", "page_size", "columns", "totals"})


def _rows(view: Any, found: Listing, state: ListState, filters: Sequence[Any]) -> Iterator[Any]:
    if view.has_own_rows:
        yield from (row.instance for row in _flask_admin.page_of(view, state, filters).rows)
        return
    whole = _whole(view, found.columns, is_raw=False)
    yield from found.stream(view.get_session(), totals.grouped(found, state), whole)


def _whole(view: Any, paths: Sequence[Path], is_raw: bool) -> frozenset[str]:
    """The names of collections that are told by their members.

    A visitor who chooses a collection sees how many it has; a host who names one has the members,
    and so has a raw file.
    """
    named = {view._name(name) for name in view.column_export_list or ()}
    wanted = (path for path in paths if is_raw or path.name in named)
    return frozenset(path.name for path in wanted if _is_known(view, path))


def _is_known(view: Any, path: Path) -> bool:
    """Whether the visitor may see all members of the collection ``path``."""
    if path.relationship is None or path.relationship.lazy in ("dynamic", "write_only"):
        return False
    reach, mapper = view.reach(), path.relationship.mapper
    return reach.may_read(mapper) and reach.rows(mapper) is None


def cell(view: Any, name: Any) -> Callable[[Any], Any]:
    """What a CSV file says in the column ``name``, disarmed; see `ModelView.get_export_value`."""
    value = _value(view, name)
    return lambda instance: exports.in_words(value(instance))


def _value(view: Any, name: Any) -> Callable[[Any], Any]:
    """The value of the column ``name``: of a host's formatter, else what a row holds."""
    path, formatter = _path(view, name), _formatter(view, name)
    types = view.column_type_formatters_export or {}
    read: Callable[[Any], Any]
    if formatter is not None:
        read = functools.partial(_formatted, formatter, view, name)
    elif hasattr(path.mapper.class_, path.key):
        read = exports.reader(path, types)
    else:
        read = functools.partial(_flask_admin.field_value, view, name)
    tell = functools.partial(_flask_admin.in_words, view, name, types)
    return lambda instance: tell(read(instance))


def _formatter(view: Any, name: Any) -> Callable[..., Any] | None:
    return (view.column_formatters_export or {}).get(name) or chooser.formatter(view, name)


def _armed_of_host(view: Any, name: Any, instance: Any) -> Any:
    """A host's own value, as it was before what he calls may have disarmed it."""
    value = view.get_export_value(instance, name)
    return formulas.armed(value) if isinstance(value, str) else value


def _formatted(formatter: Callable[..., Any], view: Any, name: Any, instance: Any) -> Any:
    return formatter(view, None, instance, name)


def _path(view: Any, name: Any) -> Path:
    return view._path(view._name(name))  # type: ignore[no-any-return]
