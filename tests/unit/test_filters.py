"""Filters as arguments of a URL, and the periods that they name."""

from __future__ import annotations

import datetime as dt
import string
import zoneinfo
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql, sqlite

from admin_app import inspection, moments
from admin_app.filters import Condition, Group, arguments, criterion, parse, without
from admin_app.filters import periods as filter_periods
from admin_app.policy import Reach
from examples.fleet import models as fleet

PARIS = zoneinfo.ZoneInfo("Europe/Paris")
FRIDAY = dt.datetime(2026, 11, 27, 23, 30, tzinfo=PARIS)


def read(
    *pairs: tuple[str, str], model: Any = fleet.Order, **given: Any
) -> tuple[Group, list[str]]:
    notes: list[str] = []
    reach = given.pop("reach", Reach())
    return parse(pairs, inspection.mapper_of(model), reach, notes, **given), notes


TEXTS = st.text(string.printable + "é%_\\.:,~!", min_size=1, max_size=8).filter(
    lambda text: text.isprintable() or "\n" in text
)
PATHS = {
    "number": TEXTS,
    "customer.name": TEXTS,
    "items.product.tags.name": TEXTS,
    "delivery_address.city": TEXTS,
}
CONDITIONS = st.sampled_from(sorted(PATHS)).flatmap(
    lambda path: st.builds(
        Condition,
        st.just(path),
        st.sampled_from(["is", "not", "contains", "lacks", "starts", "ends"]),
        st.lists(PATHS[path], min_size=1, max_size=3, unique=True).map(tuple),
    )
)
LINES = st.builds(
    Condition,
    st.sampled_from(["quantity", "unit_price", "product.price"]),
    st.sampled_from(["gt", "lte", "is"]),
    st.integers(0, 99).map(lambda number: (str(number),)),
)


def _distinct(members: list[Any]) -> tuple[Any, ...]:
    """One condition for each argument: several in one group would be values of the same."""
    kept = {(m.path, m.operator) if isinstance(m, Condition) else id(m): m for m in members}
    return tuple(kept.values())


def groups(leaves: Any) -> Any:
    some = st.lists(leaves, min_size=1, max_size=3).map(_distinct)
    lines = st.lists(LINES, min_size=1, max_size=2).map(_distinct)
    return st.builds(Group, st.sampled_from(["all", "any", "none", "notall"]), some) | st.builds(
        Group,
        st.sampled_from(["some", "no"]),
        lines,
        st.sampled_from(["items", "customer.orders.items"]),
    )


TREES = st.lists(st.recursive(CONDITIONS, groups, max_leaves=6), max_size=4).map(
    lambda members: Group("all", _distinct(members))
)


@given(TREES)
def test_what_is_written_into_an_address_is_read_from_it(tree: Group) -> None:
    assert read(*arguments(tree)) == (tree, [])


@given(TREES)
def test_every_tree_is_one_predicate_on_each_database(tree: Group) -> None:
    for dialect in (postgresql.dialect(), sqlite.dialect()):
        made = criterion(tree, fleet.Order, dialect=dialect.name)
        str(sa.select(fleet.Order).where(made).compile(dialect=dialect))


@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=20)), max_size=10))
def test_any_arguments_at_all_are_read_or_told_of(pairs: list[tuple[str, str]]) -> None:
    tree, _ = read(*pairs, *((f"number__{name}", value) for name, value in pairs))
    assert read(*arguments(tree)) == (tree, [])


def test_two_conditions_with_one_name_stay_two() -> None:
    one, other = (Condition("number", "contains", (text,)) for text in "ab")
    written = arguments(Group("all", (one, other)))
    assert written == [("number__contains", "a"), ("all1:number__contains", "b")]
    assert read(*written)[0].members == (one, Group("all", (other,)))


def test_a_key_within_json_may_hold_any_sign() -> None:
    tree, notes = read((r"attributes.a\.b\:c\\.0__is", "x"), model=fleet.Product)
    assert not notes
    made = str(
        criterion(tree, fleet.Product).compile(
            dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}
        )
    )
    assert r'$."a.b:c\"[0]' in made


@pytest.mark.parametrize(
    "name",
    [
        "__class____is",
        "metadata__is",
        "registry__is",
        "nothing__is",
        "number__nothing",
        "number.x__is",
        "customer.nothing__is",
        "customer.metadata.tables__is",
        "number__gt",
        "items~1:nothing__is",
        "nothing~1:number__is",
        "any1:__is",
        "__is",
        "._.__is",
        "number\0__is",
    ],
)
def test_what_means_nothing_is_left_out_and_told(name: str) -> None:
    tree, notes = read((name, "1"))
    assert not tree
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id__is", "x"),
        ("id__is", "9" * 40),
        ("id__is", "1.5"),
        ("freight__gt", "NaN"),
        ("freight__gt", "Infinity"),
        ("freight__gt", "1e999"),
        ("freight__between", "5"),
        ("number__is", "\0"),
        ("number__is", "\ud800"),
        ("number__contains", "x" * 1_000_000),
        ("status__is", "LOST"),
        ("is_express__is", "maybe"),
        ("deliver_on__is", "0000-01-01"),
        ("deliver_on__is", "2026-02-30"),
        ("deliver_on__during", "last_2_hours"),
        ("placed_at__during", "last_9999_years"),
        ("placed_at__gt", "yesterday evening"),
        ("customer__is", "x"),
        ("note__empty", "42"),
    ],
)
def test_a_value_of_the_wrong_type_is_left_out_and_told(name: str, value: str) -> None:
    tree, notes = read((name, value))
    assert not tree
    assert len(notes) == 1


