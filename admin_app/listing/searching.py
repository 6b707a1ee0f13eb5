"""What a search asks for: words, the fields that they are looked for in, and the condition.

Every word has to match (AND) in some field (OR). What is related is looked for by EXISTS with an
alias of its own, so no row is there twice; several words over one to-many relationship have to
match on the same related row. On PostgreSQL a condition is written in the form that an index of
the column serves (see `matching`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import columns, inspection
from admin_app.errors import ConfigurationError, InvalidRequest
from admin_app.inspection import Path
from admin_app.listing.indexes import Facts
from admin_app.listing.matching import Match, any_of, match, within
from admin_app.policy import Reach

MAX_WORDS = 20
MAX_SEARCH_LENGTH = 1_000
LARGE = 100_000
"""Rows of a table from which on it is told that a search read all of them."""

Steps = tuple[orm.RelationshipProperty[Any], ...]

_WORDS = re.compile(
    r"""([\^=@]?)(?:"((?:[^"\\]|\\.)*)"(?!\S)|'((?:[^'\\]|\\.)*)'(?!\S)|(\S+))""", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Word:
    """A word or a phrase; ``sign`` is ``^``, ``=``, ``@`` or nothing."""

    text: str
    sign: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """Where words are looked for; ``sign`` is how, for words that do not say so themselves.

    It is one of those of `Word`, or ``$`` for the end of a text, which no word has.
    """

    path: Path
    sign: str = ""


def cleaned(text: str, notes: list[str]) -> str:
    """``text`` as it is searched for; InvalidRequest when no database could take it."""
    text = text.strip()
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise InvalidRequest("The search holds a character that no column can hold.")
    if len(text) > MAX_SEARCH_LENGTH:
        notes.append(f"Only the first {MAX_SEARCH_LENGTH:,} characters were searched for.")
        text = text[:MAX_SEARCH_LENGTH]
    if len(_all_words(text)) > MAX_WORDS:
        notes.append(f"Only the first {MAX_WORDS} words were searched for.")
    return text


def words(text: str) -> list[Word]:
    """The words of a search, none of them twice.

    Quotes of either kind keep a phrase whole, and a backslash keeps a quote in it. A quote without
    its other half, and a sign without a word, are what they are.
    """
    return _all_words(text)[:MAX_WORDS]


def _all_words(text: str) -> list[Word]:
    found: dict[Word, None] = {}
    for match_ in _WORDS.finditer(text):
        sign, double, single, bare = match_.groups()
        phrase = double if double is not None else single
        if phrase is not None:
            word = Word(re.sub(r"""\\(["'\\])""", r"\1", phrase), sign)
        else:
            # The expression takes a sign alone for a word.
            word = Word(bare, sign)
        if word.text.strip():
            found[word] = None
    return list(found)


def fields(mapper: orm.Mapper[Any], names: Iterable[str]) -> tuple[Field, ...]:
    """The fields that ``names`` choose: dotted names with a sign before or an operator behind them.

    A relationship stands for what its rows are called by. ConfigurationError for what no statement
    can look into.
    """
    found: list[Field] = []
    for name in names:
        sign, plain = signed(name)
        path = inspection.resolve(mapper, plain)
        paths = [path] if path.relationship is None else _names_of(mapper, path)
        for each in paths:
            if each.column is None and each.hybrid is None:
                raise ConfigurationError(
                    f"{mapper.class_.__name__} cannot be searched by “{name}”, which is no column."
                )
            found.append(Field(each, sign))
    return tuple(found)


def signed(name: str) -> tuple[str, str]:
    """How a column of an option is searched, as a sign, and its name: ``^code``, ``code__starts``.

    The operators are those of filters, and Django's.
    """
    if name[:1] in ("^", "=", "@"):
        return name[0], name[1:]
    plain, _, operator = name.rpartition("__")
    return (_SIGNS[operator], plain) if plain and operator in _SIGNS else ("", name)


_SIGNS = {
    **dict.fromkeys(("contains", "icontains"), ""),
    **dict.fromkeys(("starts", "startswith", "istartswith"), "^"),
    **dict.fromkeys(("ends", "endswith", "iendswith"), "$"),
    **dict.fromkeys(("is", "exact", "iexact"), "="),
    "search": "@",
}


def _names_of(mapper: orm.Mapper[Any], path: Path) -> list[Path]:
    assert path.relationship is not None
    target = path.relationship.mapper
    label = inspection.label(target).keys
    keys = label or [k for k in columns.searchable(target) if _is_text(target, k)]
    return [inspection.resolve(mapper, f"{path.name}.{key}") for key in keys]


