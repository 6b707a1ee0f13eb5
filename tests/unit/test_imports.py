"""Files of rows: how they look to be written, and what they say."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import xlsxwriter

from admin_app.errors import NOT_WHOLE, InvalidRequest
from admin_app.imports import reading


@pytest.fixture
def rows(tmp_path: Path):
    """The header and the cells of content, read as it looks to be written."""

    def read(content: bytes | str, name: str = "rows.csv") -> list[list]:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        form = reading.guess(path, name)
        names = reading.header(path, form)
        found = [reading.padded(row, len(names)) for row in reading.read(path, form)]
        return [names, *([row.problem] if row.problem else list(row.cells) for row in found)]

    return read


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encoding_and_delimiter_are_found_out(rows, encoding: str, delimiter: str) -> None:
    text = f"Name{delimiter}Town\r\nMüller{delimiter}Köln\r\n"
    assert rows(text.encode(encoding)) == [["Name", "Town"], ["Müller", "Köln"]]


def test_cells_keep_their_line_ends_quotes_and_delimiters(rows) -> None:
    assert rows('a,b\r\n"one\r\ntwo","x, ""y"""\r\n')[1:] == [["one\r\ntwo", 'x, "y"']]


def test_a_file_without_names_gets_numbered_columns(rows) -> None:
    assert rows("1;2\n3;4") == [["Column 1", "Column 2"], ["1", "2"], ["3", "4"]]


def test_names_that_come_twice_are_told_apart(rows) -> None:
    path_rows = rows('[{"a": 1}]', "rows.json")
    assert path_rows[0] == ["a"]
    assert reading.looks_like_header(["a", "a"]) is False


def test_a_row_with_too_many_cells_says_so_and_one_with_too_few_is_filled_up(rows) -> None:
    assert rows("a,b\n1\n1,2,3\n1,2,,\n")[1:] == [
        ["1", ""],
        ["This row has 3 cells, but there are 2 columns."],
        ["1", "2"],
    ]


def test_numbers_of_json_keep_every_digit(rows) -> None:
    lines = '{"n": 1.10, "d": {"x": 12345678901234567890.5}, "e": null, "t": ["a"]}'
    expected = ["1.10", '{"x": 12345678901234567890.5}', None, ["a"]]
    assert rows(lines, "rows.jsonl")[1] == rows(f"[{lines}]", "rows.json")[1] == expected


def test_a_long_array_of_json_is_read_in_pieces(rows) -> None:
    sent = [{"id": n, "name": "x" * (n % 7_000)} for n in range(3_000)]
    found = rows(json.dumps(sent), "rows.json")[1:]
    assert found == [[str(one["id"]), one["name"]] for one in sent]


@pytest.mark.parametrize(
    ("content", "name", "told"),
    [
        (b"", "a.csv", "This file is empty."),
        (b" \n\n", "a.csv", "This file is empty."),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "a.xls", "old kind"),
        (b"\x1f\x8b\x08", "a.csv.gz", "compressed"),
        (b"PK\x03\x04broken", "a.xlsx", "damaged"),
        (b"[1, 2", "a.json", "no rows"),
        (b'[{"a": 1}, {"a": ', "a.json", "cut off"),
        (b'{"a": 1}\n{"a" 2}', "a.jsonl", "Line 2 is no JSON."),
        (b'{"a": 1}\n' + b'{"a":' + b"[" * 200_000, "a.jsonl", "nested too deeply"),
        (b",".join(b"x" * 1 for _ in range(10**6)), "a.csv", "this one has 1,000,000"),
        (f"name,n\r\nOne,1\r\n{NOT_WHOLE}\r\n".encode(), "a.csv", "not whole"),
        (b"x" * 5_000_000, "a.csv", "a line of more than"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_sentence(rows, content, name: str, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        rows(content, name)


def test_a_wrong_encoding_is_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("a,b\nMüller,1".encode("cp1252"))
    with pytest.raises(InvalidRequest, match=r"not written in UTF-8. Choose another"):
        list(reading.read(path, reading.Format()))


def test_the_numbers_and_dates_of_excel_are_what_one_would_type(tmp_path: Path, rows) -> None:
    import datetime as dt

    path = tmp_path / "made.xlsx"
    with xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd hh:mm"}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["id", "price", "day", "at", "yes", "text"])
        at = dt.datetime(2026, 11, 24, 14, 30)
        sheet.write_row(1, 0, [99999, 0.1, dt.datetime(2026, 11, 24), at, True, "007"])
    expected = ["99999", "0.1", "2026-11-24", "2026-11-24 14:30:00", "true", "007"]
    assert rows(path.read_bytes(), "rows.xlsx")[1] == expected


def _xlsx(path: Path, sheet: bytes, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("xl/workbook.xml", b"<workbook/>")
        archive.writestr("xl/worksheets/sheet1.xml", sheet)
    return path


@pytest.mark.parametrize(
    ("sheet", "told"),
    [
        (b"<c>" * 20_000_000, "too large to be read"),
        (b'<row><c r="A1"/><c r="XFD1048576"/></row>', "this one has 16,384"),
        (b"<row><c  r='A1'/><c  r='ZZ1048576'/></row>", "An XLSX file may have"),
        (b'<row><c r="&#65;1"/></row>', "cannot be checked"),
    ],
    ids=["bomb", "wide", "sparse", "hidden"],
)
def test_an_xlsx_that_would_fill_the_memory_is_not_opened(tmp_path, sheet, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        reading.guess(_xlsx(tmp_path / "rows.xlsx", sheet))


def test_an_xlsx_that_lies_about_its_sizes_is_not_opened(tmp_path: Path) -> None:
    path = _xlsx(tmp_path / "rows.xlsx", b"<c>" * 5_000_000)
    content = path.read_bytes()
    # The size that both headers of the part tell.
    path.write_bytes(content.replace((15_000_000).to_bytes(4, "little"), b"\x09\0\0\0"))
    with pytest.raises(InvalidRequest, match="damaged"):
        reading.guess(path)
