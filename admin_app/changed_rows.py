"""How a page shows rows that were changed, or would be: by table, old → new, as far as one may see.

The history, undo and the review of a change draw their rows with it, by one template.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import re
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from markupsafe import Markup, escape
from sqlalchemy import orm

from admin_app import contexts as c
from admin_app import inspection, rendering, subtypes
from admin_app.changes import images
from admin_app.changes.images import Image, Key
from admin_app.errors import NotFound

SECRET = Markup('<span class="none">••••••</span>')
MADE = Markup('<span class="muted">%s</span>')

COMPARED = 20_000
"""Characters of a text up to which its differences are found word by word."""

KINDS = {"insert": "created", "update": "changed", "delete": "deleted"}


def views_by_table(views: Iterable[Any]) -> dict[str, Any]:
    """The view of each table that a class of ``views`` is mapped to, or a subclass of one."""
    views = list(views)
    found: dict[str, Any] = {}
    for view in views:
        for table in view.mapper.tables:
            if table is view.mapper.local_table or table.key not in found:
                found[table.key] = view
    for view in views:
        for mapper in view.mapper.self_and_descendants:
            table = mapper.local_table
            if table is not None and getattr(table, "key", None) not in found:
                found[table.key] = subtypes.over(view, mapper)
    return found


def reached(view: Any, table: sa.Table, keys: Collection[Key]) -> set[Key] | None:
    """Which of the rows of ``table`` with ``keys`` ``view`` lists; None where it lists them all."""
    if not view.is_narrowed:
        return None
    connection = view.get_session().connection(bind_arguments={"clause": table})
    columns = images.key_columns(table)
    dialect = connection.dialect
    rows = (
        view.get_listing().base().with_only_columns(*(images.stored(c, dialect) for c in columns))
    )
    found: set[Key] = set()
    for criterion in images.having(table, keys, dialect):
        for row in connection.execute(rows.where(criterion)):
            found.add(tuple(map(images.plain, row)))
    return found


def tables_of(views: Iterable[Any]) -> dict[str, sa.Table]:
    """Every table of the metadata that the classes of ``views`` are mapped in."""
    found: dict[str, sa.Table] = {}
    for view in views:
        metadata = getattr(view.mapper.local_table, "metadata", None)
        if metadata is not None:
            found.update(metadata.tables)
    return found


class Reader:
    """Turns changes of rows into what a page shows, as far as the visitor may see it."""

    def __init__(self, views: Mapping[str, Any], tables: Mapping[str, sa.Table]) -> None:
        self.views = views
        self.tables = tables
        self._names: dict[tuple[sa.Table, Any], str] = {}
        self._pointing: dict[str, list[sa.Column[Any]]] = {}

    def learn(self, changes: Iterable[tuple[str, Image | None, Image | None]]) -> None:
        """Look up what the rows are called that ``changes`` (of a table, old, new) point to."""
        wanted: dict[tuple[Any, sa.Table], dict[str, Any]] = {}
        for table_name, *images_ in changes:
            if table_name not in self._pointing:
                self._pointing[table_name] = list(self._columns_that_point(table_name))
            for column in self._pointing[table_name]:
                target = next(iter(column.foreign_keys)).column.table
                for value in ((image or {}).get(column.name) for image in images_):
                    text = None if value is None else identity_of(json.dumps([value]))
                    if text is not None:
                        wanted.setdefault((self.views[target.key], target), {})[text] = value
        for (view, target), values in wanted.items():
            for text, label in labels(view, values).items():
                self._names[target, values[text]] = label

    def _columns_that_point(self, table_name: str) -> Iterator[sa.Column[Any]]:
        """The columns of a table that name one row each, of a class that the visitor may see."""
        table = self.tables.get(table_name)
        for column in () if table is None else table.columns:
            target = _target(column)
            if target is None or target.table.key not in self.views:
                continue
            is_key = list(target.table.primary_key.columns) == [target]
            if is_key and self.may_see(target.table.key):
                yield column

    def row(
        self,
        table_name: str,
        kind: str,
        key: str,
        old: Image | None,
        new: Image | None,
        *,
        id: int,
        state: str = "",
        is_chosen: bool = False,
        current: Image | None = None,
        made: Mapping[str, str] | None = None,
    ) -> c.HistoryRow | None:
        """One row as the page has it; None where the visitor may not see rows of its table.

        ``key`` is `images.key_text`; ``made`` are words for columns whose new value is another each
        time; ``current`` is what columns hold now that were changed since.
        """
        view = self.views.get(table_name)
        if not self.may_see(table_name):
            return None
        made = made or {}
        is_unknown = self._is_key_made(table_name, made)
        text = None if is_unknown else identity_of(key, view and view.mapper)
        noun, _ = self.nouns(table_name)
        link = None
        if view is not None and text is not None and kind != "delete":
            link = view.url_for("details" if view.can_view_details else "edit", id=text)
        return c.HistoryRow(
            id=id,
            kind=KINDS[kind],
            text=f"New {noun.lower()}"
            if is_unknown
            else noun
            if text is None or view is None
            else f"{noun} {text}",
            url=link,
            columns=list(self._columns(table_name, kind, old or {}, new or {}, made)),
            state=state,
            is_chosen=is_chosen,
            current=[
                (self.label(table_name, name), self.value(table_name, name, value))
                for name, value in (current or {}).items()
            ],
        )

    def nouns(self, table_name: str) -> tuple[str, str]:
        """What one row of a table is called, and what several are, as in a heading."""
        view = self.views.get(table_name)
        if view is not None:
            return view.singular, str(view.name)
        words = inspection.words(table_name)
        if words.endswith("s") and not words.endswith("ss"):
            return words[:-1], words
        return words, inspection.plural(words)

    def _is_key_made(self, table_name: str, made: Mapping[str, str]) -> bool:
        table = self.tables.get(table_name)
        return table is not None and any(column.name in made for column in table.primary_key)

    def may_see(self, table_name: str) -> bool:
        """Whether the visitor may see the class of a table; of a table between, both its ends."""
        view = self.views.get(table_name)
        if view is not None:
            return bool(view.may("view") and view.is_accessible())
        table = self.tables.get(table_name)
        if table is None or not table.foreign_keys:
            return False
        ends = {constraint.referred_table.key for constraint in table.foreign_key_constraints}
        return table_name not in ends and all(
            end in self.views and self.may_see(end) for end in ends
        )

    def _columns(
        self, table_name: str, kind: str, old: Image, new: Image, made: Mapping[str, str]
    ) -> Iterator[c.ChangedValue]:
        for name in new or old:
            if not self.may_read(table_name, name):
                continue
            before, after = old.get(name), new.get(name)
            if kind != "update" and before is None and after is None:
                continue
            label = self.label(table_name, name)
            if name in made:
                was = self.value(table_name, name, before) if kind == "update" else None
                yield c.ChangedValue(label, was, MADE % made[name])
                continue
            yield c.ChangedValue(
                label,
                None if kind == "insert" else self.value(table_name, name, before),
                None if kind == "delete" else self.value(table_name, name, after),
                both(before, after),
                name,
            )

    def value(self, table_name: str, name: str, value: Any) -> Any:
        """The ``value`` of a column as HTML; of a foreign key, what the row is called."""
        table = self.tables.get(table_name)
        column = None if table is None else table.columns.get(name)
        target = None if column is None else _target(column)
        if target is not None and isinstance(value, int | str):
            name_of_row = self._names.get((target.table, value))
            if name_of_row is not None:
                return Markup('%s <span class="muted">%s</span>') % (name_of_row, value)
        return shown(value, column)

    def _attribute(self, view: Any, table_name: str, name: str) -> str | None:
        table = self.tables.get(table_name)
        if view is None or table is None or name not in table.columns:
            return None
        return inspection.key_of(view.mapper, table.columns[name])

    def may_read(self, table_name: str, name: str) -> bool:
        """Whether the visitor may see a column."""
        view = self.views.get(table_name)
        key = self._attribute(view, table_name, name)
        return view is None or bool(view.may("view", key or name))

    def label(self, table_name: str, name: str) -> str:
        """What a column is called."""
        view = self.views.get(table_name)
        key = self._attribute(view, table_name, name)
        if view is None or key is None:
            table = self.tables.get(table_name)
            is_pointer = table is not None and name in table.c and bool(table.c[name].foreign_keys)
            return inspection.words(name.removesuffix("_id") if is_pointer else name)
        # Named after the row that it points to, as in forms, unless the view names it itself.
        to = inspection.foreign_key_relationships(view.mapper).get(key)
        is_alone = to is not None and len(view.mapper.relationships[to].local_columns) == 1
        is_named = key in (view.column_labels or {})
        return str(view.get_column_name(to if is_alone and not is_named else key))


def _target(column: sa.Column[Any]) -> sa.Column[Any] | None:
    """The column that ``column`` alone points to."""
    if len(column.foreign_keys) != 1:
        return None
    try:
        return next(iter(column.foreign_keys)).column
    except sa.exc.SQLAlchemyError:
        return None


def labels(view: Any, texts: Collection[str]) -> dict[str, str]:
    """What the rows of ``view`` are called that the identities ``texts`` stand for.

    Rows that are gone, or that the visitor may not see, are left out.
    """
    text_of = inspection.identity_text(view.mapper)
    asked: dict[tuple[Any, ...], str] = {}
    for text in texts:
        with contextlib.suppress(NotFound):
            asked[tuple(text_of.decode(text))] = text
    found = {}
    for instance in view.get_listing().many(view.get_session(), list(asked)) if asked else ():
        with contextlib.suppress(Exception):  # a host's __str__ must not hinder a page
            text = asked[tuple(sa.inspect(instance).identity)]
            found[text] = inspection.label(view.mapper).of(instance)
    return found


def identity_of(key: str, mapper: orm.Mapper[Any] | None = None) -> str | None:
    """The key of a row as URLs write it, from `images.key_text`; None where that is a digest.

    A database may have other words for a value than URLs; ``mapper`` knows those.
    """
    if not key.startswith("["):
        return None
    parts = json.loads(key)
    if any(isinstance(p, dict) for p in parts):
        return None
    escaped = (".n" if p is None else str(p).replace(".", "..").replace(",", ".,") for p in parts)
    text = ",".join(escaped)
    with contextlib.suppress(NotFound):
        if mapper is not None:
            text_of = inspection.identity_text(mapper)
            return text_of.encode(text_of.decode(text))
    return text


def both(old: Any, new: Any) -> Markup | None:
    """Both values in one where they are long texts."""
    if not isinstance(old, str) or not isinstance(new, str):
        return None
    return marked(old, new) if rendering.CUT < max(len(old), len(new)) <= COMPARED else None


def marked(old: str, new: str) -> Markup:
    """``new`` with the words marked that were not in ``old``, and those that went in between."""
    before, after = re.findall(r"\s+|\S+", old), re.findall(r"\s+|\S+", new)
    text = Markup()
    for kind, a, b, x, y in difflib.SequenceMatcher(None, before, after, False).get_opcodes():
        gone, come = escape("".join(before[a:b])), escape("".join(after[x:y]))
        if kind == "equal":
            text += come
            continue
        text += Markup("<del>%s</del>") % gone if gone else ""
        text += Markup("<ins>%s</ins>") % come if come else ""
    return Markup('<div class="prose">%s</div>') % text


def shown(value: Any, column: sa.Column[Any] | None = None) -> Any:
    """A value of an image, perhaps of ``column``, as HTML."""
    match value:
        case {"secret": _}:
            return SECRET
        case {"bytes": str(text)}:
            return rendering.size(len(text) * 3 // 4)
        case {"size": int(size)}:
            return rendering.size(size)
        case dict():
            return rendering.text(str(next(iter(value.values()))))
    type_ = None if column is None else inspection.stored_type(column.type)
    if isinstance(type_, sa.Uuid) and isinstance(value, str):
        # SQLite keeps no dashes.
        with contextlib.suppress(ValueError):
            value = str(uuid.UUID(value))
    if isinstance(type_, sa.Boolean) and value in (0, 1):
        return rendering.text("yes" if value else "no")
    if isinstance(type_, sa.DateTime | sa.Time) and isinstance(value, str):
        # SQLite keeps six digits of a second, also where there are none.
        return rendering.text(value.removesuffix(".000000"))
    return rendering.text(value) if isinstance(value, str) else rendering.render(value)
