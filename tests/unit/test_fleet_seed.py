"""The sample's data, before any database has seen it."""

from __future__ import annotations

import datetime as dt
import hashlib
from itertools import islice
from uuid import UUID

import pytest

from examples.fleet.models import Telemetry
from examples.fleet.rows import SIZES, loads
from examples.fleet.seed import TABLES, copy_text

SMALL = SIZES["small"]


def digest(seed: int) -> str:
    sha = hashlib.sha256()
    for load in loads(SMALL, seed):
        for row in load.rows():
            sha.update(repr(row).encode())
    return sha.hexdigest()


def test_the_same_seed_gives_the_same_rows() -> None:
    assert digest(seed=1) == digest(seed=1)


def test_another_seed_gives_other_rows() -> None:
    assert digest(seed=1) != digest(seed=2)


def test_every_table_of_the_sample_has_rows() -> None:
    assert {load.table for load in loads(SMALL) if load.count} == set(TABLES)


@pytest.mark.parametrize("size", ["small", "medium"])
def test_the_rows_are_as_many_as_announced(size: str) -> None:
    for load in loads(SIZES[size]):
        assert sum(1 for _ in load.rows()) == load.count, load.table.name


def test_a_row_has_a_value_for_each_column() -> None:
    for load in loads(SMALL):
        assert {len(row) for row in load.rows()} == {len(load.columns)}, load.table.name


@pytest.mark.parametrize(
    ("size", "about"), [("small", 1_300), ("medium", 100_000), ("large", 5_000_000)]
)
def test_a_size_has_as_many_rows_as_its_help_says(size: str, about: int) -> None:
    assert sum(load.count for load in loads(SIZES[size])) == pytest.approx(about, rel=0.01)


def test_the_large_size_has_a_million_orders_of_three_items_each() -> None:
    counts = {load.table.name: load.count for load in loads(SIZES["large"])}
    assert (counts["orders"], counts["order_items"]) == (1_000_000, 3_000_000)


def test_rows_are_made_only_as_they_are_asked_for() -> None:
    telemetry = next(load for load in loads(SIZES["large"]) if load.table is Telemetry.__table__)
    assert [row[0] for row in islice(telemetry.rows(), 3)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, r"\N"),
        ("", ""),
        ("\\N", r"\\N"),
        ("\\.", r"\\."),
        ("a\tb\nc\rd\\", r"a\tb\nc\rd\\"),
        (True, "t"),
        (0.1, "0.1"),
        (b"", r"\\x"),
        (b"\x00\n", r"\\x000a"),
        (dt.timedelta(days=-3, seconds=5, microseconds=1), "-3 days 5.000001 seconds"),
        (UUID(int=0), "00000000-0000-0000-0000-000000000000"),
    ],
)
def test_copy_writes_a_value_so_that_postgresql_reads_the_same(value: object, text: str) -> None:
    assert copy_text(value) == text
