"""The rules of a table, told before the database has to refuse.

`objections` asks the database in one statement which UNIQUE, CHECK and EXCLUDE constraints a row
would break, so that all of them can be reported at once, each at its field. `limits` reads simple
CHECK constraints (``x > 0``, ``x BETWEEN 1 AND 5``, ``x IN ('a', 'b')``, ``length(x) <= 8``) as
limits of an input. A constraint that is none of these is left to the database, whose refusal
`changes` puts into words just the same.
"""

from __future__ import annotations

import decimal
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import visitors

from admin_app import inspection

AnySession = orm.Session | orm.scoped_session[Any]


@dataclass(frozen=True, slots=True)
class Unique:
    """Attributes whose values together may stand in one row only."""

    keys: tuple[str, ...]

    def sentence(self, fields: Mapping[str, str]) -> str:
        """What is said when it is broken; ``fields`` are those of foreign keys, by attribute."""
        if len(self.keys) == 1:
            return "Another row already has this value."
        return f"Another row already has this {_listed(self.keys, fields)}."


def _listed(keys: Sequence[str], fields: Mapping[str, str]) -> str:
    names = [inspection.words(k).lower() for k in dict.fromkeys(fields.get(k, k) for k in keys)]
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


@dataclass(frozen=True, slots=True)
class Check:
    """A condition on the columns of one row, as the table states it."""

    name: str | None
    text: str
    keys: tuple[str, ...]
    table: sa.Table

    def sentence(self, fields: Mapping[str, str]) -> str:
        """As `Unique.sentence`."""
        told = f" (rule {self.name})" if self.name else ""
        return f"The database does not accept this value{told}."


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Parts of a row that must not compare with those of another one as ``operators`` say.

    ``elements`` are columns, expressions or SQL; ``where`` limits it to some rows. PostgreSQL's.
    Of ``keys``, those come last that only have to be the same.
    """

    name: str | None
    keys: tuple[str, ...]
    equal_keys: tuple[str, ...]
    elements: tuple[Any, ...]
    operators: tuple[str, ...]
    where: Any
    table: sa.Table

    def sentence(self, fields: Mapping[str, str]) -> str:
        """As `Unique.sentence`."""
        if self.equal_keys == self.keys:
            return Unique(self.keys).sentence(fields)
        is_overlap = "&&" in self.operators
        said = "This overlaps with" if is_overlap else "This cannot stand beside"
        same = f" that has the same {_listed(self.equal_keys, fields)}" if self.equal_keys else ""
        return f"{said} another row{same}."


Rule = Unique | Check | Exclusion


@functools.cache
def exclusions(mapper: orm.Mapper[Any]) -> tuple[Exclusion, ...]:
    """The EXCLUDE constraints of ``mapper``'s tables, as far as they concern mapped attributes."""
    found: list[Exclusion] = []
    for table in _tables(mapper):
        for constraint in table.constraints:
            if not isinstance(constraint, postgresql.ExcludeConstraint):
                continue
            # Nothing public keeps the order of columns and expressions.
            parts = [(_own(table, e), operator) for e, _, operator in constraint._render_exprs]
            used = [(_keys_in(mapper, table, part), operator) for part, operator in parts]
            where = None if constraint.where is None else _own(table, constraint.where)
            limited = () if where is None else _keys_in(mapper, table, where)
            equal = tuple(k for keys, operator in used if operator == "=" for k in keys)
            others = tuple(k for keys, operator in used if operator != "=" for k in keys)
            keys = tuple(dict.fromkeys((*others, *equal, *limited)))
            if keys and None not in keys:
                name = None if constraint.name is None else str(constraint.name)
                elements, operators = zip(*parts, strict=True)
                found.append(
                    Exclusion(name, keys, equal, elements, operators, where, table)  # type: ignore[arg-type]
                )
    return tuple(found)


def _own(table: sa.Table, part: Any) -> Any:
    """``part`` of a constraint with the columns of ``table`` for those that it only names."""

    def own(element: Any, **kwargs: Any) -> Any:
        is_name = isinstance(element, sa.Column) and element.table is None
        return table.columns.get(element.name) if is_name else None

    return visitors.replacement_traverse(part, {}, own)


