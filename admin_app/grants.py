"""What roles allow: rows of a table, and the answers that they give to the policy.

A grant lets a role do one action, or every action, to one model, or to every model. It may be
narrowed to some columns and to some rows; the rows are given by a rule, which is written as the
filters of a list are (see `filters`). A grant can also deny. Deny wins, and what no grant allows is
denied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import filters, inspection
from admin_app.database import Base
from admin_app.errors import WriteRefused
from admin_app.filters.criteria import complement
from admin_app.policy import Reach

AnySession = orm.Session | orm.scoped_session[Any]

ANY = "*"
"""Every action, or every model."""

ADMINISTRATORS = "Administrators"
"""The role that may do everything, which the first account gets."""


class GrantRecord(Base):
    """One grant of a role.

    ``model`` and ``columns`` are names (see `name_of`; attributes, with commas between), ``rule``
    is the query string of a list's filters.
    """

    __tablename__ = "admin_grant"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    role_id: orm.Mapped[int] = orm.mapped_column(
        sa.ForeignKey("admin_role.id", ondelete="CASCADE"), index=True
    )
    model: orm.Mapped[str] = orm.mapped_column(sa.String(255))
    action: orm.Mapped[str] = orm.mapped_column(sa.String(80))
    columns: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    is_denied: orm.Mapped[bool] = orm.mapped_column(server_default=sa.false())
    rule: orm.Mapped[str | None] = orm.mapped_column(sa.Text)


@dataclass(frozen=True, slots=True)
class Grant:
    """One grant as a value; ``role`` is the name of the role that it comes from."""

    action: str
    model: str
    columns: tuple[str, ...] = ()
    is_denied: bool = False
    rule: str = ""
    role: str = ""

    def is_about(self, action: str, model: str) -> bool:
        """Whether the grant says anything of ``action`` on the model of that name."""
        return self.action in (ANY, action) and self.model in (ANY, model)

    def __str__(self) -> str:
        said = f"{'not ' if self.is_denied else ''}{self.action} {self.model}"
        said += f" ({', '.join(self.columns)})" if self.columns else ""
        return said + (f" where {self.rule}" if self.rule else "")


def name_of(model: type[Any]) -> str:
    """What grants call ``model``: its table, and its class too where several share the table."""
    mapper = inspection.mapper_of(model)
    table = mapper.local_table
    name: str = getattr(table, "key", "") or getattr(table, "name", "") or model.__name__
    shares = mapper.inherits is not None and mapper.inherits.local_table is table
    return f"{name}:{model.__name__}" if shares else name


class RoleGrants:
    """What the ``grants`` of all roles of one person allow together.

    ``values`` stand for what a rule calls by a name in braces: ``owner__is={me.email}``.
    ``dialect`` is SQLAlchemy's name of the database.
    """

    def __init__(
        self,
        grants: Iterable[Grant],
        values: Mapping[str, str] = MappingProxyType({}),
        dialect: str = "",
    ) -> None:
        self.grants = tuple(grants)
        self._values = values
        self._dialect = dialect

    def may(self, action: str, model: type[Any] | None, column: str | None = None) -> bool:
        """Whether a grant allows it and none denies it."""
        return self.why(action, model, column)[0]

    def why(
        self, action: str, model: type[Any] | None, column: str | None = None
    ) -> tuple[bool, Grant | None]:
        """What `may` answers, and the grant that decides; None where no grant says anything."""
        if model is None and action == "view":
            # Whether the admin may be entered at all.
            entering = next((g for g in self.grants if not g.is_denied), None)
            return entering is not None, entering
        if model is None:
            denying = next((g for g in self.grants if g.is_denied), None)
            if denying is not None:
                return False, denying
        name = ANY if model is None else name_of(model)
        allowing: Grant | None = None
        for grant in self.grants:
            if not grant.is_about(action, name):
                continue
            if grant.columns and column is not None and column not in grant.columns:
                continue
            if not grant.is_denied:
                allowing = allowing or grant
            elif (column is not None) if grant.columns else not grant.rule:
                return False, grant
        return allowing is not None, allowing

    def rows(self, action: str, model: type[Any]) -> sa.ColumnElement[bool] | None:
        """The rows for which a grant allows ``action`` and none denies it; None for all of them.

        What may not be seen cannot be written either.
        """
        criteria = [self._rows(action, model)]
        if action != "view":
            criteria.append(self._rows("view", model))
        narrowed = [one for one in criteria if one is not None]
        return sa.and_(*narrowed) if narrowed else None

    def _rows(self, action: str, model: type[Any]) -> sa.ColumnElement[bool] | None:
        name = name_of(model)
        about = [g for g in self.grants if g.is_about(action, name)]
        allowed = [g.rule for g in about if not g.is_denied]
        denied = [g.rule for g in about if g.is_denied and g.rule]
        criteria: list[sa.ColumnElement[bool]] = []
        if "" not in allowed:
            rules = dict.fromkeys(allowed)
            criteria.append(sa.or_(sa.false(), *(self._criterion(r, model) for r in rules)))
        for rule in dict.fromkeys(denied):
            try:
                found = self._criterion(rule, model, strict=True)
            except WriteRefused:
                # A rule that cannot be read any more must not let through what it kept away.
                return sa.false()
            criteria.append(complement(found))
        return sa.and_(*criteria) if criteria else None

    def _criterion(
        self, rule: str, model: type[Any], strict: bool = False
    ) -> sa.ColumnElement[bool]:
        try:
            return criterion(rule, model, self._values, self._dialect)
        except WriteRefused:
            if strict:
                raise
            return sa.false()


def criterion(
    rule: str,
    model: type[Any],
    values: Mapping[str, str] = MappingProxyType({}),
    dialect: str = "",
) -> sa.ColumnElement[bool]:
    """The rows of ``model`` that ``rule`` is about; WriteRefused with what is wrong in it."""
    pairs = parse_qsl(rule, keep_blank_values=True)
    for name, text in values.items():
        pairs = [(n, v.replace(f"{{{name}}}", text)) for n, v in pairs]
    others = [n for n, _ in pairs if not filters.is_argument(n)]
    notes: list[str] = [f"“{inspection.shorten(n)}” is no filter." for n in others]
    mapper = inspection.mapper_of(model)
    group = filters.parse(pairs, mapper, Reach(), notes, dialect=dialect)
    if notes or not group:
        raise WriteRefused(notes[0] if notes else "The rule names no filter.")
    return filters.criterion(group, model, dialect=dialect)


def of_user(session: AnySession, user_id: int) -> list[Grant]:
    """The grants of all roles that the account with this id has, in one statement."""
    members = Base.metadata.tables["admin_user_role"]
    of = sa.select(members.c.role_id).where(members.c.user_id == user_id)
    return _load(session, GrantRecord.role_id.in_(of))


def of_role(session: AnySession, role_id: int) -> list[Grant]:
    """The grants of one role."""
    return _load(session, GrantRecord.role_id == role_id)


def of_all(session: AnySession) -> dict[str, list[Grant]]:
    """The grants of every role that has some, by its name."""
    found: dict[str, list[Grant]] = {}
    for grant in _load(session, sa.true()):
        found.setdefault(grant.role, []).append(grant)
    return found


def _load(session: AnySession, condition: sa.ColumnElement[bool]) -> list[Grant]:
    roles = Base.metadata.tables["admin_role"]
    statement = (
        sa.select(
            GrantRecord.action,
            GrantRecord.model,
            GrantRecord.columns,
            GrantRecord.is_denied,
            GrantRecord.rule,
            roles.c.name,
        )
        .join(roles, roles.c.id == GrantRecord.role_id)
        .where(condition)
        .order_by(GrantRecord.id)
    )
    return [
        Grant(action, model, _names(columns), is_denied, rule or "", role)
        for action, model, columns, is_denied, rule, role in session.execute(statement)
    ]


def of_record(record: GrantRecord) -> Grant:
    """A record as a value, without the name of its role."""
    columns, rule = _names(record.columns), record.rule or ""
    return Grant(record.action, record.model, columns, record.is_denied, rule)


def record_of(grant: Grant, role_id: int) -> GrantRecord:
    """A new record for ``grant``."""
    return GrantRecord(
        role_id=role_id,
        model=grant.model,
        action=grant.action,
        columns=",".join(grant.columns) or None,
        is_denied=grant.is_denied,
        rule=grant.rule or None,
    )


def bare(grant: Grant) -> Grant:
    """``grant`` without the name of its role, so that those of several roles can be compared."""
    return replace(grant, role="")


def _names(columns: str | None) -> tuple[str, ...]:
    return tuple(columns.split(",")) if columns else ()


def covers(own: Sequence[Grant], wanted: Iterable[Grant]) -> Grant | None:
    """The first of ``wanted`` that gives more than ``own`` do; None when nothing does.

    Nobody can grant more than he has. A grant that is narrowed in another way counts as more.
    """
    wanted = list(wanted)
    denied = [bare(g) for g in wanted if g.is_denied]
    lacks = [g for g in own if g.is_denied and bare(g) not in denied]
    for grant in wanted:
        if grant.is_denied:
            continue
        enough = any(
            not g.is_denied
            and g.action in (ANY, grant.action)
            and g.model in (ANY, grant.model)
            and (not g.columns or bool(grant.columns) and set(grant.columns) <= set(g.columns))
            and g.rule in ("", grant.rule)
            for g in own
        )
        if not enough or any(_meets(g, grant) for g in lacks):
            return grant
    return None


def _meets(denial: Grant, grant: Grant) -> bool:
    """Whether ``denial`` takes away something of what ``grant`` gives."""
    models = ANY in (denial.model, grant.model) or denial.model == grant.model
    actions = ANY in (denial.action, grant.action) or denial.action == grant.action
    columns = not (denial.columns and grant.columns) or bool({*denial.columns} & {*grant.columns})
    return models and actions and columns
