"""What a database objects to, in words, with the attributes that they belong to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc, orm

from admin_app import constraints, inspection
from admin_app.errors import Contended, Overtaken, WriteRefused


def explain(error: Exception, mapper: orm.Mapper[Any] | None) -> WriteRefused | None:
    """What ``error``, raised while writing a row of ``mapper``, says in words.

    None when it tells of a fault in the program, not of the data.
    """
    if isinstance(error, WriteRefused):
        return error
    if isinstance(error, orm.exc.StaleDataError):
        return Overtaken(
            "Somebody else changed or deleted this row in the meantime. Nothing was saved."
        )
    if isinstance(error, exc.IntegrityError):
        return _explain_integrity(error, mapper)
    if isinstance(error, exc.InvalidRequestError) and "passive_deletes=True" in str(error):
        return WriteRefused(
            "The mapping does not say what becomes of the rows that belong to this one: "
            "the relationship to them needs passive_deletes=True."
        )
    if isinstance(error, AssertionError) and "blank-out primary key" in str(error):
        return WriteRefused(
            "Rows that are part of this one by their key still belong to it; delete them first."
        )
    if isinstance(error, exc.DataError):
        return WriteRefused(
            "A value does not fit its column: it is too long, too large or of the wrong form."
        )
    if isinstance(error, exc.DBAPIError):
        return _explain_operation(error)
    if isinstance(error, exc.StatementError) and isinstance(
        error.orig, ValueError | TypeError | OverflowError | LookupError
    ):
        return WriteRefused(f"A value does not fit its column: {_first_line(error.orig)}.")
    return None


def _mysql_code(error: exc.DBAPIError) -> Any:
    is_mysql = "mysql" in type(error.orig).__module__.lower()
    return error.orig.args[0] if is_mysql and error.orig is not None and error.orig.args else None


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0].removeprefix("ERROR:").strip().rstrip(".")


def _explain_operation(error: exc.DBAPIError) -> WriteRefused | None:
    code = getattr(error.orig, "pgcode", None) or getattr(error.orig, "sqlstate", None)
    text = str(error.orig).lower()
    refused = "Somebody else is changing the same rows just now. Try again."
    if code in ("40P01", "40001") or _mysql_code(error) == 1213:
        return Contended(refused)
    if code == "55P03" or "database is locked" in text:
        return WriteRefused(refused)
    if code == "57014":
        return WriteRefused("The database took too long and stopped. Nothing was saved.")
    if code == "25006" or "readonly database" in text:
        return WriteRefused("The database is read-only.")
    if code == "42501":
        return WriteRefused("The database does not let this application write to that table.")
    if code and code.startswith("P0"):
        return WriteRefused(f"The database refused: {_first_line(error.orig)}.")
    if code and code.startswith("428"):
        return WriteRefused("A value of this row is made by the database and cannot be set.")
    if error.connection_invalidated:
        return WriteRefused(
            "The connection to the database was lost. Nothing is known to be saved."
        )
    return None


def _explain_integrity(error: exc.IntegrityError, mapper: orm.Mapper[Any] | None) -> WriteRefused:
    found = _Objection.read(error)
    tables = [] if mapper is None else [t for t in mapper.tables if isinstance(t, sa.Table)]
    table = next((t for t in tables if found.table in (None, t.name)), None)
    if mapper is None or table is None:
        return WriteRefused(found.sentence)
    if found.kind == "exclusion" and (rule := _exclusion(mapper, table, found.constraint)):
        return WriteRefused(found.sentence, constraints.told(mapper, set(rule.keys), [rule]))
    keys = [k for k in (_key(mapper, table, name) for name in found.names(table)) if k]
    if not keys:
        return WriteRefused(found.sentence)
    sentence = found.field_sentence
    if found.kind == "unique" and len(keys) > 1:
        names = " and ".join(inspection.words(k).lower() for k in keys)
        sentence = f"Another row already has this {names}."
    return WriteRefused(
        found.sentence,
        {k: [sentence] for k in keys[:1]}
        if found.kind == "unique"
        else {k: [sentence] for k in keys},
    )


def _exclusion(
    mapper: orm.Mapper[Any], table: sa.Table, name: str | None
) -> constraints.Exclusion | None:
    """The exclusion that the database calls ``name``: the one of it, or the one without a name."""
    rules = [rule for rule in constraints.exclusions(mapper) if rule.table is table]
    found = [rule for rule in rules if rule.name == name] or [r for r in rules if r.name is None]
    return found[0] if len(found) == 1 else None


def _key(mapper: orm.Mapper[Any], table: sa.Table, name: str) -> str | None:
    column = table.columns.get(name)
    if column is None:
        column = next((c for c in table.columns if c.name == name), None)
    if column is None:
        return None
    key = inspection.key_of(mapper, column)
    return key and inspection.foreign_key_relationships(mapper).get(key, key)


class _Objection:
    """What a driver's IntegrityError says: which kind of constraint, where."""

    def __init__(
        self,
        kind: str,
        table: str | None = None,
        columns: Sequence[str] = (),
        constraint: str | None = None,
    ) -> None:
        self.kind = kind
        self.table = table
        self.columns = columns
        self.constraint = constraint

    _SQLSTATES: Mapping[str, str] = {
        "23502": "not null",
        "23503": "foreign key",
        "23505": "unique",
        "23514": "check",
        "23P01": "exclusion",
        "23001": "foreign key",
    }

    @classmethod
    def read(cls, error: exc.IntegrityError) -> _Objection:
        diag = getattr(error.orig, "diag", None)
        if diag is not None:
            columns = [diag.column_name] if diag.column_name else []
            kind = cls._SQLSTATES.get(getattr(error.orig, "pgcode", None) or diag.sqlstate, "")
            if kind == "foreign key" and "still referenced" in (diag.message_detail or ""):
                return cls("referenced")
            return cls(kind, diag.table_name, columns, diag.constraint_name)
        text = str(error.orig)
        if match := re.match(r"(UNIQUE|NOT NULL) constraint failed: (.+)", text):
            names = [part.strip().rpartition(".") for part in match[2].split(",")]
            if match[2].startswith("index "):
                return cls("unique", None, (), match[2].removeprefix("index ").strip("'"))
            return cls(match[1].lower(), names[0][0] or None, [n[2] for n in names])
        if match := re.match(r"CHECK constraint failed: (.+)", text):
            return cls("check", None, (), match[1])
        if "FOREIGN KEY constraint failed" in text:
            deleting = (error.statement or "").lstrip()[:6].upper() == "DELETE"
            return cls("referenced" if deleting else "foreign key")
        if match := re.search(r"Duplicate entry .* for key '(?:.*\.)?(.+?)'", text):
            return cls("unique", None, (), match[1])
        if match := re.search(r"Column '(.+?)' cannot be null", text):
            return cls("not null", None, [match[1]])
        return cls("")

    def names(self, table: sa.Table) -> Sequence[str]:
        """The columns of ``table`` that the objection concerns."""
        if self.columns or self.constraint is None:
            return self.columns
        for constraint in table.constraints:
            if _name(constraint, table) != self.constraint:
                continue
            if isinstance(constraint, sa.CheckConstraint):
                text = str(constraint.sqltext)
                return [
                    c.name for c in table.columns if re.search(rf"\b{re.escape(c.name)}\b", text)
                ]
            if isinstance(constraint, sa.schema.ColumnCollectionConstraint):
                return [c.name for c in constraint.columns]
        for index in table.indexes:
            if index.name == self.constraint:
                return [c.name for c in index.columns]
        named = [
            c.name for c in table.columns if f"{table.name}_{c.name}_" in f"{self.constraint}_"
        ]
        return named[:1]

    @property
    def field_sentence(self) -> str:
        return {
            "unique": "Another row already has this value.",
            "not null": "A value is needed.",
            "foreign key": "The row this points to does not exist any more.",
            "check": "The database does not accept this value"
            + (f" (rule {self.constraint})." if self.constraint else "."),
            "exclusion": "This overlaps with another row.",
        }.get(self.kind, "The database does not accept this value.")

    @property
    def sentence(self) -> str:
        return {
            "unique": "Another row already has a value that must be unique.",
            "not null": "A value that the table needs is missing.",
            "foreign key": "A row that this one points to does not exist any more.",
            "referenced": "Other rows still point to this one; the database keeps them together.",
            "check": "The database does not accept these values"
            + (f" (rule {self.constraint})." if self.constraint else "."),
            "exclusion": "This overlaps with another row.",
        }.get(self.kind, "The database does not accept these values.")


def _name(constraint: sa.Constraint, table: sa.Table) -> str | None:
    """The name of ``constraint`` in the database: conventions applied, else PostgreSQL's choice."""
    if constraint.name is not None:
        return sa.schema.conv(_PREPARER.format_constraint(constraint) or "") or None
    if isinstance(constraint, sa.PrimaryKeyConstraint):
        return f"{table.name}_pkey"
    if isinstance(constraint, sa.UniqueConstraint):
        return "_".join([table.name, *(c.name for c in constraint.columns), "key"])
    return None


_PREPARER = sa.sql.compiler.IdentifierPreparer(sa.engine.default.DefaultDialect())
