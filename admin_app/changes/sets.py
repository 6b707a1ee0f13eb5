"""`ChangeSet`, and the block that commits one or gives it up."""

from __future__ import annotations

import contextlib
import datetime as dt
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc, orm

from admin_app import constraints, inspection
from admin_app.changes import audit, chain, images, outcome, planned_delete
from admin_app.changes.audit import ChangeSetRecord
from admin_app.changes.capture import Kind, Recorder
from admin_app.changes.delete_plan import DeletePlan
from admin_app.changes.images import Image, Key
from admin_app.changes.refusals import explain
from admin_app.database import Base
from admin_app.errors import Contended, Undecided, WriteRefused
from admin_app.policy import Principal

AnySession = orm.Session | orm.scoped_session[Any]


class FormToken(Base):
    """A form that has been saved, by the digest of what was sent, and what it was answered."""

    __tablename__ = "admin_form_token"

    key: orm.Mapped[str] = orm.mapped_column(sa.String(64), primary_key=True)
    answer: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    created_at: orm.Mapped[dt.datetime] = orm.mapped_column(index=True)


TOKEN_LIFE = dt.timedelta(days=2)
"""How long a form that is sent again is recognised."""


class AlreadySaved(Exception):
    """The same form was saved before, or at this moment by another request."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        super().__init__(answer)


def answer_to(session: AnySession, key: str) -> str | None:
    """What the form with this ``key`` was answered when it was saved; None when it was not."""
    found: str | None = session.scalar(sa.select(FormToken.answer).where(FormToken.key == key))
    return found


class ChangeSet:
    """The writes of one transaction, made for ``principal`` by the page or action ``source``."""

    def __init__(self, session: AnySession, principal: Principal | None, source: str) -> None:
        self.session = session
        self.principal = principal
        self.source = source
        self.id: int | None = None
        """Its number in the history, once it is there."""
        self.ids: list[int] = []
        """Its numbers, where the program has committed in between."""
        self.label: str | None = None
        self.about: dict[str, Any] = {}
        """What the history keeps beside: the arguments of `audit.keep`."""
        self.recorder: Recorder | None = None
        self.written: list[Any] = []
        """The instances that were added or changed as such, without what a flush did beside."""
        self._mapper: orm.Mapper[Any] | None = None
        self._token_key: str | None = None

    def claim(self, key: str) -> None:
        """Make this the one save of the form with ``key``; AlreadySaved when there is another.

        Of several at once the others wait here until the first is committed or given up.
        """
        now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
        try:
            self.session.execute(sa.insert(FormToken).values(key=key, created_at=now))
        except exc.IntegrityError:
            self.session.rollback()
            answer = answer_to(self.session, key)
            if answer is None:
                raise
            raise AlreadySaved(answer) from None
        self._token_key = key
        if secrets.randbelow(50) == 0:
            self.session.execute(
                sa.delete(FormToken)
                .where(FormToken.created_at < now - TOKEN_LIFE)
                .execution_options(synchronize_session=False)
            )

    def keep_answer(self, key: str, answer: str) -> None:
        """Keep what the save of the form with ``key`` is answered."""
        self.session.execute(
            sa.update(FormToken)
            .where(FormToken.key == key)
            .values(answer=answer)
            .execution_options(synchronize_session=False)
        )

    def add(self, instance: Any) -> None:
        """Insert ``instance``."""
        self._mapper = sa.inspect(instance).mapper
        self._meet_objections(instance, None)
        self.session.add(instance)
        self.session.flush()
        self.written.append(instance)
        self._name(instance)

    def change(self, instance: Any) -> None:
        """Update ``instance``, whose attributes have been set already."""
        self._mapper = sa.inspect(instance).mapper
        changed = constraints.changed_keys(instance)
        if changed:
            self._meet_objections(instance, changed)
        self.session.flush()
        self.written.append(instance)
        self._name(instance)

    def _name(self, *instances: Any) -> None:
        """Remember what the rows at hand are called, for the history."""
        if self.label is None:
            first = instances[0]
            with contextlib.suppress(Exception):  # a host's __str__ must not hinder a save
                self.label = inspection.label(sa.inspect(first).mapper).of(first)

    def change_all(
        self, instances: Sequence[Any], told: Callable[[Any, WriteRefused], None]
    ) -> None:
        """Update ``instances``, whose attributes have been set already, in one flush.

        The rules of their tables are asked about in one statement. Raises WriteRefused when a row
        breaks one, after ``told`` was called with each such row and its refusal.
        """
        found = constraints.objections_of_all(self.session, instances)
        for instance, fields in found:
            told(instance, WriteRefused("The table's rules do not allow this.", fields))
        if found:
            raise WriteRefused("Nothing was saved: some cells need another look.")
        for instance in instances:
            self._mapper = sa.inspect(instance).mapper
        self.session.flush()
        self.written += instances
        if instances:
            self._name(*instances)

    def _meet_objections(self, instance: Any, changed: set[str] | None) -> None:
        """Raise WriteRefused with every rule of the table that the row would break, at its field.

        What another transaction does in between still meets the database's own refusal.
        """
        found = constraints.objections(self.session, instance, changed)
        if found:
            raise WriteRefused("The table's rules do not allow this.", found)

    def delete(self, *instances: Any) -> None:
        """Delete ``instances`` in one flush, by the rules of the mapping (cascades included)."""
        if instances:
            self._name(*instances)
        at_once = _are_sortable(instances)
        self.session.flush()
        # What cascades read is not to be preceded by a flush of each row before.
        with self.session.no_autoflush:
            for instance in instances:
                state = sa.inspect(instance)
                self._mapper = state.mapper
                if state.persistent:
                    self.session.delete(instance)
                if not at_once:
                    self.session.flush()
        self.session.flush()

    def delete_planned(self, instances: Sequence[Any], plan: DeletePlan) -> None:
        """Delete ``instances``, which have been read under lock, as ``plan`` says they go.

        By few statements for all of them where that is possible, else as `delete` does.
        """
        if not instances or not planned_delete.is_possible(self.session, plan):
            self.delete(*instances)
            return
        self._name(*instances)
        self._mapper = plan.mapper
        self.session.flush()
        planned_delete.delete(self.session, plan)
        for instance in instances:
            # As after a flush, they go on holding what they held.
            if instance in self.session:
                self.session.expunge(instance)

    def write_images(
        self,
        table: sa.Table,
        kind: Kind,
        rows: Sequence[tuple[Key, Image | None]],
        parameters: Sequence[Mapping[str, Any]],
        names: Sequence[str] = (),
    ) -> None:
        """Write rows of ``table`` as images; ``rows`` are their keys and what they hold now.

        ``parameters`` are made by `images.parameters`, ``names`` the columns of an update.
        """
        if not rows:
            return
        connection = self.session.connection(bind_arguments={"clause": table})
        dialect = connection.dialect
        statement: Any
        if kind == "insert":
            statement = images.insertion(table, dialect)
        elif kind == "update":
            statement = images.alteration(table, names, dialect)
        else:
            statement = images.removal(table, dialect)
        if self.recorder is None:
            connection.execute(statement, list(parameters))
        else:
            with self.recorder.told(connection, table, kind, rows):
                connection.execute(statement, list(parameters))

    @contextlib.contextmanager
    def following_commits(self) -> Iterator[None]:
        """A block of code that may commit or roll back the session by itself.

        What it writes up to each commit is recorded by the same transaction, as a set of its own.
        """
        if self.recorder is None:
            yield
            return
        own = _own(self.session)

        def begin_anew(session: orm.Session) -> None:
            recorder, self.recorder = self.recorder, Recorder(own, is_kept=True)
            if recorder is not None:
                recorder.close()

        def before_commit(session: orm.Session) -> None:
            # The release of a savepoint is no commit.
            if not session.in_nested_transaction():
                self.record()
                begin_anew(session)

        event.listen(own, "before_commit", before_commit)
        event.listen(own, "after_rollback", begin_anew)
        own.info[_FOLLOWED] = self
        try:
            yield
        finally:
            own.info.pop(_FOLLOWED, None)
            event.remove(own, "before_commit", before_commit)
            event.remove(own, "after_rollback", begin_anew)

    def record(self) -> None:
        """Write what was changed so far into the history, once; later changes are not in it."""
        recorder, self.recorder = self.recorder, None
        if recorder is None:
            return
        try:
            self.session.flush()
            number = audit.keep(
                self.session,
                recorder.finish_alike(),
                principal=self.principal,
                source=self.source,
                label=self.label,
                **self.about,
            )
        finally:
            recorder.close()
        if number is not None:
            self.id = number
            self.ids.append(number)

    def commit(self) -> None:
        """Commit; where the connection is lost over that, find out what became of it.

        Raises Contended when nothing was saved, so that it may be done again, and Undecided when
        the database does not tell.
        """
        try:
            self.session.commit()
        except exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise
            self.session.rollback()
            lost = "The connection to the database was lost while this was being saved."
            bind = self.session.get_bind(mapper=sa.inspect(ChangeSetRecord))
            found = outcome.find(bind.engine, self._trace())
            if found == "not saved":
                raise Contended(f"{lost} Nothing was saved. Try again.") from error
            if found == "unknown":
                raise Undecided(f"{lost} {self._advice()}") from error

    def _trace(self) -> sa.Insert | None:
        """A row that only this transaction has inserted."""
        if self.id is not None:
            return outcome.trace_of(self.id)
        if self._token_key is None:
            return None
        now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
        return sa.insert(FormToken).values(key=self._token_key, created_at=now)

    def _advice(self) -> str:
        unknown = "Whether it was saved is not known, as the database does not answer."
        if self._token_key is not None or self.source == "edit":
            return f"{unknown} The same form can be sent again: it is saved once at most."
        return f"{unknown} Look at the row, or at the history, before you try again."

    def explain(self, error: Exception) -> WriteRefused | None:
        """The refusal that ``error`` means to an operator; None when it is no objection to data."""
        return explain(error, self._mapper)


def _are_sortable(instances: Sequence[Any]) -> bool:
    """Whether one flush can take ``instances``: the unit of work sorts them by their keys."""
    for mapper in {sa.inspect(i).mapper.base_mapper for i in instances}:
        orders = [c.type.sort_key_function or (lambda value: value) for c in mapper.primary_key]
        states = [sa.inspect(i) for i in instances]
        keys = [s.identity for s in states if s.mapper.base_mapper is mapper]
        try:
            sorted([o(v) for o, v in zip(orders, key, strict=True)] for key in keys)
        except TypeError:
            return False
    return True


@contextlib.contextmanager
def change_set(
    session: AnySession,
    principal: Principal | None = None,
    source: str = "",
    *,
    mapper: orm.Mapper[Any] | None = None,
    is_recorded: bool = False,
    request_id: str | None = None,
    reason: str | None = None,
    undoes_id: int | None = None,
    is_chained: bool = False,
) -> Iterator[ChangeSet]:
    """A block whose writes are committed together at its end, or not at all.

    ``is_recorded`` writes the history of every row that changed into the same transaction (see
    `audit`), ``is_chained`` a digest of it as well (see `chain`); ``mapper`` is the class that the
    writes are about.

    Raises WriteRefused when the database refuses; any other error comes through unchanged. In both
    cases the session has been rolled back.
    """
    changes = ChangeSet(session, principal, source)
    changes.about = {
        "model": getattr(mapper.local_table, "key", None) if mapper is not None else None,
        "request_id": request_id,
        "reason": reason,
        "undoes_id": undoes_id,
        "make_link": chain.Link if is_chained else None,
    }
    recorder = changes.recorder = _recorder(session, mapper) if is_recorded else None
    try:
        yield changes
        changes.record()
        if recorder is not None:
            recorder.close()
        changes.commit()
    except Exception as error:
        session.rollback()
        refusal = changes.explain(error)
        if refusal is None:
            raise
        raise refusal from error
    except BaseException:
        session.rollback()
        raise
    finally:
        for left in (recorder, changes.recorder):
            if left is not None:
                left.close()


_FOLLOWED = "admin_change_set"


def _own(session: AnySession) -> orm.Session:
    return session() if isinstance(session, orm.scoped_session) else session


def _recorder(session: AnySession, mapper: orm.Mapper[Any] | None) -> Recorder:
    own = _own(session)
    outer: ChangeSet | None = own.info.get(_FOLLOWED)
    if outer is not None and outer.recorder is not None:
        # A change set that an action opens is the one that its commit belongs to.
        recorder, outer.recorder = outer.recorder, None
        return recorder
    recorder = Recorder(own, is_kept=True)
    if mapper is not None:
        recorder.listen_to(own.connection(bind_arguments={"mapper": mapper}))
    return recorder
