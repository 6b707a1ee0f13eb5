"""What a write would do, found by doing it and taking it back.

A `Review` watches one session. Where the write, whoever's code it is, comes to its commit, all is
flushed, and every row that is not as it was is read. Then the write ends there and is rolled back,
to be shown; or, when it is made again and does what was shown, it is let through.

What was shown is told by a fingerprint: a keyed digest of each row's change. Values that are new
each time do not count in it: keys from a sequence, what a default or ``onupdate`` makes by a
function, computed columns, versions that are not numbers, and moments that are the time of the
write. A row that points to a new row counts as doing that, whatever the key will be.

No rollback takes back that numbers of a sequence are used up, nor what the application's own code
does outside of the database. Such code asks `is_preview` first.
"""

from __future__ import annotations

import contextvars
import datetime as dt
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, orm

from admin_app import inspection
from admin_app.changes import images
from admin_app.changes.capture import Recorder, RowChange, is_unrecorded

KEPT_DIGESTS = 1_000
"""Rows of a review whose digests go along with it, to tell which are different later."""

NOW = dt.timedelta(seconds=2)
"""How far from the time of the write a moment may be and still be taken for it."""

_is_preview: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "admin_app_is_preview", default=False
)


def is_preview() -> bool:
    """Whether what is written just now is only tried, and will be taken back in any case.

    Hooks ask it before they do what no rollback takes back: send a mail, call another service.
    """
    return _is_preview.get()


class Reviewed(BaseException):
    """Ends a write that is not to be committed; its `Review` knows what it did.

    It is no Exception, so that code which goes on after every error does not go on after this.
    """


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL that writes, as the driver got it, and how many sets of parameters it ran with.

    ``parameters`` are the first of these, by name and as the program gave them; None of SQL that is
    given as text, of which nobody knows what is a secret.
    """

    sql: str
    count: int
    table: sa.Table | None = None
    parameters: Mapping[str, Any] | None = None

    def column(self, name: str) -> str | None:
        """The column whose value the parameter ``name`` is; None where that is not known."""
        if self.table is None:
            return None
        plain = re.sub(r"_\d+$", "", name)
        likely = (name, name.removeprefix("new_"), name.removeprefix("key_"), plain)
        own = (
            likely[0].removeprefix(f"{self.table.name}_"),
            plain.removeprefix(f"{self.table.name}_"),
        )
        return next((n for n in (*likely, *own) if n in self.table.columns), None)


@dataclass(frozen=True, slots=True)
class ReviewedRow:
    """One row that would change.

    ``anew`` are the columns whose value is another each time, ``new_rows`` those that point to a
    row that is new as well, with its table. ``is_different`` says that the row, or what happens to
    it, was not in the review that was looked at.
    """

    change: RowChange
    anew: frozenset[str]
    new_rows: Mapping[str, sa.Table]
    digest: str
    is_different: bool = False


@dataclass(slots=True)
class Expected:
    """What somebody has looked at, as `Review.token` tells it to be sent back."""

    fingerprint: str
    digests: frozenset[str]
    is_complete: bool

    @classmethod
    def read(cls, token: str) -> Expected:
        """What ``token`` stands for; one that is none of ours matches nothing."""
        fingerprint, count, *digests = [*token.split("."), "", ""][: KEPT_DIGESTS + 2]
        digests = [d for d in digests if d]
        return cls(fingerprint, frozenset(digests), count == str(len(digests)))


@dataclass(frozen=True, slots=True)
class _Given:
    """Columns of the row with ``key``, of Python's values, that the program gave a value."""

    table: sa.Table
    key: tuple[Any, ...]
    names: frozenset[str]


