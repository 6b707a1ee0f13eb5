"""Moments in the reader's zone, and times that a change of the clocks makes doubtful."""

from __future__ import annotations

import datetime as dt
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin_app import moments

PARIS = zoneinfo.ZoneInfo("Europe/Paris")


def test_a_stored_moment_is_shown_in_the_readers_zone():
    with moments.in_zone(PARIS):
        shown = moments.local(dt.datetime(2026, 7, 1, 12, 0, tzinfo=dt.UTC))
    assert shown.isoformat() == "2026-07-01T14:00:00+02:00"


def test_a_moment_without_a_zone_is_in_utc():
    with moments.in_zone(PARIS):
        assert moments.local(dt.datetime(2026, 1, 1)).isoformat() == "2026-01-01T01:00:00+01:00"


def test_a_time_that_does_not_exist_is_told():
    with moments.in_zone(PARIS), pytest.raises(ValueError, match="does not exist; add"):
        moments.typed(dt.datetime(2026, 3, 29, 2, 30))


def test_a_time_that_was_there_twice_is_told_with_both_offsets():
    with moments.in_zone(PARIS), pytest.raises(ValueError, match=r"\+02:00 or \+01:00"):
        moments.typed(dt.datetime(2026, 10, 25, 2, 30))


def test_an_offset_that_was_typed_settles_it():
    value = dt.datetime.fromisoformat("2026-10-25 02:30+01:00")
    with moments.in_zone(PARIS):
        assert moments.typed(value) == value


@given(
    st.datetimes(timezones=st.just(dt.UTC)),
    st.sampled_from(["Europe/Paris", "Asia/Kathmandu", "UTC"]),
)
def test_what_is_shown_with_its_offset_is_the_same_moment(value, name):
    with moments.in_zone(zoneinfo.ZoneInfo(name)):
        shown = moments.local(value).isoformat()
        assert moments.typed(dt.datetime.fromisoformat(shown)) == value


@pytest.mark.parametrize("name", [None, "", "Nowhere/Here", "../etc/passwd", "x" * 99, "\0"])
def test_a_name_that_is_no_zone_is_none(name):
    assert moments.named(name) is None