def _keys_in(mapper: orm.Mapper[Any], table: sa.Table, part: Any) -> tuple[str | None, ...]:
    """The attributes that a part of a constraint speaks of; None for one that is not mapped."""
    if isinstance(part, sa.TextClause) or not _has_columns(part):
        text = str(part)
        columns = [
            c for c in table.columns if re.search(rf"(?<!\w){re.escape(c.name)}(?!\w)", text)
        ]
    else:
        columns = [c for c in visitors.iterate(part) if isinstance(c, sa.Column)]
    return tuple(inspection.key_of(mapper, c) for c in columns)


def _has_columns(part: Any) -> bool:
    return any(isinstance(element, sa.Column) for element in visitors.iterate(part))


@functools.cache
def uniques(mapper: orm.Mapper[Any]) -> tuple[Unique, ...]:
    """The UNIQUE constraints and indexes of ``mapper``'s tables that concern mapped attributes.

    The primary key is one of them where somebody has to type it. Indexes over a part of the rows
    or over expressions are left to the database.
    """
    found: dict[tuple[str, ...], None] = {}
    for table in _tables(mapper):
        groups: list[Iterable[Any]] = [
            c.columns for c in table.constraints if isinstance(c, sa.UniqueConstraint)
        ]
        groups += [i.columns for i in table.indexes if i.unique and _is_plain(i)]
        if table is mapper.base_mapper.local_table:
            groups.append(table.primary_key.columns)
        for columns in groups:
            keys = [inspection.key_of(mapper, c) for c in columns]
            if keys and None not in keys:
                found[tuple(k for k in keys if k is not None)] = None
    return tuple(Unique(keys) for keys in found)


def _tables(mapper: orm.Mapper[Any]) -> list[sa.Table]:
    return [t for t in mapper.tables if isinstance(t, sa.Table)]


def _is_plain(index: sa.Index) -> bool:
    options = index.dialect_options
    is_partial = any(
        options[d].get("where") is not None for d in ("postgresql", "sqlite") if d in options
    )
    return not is_partial and all(isinstance(e, sa.Column) for e in index.expressions)


@functools.cache
def checks(mapper: orm.Mapper[Any]) -> tuple[Check, ...]:
    """The CHECK constraints of ``mapper``'s tables, without those that an Enum brings itself."""
    found: list[Check] = []
    for table in _tables(mapper):
        names = {c.name: inspection.key_of(mapper, c) for c in table.columns}
        for constraint in table.constraints:
            if not isinstance(constraint, sa.CheckConstraint) or constraint._type_bound:
                continue
            text = str(constraint.sqltext)
            used = [k for n, k in names.items() if re.search(rf"(?<!\w){re.escape(n)}(?!\w)", text)]
            if used and None not in used:
                keys = tuple(k for k in used if k is not None)
                name = None if constraint.name is None else str(constraint.name)
                found.append(Check(name, text, keys, table))
    return tuple(found)


def objections(
    session: AnySession, instance: Any, changed: Iterable[str] | None = None
) -> dict[str, list[str]]:
    """Sentences by attribute about what ``instance``, not flushed yet, would break.

    Only constraints over attributes in ``changed`` (None: all) are asked about, in one statement;
    when there are none, no statement is issued. Values made by the database are not known yet, and
    what depends on them is not asked.
    """
    state = sa.inspect(instance)
    values = known_values(instance)
    concerned = set(values) if changed is None else set(changed)
    return objections_to(session, state.mapper, values, concerned, state.identity)


def objections_to(
    session: AnySession,
    mapper: orm.Mapper[Any],
    values: Mapping[str, Any],
    concerned: set[str],
    identity: tuple[Any, ...] | None = None,
) -> dict[str, list[str]]:
    """`objections` to a row of ``mapper`` with ``values`` by attribute.

    ``identity`` is the row that they are to be written to, which may keep what it has.
    """
    asked = _questions(mapper, values, concerned, identity, _dialect(session, mapper))
    answers = _answers(session, mapper, [question for _, question in asked]) if asked else []
    broken = [rule for (rule, _), answer in zip(asked, answers, strict=True) if answer]
    return told(mapper, concerned, broken)


