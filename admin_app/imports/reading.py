"""A file of rows, whatever wrote it: guessed at, and read a row at a time.

CSV and what is like it, JSON, JSON lines and XLSX. `guess` tells how a file looks to be written,
which somebody may correct; `read` gives its rows. What cannot be read raises `InvalidRequest` with
a sentence. Nothing that a file says of itself is believed: lines, columns and the content of an
XLSX are limited before they take memory.
"""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import itertools
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from admin_app.errors import NOT_WHOLE, InvalidRequest

MAX_COLUMNS = 1_000
MAX_LINE = 4_000_000
"""Characters of one line of a text file, and of one row of JSON."""
MAX_XLSX_BYTES = 500 * 2**20
"""Bytes that the parts of an XLSX may have once they are unpacked."""
MAX_XLSX_RATIO = 300
"""How many times longer than in the file a large part of an XLSX may be once it is unpacked."""
MAX_XLSX_CELLS = 3_000_000
SAMPLE = 64 * 2**10
HEADER_ROWS = 1_000
"""Rows of JSON whose fields make the columns."""

ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-16": "UTF-16",
    "cp1252": "Windows-1252 (Western European)",
    "latin-1": "Latin-1",
    "cp1250": "Windows-1250 (Central European)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "shift_jis": "Shift JIS",
    "gb18030": "GB 18030",
}
DELIMITERS = {",": "Comma", ";": "Semicolon", "\t": "Tab", "|": "Vertical bar"}
KINDS = {"csv": "CSV", "jsonl": "JSON lines", "json": "JSON", "xlsx": "Excel (XLSX)"}

csv.field_size_limit(MAX_LINE)


@dataclass(frozen=True, slots=True)
class Format:
    """How a file is written: ``kind`` is a key of `KINDS`, ``sheet`` the name of one of XLSX."""

    kind: str = "csv"
    encoding: str = "utf-8"
    delimiter: str = ","
    has_header: bool = True
    sheet: str = ""


Cell = str | list[Any] | None
"""A text as it was written, empty for no value; None is a null of JSON, a list one of its."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row with its ``number`` as a spreadsheet counts, and what is wrong with it as a whole."""

    number: int
    cells: Sequence[Cell]
    problem: str | None = None


class Number(str):
    """A number of JSON to its last digit."""

    __slots__ = ()


class Quoted(str):
    """A text of JSON, which is another thing than JSON as a text."""

    __slots__ = ()


# What it looks like


def guess(path: Path, filename: str = "") -> Format:
    """How the file at ``path`` looks to be written."""
    with path.open("rb") as file:
        head = file.read(SAMPLE)
    if not head.strip():
        raise InvalidRequest("This file is empty.")
    if head.startswith(b"PK\x03\x04"):
        check_xlsx(path)
        return Format("xlsx")
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise InvalidRequest("This is an Excel file of the old kind. Save it as XLSX or CSV.")
    if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!")):
        raise InvalidRequest("This file is compressed. Unpack it first.")
    if head.startswith((b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"\x7fELF")):
        raise InvalidRequest("This is no table: a CSV, JSON or XLSX file is needed.")
    encoding = _encoding(path, head)
    text = head.decode(encoding, "replace").lstrip("\ufeff")
    kind = _text_kind(text.lstrip(), filename)
    if kind != "csv":
        return Format(kind, encoding)
    delimiter = _delimiter(text, len(head) == SAMPLE)
    found = Format("csv", encoding, delimiter)
    first = next(csv.reader(_sample_lines(text, len(head) == SAMPLE), delimiter=delimiter), [])
    return replace(found, has_header=looks_like_header(first))


