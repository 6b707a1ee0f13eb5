"""What an import did, or would do: counted, with samples, and told apart from another."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from admin_app.imports.planning import Outcome
from admin_app.imports.reading import Cell
from admin_app.inspection import shorten

SHOWN = 50
"""Rows of each kind that a page shows."""

Shown = tuple[int, str, list[tuple[str, str | None, str | None]]]
"""The number of a row, what it is called, and its values: a name, before, after."""


@dataclass(slots=True)
class Report:
    """Outcomes, added up; ``total`` are the rows of the file, ``checked`` those that were tried.

    ``refused`` are rows with the column, its text and the sentence of each objection. ``digests``
    tell what each batch does.
    """

    total: int = 0
    checked: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[int, str, str, str]] = field(default_factory=list)
    changed: list[Shown] = field(default_factory=list)
    created: list[Shown] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        return self.checked >= self.total

    @property
    def written(self) -> int:
        return self.counts["created"] + self.counts["changed"]

    def add(self, outcomes: Sequence[Outcome], header: Sequence[str]) -> None:
        digest = hashlib.sha256()
        for outcome in outcomes:
            self.counts[outcome.kind] += 1
            digest.update(outcome.digest())
            if outcome.kind == "rejected":
                if len(self.refused) < SHOWN:
                    self.refused += list(_objections(outcome, header))
                continue
            shown = {"changed": self.changed, "created": self.created}.get(outcome.kind)
            if shown is not None and len(shown) < SHOWN and outcome.differences:
                values = [(d.label, _cut(d.old), _cut(d.new)) for d in outcome.differences]
                shown.append((outcome.number, outcome.label, values))
        self.checked += len(outcomes)
        self.digests.append(digest.hexdigest()[:16])

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Report:
        return cls(**{**found, "counts": Counter(found["counts"])})


def _cut(text: str | None) -> str | None:
    return None if text is None else shorten(text)


def _objections(outcome: Outcome, header: Sequence[str]) -> Iterable[tuple[int, str, str, str]]:
    for column, sentence in outcome.errors:
        cell: Cell = ""
        if column in header:
            cell = outcome.cells[list(header).index(column)]
        yield outcome.number, column, shorten(str(cell or "")), sentence


def reason(outcome: Outcome) -> str:
    """Why a row was refused, in one line."""
    return " ".join(f"{column}: {told}" if column else told for column, told in outcome.errors)