def objections_of_all(
    session: AnySession, instances: Sequence[Any]
) -> list[tuple[Any, dict[str, list[str]]]]:
    """`objections` to the changes of rows of one class, each with its row; in one statement.

    That two of them take the same value for what must be unique is told as well.
    """
    asked: list[tuple[Any, Rule, sa.ColumnElement[Any]]] = []
    broken: dict[Any, list[Rule]] = {}
    taken: set[tuple[Any, ...]] = set()
    for instance in instances:
        state, values = sa.inspect(instance), known_values(instance)
        for rule, question in _questions(
            state.mapper,
            values,
            changed_keys(instance),
            state.identity,
            _dialect(session, state.mapper),
        ):
            asked.append((state, rule, question))
            value = (rule, *(repr(values[key]) for key in rule.keys))
            if isinstance(rule, Unique) and value in taken:
                broken.setdefault(state, []).append(rule)
            taken.add(value)
    for start in range(0, len(asked), QUESTIONS):
        part = asked[start : start + QUESTIONS]
        answers = _answers(session, part[0][0].mapper, [question for *_, question in part])
        for (state, rule, _), answer in zip(part, answers, strict=True):
            if answer and rule not in broken.setdefault(state, []):
                broken[state].append(rule)
    return [
        (state.obj(), told(state.mapper, changed_keys(state.obj()), rules))
        for state, rules in broken.items()
        if rules
    ]


QUESTIONS = 200
"""Rules that one statement asks about; PostgreSQL's limit is 1,664 columns."""


def _dialect(session: AnySession, mapper: orm.Mapper[Any]) -> str:
    return session.get_bind(mapper=mapper).dialect.name


def _questions(
    mapper: orm.Mapper[Any],
    values: Mapping[str, Any],
    concerned: set[str],
    identity: tuple[Any, ...] | None,
    dialect: str,
) -> list[tuple[Rule, sa.ColumnElement[Any]]]:
    """What to ask the database about a row: each rule that it may break, and whether it does."""
    asked: list[tuple[Rule, sa.ColumnElement[Any]]] = []
    for unique in uniques(mapper):
        is_whole = all(values.get(k) is not None for k in unique.keys)
        if is_whole and concerned.intersection(unique.keys):
            asked.append((unique, _is_taken(mapper, unique, values, identity)))
    for check in checks(mapper):
        if concerned.intersection(check.keys) and all(k in values for k in check.keys):
            asked.append((check, _is_broken(mapper, check, values)))
    for exclusion in exclusions(mapper) if dialect == "postgresql" else ():
        if concerned.intersection(exclusion.keys) and all(k in values for k in exclusion.keys):
            asked.append((exclusion, _is_excluded(mapper, exclusion, values, identity)))
    return asked


def told(
    mapper: orm.Mapper[Any], concerned: set[str], rules: Iterable[Rule]
) -> dict[str, list[str]]:
    """The sentences of broken rules by attribute, each at the first that was ``concerned``."""
    found: dict[str, list[str]] = {}
    fields = inspection.foreign_key_relationships(mapper)
    for rule in rules:
        key = next((k for k in rule.keys if k in concerned), rule.keys[0])
        found.setdefault(fields.get(key, key), []).append(rule.sentence(fields))
    return found


def _answers(
    session: AnySession, mapper: orm.Mapper[Any], questions: list[sa.ColumnElement[Any]]
) -> list[Any]:
    statement = sa.select(*(q.label(None) for q in questions))
    try:
        # The session's own savepoint would flush the row that is only being asked about.
        connection = session.connection(bind_arguments={"mapper": mapper})
        with connection.begin_nested():
            found = connection.execute(statement).one()
    except sa.exc.DBAPIError:
        # A function of the constraint that only its own table knows, a value of the wrong form:
        # the database will say so itself when the row is written.
        return [False] * len(questions)
    return list(found)


