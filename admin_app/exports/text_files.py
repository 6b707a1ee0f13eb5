"""Files that are text: CSV, JSON lines and JSON, a piece of rows at a time."""

from __future__ import annotations

import csv
import datetime as dt
import decimal
import functools
import io
import json
import re
from collections.abc import Callable, Sequence
from json import encoder
from typing import Any

from admin_app import formulas
from admin_app.errors import NOT_WHOLE
from admin_app.exports.options import Options
from admin_app.exports.values import Column, Kind, Values, local

EXACT = 2**53
"""Whole numbers up to here are numbers in JSON; most programs round greater ones: they are text."""


class TextFile:
    """How rows become text: the beginning of the file, its pieces, and its end.

    ``broken`` is written where a file breaks off, so that nobody who has the text alone takes it
    for a whole one.
    """

    def __init__(self, columns: Sequence[Column], options: Options) -> None:
        self.columns = columns
        self.options = options

    def head(self) -> str:
        return ""

    def rows(self, columns: Sequence[Values]) -> str:
        raise NotImplementedError

    def tail(self) -> str:
        return ""

    def broken(self) -> str:
        return f"{NOT_WHOLE}\n"


Cells = Callable[[Values], Values]


class CsvFile(TextFile):
    """CSV as RFC 4180 has it. Text that a spreadsheet would run is disarmed, numbers never are."""

    def __init__(self, columns: Sequence[Column], options: Options) -> None:
        super().__init__(columns, options)
        self.cells = [csv_cells(column, options) for column in columns]

    def head(self) -> str:
        titles = [formulas.disarmed(column.title) for column in self.columns]
        return ("\ufeff" if self.options.with_bom else "") + self._written([titles])

    def rows(self, columns: Sequence[Values]) -> str:
        made = (cells(values) for cells, values in zip(self.cells, columns, strict=True))
        return self._written(zip(*made, strict=True))

    def _written(self, rows: Any) -> str:
        buffer = io.StringIO()
        csv.writer(buffer, delimiter=self.options.delimiter).writerows(rows)
        return buffer.getvalue()

    def broken(self) -> str:
        return f"{NOT_WHOLE}\r\n"


def csv_cells(column: Column, options: Options) -> Cells:
    """What makes the cells of a column of CSV of its values."""
    kind = column.kind
    separator = "T" if options.is_raw else " "
    if kind == "text":
        return _exact_texts if options.is_raw and column.may_be_none else _texts
    if kind == "code":
        return lambda values: values
    if kind == "number":
        return lambda values: [formulas.disarmed(v) if isinstance(v, str) else v for v in values]
    if kind == "bool":
        truth = {True: "true", False: "false"} if options.is_raw else {True: "True", False: "False"}
        return lambda values: [None if v is None else truth.get(v, v) for v in values]
    if kind == "json":
        return lambda values: [None if v is None else _json_cell(v) for v in values]
    if kind == "list":
        return lambda values: [formulas.disarmed(", ".join(v)) for v in values]
    if kind == "moment":
        return functools.partial(_moments, options.zone, separator)
    if kind == "time":
        return lambda values: [_time(v, separator) for v in values]
    return lambda values: [_any_cell(v, separator) for v in values]


def _texts(values: Values) -> Values:
    starts = formulas.starts
    try:
        return [f"'{v}" if v is not None and starts(v) else v for v in values]
    except TypeError:
        # A type of the application's own may make something else of text.
        return [None if v is None else formulas.disarmed(_str(v)) for v in values]


def _exact_texts(values: Values) -> Values:
    return ["'" if v == "" else v for v in _texts(values)]


def _str(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def _json_cell(value: Any) -> str:
    """JSON as text; a bare number in it is a number."""
    text = _str(value)
    return text if _NUMBER.fullmatch(text) else formulas.disarmed(text)


def _time(value: Any, separator: str) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat(separator)
    if value is None or isinstance(value, dt.date | dt.time):
        return value if value is None else value.isoformat()
    return formulas.disarmed(_str(value))


def _moments(zone: dt.tzinfo, separator: str, values: Values) -> Values:
    if zone is not dt.UTC and str(zone) != "UTC":
        return [_time(local(v, zone), separator) for v in values]
    try:
        # Nothing has to be reckoned, which would take longer than all the rest.
        return [
            v
            if v is None
            else f"{v.isoformat(separator)}+00:00"
            if v.tzinfo is None
            else _time(local(v, zone), separator)
            for v in values
        ]
    except AttributeError:
        return [_time(local(v, zone), separator) for v in values]


def _any_cell(value: Any, separator: str) -> Any:
    if value is None or isinstance(value, int | float | decimal.Decimal):
        return value
    if isinstance(value, dt.date | dt.time):
        return _time(value, separator)
    return formulas.disarmed(_str(value))


class JsonLinesFile(TextFile):
    """A JSON object a line, by the names of the columns."""

    separator = "\n"

    def __init__(self, columns: Sequence[Column], options: Options) -> None:
        super().__init__(columns, options)
        moment = functools.partial(_json_moment, options.zone)
        self.cells = [_JSON_CELLS.get(column.kind, moment) for column in columns]
        names = (json.dumps(c.name, ensure_ascii=False).replace("%", "%%") for c in columns)
        self.line = "{" + ", ".join(f"{name}: %s" for name in names) + "}"

    def lines(self, columns: Sequence[Values]) -> list[str]:
        line = self.line
        made = (list(map(cell, v)) for cell, v in zip(self.cells, columns, strict=True))
        return [line % row for row in zip(*made, strict=True)]

    def rows(self, columns: Sequence[Values]) -> str:
        return "".join(f"{line}\n" for line in self.lines(columns))


class JsonFile(JsonLinesFile):
    """One JSON array of objects; it ends only where all rows are in it."""

    def __init__(self, columns: Sequence[Column], options: Options) -> None:
        super().__init__(columns, options)
        self.start = "\n"

    def head(self) -> str:
        return "["

    def rows(self, columns: Sequence[Values]) -> str:
        text = self.start + ",\n".join(self.lines(columns))
        self.start = ",\n"
        return text

    def tail(self) -> str:
        return "\n]\n"

    def broken(self) -> str:
        return f"\n{NOT_WHOLE}\n"


_quoted: Callable[[str], str] = encoder.encode_basestring


def json_of(value: Any) -> str:
    """``value`` as JSON that no reader rounds: what a double does not hold is text."""
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, int):
        return str(value) if -EXACT <= value <= EXACT else f'"{value}"'
    if isinstance(value, float):
        text = repr(value)
        return text if text[-1].isdigit() else f'"{text}"'
    if isinstance(value, dt.date | dt.time):
        return _quoted(value.isoformat())
    return _quoted(str(value))


def _json_moment(zone: dt.tzinfo, value: Any) -> str:
    return json_of(local(value, zone))


def _json_value(value: Any) -> str:
    """JSON as the database has it, to the last digit; as text where it is none."""
    if value is None:
        return "null"
    text = _str(value)
    try:
        json.loads(text, parse_float=str, parse_int=str, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _quoted(text)
    # Between its parts alone: in its texts JSON has no line end.
    return text.replace("\r", " ").replace("\n", " ")


def _refuse(text: str) -> None:
    raise ValueError(text)


def _json_list(value: Sequence[str]) -> str:
    return "[" + ", ".join(map(_quoted, value)) + "]"


_JSON_CELLS: dict[Kind, Callable[[Any], str]] = {
    "text": json_of,
    "code": json_of,
    "number": json_of,
    "bool": json_of,
    "time": json_of,
    "json": _json_value,
    "list": _json_list,
    "any": json_of,
}