def _encoding(path: Path, head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if not head.startswith(codecs.BOM_UTF8) and _has_alternate_nuls(head):
        return "utf-16-le" if head[1::2].count(0) > head[0::2].count(0) else "utf-16-be"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while piece := file.read(2**20):
                decoder.decode(piece)
            decoder.decode(b"", True)
    except UnicodeDecodeError:
        try:
            head.decode("cp1252")
        except UnicodeDecodeError:
            return "latin-1"
        return "cp1252"
    return "utf-8"


def _has_alternate_nuls(head: bytes) -> bool:
    half = max(1, len(head) // 2)
    return max(head[0::2].count(0), head[1::2].count(0)) > 0.4 * half


def _text_kind(text: str, filename: str) -> str:
    ending = filename.rpartition(".")[2].lower()
    if ending in ("jsonl", "ndjson"):
        return "jsonl"
    if text.startswith("[") and (ending == "json" or re.match(r"\[\s*[\{\[\]]", text)):
        return "json"
    if text.startswith("{"):
        line = text.split("\n", 1)[0].strip()
        return "json" if ending == "json" and not line.endswith("}") else "jsonl"
    return "csv"


def _sample_lines(text: str, is_cut: bool) -> list[str]:
    lines = text.splitlines(keepends=True)
    if is_cut and len(lines) > 1:
        lines.pop()
    return lines[1:] if re.match(r"sep=.\s*$", lines[0] if lines else "") else lines


def _delimiter(text: str, is_cut: bool) -> str:
    if match := re.match(r"sep=(.)[\r\n]", text):
        return match[1]
    lines = _sample_lines(text, is_cut)
    best, best_score = ",", 0.0
    for delimiter in DELIMITERS:
        try:
            rows = itertools.islice(csv.reader(lines, delimiter=delimiter), 50)
            counts = Counter(len(row) for row in rows if row)
        except csv.Error:
            continue
        columns, rows_alike = max(counts.items(), key=lambda c: (c[1], c[0]), default=(0, 0))
        score = rows_alike / max(1, counts.total()) + min(columns, 20) / 1000
        if columns > 1 and score > best_score:
            best, best_score = delimiter, score
    return best


def looks_like_header(cells: Sequence[Cell]) -> bool:
    """Whether the first row names the columns: texts that all differ, and no numbers or dates."""
    texts = [str(c).strip() for c in cells if c is not None]
    named = [t for t in texts if t]
    if not named or len(set(named)) < len(named) or len(named) < len(texts) / 2:
        return False
    return not any(
        re.fullmatch(r"[-+]?[\d.,:/\s-]*\d[\d.,:/\s-]*%?|\S+@\S+\.\S+", t) for t in named
    )


# Rows


def read(path: Path, form: Format) -> Iterator[FileRow]:
    """The rows of the file, the header not among them."""
    rows = _rows(path, form)
    if form.kind in ("csv", "xlsx") and form.has_header:
        next(rows, None)
    return rows


def header(path: Path, form: Format) -> list[str]:
    """What the columns are called; «Column 1» and so on where the file does not say."""
    if form.kind in ("json", "jsonl"):
        names = _fields(path, form)
        if not names:
            raise InvalidRequest("There are no rows in this file.")
        return names
    first = next(_rows(path, form), None)
    if first is None or not any(first.cells):
        raise InvalidRequest("There are no rows in this file.")
    if first.problem is not None:
        raise InvalidRequest(first.problem)
    if not form.has_header:
        return [f"Column {number}" for number in range(1, len(first.cells) + 1)]
    names, seen = [], Counter[str]()
    for number, cell in enumerate(first.cells, 1):
        name = (str(cell or "").strip() or f"Column {number}")[:200]
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


def _rows(path: Path, form: Format) -> Iterator[FileRow]:
    if form.kind == "xlsx":
        return _xlsx_rows(path, form)
    if form.kind == "csv":
        return _csv_rows(path, form)
    if form.kind in ("json", "jsonl"):
        return _json_rows(path, form)
    raise InvalidRequest("Files of this kind cannot be read.")


def _csv_rows(path: Path, form: Format) -> Iterator[FileRow]:
    with _opened(path, form) as file:
        lines = _lines(file, form.delimiter)
        reader = csv.reader(lines, delimiter=form.delimiter, strict=False)
        number = 0
        while True:
            number += 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except UnicodeError:
                raise InvalidRequest(_wrong_encoding(form)) from None
            except csv.Error as error:
                raise InvalidRequest(f"Row {number:,} cannot be read: {error}.") from None
            if len(cells) > MAX_COLUMNS:
                raise InvalidRequest(_too_many(len(cells)))
            if number == 1 and len(cells) == 1 and re.fullmatch(r"sep=.?", cells[0]):
                number = 0
                continue
            if cells[:1] == [NOT_WHOLE]:
                raise InvalidRequest(NOT_WHOLE)
            if any(cells):
                yield FileRow(number, cells)


def _opened(path: Path, form: Format) -> IO[str]:
    encoding = "utf-8-sig" if form.encoding == "utf-8" else form.encoding
    try:
        return path.open(encoding=encoding, newline="")
    except LookupError:
        raise InvalidRequest("This encoding is not known here.") from None


def _lines(file: IO[str], delimiter: str) -> Iterator[str]:
    while line := file.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            raise InvalidRequest(f"This file has a line of more than {MAX_LINE:,} characters.")
        # So many cells would take far more memory than the line.
        if line.count(delimiter) > 100 * MAX_COLUMNS:
            raise InvalidRequest(_too_many(line.count(delimiter) + 1))
        yield line


def _too_many(count: int) -> str:
    return f"A file may have {MAX_COLUMNS:,} columns; this one has {count:,}."


def _wrong_encoding(form: Format) -> str:
    name = ENCODINGS.get(form.encoding, form.encoding)
    return f"This file is not written in {name}. Choose another encoding."


# JSON


def _json_rows(path: Path, form: Format) -> Iterator[FileRow]:
    names = _fields(path, form)
    places = {name: n for n, name in enumerate(names)}
    for number, value in enumerate(_values(path, form), 1):
        if not isinstance(value, dict):
            yield FileRow(number, [""] * len(names), "This is not an object with a field each.")
            continue
        cells: list[Cell] = [""] * len(names)
        unknown = [name for name in value if name not in places]
        for name, one in value.items():
            if name in places:
                cells[places[name]] = _json_cell(one)
        problem = f"No row before has the field “{unknown[0][:80]}”." if unknown else None
        yield FileRow(number, cells, problem)


def _fields(path: Path, form: Format) -> list[str]:
    names: dict[str, None] = {}
    for value in itertools.islice(_values(path, form), HEADER_ROWS):
        if isinstance(value, dict):
            names.update(dict.fromkeys(value))
        if len(names) > MAX_COLUMNS:
            raise InvalidRequest(_too_many(len(names)))
    return list(names)


_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=Number)


def _values(path: Path, form: Format) -> Iterator[Any]:
    with _opened(path, form) as file:
        try:
            yield from _json_lines(file) if form.kind == "jsonl" else _json_array(file)
        except UnicodeError:
            raise InvalidRequest(_wrong_encoding(form)) from None
        except RecursionError:
            raise InvalidRequest("This JSON is nested too deeply.") from None


def _json_lines(file: IO[str]) -> Iterator[Any]:
    for number, line in enumerate(_lines(file, "\0"), 1):
        if line.strip():
            try:
                yield _DECODER.decode(line)
            except ValueError:
                raise InvalidRequest(f"Line {number:,} is no JSON.") from None


_BLANK = " \t\r\n"


def _json_array(file: IO[str]) -> Iterator[Any]:
    """The members of an array, each read as it comes; a single object is the only one."""
    text = file.read(SAMPLE).lstrip("\ufeff" + _BLANK)
    if text.startswith("["):
        text = text[1:]
    elif not text.startswith("{"):
        raise InvalidRequest("A JSON file has to hold a list of objects.")
    is_first, is_at_end = True, False
    while True:
        text = text.lstrip(_BLANK)
        if not is_first and text.startswith(","):
            text = text[1:].lstrip(_BLANK)
        if text.startswith("]"):
            return
        try:
            # A number at the end of what was read so far may go on.
            value, end = _DECODER.raw_decode(text) if text else (None, 0)
        except ValueError:
            end = 0
        if end and (end < len(text) or is_at_end):
            yield value
            text, is_first = text[end:], False
            continue
        if is_at_end:
            if text.strip(_BLANK):
                raise InvalidRequest("This file is no JSON, or it is cut off.")
            return
        if len(text) > MAX_LINE:
            raise InvalidRequest(f"A row of JSON may have {MAX_LINE:,} characters.")
        # Twice as much each time, so that a long row is not tried again and again.
        more = file.read(max(SAMPLE, len(text)))
        text, is_at_end = text + more, not more


def _json_cell(value: Any) -> Cell:
    if isinstance(value, str) and not isinstance(value, Number):
        return Quoted(value)
    if value is None or isinstance(value, Number):
        return None if value is None else str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        return value
    return json_text(value)


def json_text(value: Any) -> str:
    """``value``, as `_DECODER` reads it, as JSON; numbers to their last digit."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        pairs = (f"{json.dumps(k, ensure_ascii=False)}: {json_text(v)}" for k, v in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(json_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


# XLSX


def check_xlsx(path: Path) -> None:
    """InvalidRequest for a file that would take too much memory to open, or is none.

    Each part is unpacked once and thrown away: what the archive says of its sizes may be untrue.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            if not any(part.filename.lower() == "xl/workbook.xml" for part in parts):
                raise InvalidRequest("This is an archive, but no XLSX file.")
            if len(parts) > 5_000 or sum(p.file_size for p in parts) > MAX_XLSX_BYTES:
                raise InvalidRequest(_TOO_LARGE)
            for part in parts:
                is_large = part.file_size > 10 * 2**20
                if is_large and part.file_size > MAX_XLSX_RATIO * max(part.compress_size, 1):
                    raise InvalidRequest(_TOO_LARGE)
            for part in parts:
                _check_part(archive, part)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError):
        raise InvalidRequest("This XLSX file is damaged or protected by a password.") from None