def changed_keys(instance: Any) -> set[str]:
    """The column attributes of ``instance`` that a flush would write."""
    state = sa.inspect(instance)
    # Others, as those that a table of its own does not have from its base, know no history.
    mapped = {*inspection.columns(state.mapper), *inspection.relationships(state.mapper)}
    names = {a.key for a in state.attrs if a.key in mapped and a.history.has_changes()}
    covered = inspection.foreign_key_relationships(state.mapper)
    return names | {key for key, relationship in covered.items() if relationship in names}


def known_values(instance: Any) -> dict[str, Any]:
    """The values that a flush would write, by attribute, as far as they are known before it."""
    state = sa.inspect(instance)
    mapper = state.mapper
    values: dict[str, Any] = {}
    for key, column in inspection.columns(mapper).items():
        if column.is_expression or column.is_readonly:
            continue
        if key in state.dict:
            values[key] = state.dict[key]
        elif not state.has_identity and not column.is_generated:
            values[key] = None
    for name, relationship in inspection.relationships(mapper).items():
        if name in state.dict and not relationship.uselist:
            values |= key_values(relationship, state.dict[name])
    return {k: v for k, v in values.items() if not isinstance(v, sa.ClauseElement)}


def key_values(relationship: orm.RelationshipProperty[Any], target: Any) -> dict[str, Any]:
    """The foreign key attributes that pointing a many-to-one relationship at ``target`` sets."""
    found: dict[str, Any] = {}
    covered = inspection.foreign_key_relationships(relationship.parent)
    for local, remote in relationship.local_remote_pairs or ():
        key = inspection.key_of(relationship.parent, local)
        if key is not None and covered.get(key) == relationship.key:
            found[key] = _remote(relationship, target, remote)
    return found


def _remote(relationship: orm.RelationshipProperty[Any], target: Any, remote: Any) -> Any:
    key = inspection.key_of(relationship.mapper, remote)
    return None if target is None or key is None else getattr(target, key)


def _is_taken(
    mapper: orm.Mapper[Any],
    unique: Unique,
    values: Mapping[str, Any],
    identity: tuple[Any, ...] | None,
) -> sa.ColumnElement[bool]:
    model = mapper.class_
    same = [getattr(model, k) == values[k] for k in unique.keys]
    if identity is not None:
        keys = inspection.identity_keys(mapper)
        others = [getattr(model, k) != v for k, v in zip(keys, identity, strict=True)]
        same.append(sa.or_(*others))
    return sa.exists(sa.select(sa.literal(1)).select_from(model).where(*same))


def _is_broken(
    mapper: orm.Mapper[Any], check: Check, values: Mapping[str, Any]
) -> sa.ColumnElement[bool]:
    """Whether the condition of ``check`` is false over a row made of ``values``."""
    row = _row(mapper, check, values)
    # A condition that is NULL is kept by SQL.
    broken = sa.case((sa.literal_column(f"({_escaped(check.text)})"), 0), else_=1)
    is_unknown: sa.ColumnElement[bool] = sa.literal_column(f"({_escaped(check.text)}) IS NULL")
    return sa.select(sa.case((is_unknown, 0), else_=broken)).select_from(row).scalar_subquery()


def _row(
    mapper: orm.Mapper[Any], rule: Check | Exclusion, values: Mapping[str, Any]
) -> sa.Subquery:
    """A row made of those of ``values`` that ``rule`` speaks of, named as its table is."""
    columns = [
        _bound_value(mapper, key, values).label(
            getattr(inspection.columns(mapper)[key].column, "name", key)
        )
        for key in rule.keys
    ]
    return sa.select(*columns).subquery(rule.table.name)


def _bound_value(mapper: orm.Mapper[Any], key: str, values: Mapping[str, Any]) -> sa.Cast[Any]:
    type_ = inspection.columns(mapper)[key].column.type
    return sa.cast(sa.bindparam(None, values[key], type_=type_), type_)


