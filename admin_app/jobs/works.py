"""Which kinds of work there are, and the function that does a chunk of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Failure:
    """A row that could not be done, and why.

    ``key`` is the text of its identity, None where it is no row of the job's model.
    """

    key: str | None
    label: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one chunk did.

    ``done`` counts rows that went well. ``cursor`` is JSON that tells the next chunk where to go
    on, None when there is none. ``counts`` are further numbers for the page of the job, added up
    by their names: ``{"created": 3}``.
    """

    done: int
    failures: Sequence[Failure] = ()
    cursor: Any = None
    counts: Mapping[str, int] = field(default_factory=dict)


Chunk = Callable[[Any, Any], Outcome]
"""Does one chunk: takes the `Running` job and the cursor, None at the beginning."""


@dataclass(frozen=True, slots=True)
class Work:
    """A kind of work; ``right`` is what its owner must be allowed to do to the model."""

    kind: str
    run: Chunk
    right: str = "change"


_WORKS: dict[str, Work] = {}


def work(kind: str, right: str = "change") -> Callable[[Chunk], Chunk]:
    """Register the decorated function as the one that does a chunk of each job of this ``kind``.

    It is the ``source`` of the change sets as well. The function does not commit. A later function
    for the same kind takes the place of the first.
    """

    def register(run: Chunk) -> Chunk:
        _WORKS[kind] = Work(kind, run, right)
        return run

    return register


def known(kind: str) -> Work | None:
    """The work of this ``kind``; None when nobody has registered it here."""
    return _WORKS.get(kind)