class Review:
    """Watches ``session`` within a ``with`` block, until the first commit in it.

    It begins with a new transaction. Without ``expected`` it is a preview: the commit raises
    `Reviewed`. With it, the commit goes through if the write does what was looked at, and raises
    `Reviewed` otherwise. ``key`` signs the fingerprint, ``about`` binds it to who sent what. Who
    opens the block catches `Reviewed`; the session has been rolled back by then.
    """

    def __init__(
        self,
        session: orm.Session | orm.scoped_session[Any],
        key: bytes,
        about: str = "",
        expected: str | None = None,
    ) -> None:
        self._session = session() if isinstance(session, orm.scoped_session) else session
        self._key = key
        self._about = about
        self.expected = None if expected is None else Expected.read(expected)
        self.rows: list[ReviewedRow] = []
        self.statements: list[Statement] = []
        self.has_unseen = False
        """Whether SQL was run that is given as text, of which is not known what rows it changes."""
        self.is_stopped = False
        """Whether a commit was met and not let through."""
        self.is_passed = False
        """Whether a commit was met that does what was looked at, and let through."""
        self.gone = 0
        """Changes that were looked at and would not happen any more."""
        self._set: dict[Any, set[str]] = {}
        self._given: list[_Given] = []
        self._versions: set[sa.Column[Any]] = set()
        self._connections: list[sa.Connection] = []
        self._listeners: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> Review:
        # What was begun before would not be seen.
        self._session.rollback()
        self._began = dt.datetime.now(dt.UTC)
        self._token = _is_preview.set(self.expected is None)
        self._recorder = Recorder(self._session)
        self._listen(self._session, "after_begin", self._after_begin)
        self._listen(self._session, "after_soft_rollback", self._after_soft_rollback)
        self._listen(self._session, "before_flush", self._before_flush)
        self._listen(self._session, "after_flush", self._after_flush)
        self._listen(self._session, "before_commit", self._before_commit)
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._stop()
        _is_preview.reset(self._token)
        if not self.is_passed:
            self._session.rollback()

    @property
    def fingerprint(self) -> str:
        """A digest of everything that the write does."""
        return self._sign([self._about, sorted(r.digest for r in self.rows)])

    @property
    def token(self) -> str:
        """What is sent back with the write in order to be let through: `expected`."""
        digests = [r.digest for r in self.rows[:KEPT_DIGESTS]]
        return ".".join([self.fingerprint, str(len(self.rows)), *digests])

    # What it listens to

    def _listen(self, target: Any, name: str, function: Any) -> None:
        event.listen(target, name, function)
        self._listeners.append((target, name, function))

    def _stop(self) -> None:
        listeners, self._listeners = self._listeners, []
        for target, name, function in listeners:
            event.remove(target, name, function)
        self._recorder.close()

    def _after_begin(self, session: Any, transaction: Any, connection: sa.Connection) -> None:
        if connection not in self._connections:
            self._connections.append(connection)
            self._listen(connection, "before_cursor_execute", self._before_cursor_execute)

    def _after_soft_rollback(self, session: Any, transaction: orm.SessionTransaction) -> None:
        """Forget what was taken back, and begin anew."""
        if transaction.parent is None and not (self.is_stopped or self.is_passed):
            self._recorder.close()
            self._recorder = Recorder(self._session)
            self._connections.clear()
            self.statements.clear()
            self._given.clear()
            self.has_unseen = False

    def _before_flush(self, session: orm.Session, context: Any, instances: Any) -> None:
        for instance in (*session.new, *session.dirty):
            state = sa.inspect(instance)
            sent = state.committed_state if state.persistent else state.dict
            self._set[state] = self._set.get(state, set()) | set(sent)
            version = state.mapper.version_id_col
            if isinstance(version, sa.Column) and not inspection.is_number(version.type):
                self._versions.add(version)

    def _after_flush(self, session: orm.Session, context: Any) -> None:
        sets, self._set = self._set, {}
        for state, keys in sets.items():
            for table in state.mapper.tables:
                made = _made_on_insert(table) | _made_on_update(table)
                of = {name: inspection.key_of(state.mapper, table.columns[name]) for name in made}
                names = frozenset(name for name, key in of.items() if key in keys)
                if names:
                    keys_of = [
                        inspection.key_of(state.mapper, c) for c in images.key_columns(table)
                    ]
                    key = tuple(state.dict.get(k) for k in keys_of if k is not None)
                    self._given.append(_Given(table, key, names))

    def _before_cursor_execute(
        self,
        connection: sa.Connection,
        cursor: Any,
        statement: str,
        parameters: Any,
        context: Any,
        executemany: bool,
    ) -> None:
        compiled = getattr(context, "compiled", None)
        element = getattr(compiled, "statement", None)
        target = getattr(element, "table", None)
        is_known = isinstance(element, sa.sql.dml.UpdateBase)
        if is_known:
            if is_unrecorded(getattr(target, "name", "")):
                return
        elif not _WRITES.match(statement) or context.execution_options.get("admin_is_own"):
            return
        else:
            self.has_unseen = True
        count = len(parameters) if executemany else 1
        last = self.statements[-1] if self.statements else None
        if last is not None and last.sql == statement:
            self.statements[-1] = replace(last, count=last.count + count)
        else:
            told = _first_parameters(context) if is_known else None
            table = target if isinstance(target, sa.Table) else None
            self.statements.append(Statement(statement, count, table, told))

    def _before_commit(self, session: orm.Session) -> None:
        if session.in_nested_transaction() or self.is_passed:
            return
        session.flush()
        for connection in self._connections:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        self._judge(list(self._recorder.finish()))
        self._recorder.close()
        if self.is_passed:
            return
        self.is_stopped = True
        raise Reviewed

    # What it finds

    def _judge(self, changes: Sequence[RowChange]) -> None:
        given = self._given_by_key()
        until = dt.datetime.now(dt.UTC)
        anew = [self._anew(change, given, until) for change in changes]
        self.rows = list(_Normal(changes, anew).rows(self._sign))
        if self.expected is None:
            return
        if hmac.compare_digest(self.expected.fingerprint.encode(), self.fingerprint.encode()):
            self.is_passed = True
        elif self.expected.is_complete:
            known = self.expected.digests
            self.gone = len(known - {r.digest for r in self.rows})
            self.rows = [replace(r, is_different=r.digest not in known) for r in self.rows]

    def _given_by_key(self) -> dict[tuple[sa.Table, str], frozenset[str]]:
        found: dict[tuple[sa.Table, str], frozenset[str]] = {}
        for given in self._given:
            columns = images.key_columns(given.table)
            if len(columns) != len(given.key):
                continue
            values = {c.name: value for c, value in zip(columns, given.key, strict=True)}
            if all(isinstance(v, int | str) for v in given.key):
                image = {c.name: images.encoded(values[c.name], c) for c in columns}
                text = images.key_text(image, given.table)
            else:
                connection = self._session.connection(bind_arguments={"clause": given.table})
                text = images.key_text_of(connection, given.table, values)
            at = given.table, text
            found[at] = found.get(at, frozenset()) | given.names
        return found

    def _sign(self, content: Any) -> str:
        text = json.dumps(content, sort_keys=True).encode("utf-8", "surrogatepass")
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()[:32]

    def _anew(
        self,
        change: RowChange,
        given: Mapping[tuple[sa.Table, str], frozenset[str]],
        until: dt.datetime,
    ) -> frozenset[str]:
        """The columns of ``change`` that hold another value each time."""
        table = change.table
        made = _made_on_insert(table) if change.kind == "insert" else _made_on_update(table)
        made = made - given.get((table, change.key_text), frozenset())
        return frozenset(
            name
            for name, value in (change.new or {}).items()
            if value is not None
            and (
                name in made
                or table.columns[name] in self._versions
                or self._is_now(table.columns[name], value, until)
            )
        )

    def _is_now(self, column: sa.Column[Any], value: Any, until: dt.datetime) -> bool:
        text = value.get("datetime") if isinstance(value, dict) else value
        if not isinstance(inspection.stored_type(column.type), sa.DateTime):
            return False
        try:
            moment = dt.datetime.fromisoformat(str(text))
        except ValueError:
            return False
        if moment.tzinfo is not None:
            return self._began - NOW <= moment <= until + NOW
        local = moment.astimezone(), moment.replace(tzinfo=dt.UTC)
        return any(self._began - NOW <= m <= until + NOW for m in local)


