"""The route of a list as a file: the rows, order and columns of the list that one stands on."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue
from flask_admin.base import expose

from admin_app import _flask_admin, chooser, exports
from admin_app.errors import Forbidden, InvalidRequest
from admin_app.inspection import Path
from admin_app.listing import Listing, ListState, totals


class ExportRoutes:
    """What makes files of a list."""

    can_export: Any
    export_types: Any
    name: Any
    require: Any
    _export_columns: Any
    _export_tablib: Any
    _return_url: Any

    @expose("/export/<export_type>/")
    def export(self, export_type: str) -> ResponseReturnValue:
        """The rows of the list as a file, in its columns, order, search and filters."""
        if not self.can_export or export_type not in self.export_types:
            raise Forbidden(f"{self.name} cannot be exported that way.")
        self.require("export")
        exporter = for_request(self)
        if export_type == "csv":
            filename = exporter.get_export_name(export_type="csv")
            names, titles = zip(*exporter._export_columns, strict=True)
            return exports.csv_response(filename, titles, cells(exporter, names), rows(exporter))
        exports.require(export_type)
        answer: ResponseReturnValue = exporter._export_tablib(export_type, self._return_url())
        return answer


def for_request(view: Any) -> Any:
    """``view`` with the export columns of this request, for what Flask-Admin does with them."""
    offers, _, state = _asked(view)
    exporter = copy.copy(view)
    exporter._export_columns = [
        (column.name, column.label) for column in chooser.exported(view, offers, state)
    ]
    return exporter


def rows(view: Any) -> Iterator[Any]:
    """The instances of the list that the request describes, in its order, search and filters."""
    _, listing, state = _asked(view)
    listing.columns = [_path(view, name) for name, _ in view._export_columns]
    state = dataclasses.replace(state, page=0, page_size=view.export_max_rows)
    if state.refused:
        # A list shows a note beside more rows than were asked for; a file would not.
        raise InvalidRequest(state.refused[0])
    # The session of the request has ended by the time that a response is streamed.
    return _rows(view, listing, state, _flask_admin.list_filters(view))


def _asked(view: Any) -> tuple[Any, Listing, ListState]:
    offers = chooser.offers(view)
    refine = view._refinement(_flask_admin.list_filters(view))
    listing = view.get_listing(offers=offers, refine=refine)
    return offers, listing, listing.parse(request.args, [name for name, _ in view._list_columns])


def _rows(view: Any, listing: Listing, state: ListState, filters: Sequence[Any]) -> Iterator[Any]:
    if view.has_own_rows:
        yield from (row.instance for row in _flask_admin.page_of(view, state, filters).rows)
        return
    # A visitor who chooses a collection sees how many it has; a host who names one has the members.
    named = {view._name(name) for name in view.column_export_list or ()}
    whole = {path.name for path in listing.columns if path.name in named and _is_known(view, path)}
    yield from listing.stream(view.get_session(), totals.grouped(listing, state), whole)


def _is_known(view: Any, path: Path) -> bool:
    """Whether the visitor may see all members of the collection ``path``."""
    if path.relationship is None or path.relationship.lazy in ("dynamic", "write_only"):
        return False
    reach, mapper = view.reach(), path.relationship.mapper
    return reach.may_read(mapper) and reach.rows(mapper) is None


def cells(view: Any, names: Sequence[Any]) -> list[Callable[[Any], Any]]:
    """What makes the values of the columns ``names`` from a row, one a column."""
    if view.has_own_export_values:
        return [functools.partial(_asked_of_host, view, name) for name in names]
    return [cell(view, name) for name in names]


def cell(view: Any, name: Any) -> Callable[[Any], Any]:
    """What a file says in the column ``name``: a host's formatter, else what a row holds."""
    path = _path(view, name)
    formatter = (view.column_formatters_export or {}).get(name) or chooser.formatter(view, name)
    types = view.column_type_formatters_export or {}
    read: Callable[[Any], Any]
    if formatter is not None:
        read = functools.partial(_formatted, formatter, view, name)
    elif hasattr(path.mapper.class_, path.key):
        read = exports.reader(path, types)
    else:
        read = functools.partial(_flask_admin.field_value, view, name)
    tell = functools.partial(_flask_admin.in_words, view, name, types)
    return lambda instance: exports.in_words(tell(read(instance)))


def _asked_of_host(view: Any, name: Any, instance: Any) -> Any:
    return view.get_export_value(instance, name)


def _formatted(formatter: Callable[..., Any], view: Any, name: Any, instance: Any) -> Any:
    return formatter(view, None, instance, name)


def _path(view: Any, name: Any) -> Path:
    return view._path(view._name(name))  # type: ignore[no-any-return]
