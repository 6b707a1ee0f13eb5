"""Actions over ticked rows.

`action` is Flask-Admin's decorator. An action that asks first is answered with a page that shows
the rows; it runs when the page's form comes back with ``confirmed``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask_admin.actions import action
from sqlalchemy import orm

from admin_app import inspection

__all__ = ["SHOWN_ROWS", "action", "identities"]

SHOWN_ROWS = 50
"""Rows that a page of confirmation names; the others are counted."""


def identities(mapper: orm.Mapper[Any], texts: Sequence[str]) -> list[tuple[Any, ...]]:
    """The identities that ``texts`` from a form stand for, each once; NotFound for a bad one."""
    text_of = inspection.identity_text(mapper)
    return list(dict.fromkeys(text_of.decode(text) for text in texts))