def _first_parameters(context: Any) -> dict[str, Any]:
    """The first set of parameters of a statement, in the order in which it names them."""
    first: Mapping[str, Any] = next(iter(context.compiled_parameters), {})
    names = context.compiled.positiontup or first
    return {name: first[name] for name in names if name in first}


_WRITES = re.compile(
    r"\s*(?!(?:SELECT|PRAGMA|SAVEPOINT|RELEASE|ROLLBACK|BEGIN|COMMIT|SET|SHOW|EXPLAIN)\b)",
    re.IGNORECASE,
)
"""Text that may change rows."""

_CONSTANT = re.compile(
    r"\s*\(?\s*('(?:[^']|'')*'|[-+]?[\d.]+|true|false|null)\s*\)?\s*(::[\w\s]+)?\s*", re.IGNORECASE
)
"""A default of the database that is the same each time."""


def _made_on_insert(table: sa.Table) -> frozenset[str]:
    """The columns of ``table`` that a new row gets another value for each time."""
    return frozenset(
        c.name
        for c in table.columns
        if c is table.autoincrement_column
        or c.identity is not None
        or c.computed is not None
        or _is_varying(c.default)
        or _is_varying_on_server(c.server_default)
    )


def _made_on_update(table: sa.Table) -> frozenset[str]:
    """The columns of ``table`` that a changed row gets another value for each time."""
    return frozenset(
        c.name
        for c in table.columns
        if c.computed is not None or _is_varying(c.onupdate) or c.server_onupdate is not None
    )