def _is_excluded(
    mapper: orm.Mapper[Any],
    rule: Exclusion,
    values: Mapping[str, Any],
    identity: tuple[Any, ...] | None,
) -> sa.ColumnElement[bool]:
    """Whether a row of the table compares with ``values`` as ``rule`` forbids."""

    def ours(part: Any) -> Any:
        """``part`` of the row that is to be written."""
        if isinstance(part, sa.TextClause) or not _has_columns(part):
            text: Any = sa.literal_column(f"({_escaped(str(part))})")
            return sa.select(text).select_from(_row(mapper, rule, values)).scalar_subquery()
        return visitors.replacement_traverse(part, {}, bound)

    def bound(element: Any, **kwargs: Any) -> Any:
        is_column = isinstance(element, sa.Column)
        key = inspection.key_of(mapper, element) if is_column else None
        return None if key is None else _bound_value(mapper, key, values)

    def theirs(part: Any) -> Any:
        is_text = isinstance(part, sa.TextClause)
        return sa.literal_column(f"({_escaped(str(part))})") if is_text else part

    compared: list[sa.ColumnElement[Any]] = [
        sa.type_coerce(theirs(part), sa.types.NullType()).op(operator, is_comparison=True)(
            ours(part)
        )
        for part, operator in zip(rule.elements, rule.operators, strict=True)
    ]
    if rule.where is not None:
        compared += [theirs(rule.where), ours(rule.where)]
    if identity is not None:
        keys = dict(zip(inspection.identity_keys(mapper), identity, strict=True))
        own = {c: inspection.key_of(mapper, c) for c in rule.table.primary_key.columns}
        compared.append(sa.or_(*(c != keys[key] for c, key in own.items() if key in keys)))
    return sa.exists(sa.select(sa.literal(1)).select_from(rule.table).where(*compared))


def _escaped(text: str) -> str:
    """``text`` with what SQLAlchemy would take for a parameter kept as it is."""
    return re.sub(r"(?<!:):(?=\w)", r"\\:", text)


# Limits of an input


@dataclass(frozen=True, slots=True)
class Limit:
    """What an input may hold by the table's CHECK constraints.

    ``minimum`` and ``maximum`` are included unless ``is_above`` or ``is_below`` says otherwise;
    ``choices`` are the only values allowed.
    """

    minimum: decimal.Decimal | None = None
    maximum: decimal.Decimal | None = None
    is_above: bool = False
    is_below: bool = False
    min_length: int | None = None
    max_length: int | None = None
    choices: tuple[str, ...] | None = None

    @property
    def sentence(self) -> str:
        """The limits in words, empty when there are none."""
        parts = []
        if self.minimum is not None:
            parts.append(f"{'more than' if self.is_above else 'at least'} {self.minimum:,}")
        if self.maximum is not None:
            parts.append(f"{'less than' if self.is_below else 'at most'} {self.maximum:,}")
        if self.min_length is not None:
            parts.append(f"at least {self.min_length:,} characters")
        if self.max_length is not None:
            parts.append(f"at most {self.max_length:,} characters")
        text = " and ".join(parts)
        return text[:1].upper() + text[1:] + "." if text else ""

    def refuses(self, value: Any) -> bool:
        """Whether ``value``, a number or a text, lies outside."""
        if isinstance(value, str):
            return (self.min_length is not None and len(value) < self.min_length) or (
                self.max_length is not None and len(value) > self.max_length
            )
        if isinstance(value, bool) or not isinstance(value, int | float | decimal.Decimal):
            return False
        number = decimal.Decimal(str(value))
        low, high = self.minimum, self.maximum
        too_low = low is not None and (number <= low if self.is_above else number < low)
        return too_low or (
            high is not None and (number >= high if self.is_below else number > high)
        )