def test_ten_thousand_filters_are_a_hundred_and_a_sentence() -> None:
    tree, notes = read(*((f"all{n}:number__is", "x") for n in range(10_000)))
    assert len(tree.members) == 100
    assert notes == ["Only the first 100 filters, and 300 values in all, count."]


def test_secrets_and_what_may_not_be_read_are_refused_in_the_same_words() -> None:
    reach = Reach(may_read=lambda mapper, key=None: key != "vat_number")
    _, notes = read(("customer.vat_number__is", "1"), ("customer.nothing__is", "1"), reach=reach)
    assert notes == [
        "The list cannot be filtered by “customer.vat_number”.",
        "The list cannot be filtered by “customer.nothing”.",
    ]


def test_paths_that_a_host_has_not_named_are_refused_beyond_the_table_itself() -> None:
    pairs = [("number__is", "1"), ("customer.name__is", "a"), ("customer.email__is", "a")]
    tree, notes = read(*pairs, allowed=["customer.name"])
    assert [m.path for m in tree.members if isinstance(m, Condition)] == ["number", "customer.name"]
    assert len(notes) == 1


def test_a_filter_is_removed_together_with_the_group_that_it_leaves_empty() -> None:
    one, other = (Condition("number", "is", (text,)) for text in "ab")
    tree = Group("all", (one, Group("any", (Group("none", (other,)),))))
    assert without(tree, (1, 0, 0)) == Group("all", (one,))


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("today", "2026-11-27", "2026-11-28"),
        ("yesterday", "2026-11-26", "2026-11-27"),
        ("last_7_days", "2026-11-21", "2026-11-28"),
        ("next_2_weeks", "2026-11-27", "2026-12-11"),
        ("this_week", "2026-11-23", "2026-11-30"),
        ("this_month", "2026-11-01", "2026-12-01"),
        ("next_month", "2026-12-01", "2027-01-01"),
        ("last_quarter", "2026-07-01", "2026-10-01"),
        ("this_year", "2026-01-01", "2027-01-01"),
        ("last_3_months", "2026-08-28", "2026-11-28"),
        ("2026", "2026-01-01", "2027-01-01"),
        ("2026-Q4", "2026-10-01", "2027-01-01"),
        ("2026-W01", "2025-12-29", "2026-01-05"),
        ("2026-02", "2026-02-01", "2026-03-01"),
        ("2024-02-29", "2024-02-29", "2024-03-01"),
        ("2026-03-14T14:30", "2026-03-14T14:30", "2026-03-14T14:31"),
        ("2026-03-14 14:30:05", "2026-03-14T14:30:05", "2026-03-14T14:30:06"),
    ],
)
def test_a_period_is_half_open(text: str, start: str, end: str) -> None:
    found = filter_periods.span(text, FRIDAY)
    assert (found.start, found.end) == (
        dt.datetime.fromisoformat(start),
        dt.datetime.fromisoformat(end),
    )


def test_a_day_on_which_the_clocks_change_has_23_or_25_hours() -> None:
    with moments.in_zone(PARIS):
        for day, hours in (("2026-03-29", 23), ("2026-10-25", 25)):
            found = filter_periods.span(day, FRIDAY)
            start, end = filter_periods.moment(found.start), filter_periods.moment(found.end)
            assert start is not None
            assert end is not None
            assert end - start == dt.timedelta(hours=hours)


def test_the_last_year_of_the_calendar_has_no_end() -> None:
    assert filter_periods.span("9999", FRIDAY).end is None
    assert filter_periods.span("9999-12-31", FRIDAY).end is None


@given(st.text(max_size=20))
def test_a_period_is_read_or_refused(text: str) -> None:
    try:
        found = filter_periods.span(text, FRIDAY)
    except ValueError:
        return
    assert found.start is None or found.end is None or found.start <= found.end


@pytest.mark.parametrize("name", [*filter_periods.NAMED, "last_1_day", "next_1_month"])
def test_the_words_for_a_period_lead_back_to_it(name: str) -> None:
    told = filter_periods.canonical(filter_periods.words(name))
    assert filter_periods.span(told, FRIDAY) == filter_periods.span(name, FRIDAY)
