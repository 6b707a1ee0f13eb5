"""XLSX, written to the disk whole before anything of it is sent.

Excel keeps 15 digits of a number, 32,767 characters of a text and 1,048,576 rows of a sheet: longer
numbers become text, longer texts say where they were cut, and further rows go to further sheets.
Text is never taken for a formula or an address.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import errno
import logging
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any

import xlsxwriter  # type: ignore[import-untyped]
from xlsxwriter.exceptions import FileCreateError  # type: ignore[import-untyped]

from admin_app.errors import OutOfSpace
from admin_app.exports.options import Options
from admin_app.exports.values import Column, Values, local

MOST_ROWS = 1_048_576
MOST_CHARACTERS = 32_767
MOST_DIGITS = 15

log = logging.getLogger(__name__)

_FIRST_YEAR = 1900
"""Excel knows no day before."""


def written(
    columns: Sequence[Column],
    pieces: Iterable[Sequence[Values]],
    options: Options,
    title: str,
    most_rows: int = MOST_ROWS,
) -> IO[bytes]:
    """A temporary file with the workbook, ``most_rows`` a sheet; OutOfSpace on a full disk."""
    target = tempfile.TemporaryFile()  # noqa: SIM115 - whoever sends it closes it
    try:
        with _disk():
            with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
                book = xlsxwriter.Workbook(target, _settings(folder))
                stack.callback(_let_go, book)
                _Sheets(book, columns, options, title, most_rows).write(pieces)
                book.close()
            target.seek(0)
    except BaseException:
        target.close()
        raise
    return target


def _let_go(book: Any) -> None:
    """Close the files of sheets that were not finished, which the package leaves open."""
    for sheet in book.worksheets():
        with contextlib.suppress(OSError, AttributeError):
            sheet.row_data_fh.close()


def _settings(folder: str) -> dict[str, Any]:
    return {
        "constant_memory": True,
        "tmpdir": folder,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "nan_inf_to_errors": False,
        "default_date_format": "yyyy-mm-dd",
    }


@contextlib.contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except (OSError, FileCreateError) as error:
        cause = error.args[0] if isinstance(error, FileCreateError) and error.args else error
        if getattr(cause, "errno", None) not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        log.warning("The disk is full: no workbook could be written to %s", tempfile.gettempdir())
        raise OutOfSpace(
            "The disk of the server is full, so this file could not be made. CSV and JSON lines "
            "need no room on it."
        ) from error


class _Sheets:
    """The sheets of a workbook, each with the titles in its first row."""

    def __init__(
        self, book: Any, columns: Sequence[Column], options: Options, title: str, most_rows: int
    ) -> None:
        self.book, self.columns, self.title = book, columns, title
        self.count, self.most_rows = 0, most_rows
        self.sheet: Any = None
        self.bold = book.add_format({"bold": True})
        self.formats = {
            dt.datetime: book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
            dt.date: book.add_format({"num_format": "yyyy-mm-dd"}),
            dt.time: book.add_format({"num_format": "hh:mm:ss"}),
        }
        self.cell = self._raw_cell if options.is_raw else self._cell
        self.zone = options.zone
        self.moments = [at for at, column in enumerate(columns) if column.kind == "moment"]

    def write(self, pieces: Iterable[Sequence[Values]]) -> None:
        self._begin()
        row = 1
        for piece in pieces:
            piece = list(piece)
            for at in self.moments:
                piece[at] = [local(value, self.zone) for value in piece[at]]
            for values in zip(*piece, strict=True):
                if row == self.most_rows:
                    self._begin()
                    row = 1
                for at, value in enumerate(values):
                    if value is not None:
                        self.cell(row, at, value)
                row += 1

    def _begin(self) -> None:
        self.count += 1
        name = "".join(c for c in self.title if c not in "[]:*?/\\" and c.isprintable())
        name = name.strip("' ")[:25] or "Rows"
        if name.lower() == "history":
            name = "Rows"
        self.sheet = self.book.add_worksheet(name if self.count == 1 else f"{name} {self.count}")
        self.sheet.freeze_panes(1, 0)
        for at, column in enumerate(self.columns):
            self.sheet.set_column(at, at, min(40, max(10, len(column.title) + 2)))
            self.sheet.write_string(0, at, _fitting(column.title), self.bold)

    def _cell(self, row: int, at: int, value: Any) -> None:
        if isinstance(value, str):
            self.sheet.write_string(row, at, _fitting(value))
        elif isinstance(value, bool):
            self.sheet.write_boolean(row, at, value)
        elif isinstance(value, int | float | decimal.Decimal):
            self._number(row, at, value)
        elif isinstance(value, dt.date | dt.time):
            self._time(row, at, value)
        else:
            told = ", ".join(value) if isinstance(value, list) else str(value)
            self.sheet.write_string(row, at, _fitting(told))

    def _raw_cell(self, row: int, at: int, value: Any) -> None:
        """As `_cell`, with dates as text: Excel knows no offset, and no part of a millisecond."""
        self._cell(row, at, value.isoformat() if isinstance(value, dt.date | dt.time) else value)

    def _number(self, row: int, at: int, value: float | decimal.Decimal) -> None:
        if _keeps(value):
            self.sheet.write_number(row, at, value)
        else:
            self.sheet.write_string(row, at, _fitting(str(value)))

    def _time(self, row: int, at: int, value: Any) -> None:
        if isinstance(value, dt.datetime):
            # In the zone that was chosen: a cell of Excel has none.
            value = value.replace(tzinfo=None)
        is_early = isinstance(value, dt.date) and value.year < _FIRST_YEAR
        if is_early or getattr(value, "tzinfo", None) is not None:
            self.sheet.write_string(row, at, value.isoformat())
        else:
            self.sheet.write_datetime(row, at, value, self.formats[_class(value)])


def _class(value: Any) -> type[Any]:
    return next(c for c in (dt.datetime, dt.date, dt.time) if isinstance(value, c))


def _keeps(value: float | decimal.Decimal) -> bool:
    """Whether Excel keeps every digit of a number."""
    if isinstance(value, float):
        # As XlsxWriter writes it: the last digit of some is lost, and so is the greatest of all.
        return value - value == 0 and float(f"{value:.16G}") == value
    if isinstance(value, int):
        return abs(value) < 10**MOST_DIGITS
    if not value.is_finite():
        return False
    digits = value.as_tuple().digits
    return len(digits) <= MOST_DIGITS and -300 < value.adjusted() < 300


def _fitting(text: str) -> str:
    if len(text) <= MOST_CHARACTERS:
        return text
    note = f"… (cut: Excel holds {MOST_CHARACTERS:,} of these {len(text):,} characters)"
    return text[: MOST_CHARACTERS - len(note)] + note