_NUMBER = r"\(?\s*'?(-?\d+(?:\.\d+)?)'?\s*\)?(?:::\w+(?:\s\w+)?)?"
_NAME = r'"?(\w+)"?'
_COMPARED = re.compile(rf"^{_NAME}\s*(>=|<=|>|<)\s*{_NUMBER}$")
_COMPARED_BACK = re.compile(rf"^{_NUMBER}\s*(>=|<=|>|<)\s*{_NAME}$")
_BETWEEN = re.compile(rf"^{_NAME}\s+between\s+{_NUMBER}\s+and\s+{_NUMBER}$", re.IGNORECASE)
_LENGTH = re.compile(
    rf"^(?:char_length|character_length|length)\s*\(\s*\(?{_NAME}\)?(?:::\w+)?\s*\)\s*"
    r"(>=|<=|>|<|=)\s*(\d+)$",
    re.IGNORECASE,
)
_IN = re.compile(
    rf"^{_NAME}\s+in\s*\(((?:\s*'(?:[^']|'')*'\s*,?)+)\)$"
    rf"|^\(?{_NAME}\)?(?:::\w+)?\s*=\s*any\s*\(+\s*array\[(.+?)\]",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"'((?:[^']|'')*)'")
_FLIP = {">": "<", "<": ">", ">=": "<=", "<=": ">="}


@functools.cache
def limits(mapper: orm.Mapper[Any]) -> Mapping[str, Limit]:
    """The limits that CHECK constraints set to single attributes, by key."""
    found: dict[str, Limit] = {}
    for check in checks(mapper):
        if len(check.keys) != 1:
            continue
        parts = [_limit(part) for part in _conjuncts(check.text)]
        known = [p for p in parts if p is not None]
        if known:
            key = check.keys[0]
            for limit in known:
                found[key] = _both(found.get(key, Limit()), limit)
    return found


def _conjuncts(text: str) -> list[str]:
    """The parts of a condition that are joined by AND at its top, outer brackets taken off."""
    text = _unbracketed(text)
    parts, depth, start = [], 0, 0
    is_between = False
    for match in re.finditer(
        r"[()]|\bbetween\b|\band\b|\bor\b|'(?:[^']|'')*'", text, re.IGNORECASE
    ):
        found = match[0].lower()
        if found in "()":
            depth += 1 if found == "(" else -1
        elif depth == 0 and found == "or":
            return []
        elif depth == 0 and found == "between":
            is_between = True
        elif depth == 0 and found == "and":
            if not is_between:
                parts.append(text[start : match.start()])
                start = match.end()
            is_between = False
    parts.append(text[start:])
    if len(parts) == 1:
        return [text.strip()]
    return [p for part in parts for p in _conjuncts(part)]


def _unbracketed(text: str) -> str:
    text = text.strip()
    while text.startswith("(") and text.endswith(")"):
        depth = 0
        for index, sign in enumerate(text):
            depth += {"(": 1, ")": -1}.get(sign, 0)
            if depth == 0 and index < len(text) - 1:
                return text
        text = text[1:-1].strip()
    return text


def _limit(text: str) -> Limit | None:
    if match := _LENGTH.match(text):
        number = int(match[3])
        return {
            ">=": Limit(min_length=number),
            ">": Limit(min_length=number + 1),
            "<=": Limit(max_length=number),
            "<": Limit(max_length=number - 1),
            "=": Limit(min_length=number, max_length=number),
        }[match[2]]
    if match := _COMPARED.match(text):
        return _bound(match[2], match[3])
    if match := _COMPARED_BACK.match(text):
        return _bound(_FLIP[match[2]], match[1])
    if match := _BETWEEN.match(text):
        return Limit(minimum=decimal.Decimal(match[2]), maximum=decimal.Decimal(match[3]))
    if match := _IN.match(text):
        values = [v.replace("''", "'") for v in _QUOTED.findall(match[2] or match[4])]
        return Limit(choices=tuple(values)) if values else None
    return None


def _bound(operator: str, number: str) -> Limit:
    value = decimal.Decimal(number)
    if operator in (">", ">="):
        return Limit(minimum=value, is_above=operator == ">")
    return Limit(maximum=value, is_below=operator == "<")


def _both(one: Limit, other: Limit) -> Limit:
    """The limits of both, the one given later where they speak of the same side."""
    given = {
        name: value
        for name in Limit.__dataclass_fields__
        if (value := getattr(other, name)) is not None and value is not False
    }
    return Limit(**{**{n: getattr(one, n) for n in Limit.__dataclass_fields__}, **given})