def _is_text(mapper: orm.Mapper[Any], key: str) -> bool:
    return inspection.is_text(inspection.columns(mapper)[key].type)


# The condition


@dataclass(frozen=True, slots=True)
class Search:
    """What a search in rows of ``mapper`` may look into, and what is known of the database.

    ``facts`` is None where the database is not PostgreSQL.
    """

    mapper: orm.Mapper[Any]
    fields: Sequence[Field]
    reach: Reach = Reach()
    facts: Facts | None = None

    def condition(self, wanted: Sequence[Word]) -> sa.ColumnElement[bool]:
        """That a row has all of the ``wanted`` words."""
        groups = self._groups()
        found = [self._word(groups, word) for word in wanted]
        if len(found) < 2:
            return found[0].condition if found else sa.true()
        if not any(r.uselist for steps in groups for r in steps):
            return sa.and_(*(m.condition for m in found))
        # Where indexes lead to the rows with each word, they are found before they are compared.
        served = [m.condition for m in found if m.is_served]
        return sa.and_(*served, self._on_the_same_rows(groups, wanted))

    @property
    def is_large(self) -> bool:
        """Whether the table is so large that reading all of it takes its time."""
        return self.rows > LARGE

    @property
    def rows(self) -> int:
        """About how many rows the table has; 0 when it is not known."""
        facts = (self.facts or {}).get(self.mapper.local_table)
        return 0 if facts is None else facts.rows

    @property
    def can_lead(self) -> bool:
        """Whether an index leads to a part of a text, or no text is looked into."""
        keys = [key for facts in (self.facts or {}).values() for key in facts.keys]
        looked = [f.path.column for f in self.fields if f.path.column is not None]
        return any(key.finds_prefixes or key.finds_parts for key in keys) or not any(
            inspection.is_text(column.type) for column in looked
        )

    def in_names(self) -> Search | None:
        """The same in what rows are called by and in their keys; None where these are no texts."""
        names = inspection.label_texts(self.mapper)
        keys = {*names, *inspection.identity_keys(self.mapper)}
        own = [f for f in self.fields if not f.path.relationships and f.path.key in keys]
        has_name = any(f.path.key in names for f in own)
        return replace(self, fields=own) if has_name and len(own) < len(self.fields) else None

    def is_served(self, wanted: Sequence[Word]) -> bool:
        """Whether indexes lead to the rows with at least one of the words."""
        groups = self._groups()
        return any(self._word(groups, word).is_served for word in wanted)

    def beginning(self, text: str, sign: str) -> Match | None:
        """That a field of the row itself begins with (``^``) or is (``=``) the whole ``text``.

        None where no field can, or where the text says by itself how it is searched for.
        """
        wanted = words(text)
        if not wanted or any(w.sign for w in wanted):
            return None
        whole = Word(wanted[0].text if len(wanted) == 1 else text.strip(), sign)
        own = [Field(f.path, "") for f in self._groups().get((), ())]
        found = any_of(self._in(self.mapper.class_, own, whole))
        return found if found.is_possible else None

    def _groups(self) -> dict[Steps, list[Field]]:
        """The fields that the visitor may search, by the way to them; the row's own come first."""
        groups: dict[Steps, list[Field]] = {(): []}
        for field in self.fields:
            if _may_search(self.mapper, field.path, self.reach):
                groups.setdefault(field.path.relationships, []).append(field)
        return groups

    def _in(self, entity: Any, group: Sequence[Field], word: Word) -> list[Match]:
        """How ``word`` matches in fields that are all attributes of ``entity``."""
        found = (
            match(
                entity,
                field.path,
                word.text,
                # A sign of the word says more than that of the field.
                word.sign or field.sign,
                is_asked=field.sign == "@",
                facts=self.facts,
            )
            for field in group
        )
        return [m for m in found if m is not None]

    def _word(self, groups: Mapping[Steps, Sequence[Field]], word: Word) -> Match:
        """That ``word`` matches somewhere."""
        own = self._in(self.mapper.class_, groups[()], word)
        related: list[tuple[Steps, list[Any], Match]] = []
        for steps, group in groups.items():
            if steps:
                aliases = [orm.aliased(r.mapper) for r in steps]
                inner = any_of(self._in(aliases[-1], group, word))
                if inner.is_possible:
                    related.append((steps, aliases, inner))
        is_served = all(m.is_served for m in own) and all(m.is_served for *_, m in related)
        conditions = [m.condition for m in own]
        for steps, aliases, inner in related:
            if is_served:
                conditions.append(self._by_key(steps, aliases, inner.condition))
            else:
                conditions.append(self._exists(steps, aliases, inner.condition))
        if not conditions:
            # No row has it, which needs no row to be read.
            return Match(sa.false(), True)
        return Match(conditions[0] if len(conditions) == 1 else sa.or_(*conditions), is_served)

    def _exists(
        self, steps: Steps, aliases: Sequence[Any], found: sa.ColumnElement[bool]
    ) -> sa.ColumnElement[bool]:
        """That a related row, at the end of ``steps``, meets ``found``."""
        owners = [self.mapper.class_, *aliases[:-1]]
        for owner, step, alias in reversed(list(zip(owners, steps, aliases, strict=True))):
            attribute = getattr(owner, step.key).of_type(alias)
            criterion = sa.and_(found, *within(alias, step.mapper, self.reach))
            found = attribute.any(criterion) if step.uselist else attribute.has(criterion)
        return found

    def _by_key(
        self, steps: Steps, aliases: Sequence[Any], found: sa.ColumnElement[bool]
    ) -> sa.ColumnElement[bool]:
        """As `_exists`, as an array of keys that is made first.

        PostgreSQL looks keys up in an index, together with what other indexes find; beside an
        EXISTS it would read every row.
        """
        ways = list(zip(steps, aliases, strict=True))
        pair = _single_key(steps[0])
        if pair is not None:
            start, ways, owners = aliases[0], ways[1:], list(aliases[:-1])
        elif len(self.mapper.primary_key) == 1:
            start = orm.aliased(self.mapper)
            pair, owners = inspection.identity_keys(self.mapper) * 2, [start, *aliases[:-1]]
        else:
            return self._exists(steps, aliases, found)
        local, remote = getattr(self.mapper.class_, pair[0]), getattr(start, pair[1])
        keys = sa.select(remote).select_from(start).where(found)
        for owner, (step, alias) in zip(owners, ways, strict=True):
            keys = keys.join(alias, getattr(owner, step.key).of_type(alias))
        for step, alias in zip(steps, aliases, strict=True):
            keys = keys.where(*within(alias, step.mapper, self.reach))
        array = sa.func.array(keys.correlate(None).scalar_subquery())
        return local == sa.any_(array)  # type: ignore[no-any-return]

    def _on_the_same_rows(
        self, groups: Mapping[Steps, Sequence[Field]], wanted: Sequence[Word]
    ) -> sa.ColumnElement[bool]:
        """That all words match on one combination of related rows, each joined once."""
        start = orm.aliased(self.mapper)
        entities: dict[Steps, Any] = {(): start}
        statement = sa.select(sa.literal(1)).select_from(start)
        for steps in groups:
            for length in range(1, len(steps) + 1):
                way = steps[:length]
                if way in entities:
                    continue
                step, alias = way[-1], orm.aliased(way[-1].mapper)
                attribute = getattr(entities[way[:-1]], step.key).of_type(alias)
                for criterion in within(alias, step.mapper, self.reach):
                    attribute = attribute.and_(criterion)
                statement = statement.outerjoin(attribute)
                entities[way] = alias
        for word in wanted:
            found = [
                m for way, group in groups.items() for m in self._in(entities[way], group, word)
            ]
            statement = statement.where(any_of(found).condition)
        for key in inspection.identity_keys(self.mapper):
            statement = statement.where(getattr(start, key) == getattr(self.mapper.class_, key))
        return statement.correlate(self.mapper.class_).exists()


