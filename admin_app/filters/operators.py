"""One small class an operator: its name in URLs, its words, and what it asks of a column.

A negative operator names the one that it is the complement of: «not» lets every row through that
«is» does not, those without a value included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from admin_app.filters import values
from admin_app.filters.kinds import Bool, Clock, Kind, Moment, within


class Operator:
    """What is asked of a column.

    ``takes`` is ``value``, ``range`` (two ends, ``a..b``), ``period`` or ``nothing``; ``negates``
    is the name of the operator whose complement it is.
    """

    name: str
    words: str
    takes = "value"
    negates: str | None = None

    def words_for(self, kind: Kind) -> str:
        return self.words

    def criterion(self, kind: Kind, column: Any, texts: Sequence[str]) -> Bool:
        """That ``column`` meets it for any of ``texts``; ValueError with a sentence."""
        return sa.or_(*(self.one(kind, column, text) for text in texts))

    def one(self, kind: Kind, column: Any, text: str) -> Bool:
        raise NotImplementedError


class Is(Operator):
    name, words = "is", "is"

    def criterion(self, kind: Kind, column: Any, texts: Sequence[str]) -> Bool:
        return kind.equals(column, texts)


class Not(Operator):
    name, words, negates = "not", "is not", "is"


class Contains(Operator):
    name, words = "contains", "contains"
    pattern = "%{}%"

    def one(self, kind: Kind, column: Any, text: str) -> Bool:
        own = getattr(kind, "contains", None)
        return own(column, text) if own else self._like(kind, column, text)

    def _like(self, kind: Kind, column: Any, text: str) -> Bool:
        literal = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return kind.as_text(column).ilike(  # type: ignore[no-any-return]
            self.pattern.replace("{}", literal), escape="\\"
        )


class Lacks(Operator):
    name, words, negates = "lacks", "does not contain", "contains"


class Starts(Contains):
    name, words, pattern = "starts", "starts with", "{}%"


class Ends(Contains):
    name, words, pattern = "ends", "ends with", "%{}"


class Has(Operator):
    name, words = "has", "has the item"

    def one(self, kind: Any, column: Any, text: str) -> Bool:
        return kind.has(column, text)  # type: ignore[no-any-return]


class HasNot(Operator):
    name, words, negates = "hasnt", "has not the item", "has"


class Overlaps(Operator):
    name, words, takes = "overlaps", "overlaps", "range"

    def one(self, kind: Any, column: Any, text: str) -> Bool:
        return kind.overlaps(column, text)  # type: ignore[no-any-return]


class Within(Operator):
    name, words = "within", "is in the network"

    def one(self, kind: Any, column: Any, text: str) -> Bool:
        return kind.within(column, text)  # type: ignore[no-any-return]


class Comparison(Operator):
    """Less or greater than a value, which is as long as what was written of it.

    After the 14th of March is from the 15th on.
    """

    of_numbers: str
    of_times: str

    def words_for(self, kind: Kind) -> str:
        inner = getattr(kind, "inner", kind)
        return self.of_times if isinstance(inner, Moment | Clock) else self.of_numbers

    def one(self, kind: Kind, column: Any, text: str) -> Bool:
        span = kind.span(text)
        is_whole = span.start is span.end
        return self.compare(ordered(kind, column), span.start, span.end, is_whole)

    def compare(self, column: Any, start: Any, end: Any, is_whole: bool) -> Bool:
        raise NotImplementedError


def ordered(kind: Any, column: Any) -> Any:
    """The column as what has an order: of a place in JSON, the number that stands there."""
    return kind.ordered(column) if hasattr(kind, "ordered") else column


class Gt(Comparison):
    name, words = "gt", "is more than"
    of_numbers, of_times = "is more than", "is after"

    def compare(self, column: Any, start: Any, end: Any, is_whole: bool) -> Bool:
        if end is None:
            return sa.false()
        return column > end if is_whole else column >= end  # type: ignore[no-any-return]


class Gte(Comparison):
    name, words = "gte", "is at least"
    of_numbers, of_times = "is at least", "is from"

    def compare(self, column: Any, start: Any, end: Any, is_whole: bool) -> Bool:
        return column.is_not(None) if start is None else column >= start  # type: ignore[no-any-return]


class Lt(Comparison):
    name, words = "lt", "is less than"
    of_numbers, of_times = "is less than", "is before"

    def compare(self, column: Any, start: Any, end: Any, is_whole: bool) -> Bool:
        return sa.false() if start is None else column < start


class Lte(Comparison):
    name, words = "lte", "is at most"
    of_numbers, of_times = "is at most", "is until"

    def compare(self, column: Any, start: Any, end: Any, is_whole: bool) -> Bool:
        if end is None:
            return column.is_not(None)  # type: ignore[no-any-return]
        return column <= end if is_whole else column < end  # type: ignore[no-any-return]


class Between(Operator):
    """Both ends belong to it; one of them may be left out."""

    name, words, takes = "between", "is between", "range"

    def one(self, kind: Kind, column: Any, text: str) -> Bool:
        first, last = values.ends(text)
        bounds = []
        if first:
            bounds.append(Gte().one(kind, column, first))
        if last:
            bounds.append(Lte().one(kind, column, last))
        return sa.and_(*bounds)


class During(Operator):
    name, words, takes = "during", "is in", "period"

    def one(self, kind: Kind, column: Any, text: str) -> Bool:
        return within(column, kind.span(text))


class Filled(Operator):
    name, words, takes = "filled", "is not empty", "nothing"

    def criterion(self, kind: Kind, column: Any, texts: Sequence[str]) -> Bool:
        return kind.filled(column)


class Empty(Operator):
    name, words, takes, negates = "empty", "is empty", "nothing", "filled"


OPERATORS: dict[str, Operator] = {
    operator.name: operator
    for operator in (
        Is(),
        Not(),
        Contains(),
        Lacks(),
        Starts(),
        Ends(),
        Gt(),
        Gte(),
        Lt(),
        Lte(),
        Between(),
        During(),
        Has(),
        HasNot(),
        Overlaps(),
        Within(),
        Filled(),
        Empty(),
    )
}
"""Every operator by the name that stands for it in URLs."""
