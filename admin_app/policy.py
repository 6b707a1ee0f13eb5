"""Who may do what: the one place that every route, statement and page asks.

A `Policy` answers two questions. `may` decides about an action on a model or one of its columns;
`rows` narrows a model to the rows within reach, as a SQL predicate. Both know nothing of the web:
the principal is found by the sign-in (see `accounts`) and handed down, with the grants of his roles
where the sign-in keeps some (see `grants`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import sqlalchemy as sa
from sqlalchemy import orm

Action = Literal["view", "add", "change", "delete", "export", "import", "history", "undo"]
"""What a principal can be allowed to do to a model. Custom actions go by their own name."""


class Grants(Protocol):
    """What the roles of somebody allow him."""

    def may(self, action: str, model: type[Any] | None, column: str | None) -> bool:
        """As `Policy.may`."""

    def rows(self, action: str, model: type[Any]) -> sa.ColumnElement[bool] | None:
        """As `Policy.rows`."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who is signed in.

    ``id`` is stable and unique within its sign-in (it is what an audit row keeps), ``label`` is
    what pages show, ``is_staff`` is whether the admin is open to him at all. ``grants`` say what he
    may do in it; without any, as where a host's own sign-in knows of none, he may do everything.
    """

    id: str
    label: str
    is_staff: bool = False
    grants: Grants | None = field(default=None, compare=False, repr=False)


class Policy:
    """The default policy: staff may what their grants say, everybody else nothing.

    Subclass it and pass an instance as ``Admin(policy=…)``. Deny wins and what is not known is
    denied, so a subclass narrows by ``return super().may(…) and …``.
    """

    def may(
        self,
        principal: Principal | None,
        action: str,
        model: type[Any] | None = None,
        column: str | None = None,
    ) -> bool:
        """Whether ``principal`` may do ``action`` to ``model`` (to its attribute ``column``).

        ``model`` None asks whether the admin may be entered at all (action ``"view"``), or whether
        everything may be done to every model (``"administer"``).
        """
        if principal is None or not principal.is_staff:
            return False
        return principal.grants is None or principal.grants.may(action, model, column)

    def rows(
        self, principal: Principal | None, action: str, model: type[Any]
    ) -> sa.ColumnElement[bool] | None:
        """The predicate that rows of ``model`` must meet for ``action``; None for all rows.

        It is asked only where `may` has said yes. A row that is added, or changed, must meet it
        afterwards as well, or the write is refused: nobody gives away rows or takes others' over.
        """
        if principal is None or principal.grants is None:
            return None
        return principal.grants.rows(action, model)


def _everything(mapper: orm.Mapper[Any], key: str | None = None) -> bool:
    return True


def _all_rows(mapper: orm.Mapper[Any]) -> sa.Select[Any] | None:
    return None


@dataclass(frozen=True, slots=True)
class Reach:
    """What one principal may read, class by class; asked by whatever follows a relationship.

    ``may_read`` decides about a mapped class (``key`` None) or one of its attributes. ``rows`` is
    the SELECT of the rows of a class that are in reach, or None for all of them.
    """

    may_read: Callable[..., bool] = _everything
    rows: Callable[[orm.Mapper[Any]], sa.Select[Any] | None] = _all_rows
