"""Rows as a CSV file, safe to open in a spreadsheet.

Text that begins like a formula would be run by the spreadsheet of whoever opens the file; an
apostrophe before it makes it text. Numbers keep their sign.
"""

from __future__ import annotations

import csv
import importlib.util
import inspect
from collections.abc import Iterable, Iterator
from typing import Any

import flask
from werkzeug.utils import secure_filename

from admin_app.errors import ConfigurationError, InvalidRequest

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


def csv_response(view: Any, instances: Iterable[Any]) -> flask.Response:
    """The export columns of ``view`` for ``instances``, streamed."""
    columns = [name for name, _ in view._export_columns]

    def rows() -> Iterator[Iterable[Any]]:
        yield [str(title) for _, title in view._export_columns]
        for instance in instances:
            yield [view.get_export_value(instance, name) for name in columns]

    filename = secure_filename(view.get_export_name(export_type="csv"))
    return flask.Response(
        flask.stream_with_context(_lines(rows())),
        headers={"Content-Disposition": f"attachment;filename={filename}"},
        content_type="text/csv; charset=utf-8",
    )
