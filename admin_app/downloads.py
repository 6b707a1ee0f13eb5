"""Binary content as a file, and the first bytes of it, by which an image is known.

What somebody has stored may be a page with a script: it is sent as a file to keep, under a policy
that lets nothing in it run. Images that a browser decodes safely may be shown in the page.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import flask
import sqlalchemy as sa

from admin_app import inspection
from admin_app.errors import NotFound

HEAD = 16
"""Bytes that tell an image."""

SANDBOX = "default-src 'none'; sandbox"

_IMAGES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n", re.DOTALL), "image/png"),
    (re.compile(rb"\xff\xd8\xff", re.DOTALL), "image/jpeg"),
    (re.compile(rb"GIF8[79]a", re.DOTALL), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
)

_NAMES = ("filename", "file_name", "original_name", "name", "title")


def image_type(head: bytes) -> str | None:
    """The media type of an image that begins with ``head``; None for anything else."""
    return next((type_ for pattern, type_ in _IMAGES if pattern.match(head)), None)


def can_be_sent(column: inspection.Column | None) -> bool:
    """Whether a column holds bytes and nothing that a type makes of them, as a pickle."""
    return (
        column is not None
        and inspection.is_binary(column.type)
        and not inspection.is_decorated(column.type)
        and not inspection.is_secret(column.key)
    )


def heads(session: Any, instance: Any, keys: Sequence[str]) -> dict[str, bytes]:
    """The first bytes of the binary attributes ``keys``, without reading the rest of them."""
    state = sa.inspect(instance)
    model = state.mapper.class_
    columns = [sa.func.substr(getattr(model, key), 1, HEAD, type_=sa.LargeBinary) for key in keys]
    if not columns:
        return {}
    found = session.execute(_of_row(sa.select(*columns), state)).first()
    return {k: bytes(v) for k, v in zip(keys, found or (), strict=False) if v is not None}


def response(session: Any, instance: Any, key: str, *, is_shown: bool = False) -> flask.Response:
    """The content of the attribute ``key`` as a file; NotFound when there is none.

    ``is_shown`` sends an image to be shown in a page, and anything else as a file all the same.
    """
    state = sa.inspect(instance)
    content = session.scalar(_of_row(sa.select(getattr(state.mapper.class_, key)), state))
    if content is None:
        raise NotFound("Nothing is stored there.")
    content = bytes(content)
    type_ = image_type(content[:HEAD])
    answer = flask.send_file(
        io.BytesIO(content),
        mimetype=type_ or "application/octet-stream",
        as_attachment=not (is_shown and type_),
        download_name=_name(instance, key, type_),
    )
    answer.headers["Content-Security-Policy"] = SANDBOX
    return answer


def _of_row(statement: Any, state: Any) -> Any:
    keys = inspection.identity_keys(state.mapper)
    for name, value in zip(keys, state.identity, strict=True):
        statement = statement.where(getattr(state.mapper.class_, name) == value)
    return statement


def _name(instance: Any, key: str, type_: str | None) -> str:
    """What the file is called: what the row says, else what it is."""
    mapper = sa.inspect(instance).mapper
    suffix = "." + type_.partition("/")[2] if type_ else ".bin"
    columns = inspection.columns(mapper)
    name = next((n for n in _NAMES if n in columns and inspection.is_text(columns[n].type)), None)
    given = None if name is None else getattr(instance, name)
    if not isinstance(given, str) or not given.strip():
        text = inspection.identity_text(mapper).of(instance)
        given = f"{mapper.class_.__name__.lower()}-{text}-{key}"
    clean = re.sub(r'[\x00-\x1f\x7f/\\:*?"<>|\ud800-\udfff]+', "_", given).strip(" .")[:120]
    return clean if re.search(r"\.\w{1,8}$", clean) else (clean or key) + suffix
