"""The formats of files, their names, and how they are sent.

A file that is sent as it is read cannot be taken back: when reading fails midway, its last line
says so and the connection is broken off, so that neither a person nor a program takes it for whole.
"""

from __future__ import annotations

import importlib.util
import inspect
import itertools
import logging
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import flask

from admin_app.errors import ConfigurationError, InvalidRequest
from admin_app.exports import workbooks
from admin_app.exports.options import Options
from admin_app.exports.text_files import CsvFile, JsonFile, JsonLinesFile, TextFile
from admin_app.exports.values import Column, Values

log = logging.getLogger(__name__)

SHARE = 256 * 2**10
"""Bytes of a workbook that are sent at once."""


@dataclass(frozen=True, slots=True)
class Format:
    """One format that is written here; without ``text`` it is a workbook."""

    title: str
    content_type: str
    text: Callable[[Sequence[Column], Options], TextFile] | None = None


FORMATS = {
    "csv": Format("CSV", "text/csv; charset=utf-8", CsvFile),
    "jsonl": Format("JSON lines", "application/jsonl; charset=utf-8", JsonLinesFile),
    "json": Format("JSON", "application/json", JsonFile),
    "xlsx": Format(
        "Excel (XLSX)", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    ),
}
"""What files can be, by the ending of their names."""


def check(view: Any) -> None:
    """ConfigurationError for types of files that only a package makes which is not there."""
    named = inspect.getattr_static(view, "export_types", None)
    others = [t for t in named if t not in FORMATS] if isinstance(named, list | tuple) else []
    if others and not _has_tablib():
        raise ConfigurationError(
            f"{type(view).__name__}.export_types names {', '.join(map(str, others))}, which the "
            "package tablib writes: pip install 'tablib[all]', or leave it at "
            f"{', '.join(FORMATS)}."
        )


def require(type_: str) -> None:
    """InvalidRequest where nothing here writes files of this type."""
    if not _has_tablib():
        raise InvalidRequest(f"Files of the type {type_} cannot be made here.")


def _has_tablib() -> bool:
    return importlib.util.find_spec("tablib") is not None


def response(
    type_: str,
    filename: str,
    title: str,
    columns: Sequence[Column],
    pieces: Iterator[Sequence[Values]],
    options: Options,
) -> flask.Response:
    """A file with ``pieces`` of rows, as they are read for ``columns``.

    The first piece is read before anything is sent, so that what a statement fails on is told by a
    page. ``title`` names the sheets of a workbook.
    """
    read = _read(pieces)
    converted = ([c.of(v) for c, v in zip(columns, piece, strict=True)] for piece in read)
    format_ = FORMATS[type_]
    if format_.text is None:
        book = workbooks.written(columns, converted, options, title)
        size = book.seek(0, 2)
        book.seek(0)
        answer = flask.Response(_shares(book), content_type=format_.content_type)
        answer.content_length = size
        answer.call_on_close(book.close)
    else:
        text = format_.text(columns, options)
        is_wanted = flask.request.method != "HEAD"
        stream = flask.stream_with_context(_streamed(text, converted)) if is_wanted else ()
        answer = flask.Response(stream, content_type=format_.content_type)
    answer.headers["Content-Disposition"] = disposition(filename)
    return answer


def _read(pieces: Iterator[Sequence[Values]]) -> Iterable[Sequence[Values]]:
    first = next(pieces, None)
    return () if first is None else itertools.chain([first], pieces)


def _shares(book: Any) -> Iterator[bytes]:
    while share := book.read(SHARE):
        yield share


def _streamed(text: TextFile, pieces: Iterable[Sequence[Values]]) -> Iterator[bytes]:
    yield _encoded(text.head())
    try:
        for piece in pieces:
            yield _encoded(text.rows(piece))
    except Exception:
        log.exception("An export broke off")
        yield _encoded(text.broken())
        # The server breaks the connection off, by which a program knows.
        raise
    yield _encoded(text.tail())


def _encoded(text: str) -> bytes:
    # Half of a character pair, which JSON in a database may hold, is written as JSON writes it.
    return text.encode("utf-8", "backslashreplace")


_UNSAFE = re.compile(
    r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|%\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+'
)


def disposition(filename: str) -> str:
    """The header that names a file: as it is (RFC 5987), and for some programs in ASCII."""
    name = _UNSAFE.sub("_", filename).strip(" .") or "export"
    if len(name) > 150:
        stem, dot, ending = name.rpartition(".")
        name = f"{stem[:140]}{dot}{ending[:9]}"
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9._()-]+", "_", plain).strip("_. ") or "export"
    if plain == name:
        return f"attachment;filename={plain}"
    return f"attachment;filename={plain};filename*=UTF-8''{quote(name, safe='')}"