def tables(mapper: orm.Mapper[Any], searched: Iterable[Field]) -> set[sa.Table]:
    """The tables that a search reads."""
    mappers = {mapper, *(r.mapper for f in searched for r in f.path.relationships)}
    return {t for m in mappers for t in m.tables if isinstance(t, sa.Table)}


def _may_search(mapper: orm.Mapper[Any], path: Path, reach: Reach) -> bool:
    if inspection.is_secret(path.key) or not reach.may_read(path.mapper, path.key):
        return False
    owner = mapper
    for step in path.relationships:
        if not inspection.is_joinable(step):
            return False
        if not (reach.may_read(owner, step.key) and reach.may_read(step.mapper)):
            return False
        owner = step.mapper
    return True


def _single_key(step: orm.RelationshipProperty[Any]) -> tuple[str, ...] | None:
    """The attributes on both sides of a plain many-to-one of one column; None for any other."""
    pairs = step.local_remote_pairs or []
    is_plain = isinstance(step.primaryjoin, sa.BinaryExpression)
    if step.direction is not orm.RelationshipDirection.MANYTOONE or len(pairs) != 1 or not is_plain:
        return None
    local, remote = (
        inspection.key_of(m, c) for m, c in zip((step.parent, step.mapper), pairs[0], strict=True)
    )
    return None if local is None or remote is None else (local, remote)
