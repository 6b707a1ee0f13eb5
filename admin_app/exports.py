"""Rows as a CSV file, safe to open in a spreadsheet.

A file has the columns of the list in words without HTML: related rows by their labels, collections
by the number of their members, JSON as JSON. Text that begins like a formula would be run by the
spreadsheet of whoever opens the file; an apostrophe before it makes it text. Numbers keep their
sign.
"""

from __future__ import annotations

import csv
import functools
import importlib.util
import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import flask
from flask_admin.model.typefmt import EXPORT_FORMATTERS
from markupsafe import Markup
from sqlalchemy import orm
from werkzeug.utils import secure_filename

from admin_app import inspection, rendering
from admin_app.as_stored import AsStored
from admin_app.errors import ConfigurationError, InvalidRequest
from admin_app.inspection import Path
from admin_app.json_text import on_one_line
from admin_app.listing import ListedRow, members_counted, stored_texts

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def check(view: Any) -> None:
    """ConfigurationError for types of files that only a package makes which is not there."""
    named = inspect.getattr_static(view, "export_types", None)
    others = [t for t in named if t != "csv"] if isinstance(named, list | tuple) else []
    if others and not _has_tablib():
        raise ConfigurationError(
            f"{type(view).__name__}.export_types names {', '.join(map(str, others))}, which the "
            "package tablib writes: pip install 'tablib[all]', or leave it at csv."
        )


def require(type_: str) -> None:
    """InvalidRequest where nothing here writes files of this type."""
    if not _has_tablib():
        raise InvalidRequest(f"Files of the type {type_} cannot be made here.")


def _has_tablib() -> bool:
    return importlib.util.find_spec("tablib") is not None


def disarmed(value: Any) -> Any:
    """``value``, with an apostrophe before it when it is text that begins like a formula."""
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return "".join(("'", value))
    return value


def reader(path: Path, types: Mapping[type, Any]) -> Callable[[Any], Any]:
    """What a file says of ``path`` in a row, before a host's formatters of ``types`` are asked.

    Secrets are left out as on every page, and so is binary content, which is never unpickled.
    """
    column, relationship = path.column, path.relationship
    if column is not None and inspection.is_secret(column.key):
        return lambda instance: "••••••"
    if column is not None and inspection.is_binary(column.type):
        return lambda instance: "(binary)"
    get = rendering.getter(path)
    own = tuple(t for t, formatter in types.items() if formatter not in _STOCK)
    if column is not None and inspection.is_json(column.type):
        tell: Callable[[Any], Any] = _json
    elif relationship is not None and not path.is_to_many:
        tell = functools.partial(_labels, relationship)
    else:
        return lambda instance: get(ListedRow(instance, {}))

    def read(instance: Any) -> Any:
        counted = members_counted(instance)
        if path.name in counted:
            return counted[path.name]
        found = get(ListedRow(instance, {}))
        if isinstance(found, own):
            return found
        stored = stored_texts(instance)
        if path.name in stored:
            text = stored[path.name]
            return None if text is None else on_one_line(text)
        return tell(found)

    return read


_STOCK = tuple(EXPORT_FORMATTERS.values())


def _json(found: Any) -> Any:
    if found is None or isinstance(found, AsStored):
        return found
    try:
        return json.dumps(found, ensure_ascii=False, default=str)
    except (RecursionError, TypeError, ValueError):
        return str(found)


def _labels(relationship: orm.RelationshipProperty[Any], found: Any) -> Any:
    """Related rows by what they are called on every page."""
    of = inspection.label(relationship.mapper).of
    if found is None or not relationship.uselist:
        return None if found is None else of(found)
    return ", ".join(map(of, found.values() if isinstance(found, dict) else found))


def in_words(value: Any) -> Any:
    """``value`` for a cell: text without its HTML, and disarmed."""
    return disarmed(value.striptags() if isinstance(value, Markup) else value)


class _Echo:
    """What a csv.writer writes to in order to give back what it would have written."""

    def write(self, text: str) -> str:
        return text


def _lines(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    for row in rows:
        cells = (v if isinstance(v, int | float) or v is None else _cell(v) for v in row)
        line: str = writer.writerow(cells)
        yield line


def _cell(value: Any) -> Any:
    """What only becomes text by being written is disarmed as that text, unless it is a number."""
    return value if hasattr(value, "as_tuple") else disarmed(str(value))


def csv_response(
    filename: str,
    titles: Sequence[str],
    cells: Sequence[Callable[[Any], Any]],
    instances: Iterable[Any],
) -> flask.Response:
    """A file with a row for each of ``instances``, one of ``cells`` a column, streamed."""

    def rows() -> Iterator[Iterable[Any]]:
        yield titles
        for instance in instances:
            yield [cell(instance) for cell in cells]

    return flask.Response(
        flask.stream_with_context(_lines(rows())),
        headers={"Content-Disposition": f"attachment;filename={secure_filename(filename)}"},
        content_type="text/csv; charset=utf-8",
    )
