"""A tree of conditions as one SQL predicate over an entity.

Whatever lies behind a relationship is asked for by EXISTS over an alias of its own, so two paths
to one table never meet, a row is never there twice, and a count counts rows. Of a related class
only the rows in reach are looked at. A negative operator and the groups «none» and «notall» are
complements: they take in the rows of which the database knows no answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import inspection
from admin_app.errors import InvalidRequest, NotFound
from admin_app.filters.kinds import Bool
from admin_app.filters.operators import OPERATORS, Operator
from admin_app.filters.targets import Relationship, Target, target, through
from admin_app.filters.tree import Condition, Group
from admin_app.policy import Reach


def criterion(group: Group, entity: Any, reach: Reach | None = None, dialect: str = "") -> Bool:
    """The rows of ``entity``, a class or an alias of one, that ``group`` lets through.

    ``dialect`` is SQLAlchemy's name of the database. InvalidRequest for a tree that `parse` would
    not have made.
    """
    return _Criteria(reach or Reach(), dialect).of_group(group, entity)


def condition_criterion(
    condition: Condition, entity: Any, reach: Reach | None = None, dialect: str = ""
) -> Bool:
    """The rows of ``entity`` that meet one condition."""
    return _Criteria(reach or Reach(), dialect).of_condition(condition, entity)


def complement(criterion: Bool) -> Bool:
    """The rows that ``criterion`` does not let through, those of which it says NULL included."""
    is_certain = isinstance(criterion, sa.Exists) or (
        isinstance(criterion, sa.BinaryExpression)
        and criterion.operator in (sa.sql.operators.is_, sa.sql.operators.is_not)
    )
    if is_certain:
        return sa.not_(criterion)
    return criterion.is_not(sa.true())


class _Criteria:
    def __init__(self, reach: Reach, dialect: str) -> None:
        self.reach = reach
        self.dialect = dialect

    def of_group(self, group: Group, entity: Any) -> Bool:
        if group.through is not None:
            found = self._through(group, entity)
            return complement(found) if group.kind == "no" else found
        members = [self._of_member(member, entity) for member in group.members]
        if not members:
            return sa.true()
        join = sa.or_ if group.kind in ("any", "none") else sa.and_
        found = join(*members) if len(members) > 1 else members[0]
        return complement(found) if group.kind in ("none", "notall") else found

    def _of_member(self, member: Condition | Group, entity: Any) -> Bool:
        if isinstance(member, Group):
            return self.of_group(member, entity)
        return self.of_condition(member, entity)

    def _through(self, group: Group, entity: Any) -> Bool:
        mapper = _mapper(entity)
        steps = through(mapper, group.through or "", self.reach)
        inner = Group("all", group.members)
        return self._behind(entity, steps, lambda row: self.of_group(inner, row))

    def of_condition(self, condition: Condition, entity: Any) -> Bool:
        operator = OPERATORS.get(condition.operator)
        if operator is None:
            raise InvalidRequest(f"No filter asks “{inspection.shorten(condition.operator)}”.")
        mapper = _mapper(entity)
        found = target(mapper, condition.path, self.reach, self.dialect)
        if operator.name not in found.kind.operators:
            raise InvalidRequest(
                f"“{inspection.shorten(condition.path)}” cannot be filtered by “{operator.words}”."
            )
        if operator.negates is not None:
            asked = _positive(operator, found)
            return complement(self._positive(asked, found, entity, condition.values))
        return self._positive(operator, found, entity, condition.values)

    def _positive(
        self, operator: Operator, found: Target, entity: Any, texts: Sequence[str]
    ) -> Bool:
        try:
            return self._behind(
                entity, found.steps, lambda row: self._at(operator, found, row, texts)
            )
        except (ValueError, ArithmeticError, RecursionError) as error:
            raise InvalidRequest(str(error)) from None

    def _behind(self, entity: Any, steps: Sequence[Relationship], ask: Any) -> Bool:
        """What ``ask`` makes of the row, or some row, that ``steps`` lead to from ``entity``."""
        if not steps:
            return ask(entity)  # type: ignore[no-any-return]
        row = orm.aliased(steps[0].mapper.class_, flat=True)
        inner = self._behind(row, steps[1:], ask)
        return self._exists(entity, steps[0], row, inner)

    def _exists(self, entity: Any, step: Relationship, row: Any, inner: Bool | None) -> Bool:
        attribute = getattr(entity, step.key).of_type(row)
        narrowed = self._in_reach(step.mapper, row)
        wanted = [c for c in (inner, narrowed) if c is not None]
        criterion = sa.and_(*wanted) if wanted else None
        return (attribute.any if step.uselist else attribute.has)(criterion)  # type: ignore[no-any-return]

    def _in_reach(self, mapper: orm.Mapper[Any], row: Any) -> Bool | None:
        """That ``row`` is one that the principal may see; None where he may see all of them."""
        rows = self.reach.rows(mapper)
        if rows is None:
            return None
        keys = inspection.identity_keys(mapper)
        inner = (
            rows.order_by(None)
            .with_only_columns(
                *(getattr(mapper.class_, key) for key in keys), maintain_column_froms=True
            )
            .correlate(None)
        )
        own = [getattr(row, key) for key in keys]
        return (own[0] if len(own) == 1 else sa.tuple_(*own)).in_(inner)

    def _at(self, operator: Operator, found: Target, entity: Any, texts: Sequence[str]) -> Bool:
        if found.relationship is not None:
            if operator.name == "filled":
                return self._has_rows(found.relationship, entity)
            return self._leads_to(found.relationship, entity, texts)
        column = getattr(entity, found.path.key)
        if found.referred is not None and operator.name == "is":
            return self._refers_to(found.referred, column, texts)
        return operator.criterion(found.kind, column, texts)

    def _has_rows(self, relationship: Relationship, entity: Any) -> Bool:
        keys = _own_keys(relationship)
        if keys is not None and self.reach.rows(relationship.mapper) is None:
            return sa.and_(*(getattr(entity, key).is_not(None) for key in keys))
        row = orm.aliased(relationship.mapper.class_, flat=True)
        return self._exists(entity, relationship, row, None)

    def _leads_to(self, relationship: Relationship, entity: Any, texts: Sequence[str]) -> Bool:
        identities = _identities(relationship.mapper, texts)
        keys = _own_keys(relationship)
        if keys is not None and self.reach.rows(relationship.mapper) is None:
            return _any_of([getattr(entity, key) for key in keys], identities)
        row = orm.aliased(relationship.mapper.class_, flat=True)
        own = [getattr(row, key) for key in inspection.identity_keys(relationship.mapper)]
        return self._exists(entity, relationship, row, _any_of(own, identities))

    def _refers_to(
        self, referred: tuple[orm.Mapper[Any], str], column: Any, texts: Sequence[str]
    ) -> Bool:
        mapper, key = referred
        identities = _identities(mapper, texts)
        if inspection.identity_keys(mapper) == (key,) and self.reach.rows(mapper) is None:
            return _any_of([column], identities)
        row = orm.aliased(mapper.class_, flat=True)
        own = [getattr(row, k) for k in inspection.identity_keys(mapper)]
        wanted = [getattr(row, key) == column, _any_of(own, identities)]
        narrowed = self._in_reach(mapper, row)
        if narrowed is not None:
            wanted.append(narrowed)
        return sa.exists().where(*wanted).correlate_except(row)


def _positive(operator: Operator, found: Target) -> Operator:
    """The operator that a negative one is the complement of."""
    assert operator.negates is not None
    return OPERATORS[operator.negates]


def _own_keys(relationship: Relationship) -> list[str] | None:
    """The attributes that hold the key of the related row, in its order; None where none do."""
    if relationship.direction is not orm.RelationshipDirection.MANYTOONE:
        return None
    if relationship.uselist or relationship.secondary is not None:
        return None
    pairs = {remote: local for local, remote in relationship.local_remote_pairs or ()}
    primary = relationship.mapper.primary_key
    if set(pairs) != set(primary) or not _is_plain(relationship, len(pairs)):
        return None
    keys = [inspection.key_of(relationship.parent, pairs[column]) for column in primary]
    return None if None in keys else keys  # type: ignore[return-value]


def _is_plain(relationship: Relationship, count: int) -> bool:
    """Whether a relationship joins by the equality of its columns and by nothing else."""
    parts = list(sa.sql.visitors.iterate(relationship.primaryjoin))
    comparisons = [p for p in parts if isinstance(p, sa.BinaryExpression)]
    return (
        len(comparisons) == count
        and all(c.operator is sa.sql.operators.eq for c in comparisons)
        and not any(isinstance(part, sa.BindParameter) for part in parts)
    )


def _identities(mapper: orm.Mapper[Any], texts: Sequence[str]) -> list[tuple[Any, ...]]:
    text_of = inspection.identity_text(mapper)
    try:
        return [text_of.decode(text) for text in texts]
    except NotFound:
        noun = inspection.words(mapper.class_.__name__).lower()
        raise ValueError(f"This is not the key of any {noun}.") from None


def _any_of(columns: Sequence[Any], identities: Sequence[tuple[Any, ...]]) -> Bool:
    if len(columns) == 1:
        found = [identity[0] for identity in identities]
        return columns[0] == found[0] if len(found) == 1 else columns[0].in_(found)  # type: ignore[no-any-return]
    return sa.or_(
        *(
            sa.and_(*(column == value for column, value in zip(columns, identity, strict=True)))
            for identity in identities
        )
    )


def _mapper(entity: Any) -> orm.Mapper[Any]:
    found: orm.Mapper[Any] = sa.inspect(entity).mapper
    return found