def _is_varying(default: Any) -> bool:
    return default is not None and not getattr(default, "is_scalar", False)


def _is_varying_on_server(default: Any) -> bool:
    if default is None:
        return False
    text = getattr(default, "arg", None)
    if isinstance(text, sa.True_ | sa.False_ | sa.Null):
        return False
    if isinstance(text, sa.TextClause):
        text = None if _CONSTANT.fullmatch(text.text) else text
        return text is not None
    return not isinstance(text, str)


class _Normal:
    """Changes with everything left out, or told otherwise, that is not the same each time."""

    def __init__(self, changes: Sequence[RowChange], anew: Sequence[frozenset[str]]) -> None:
        self.changes = changes
        self.anew = anew
        self.numbers: dict[tuple[sa.Table, str, str], int] = {}
        """The new rows, numbered in each table, by a column whose value is made anew."""
        by_table: dict[sa.Table, list[int]] = {}
        for at, change in enumerate(changes):
            if change.kind == "insert" and anew[at]:
                by_table.setdefault(change.table, []).append(at)
        for table, places in by_table.items():
            for number, at in enumerate(sorted(places, key=self._order)):
                image = changes[at].new or {}
                for name in anew[at]:
                    self.numbers.setdefault((table, name, json.dumps(image[name])), number)

    def _order(self, at: int) -> tuple[str, tuple[int, ...]]:
        """Where a new row stands among those of its table: by what it holds, then by its key."""
        change, anew = self.changes[at], self.anew[at]
        image = {
            name: value
            for name, value in (change.new or {}).items()
            if name not in anew and not change.table.columns[name].foreign_keys
        }
        key = tuple(part for part in change.key if isinstance(part, int))
        return json.dumps(image, sort_keys=True), key

    def rows(self, sign: Callable[[Any], str]) -> Iterator[ReviewedRow]:
        """Each change with its digest, which ``sign`` makes."""
        for change, anew in zip(self.changes, self.anew, strict=True):
            targets: dict[str, sa.Table] = {}
            new = None
            if change.new is not None:
                new = dict(change.new)
                for name, value in new.items():
                    found = self._target(change.table, name, value)
                    if name in anew:
                        new[name] = "anew"
                    elif found is not None:
                        targets[name] = found[0]
                        new[name] = {"new": [found[0].key, found[1]]}
            if change.kind == "insert":
                key = [(new or {})[c.name] for c in images.key_columns(change.table)]
            else:
                key = list(change.key)
            digest = sign([change.table.key, change.kind, key, change.old, new])
            yield ReviewedRow(change, anew, targets, digest)

    def _target(self, table: sa.Table, name: str, value: Any) -> tuple[sa.Table, int] | None:
        """The new row that the value of a foreign key points to: its table and number there.

        A key that is itself a foreign key, as that of a joined subclass, leads on.
        """
        if value is None:
            return None
        waiting, seen = [table.columns[name]], set()
        while waiting:
            column = waiting.pop()
            for foreign_key in column.foreign_keys:
                try:
                    target = foreign_key.column
                except sa.exc.SQLAlchemyError:
                    continue
                number = self.numbers.get((target.table, target.name, json.dumps(value)))
                if number is not None:
                    return target.table, number
                if target not in seen:
                    seen.add(target)
                    waiting.append(target)
        return None