_TOO_LARGE = (
    "Unpacked, this XLSX file is too large to be read. Save it as CSV, or cut it into several."
)
_PLACE = re.compile(rb"""\br\s*=\s*["']([A-Za-z]{1,4})([0-9]{1,9})["']""")
_HIDDEN_PLACE = re.compile(rb"""\br\s*=\s*["'][^"'<>]*&""")


def _check_part(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    is_sheet = part.filename.lower().startswith("xl/worksheets/")
    columns, rows, tail, count = 0, 0, b"", 0
    with archive.open(part) as file:
        while piece := file.read(2**20):
            if not is_sheet:
                continue
            if b"\0" in piece or _HIDDEN_PLACE.search(tail + piece):
                raise InvalidRequest("This XLSX file is written in a way that cannot be checked.")
            count += piece.count(b"<c ") + piece.count(b"<c>")
            places = set(_PLACE.findall(tail + piece))
            columns = max([columns, *(_column_number(c) for c in {p[0] for p in places})])
            rows = max([rows, *(int(p[1]) for p in places)])
            if columns > MAX_COLUMNS:
                raise InvalidRequest(_too_many(columns))
            if max(columns * rows, count) > MAX_XLSX_CELLS:
                raise InvalidRequest(
                    f"An XLSX file may have {MAX_XLSX_CELLS:,} cells; this one has more "
                    f"({columns:,} columns, at least {rows:,} rows). Save it as CSV."
                )
            tail = piece[-64:]


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number


def sheets(path: Path) -> list[str]:
    """The names of the sheets of an XLSX file."""
    return list(_workbook(path).sheet_names)


def _workbook(path: Path) -> Any:
    import python_calamine

    try:
        return python_calamine.CalamineWorkbook.from_path(str(path))
    except python_calamine.CalamineError:
        raise InvalidRequest("This XLSX file is damaged or protected by a password.") from None


def _xlsx_rows(path: Path, form: Format) -> Iterator[FileRow]:
    import python_calamine

    book = _workbook(path)
    names = book.sheet_names
    if not names:
        raise InvalidRequest("There is no sheet in this file.")
    try:
        sheet = book.get_sheet_by_name(form.sheet if form.sheet in names else names[0])
        rows = sheet.to_python(skip_empty_area=False)
    except python_calamine.CalamineError:
        raise InvalidRequest("This sheet cannot be read.") from None
    for number, row in enumerate(rows, 1):
        cells = [_xlsx_cell(value) for value in row]
        if any(cells):
            yield FileRow(number, cells)


def _xlsx_cell(value: Any) -> str:
    """What a cell says, as one would type it: Excel has one kind of number, and no dates alone."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, dt.datetime):
        is_day = value.time() == dt.time()
        return value.date().isoformat() if is_day else value.isoformat(" ")
    return "" if value is None else str(value)


def padded(row: FileRow, width: int) -> FileRow:
    """``row`` with a cell for each of ``width`` columns; one that has more has a problem."""
    cells = list(row.cells)
    extra = cells[width:]
    if any(extra):
        count = len(cells)
        problem = f"This row has {count:,} cells, but there are {width:,} columns."
        return replace(row, cells=cells[:width], problem=row.problem or problem)
    return replace(row, cells=(cells + [""] * width)[:width])


def parts(text: str) -> list[str]:
    """The names of several rows in one cell, apart by semicolons, line ends, or else commas."""
    for sign in (";", "\n"):
        if sign in text:
            break
    else:
        sign = ","
    return [part.strip() for part in text.split(sign) if part.strip()]


_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def is_storable(text: str) -> bool:
    """Whether a database can hold ``text``."""
    return _UNSTORABLE.search(text) is None


def batches(rows: Iterable[FileRow], size: int) -> Iterator[list[FileRow]]:
    """``rows``, ``size`` at a time."""
    rows = iter(rows)
    while found := list(itertools.islice(rows, size)):
        yield found
