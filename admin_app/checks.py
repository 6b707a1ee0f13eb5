"""What an admin cannot do with its models, found without a request: ``flask admin check``.

Each finding has an id that stays the same, so that a script can look for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import flask
import sqlalchemy as sa
from flask.sessions import SecureCookieSessionInterface

from admin_app import forms, inspection
from admin_app.accounts import Accounts, Open
from admin_app.database import Base

SHORTEST_KEY = 16
WEAK_KEYS = {"changeme", "change-me", "change me", "secret", "secret-key", "secret key"}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a developer should know: where it is, what it means, what helps."""

    id: str
    where: str
    sentence: str
    hint: str

    def __str__(self) -> str:
        return f"{self.id}  {self.where}: {self.sentence}\n      {self.hint}"


def findings(admin: Any) -> list[Finding]:
    """Everything that is found about the models of ``admin``, in the order of its views."""
    found: list[Finding] = []
    for view in admin.views_by_model.values():
        if view.read_only_note is None:
            for column in inspection.columns(view.mapper).values():
                found += _about_type(view, column)
    return found


def deployment(admin: Any) -> list[Finding]:
    """What should not be so where others can reach the server: ``flask admin check --deploy``."""
    app = admin.app
    found = [finding for is_so, finding in _of_settings(app) if is_so]
    if isinstance(admin.sign_in, Open):
        found.append(
            Finding(
                "deploy.W002",
                "ADMIN_SIGN_IN",
                "lets everybody do everything.",
                "Leave it out, so that people sign in with accounts.",
            )
        )
    return found + list(_of_tables(admin))


def _of_settings(app: flask.Flask) -> Iterator[tuple[bool, Finding]]:
    config = app.config
    key = str(config.get("SECRET_KEY") or "")
    yield (
        bool(app.debug),
        Finding(
            "deploy.W001",
            "FLASK_DEBUG",
            "is on: an error shows code and values to whoever meets it.",
            "Leave it out.",
        ),
    )
    yield (
        len(key) < SHORTEST_KEY or key.lower() in WEAK_KEYS,
        Finding(
            "deploy.W003",
            "SECRET_KEY",
            f"has {len(key)} characters or is known: who guesses it can sign any session.",
            "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
        ),
    )
    yield (
        not config.get("TRUSTED_HOSTS"),
        Finding(
            "deploy.W004",
            "TRUSTED_HOSTS",
            "is not set: whatever a request calls this server is believed, also in links.",
            "Name the hosts: ADMIN_TRUSTED_HOSTS=admin.example.com, or Flask's TRUSTED_HOSTS.",
        ),
    )
    is_bound = type(app.session_interface) is not SecureCookieSessionInterface
    yield (
        not (config.get("SESSION_COOKIE_SECURE") or is_bound),
        Finding(
            "deploy.W005",
            "SESSION_COOKIE_SECURE",
            "is not set: the session's cookie is sent over http as well.",
            "Set it to True where the site is reached by https.",
        ),
    )
    yield (
        config.get("MAX_CONTENT_LENGTH") is None,
        Finding(
            "deploy.W006",
            "MAX_CONTENT_LENGTH",
            "is not set: a request may be of any size.",
            "Set it to the size of the largest upload, in bytes.",
        ),
    )


def _of_tables(admin: Any) -> Iterator[Finding]:
    missing = [t for t in sorted(Base.metadata.tables) if not _has_table(admin, t)]
    if missing:
        yield Finding(
            "deploy.W007",
            "The database",
            f"has no table {', '.join(missing)}.",
            "Run “flask db upgrade”, or “flask admin init-db” where others manage its schema.",
        )
    if isinstance(admin.sign_in, Accounts) and not missing and not admin.sign_in.is_administered():
        yield Finding(
            "deploy.W008",
            "Accounts",
            "hold nobody who may sign in and do everything.",
            "Run “flask admin create-user”.",
        )
    if admin.history is None:
        yield Finding(
            "deploy.W009",
            "The history",
            "is off: nobody can look up or undo what was changed.",
            "Leave ADMIN_HISTORY out, or history=False of Admin.",
        )
    bind = admin.session.get_bind()
    if getattr(bind, "dialect", None) is not None and bind.dialect.name == "sqlite":
        yield Finding(
            "deploy.W010",
            "The database",
            "is SQLite: one writes at a time, and all workers must be on one machine.",
            "PostgreSQL is at home with many; for few people SQLite will do.",
        )


def _has_table(admin: Any, name: str) -> bool:
    return bool(sa.inspect(admin.session.get_bind()).has_table(name))


def _about_type(view: Any, column: inspection.Column) -> Iterator[Finding]:
    if column.is_readonly or _is_typed(view, column):
        return
    where = f"{view.model.__name__}.{column.key}"
    name = _name(column.type)
    if isinstance(column.type, sa.PickleType):
        yield Finding(
            "types.W002",
            where,
            "holds pickles, which are never read here: pages show their size.",
            "A JSON column can be shown and edited.",
        )
    else:
        yield Finding(
            "types.W001",
            where,
            f"is of the type {name}, which nobody can type: pages show it and forms do not take "
            "it.",
            f"Name a field for it: form_overrides = {{{column.key!r}: …}}, or leave it out.",
        )
    if not column.is_nullable and not column.is_generated:
        yield Finding(
            "types.W003",
            where,
            "needs a value that no form can give, so no row can be created.",
            "Give the column a default, name a field for it, or set can_create = False.",
        )


def _is_typed(view: Any, column: inspection.Column) -> bool:
    """Whether forms have a field for values of the column."""
    if column.key in (getattr(view, "form_overrides", None) or {}):
        return True
    if inspection.is_binary(column.type) and not inspection.is_decorated(column.type):
        return True
    return forms.codec_for(column.type) is not None


def _name(type_: sa.types.TypeEngine[Any]) -> str:
    try:
        return repr(type_)[:80]
    except Exception:  # a type of the host's, whose fault must not hide the finding
        return type(type_).__name__
