"""Workbooks: what Excel cannot hold, and a disk that is full."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import resource

import pytest
import python_calamine

from admin_app.errors import OutOfSpace
from admin_app.exports.options import Options
from admin_app.exports.values import Column
from admin_app.exports.workbooks import written


def column(kind: str = "text") -> Column:
    return Column("value", "Value", None, kind)


def sheets(values, kind="text", title="Things", most_rows=1000, **options):
    with written([column(kind)], [[values]], Options(**options), title, most_rows) as file:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(file.read()))
    return {
        name: [row[0] for row in book.get_sheet_by_name(name).to_python(skip_empty_area=False)]
        for name in book.sheet_names
    }


def test_rows_that_a_sheet_does_not_hold_go_to_the_next():
    found = sheets(["a", "b", "c"], most_rows=3)
    assert found == {"Things": ["Value", "a", "b"], "Things 2": ["Value", "c"]}


def test_a_text_that_a_cell_does_not_hold_says_where_it_is_cut():
    (told,) = sheets(["x" * 40_000])["Things"][1:]
    assert len(told) == 32_767
    assert told.endswith("x… (cut: Excel holds 32,767 of these 40,000 characters)")


def test_numbers_of_more_than_15_digits_are_text():
    values = [10**15 - 1, 10**15, decimal.Decimal("1234567890123.45"), float("nan")]
    values += [decimal.Decimal("12345678901234.567")]
    assert sheets(values, "number")["Things"][1:] == [
        *(999_999_999_999_999, "1000000000000000", 1234567890123.45, "nan"),
        "12345678901234.567",
    ]


def test_days_before_excel_and_text_like_a_formula_stay_what_they_are():
    values = [dt.date(1850, 1, 1), "=1+1", "https://example.org", "{=1}"]
    assert sheets(values, "any")["Things"][1:] == ["1850-01-01", *values[1:]]


@pytest.mark.parametrize("title", ["History", "a/b:c*[d]?", "'quoted'", "x" * 40, "", "ﬁ\x00"])
def test_a_sheet_has_a_name_whatever_rows_are_called(title):
    assert len(sheets(["a", "b"], title=title, most_rows=2)) == 2


def test_a_full_disk_is_told_in_a_sentence_and_leaves_nothing_behind():
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(OutOfSpace, match="The disk of the server is full"):
            written([column()], [[[str(n) * 9 for n in range(9_999)]]], Options(), "Things")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
