"""Text that a spreadsheet would run, in a CSV file and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin_app.formulas import armed, disarmed, exact

STARTS = ["=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"]


@pytest.mark.parametrize("start", STARTS)
def test_an_apostrophe_stands_before_what_a_spreadsheet_would_run(start):
    assert disarmed(f"{start}1+1") == f"'{start}1+1"
    assert disarmed(f"  {start}1+1") == f"'  {start}1+1"
    assert disarmed(f"\u3000{start}1+1") == f"'\u3000{start}1+1"


def test_other_text_stays_as_it_is():
    for text in ("", "a=1", "'tis", "1-2", "«=»"):
        assert disarmed(text) == text


def test_empty_text_is_told_from_no_text_where_it_has_to_be():
    assert exact("") == "'"
    assert armed("'") == ""
    assert armed("") == ""


@given(st.text(alphabet=st.sampled_from([*"'=-+@a \t\r\n＝"])))
def test_every_text_comes_back(text):
    assert armed(disarmed(text)) == text or text.strip("'") == ""
    assert armed(exact(text)) == text
