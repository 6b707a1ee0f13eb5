"""Triggers of PostgreSQL that record what other programs write, in the images of the history.

Each table has one function and a trigger after each kind of statement, which sees all rows of the
statement at once. What one transaction writes is one change set, of the database's user. A
transaction whose history the admin writes itself says so (`capture.RECORDED`), and is left alone.

The functions run with the rights of whoever installed them, so whoever may write to a table needs
no right on the history. Where a table has lost a column that a function reads, the function lets
the write pass and leaves a change set that says so.
"""

# ruff: noqa: S608 - every name and text is quoted, and none comes from a visitor

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from admin_app import inspection
from admin_app.changes import images
from admin_app.changes.audit import LONGEST
from admin_app.changes.capture import OWN_PREFIX
from admin_app.database import Base
from admin_app.errors import ConfigurationError

PREFIX = "admin_audit_"
"""What the names of the functions and triggers begin with."""

_MARK = "admin_app: records what other programs write"
_STALE = (
    "Not recorded: the table is not as it was when its triggers were made. Run "
    "“flask admin audit-triggers install”."
)
_EMPTIED = "All rows were taken away by TRUNCATE, which does not tell what they held."

State = Literal["installed", "missing", "out of date"]


@dataclass(frozen=True, slots=True)
class Audited:
    """A table that has triggers, or shall have some: ``function`` makes its function."""

    table: sa.Table
    name: str
    function: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The tables that can be recorded, and why others cannot."""

    tables: list[Audited]
    skipped: list[tuple[str, str]]
    schema: str


def plan(connection: sa.Connection, tables: Iterable[sa.Table]) -> Plan:
    """What the triggers of ``tables`` would be in this database.

    ConfigurationError where it is not PostgreSQL, or has no tables for the history.
    """
    if connection.dialect.name != "postgresql":
        raise ConfigurationError(
            "Audit triggers are for PostgreSQL only; this database is "
            f"{_NAMES.get(connection.dialect.name, connection.dialect.name)}."
        )
    schema = connection.scalar(
        sa.text(
            "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.oid = to_regclass('admin_change_set')"
        )
    )
    if schema is None:
        raise ConfigurationError(
            "The tables of the history are missing. Run “flask db upgrade” or “flask admin "
            "init-db” first."
        )
    found = Plan([], [], schema)
    for table in tables:
        if table.name.startswith(OWN_PREFIX) or table.metadata is Base.metadata:
            continue
        reason = _obstacle(connection, table)
        if reason:
            found.skipped.append((table.key, reason))
        else:
            name = _function_name(table)
            found.tables.append(
                Audited(table, name, _Function(connection, table, schema, name).sql())
            )
    return found


_NAMES = {"sqlite": "SQLite", "mysql": "MySQL", "mariadb": "MariaDB"}


def _obstacle(connection: sa.Connection, table: sa.Table) -> str:
    """Why what happens to ``table`` cannot be recorded; empty where it can."""
    kind = connection.scalar(
        sa.text("SELECT relkind FROM pg_class WHERE oid = to_regclass(:name)"),
        {"name": _quoted(table)},
    )
    if kind is None:
        return "is not in this database"
    if kind not in ("r", "p"):
        return "is no table"
    if not table.primary_key.columns:
        return "has no primary key"
    if any(map(images.is_secret, table.primary_key.columns)):
        return "has a secret in its primary key"
    types = _types(connection, table)
    missing = [c.name for c in table.columns if c.name not in types and c.computed is None]
    return f"has no column {', '.join(missing)}" if missing else ""


def _types(connection: sa.Connection, table: sa.Table) -> dict[str, str]:
    """The types of the columns that a table has in the database."""
    rows = connection.execute(
        sa.text(
            "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute "
            "WHERE attrelid = to_regclass(:name) AND attnum > 0 AND NOT attisdropped "
            # A trigger is not shown what is computed when it is read.
            "AND attgenerated <> 'v'"
        ),
        {"name": _quoted(table)},
    )
    return dict(tuple(row) for row in rows)


def _quoted(table: sa.Table) -> str:
    return ".".join(map(_identifier, [table.schema, table.name] if table.schema else [table.name]))


def _function_name(table: sa.Table) -> str:
    name = PREFIX + table.key.replace(".", "_")
    if len(name.encode()) <= 60:
        return name
    return PREFIX + hashlib.sha256(table.key.encode()).hexdigest()[:32]


def installation(connection: sa.Connection, wanted: Plan) -> list[str]:
    """The statements that make the triggers of a plan, in place of those that there are."""
    made = [*removal(connection), *_shared(wanted.schema)]
    for audited in wanted.tables:
        table, function = _quoted(audited.table), _name(wanted.schema, audited.name)
        made.append(audited.function)
        made += _guarded(function + "()")
        made += [
            f"CREATE TRIGGER {PREFIX}{event.lower()} {when} {event} ON {table} {seen}"
            f"FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
            for when, event, seen in _EVENTS
        ]
    return made


_EVENTS = (
    ("AFTER", "INSERT", "REFERENCING NEW TABLE AS admin_new "),
    ("AFTER", "UPDATE", "REFERENCING OLD TABLE AS admin_old NEW TABLE AS admin_new "),
    ("AFTER", "DELETE", "REFERENCING OLD TABLE AS admin_old "),
    ("BEFORE", "TRUNCATE", ""),
)


def removal(connection: sa.Connection) -> list[str]:
    """The statements that take every trigger and function away; they are found by their mark."""
    rows = connection.execute(
        sa.text(
            "SELECT n.nspname, p.proname, pg_get_function_identity_arguments(p.oid) FROM pg_proc p "
            "JOIN pg_namespace n ON n.oid = p.pronamespace "
            "WHERE obj_description(p.oid, 'pg_proc') = :mark ORDER BY p.proname"
        ),
        {"mark": _MARK},
    )
    return [
        f"DROP FUNCTION {_name(schema, name)}({arguments}) CASCADE"
        for schema, name, arguments in rows
    ]


def states(connection: sa.Connection, wanted: Plan) -> list[tuple[str, State]]:
    """What each table of a plan has."""
    rows = connection.execute(
        sa.text(
            "SELECT p.proname, p.prosrc, count(t.oid) FROM pg_proc p "
            "LEFT JOIN pg_trigger t ON t.tgfoid = p.oid AND t.tgenabled <> 'D' "
            "WHERE obj_description(p.oid, 'pg_proc') = :mark GROUP BY p.oid"
        ),
        {"mark": _MARK},
    )
    there = {name: (source, count) for name, source, count in rows}
    found: list[tuple[str, State]] = []
    for audited in wanted.tables:
        source, count = there.get(audited.name, ("", 0))
        if not count:
            found.append((audited.table.key, "missing"))
        elif count < len(_EVENTS) or source not in audited.function:
            found.append((audited.table.key, "out of date"))
        else:
            found.append((audited.table.key, "installed"))
    return found


def run(connection: sa.Connection, statements: Iterable[str]) -> None:
    """Execute ``statements`` of this module as they are."""
    for statement in statements:
        # No colon or percent sign of theirs is a parameter.
        connection.execute(sa.text(re.sub(r"(?<!:):(?=\w)", r"\\:", statement)))


# Words of SQL


def _name(schema: str, name: str) -> str:
    return f"{_identifier(schema)}.{_identifier(name)}"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _names(names: Sequence[str]) -> str:
    return f"ARRAY[{', '.join(map(_literal, names))}]::name[]"


def _guarded(signature: str) -> list[str]:
    """Mark a function as one of these, and keep it from being called."""
    return [
        f"COMMENT ON FUNCTION {signature} IS {_literal(_MARK)}",
        f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC",
    ]


_SETTINGS = (
    "SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET \"DateStyle\" = 'ISO' "
    "SET \"IntervalStyle\" = 'postgres' SET extra_float_digits = 1"
)


def _shared(schema: str) -> Iterator[str]:
    """The functions that those of all tables call, and what counts rows at the end."""
    sets, rows = _name(schema, "admin_change_set"), _name(schema, "admin_row_change")
    number = f"{_name(schema, PREFIX + 'set_')}(text)"
    text = f"{_name(schema, PREFIX + 'repr_')}(text)"
    counts = f"{_name(schema, PREFIX + 'count_')}()"
    yield f"""CREATE FUNCTION {_name(schema, PREFIX + "set_")}(model text) RETURNS bigint
LANGUAGE plpgsql {_SETTINGS} AS $admin$
DECLARE
  number bigint := nullif(current_setting('admin.change_set', true), '');
BEGIN
  PERFORM FROM {sets} WHERE id = number AND source = 'database' AND at >= transaction_timestamp();
  IF FOUND THEN
    RETURN number;
  END IF;
  INSERT INTO {sets} (at, actor_id, actor, source, model, row_count) VALUES (
    clock_timestamp(),
    left('database:' || session_user, {LONGEST}),
    left(session_user || coalesce(
      ' (' || nullif(current_setting('application_name', true), '') || ')', ''), {LONGEST}),
    'database', left(model, {LONGEST}), 0
  ) RETURNING id INTO number;
  PERFORM set_config('admin.change_set', CAST(number AS text), true);
  RETURN number;
END $admin$"""
    yield from _guarded(number)
    # As Python's repr, of which the admin keeps a digest, for what a secret is made of.
    yield f"""CREATE FUNCTION {_name(schema, PREFIX + "repr_")}(value text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $admin$
  SELECT CASE WHEN strpos(value, '''') > 0 AND strpos(value, '"') = 0
    THEN '"' || replace(value, E'\\\\', E'\\\\\\\\') || '"'
    ELSE '''' || replace(replace(value, E'\\\\', E'\\\\\\\\'), '''', E'\\\\''') || ''''
  END
$admin$"""
    yield from _guarded(text)
    yield f"""CREATE FUNCTION {counts} RETURNS trigger
LANGUAGE plpgsql {_SETTINGS} AS $admin$
BEGIN
  UPDATE {sets} SET row_count = (SELECT count(*) FROM {rows} WHERE change_set_id = NEW.id)
    WHERE id = NEW.id;
  DELETE FROM {sets} WHERE id = NEW.id AND row_count = 0 AND reason IS NULL;
  RETURN NULL;
END $admin$"""
    yield from _guarded(counts)
    yield (
        f"CREATE CONSTRAINT TRIGGER {PREFIX}count AFTER INSERT ON {sets} "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.source = 'database') "
        f"EXECUTE FUNCTION {counts}"
    )


class _Function:
    """The function of one table."""

    def __init__(self, connection: sa.Connection, table: sa.Table, schema: str, name: str) -> None:
        self.table = table
        self.schema = schema
        self.name = name
        self.dialect = connection.dialect
        self.types: Mapping[str, str] = _types(connection, table)
        self.key = [c.name for c in table.primary_key.columns]
        self.names = [c.name for c in table.columns if c.name in self.types]

    def sql(self) -> str:
        """CREATE FUNCTION."""
        model = _literal(self.table.key)
        sets = _name(self.schema, "admin_change_set")
        number = f"{_name(self.schema, PREFIX + 'set_')}({model})"
        same = " AND ".join(f"o.{_identifier(n)} = n.{_identifier(n)}" for n in self.key)
        first = _identifier(self.key[0])
        gap = "WHERE id = admin.number;\n    RETURN NULL;"
        return f"""CREATE FUNCTION {_name(self.schema, self.name)}() RETURNS trigger
LANGUAGE plpgsql {_SETTINGS} AS $admin$
<<admin>>
DECLARE
  number bigint;
BEGIN
  IF current_setting('admin.recorded', true) = 'on' THEN
    RETURN NULL;
  END IF;
  IF TG_OP = 'TRUNCATE' THEN
    admin.number := {number};
    UPDATE {sets} SET reason = {_literal(_EMPTIED)} {gap}
  END IF;
  IF {self._changed()} THEN
    admin.number := {number};
    UPDATE {sets} SET reason = {_literal(_STALE)} {gap}
  END IF;
  IF TG_OP = 'INSERT' THEN
    IF EXISTS (SELECT FROM admin_new) THEN
      {self._keep(number, "'insert'", "n", None, self._image("n"), "admin_new n")}
    END IF;
  ELSIF TG_OP = 'DELETE' THEN
    IF EXISTS (SELECT FROM admin_old) THEN
      {self._keep(number, "'delete'", "o", self._image("o"), None, "admin_old o")}
    END IF;
  ELSIF EXISTS (SELECT FROM admin_old) THEN
    {self._keep(number, "'update'", "n", "d.was", "d.now", self._differences(same))}
    IF EXISTS (SELECT FROM admin_old o LEFT JOIN admin_new n ON {same} WHERE n.{first} IS NULL) THEN
      {self._keep(number, "'delete'", "o", self._image("o"), None, self._without("o", "n", same))}
      {self._keep(number, "'insert'", "n", None, self._image("n"), self._without("n", "o", same))}
    END IF;
  END IF;
  RETURN NULL;
END $admin$"""

    def _changed(self) -> str:
        """Whether the table is not as it was."""
        kinds = [
            f"(attname <> ALL ({_names(of)}) OR atttypid = '{type_}'::regtype)"
            for type_ in ("timestamp with time zone", "bytea")
            if (of := [n for n in self.names if self.types[n] == type_])
        ]
        criteria = " AND ".join(
            [
                "attrelid = TG_RELID",
                "NOT attisdropped",
                f"attname = ANY ({_names(self.names)})",
                *kinds,
            ]
        )
        return f"(SELECT count(*) FROM pg_attribute WHERE {criteria}) <> {len(self.names)}"

    def _keep(
        self, number: str, kind: str, of: str, old: str | None, new: str | None, source: str
    ) -> str:
        old_new = ", ".join("NULL" if x is None else f"CAST({x} AS json)" for x in (old, new))
        key = "'[' || " + " || ', ' || ".join(self._value(n, of) for n in self.key) + " || ']'"
        return (
            f"admin.number := {number};\n      "
            f"INSERT INTO {_name(self.schema, 'admin_row_change')} "
            "(change_set_id, table_name, key, kind, old, new)\n"
            f"      SELECT admin.number, {_literal(self.table.key)}, "
            f"CASE WHEN length(k.text) <= {LONGEST} "
            "THEN k.text ELSE 'sha256:' || encode(sha256(convert_to(k.text, 'UTF8')), 'hex') END, "
            f"{kind}, {old_new}\n"
            f"      FROM {source}, LATERAL (SELECT {key} AS text) k;"
        )

    def _without(self, one: str, other: str, same: str) -> str:
        tables = {"o": "admin_old", "n": "admin_new"}
        return (
            f"LATERAL (SELECT * FROM {tables[one]} {one} WHERE NOT EXISTS "
            f"(SELECT FROM {tables[other]} {other} WHERE {same})) {one}"
        )

    def _differences(self, same: str) -> str:
        """The rows with their old and new images of the columns that differ."""
        pairs = ", ".join(
            f"({place}, {_literal(_json_name(name))}, {self._value(name, 'o')}, "
            f"{self._value(name, 'n')})"
            for place, name in enumerate(self.names)
        )
        part = "'{' || string_agg(c.name || %s, ', ' ORDER BY c.place) || '}' AS %s"
        return (
            f"admin_old o JOIN admin_new n ON {same} CROSS JOIN LATERAL ("
            f"SELECT {part % ('c.was', 'was')}, {part % ('c.now', 'now')} "
            f"FROM (VALUES {pairs}) AS c (place, name, was, now) "
            "WHERE c.was <> c.now HAVING count(*) > 0) d"
        )

    def _image(self, of: str) -> str:
        parts = " || ', ' || ".join(
            f"{_literal(_json_name(name))} || {self._value(name, of)}" for name in self.names
        )
        return f"'{{' || {parts} || '}}'"

    def _value(self, name: str, of: str) -> str:
        """The JSON text of a column of the row ``of``, as `images` has it."""
        column = self.table.columns[name]
        source = f"{of}.{_identifier(name)}"
        type_ = self.types[name]
        if type_ == "bytea":
            value = _bytes_json(source)
            text = f"'''' || {value} || ''''"
        elif type_ == "boolean":
            value = f"CAST(to_json({source}) AS text)"
            text = f"CASE WHEN {source} THEN 'True' ELSE 'False' END"
        elif type_ in ("smallint", "integer", "bigint") and self._is_as_it_is(column):
            value = text = f"CAST({source} AS text)"
        else:
            plain = f"CAST({source} AS text)"
            if type_ == "timestamp with time zone" and self._is_moment(column):
                plain = f"CAST({source} AT TIME ZONE 'UTC' AS text) || '+00'"
            value = f"CAST(to_json({plain}) AS text)"
            text = f"{_name(self.schema, PREFIX + 'repr_')}({plain})"
        if images.is_secret(column):
            digest = f"encode(sha256(convert_to({text}, 'UTF8')), 'hex')"
            value = f"""'{{"secret": "' || {digest} || '"}}'"""
        return f"coalesce({value}, 'null')"

    def _is_as_it_is(self, column: sa.Column[Any]) -> bool:
        return not isinstance(images.stored(column, self.dialect).element, sa.Cast)

    def _is_moment(self, column: sa.Column[Any]) -> bool:
        type_ = inspection.stored_type(column.type.dialect_impl(self.dialect))
        return isinstance(type_, sa.DateTime) and bool(type_.timezone)


def _json_name(name: str) -> str:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}": '


def _bytes_json(source: str) -> str:
    digest = (
        f"""'{{"sha256": "' || encode(sha256({source}), 'hex') || '", "size": ' """
        f"|| octet_length({source}) || '}}'"
    )
    whole = f"""'{{"bytes": "' || translate(encode({source}, 'base64'), E'\\n', '') || '"}}'"""
    return f"CASE WHEN octet_length({source}) > {images.KEPT_BYTES} THEN {digest} ELSE {whole} END"
