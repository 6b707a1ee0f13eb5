"""What becomes of the rows of a file: found, compared, written, or refused with sentences.

An `Importer` takes some hundred rows at a time. Related rows, the rows that are there and values
that must be unique are asked for all of them at once, and they are written by one flush; only
where the database objects, halves of them are tried until it is known which rows it does not take.
A trial goes the same way and is rolled back by whoever asked for it.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import sqlalchemy as sa
from sqlalchemy import exc, orm

from admin_app import changes, constraints, formulas, inspection
from admin_app.errors import Contended, WriteRefused
from admin_app.imports.reading import Cell, FileRow, Quoted, is_storable, json_text, parts
from admin_app.imports.targets import NEEDED, Offer, Settings, Target
from admin_app.listing import Listing

BATCH = 500
"""Rows that are looked up, and written, at once."""

REMEMBERED = 200_000
"""Values that must be unique of which it is remembered in which row they were."""

CACHED = 5_000

_NOT_STORED = "This holds a character that cannot be stored."

Kind = Literal["created", "changed", "unchanged", "rejected"]
KINDS: tuple[Kind, ...] = ("created", "changed", "unchanged", "rejected")


class Rows(Protocol):
    """The rows of one model as who imports may write them."""

    mapper: orm.Mapper[Any]
    offer: Offer
    noun: str
    has_hook: bool

    def new(self) -> Any:
        """A new instance."""

    def in_reach(self, what: str) -> Listing:
        """The rows that may be seen (``view``) or changed (``change``)."""

    def hook(self, instance: Any, is_created: bool) -> None:
        """What the application does to a row before it is written; ValueError when it objects."""

    def must_meet(self, what: str) -> Sequence[sa.ColumnElement[bool]]:
        """What rows must meet that were written by ``add`` or ``change``."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A value with what it was before, both as texts; None where there is no such side."""

    label: str
    old: str | None
    new: str | None


@dataclass(slots=True)
class Outcome:
    """What became of one row of a file, or would."""

    number: int
    kind: Kind
    errors: list[tuple[str, str]] = field(default_factory=list)
    """Names of columns, empty for the whole row, with sentences."""
    differences: list[Difference] = field(default_factory=list)
    label: str = ""
    cells: Sequence[Cell] = ()
    instance: Any = None

    marks: Sequence[tuple[str, str, str]] = ()
    """What is written of a row that is there: an attribute, and what tells old and new."""

    def digest(self) -> bytes:
        """What tells this outcome from others."""
        told = repr((self.number, self.kind, self.marks))
        return hashlib.sha256(told.encode("utf-8", "replace")).digest()[:8]


class _Sign(enum.Enum):
    EMPTY = 0
    """An empty cell."""
    KEPT = 1
    """Nothing is set."""


@dataclass(slots=True)
class _Draft:
    row: FileRow
    values: dict[str, Any] = field(default_factory=dict)
    errors: list[tuple[str, str]] = field(default_factory=list)
    instance: Any = None
    is_new: bool = True
    is_found: bool = False
    written: dict[str, Any] = field(default_factory=dict)
    """By attribute of a column, what is written."""
    differences: list[Difference] = field(default_factory=list)
    marks: list[tuple[str, str, str]] = field(default_factory=list)
    is_changed: bool = False
    identity: tuple[Any, ...] | None = None


_IMMUTABLE = (
    str,
    int,
    float,
    bytes,
    decimal.Decimal,
    dt.date,
    dt.time,
    dt.timedelta,
    uuid.UUID,
    enum.Enum,
)


class Importer:
    """Puts rows of a file with the columns ``header`` into ``rows``, as ``settings`` say.

    ``is_marked`` tells that text in the file which begins like a formula has an apostrophe before
    it. ``lock`` holds the rows that are found. Of ``samples`` rows that are created, and as many
    that are changed, the values are told.
    """

    def __init__(
        self,
        rows: Rows,
        session: orm.Session,
        header: Sequence[str],
        settings: Settings,
        *,
        is_marked: bool = False,
        lock: bool = False,
        samples: int = 0,
    ) -> None:
        self.rows = rows
        self.session = session
        self.settings = settings
        self.is_marked = is_marked
        self.lock = lock
        self.samples = {"created": samples, "changed": samples}
        targets = rows.offer.targets
        self._columns: list[tuple[int, str, Target, str]] = [
            (n, name, targets[choice.target], choice.way)
            for n, (name, choice) in enumerate(zip(header, settings.columns, strict=False))
            if choice.target in targets
        ]
        self._titles = {target.key: name for _, name, target, _ in self._columns}
        filled = set(self._titles)
        self._needed = [t for t in targets.values() if t.is_needed and t.key not in filled]
        self._read_before: dict[tuple[str, str], Any] = {}
        self.seen: dict[tuple[str, ...], dict[int, int]] = {}
        """By rule, in which row of the file a value was that only one row may have."""
        self._finds = settings.mode != "create" and bool(settings.match)

    def take(self, rows: Sequence[FileRow]) -> list[Outcome]:
        """Write ``rows`` as far as they are accepted, within the transaction of the session."""
        drafts = [self._draft(row) for row in rows]
        with self.session.no_autoflush:
            self._relate(drafts)
            if self._finds:
                self._find(drafts)
        self._write(drafts, is_first=True)
        return [self._outcome(draft) for draft in drafts]

    # Reading

    def _draft(self, row: FileRow) -> _Draft:
        draft = _Draft(row)
        if row.problem is not None:
            draft.errors.append(("", row.problem))
            return draft
        for place, name, target, _ in self._columns:
            try:
                draft.values[target.key] = self._value(row.cells[place], target)
            except ValueError as error:
                draft.errors.append((name, str(error)))
        return draft

    def _value(self, cell: Cell, target: Target) -> Any:
        """The value of a cell; of related rows the text, or list of texts, that names them."""
        if cell is None:
            return target.blank if target.is_nullable else _Sign.EMPTY
        if isinstance(cell, list):
            if target.is_multiple:
                if not all(map(is_storable, cell)):
                    raise ValueError(_NOT_STORED)
                return [str(one) for one in cell]
            cell = json_text(cell)
        elif target.is_json and isinstance(cell, Quoted):
            cell = json_text(cell)
        is_given, cell = bool(cell), str(cell)
        if self.is_marked and cell.startswith("'"):
            cell = formulas.armed(cell)
        if not is_given or (not cell.strip() and not target.is_text):
            return _Sign.EMPTY
        if not is_storable(cell):
            raise ValueError(_NOT_STORED)
        if target.is_relation:
            return parts(cell) if target.is_multiple else cell
        known = self._read_before.get((target.key, cell))
        if known is not None:
            if isinstance(known, ValueError):
                raise known
            return known
        return self._read(cell, target)

    def _read(self, cell: str, target: Target) -> Any:
        if len(self._read_before) > CACHED:
            self._read_before.clear()
        try:
            value = target.read(cell)
        except ValueError as error:
            self._read_before[target.key, cell] = error
            raise
        if isinstance(value, _IMMUTABLE):
            self._read_before[target.key, cell] = value
        return value

    def _relate(self, drafts: Sequence[_Draft]) -> None:
        """Put the rows that texts name in the place of these."""
        for _, name, target, way_name in self._columns:
            if not target.is_relation:
                continue
            way = next((w for w in target.ways if w.name == way_name), target.ways[0])
            texts: dict[str, None] = {}
            for draft in drafts:
                given = draft.values.get(target.key)
                if isinstance(given, str | list):
                    texts.update(dict.fromkeys([given] if isinstance(given, str) else given))
            found = way.find(list(texts)) if texts else {}
            for draft in drafts:
                given = draft.values.get(target.key)
                if not isinstance(given, str | list):
                    continue
                named = [given] if isinstance(given, str) else given
                wrong = [f for f in (found[text] for text in named) if isinstance(f, str)]
                if wrong:
                    draft.errors += [(name, sentence) for sentence in wrong]
                    del draft.values[target.key]
                else:
                    rows = list(dict.fromkeys(found[text] for text in named))
                    draft.values[target.key] = rows if target.is_multiple else rows[0]

    # Finding

    def _find(self, drafts: Sequence[_Draft]) -> None:
        """Find the row of each draft by the unique key that was chosen."""
        offer, match = self.rows.offer, self.settings.match
        named: dict[tuple[Any, ...], list[_Draft]] = {}
        for draft in drafts:
            if draft.row.problem is not None:
                continue
            key = self._key_of(draft)
            title = self._titles[offer.target_of(match[0])]
            if key is None:
                if self.settings.mode == "update" and not draft.errors:
                    label = offer.key_label(match)
                    draft.errors.append((title, f"No {label} is given to find a row by."))
            elif (number := self._met(match, key, draft)) is not None:
                draft.errors.append((title, f"Row {number:,} of this file is about the same one."))
            else:
                named.setdefault(key, []).append(draft)
        found = self._existing(list(named))
        for key, group in named.items():
            for draft in group:
                if key in found:
                    draft.instance, draft.is_new, draft.is_found = found[key], False, True
                    draft.identity = sa.inspect(found[key]).identity
                elif not self._may_make(draft):
                    told = f"There is no such {self.rows.noun}."
                    draft.errors.append((self._titles[offer.target_of(match[0])], told))

    def _may_make(self, draft: _Draft) -> bool:
        if self.settings.mode == "update":
            return False
        targets = self.rows.offer.targets
        return not any(
            targets[self.rows.offer.target_of(key)].is_only_found_by for key in self.settings.match
        )

    def _key_of(self, draft: _Draft) -> tuple[Any, ...] | None:
        """The values of the unique key by which the row is found; None where one is missing."""
        values = []
        for attribute in self.settings.match:
            key = self.rows.offer.target_of(attribute)
            value = draft.values.get(key)
            if value is None or isinstance(value, _Sign):
                return None
            held = self._held(self.rows.offer.targets[key], value)
            values.append(held.get(attribute))
        return None if None in values else tuple(values)

    def _existing(self, keys: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], Any]:
        if not keys:
            return {}
        rows, match = self.rows.in_reach("change"), self.settings.match
        model = self.rows.mapper.class_
        attributes = [getattr(model, key) for key in match]
        statement = rows.base().where(
            among(attributes, keys), *inspection.own_rows(self.rows.mapper)
        )
        statement = statement.options(*self._loaded())
        if self.lock and not inspection.is_union(self.rows.mapper):
            # In the order of the keys, so that two who change the same rows wait in one order.
            statement = statement.order_by(None).order_by(*attributes).with_for_update(of=model)
            statement = statement.execution_options(populate_existing=True)
        found = self.session.scalars(statement).unique()
        return {tuple(getattr(one, key) for key in match): one for one in found}

    def _loaded(self) -> Iterator[Any]:
        """Loader options for what the file has of the rows that are there."""
        model, columns = self.rows.mapper.class_, inspection.columns(self.rows.mapper)
        for _, _, target, _ in self._columns:
            if target.is_multiple:
                yield orm.selectinload(getattr(model, target.key))
            elif target.key in columns and columns[target.key].is_deferred:
                yield orm.undefer(getattr(model, target.key))

    def _met(self, rule: tuple[str, ...], values: tuple[Any, ...], draft: _Draft) -> int | None:
        """The row of the file that had the same ``values`` for what is unique, if one had."""
        seen = self.seen.setdefault(rule, {})
        mark = hash(repr(values))
        number = seen.get(mark)
        if number is None and len(seen) < REMEMBERED:
            seen[mark] = draft.row.number
        return None if number == draft.row.number else number

    # Filling

    def _held(self, target: Target, value: Any) -> dict[str, Any]:
        """What columns hold, by attribute, once ``target`` is set to ``value``."""
        if not target.is_relation:
            return {target.key: value}
        if target.set_key is not None:
            return {target.key: None if value is None else getattr(value, target.set_key)}
        if target.is_multiple or target.relationship is None:
            return {}
        return constraints.key_values(target.relationship, value)

    def _fill(self, draft: _Draft) -> None:
        if draft.errors:
            self._tell_needed(draft)
            return
        if draft.is_new:
            draft.instance = self.rows.new()
        draft.written, draft.differences, draft.marks, draft.is_changed = {}, [], [], False
        for key, given in draft.values.items():
            target = self.rows.offer.targets[key]
            try:
                value = self._emptied(draft, target) if given is _Sign.EMPTY else given
                if value is not _Sign.KEPT:
                    self._set(draft, target, value)
            except ValueError as error:
                draft.errors.append((self._titles[key], str(error)))
        if draft.is_new:
            draft.errors += [(target.label, NEEDED) for target in self._needed]
        if draft.errors:
            self._let_go(draft)
        elif self.rows.has_hook and (draft.is_new or draft.is_changed):
            self._ask_hook(draft)

    def _tell_needed(self, draft: _Draft) -> None:
        """Tell what else is wrong with a row that is refused already."""
        if draft.is_found or draft.row.problem is not None or self.settings.mode == "update":
            return
        for key, given in draft.values.items():
            if given is _Sign.EMPTY and self.rows.offer.targets[key].is_needed:
                draft.errors.append((self._titles[key], NEEDED))

    def _ask_hook(self, draft: _Draft) -> None:
        if draft.is_new:
            self.session.add(draft.instance)
        try:
            self.rows.hook(draft.instance, draft.is_new)
        except WriteRefused as refusal:
            self._refuse(draft, refusal)
        except ValueError as error:
            draft.errors.append(("", str(error)))
        if draft.errors:
            self._let_go(draft)

    def _let_go(self, draft: _Draft) -> None:
        """Let no flush write what was set."""
        state = sa.inspect(draft.instance)
        if state.persistent:
            self.session.expire(draft.instance)
            return
        if state.pending:
            self.session.expunge(draft.instance)
        for key in draft.values:
            if self.rows.offer.targets[key].is_multiple:
                _set_members(draft.instance, key, [])

    def _emptied(self, draft: _Draft, target: Target) -> Any:
        """What an empty cell sets."""
        if target.is_only_found_by:
            return _Sign.KEPT
        if draft.is_new:
            is_null = self.settings.empty == "null" and target.is_nullable
            if target.is_needed:
                raise ValueError(NEEDED)
            return target.blank if is_null and not target.is_multiple else _Sign.KEPT
        if self.settings.empty == "leave" or target.is_key:
            return _Sign.KEPT
        if self.settings.empty == "default" and target.default is not None:
            return target.default
        if target.is_multiple:
            return []
        if getattr(draft.instance, target.key, None) in (None, ""):
            return _Sign.KEPT
        if not target.is_nullable:
            raise ValueError(NEEDED)
        return target.blank

    def _set(self, draft: _Draft, target: Target, value: Any) -> None:
        if target.is_only_found_by:
            return
        instance, held = draft.instance, self._held(target, value)
        if draft.is_new:
            if value is None and target.is_generated:
                # None alone would let the default come in.
                value = sa.null()
                held = {target.key: value}
            draft.written |= held
            self._put(instance, target, value, held)
            if self.samples["created"] > 0:
                draft.differences.append(Difference(target.label, None, self._told(target, value)))
            return
        is_same, mark = self._compared(instance, target, value, held)
        if is_same:
            return
        if target.is_key:
            raise ValueError("The key of a row that is there cannot be changed.")
        if self.samples["changed"] > 0:
            if target.is_multiple:
                old: Any = _members(instance, target.key)
            else:
                old = getattr(instance, target.key)
            told = Difference(target.label, self._told(target, old), self._told(target, value))
            draft.differences.append(told)
        self._put(instance, target, value, held)
        draft.written |= held
        draft.marks.append((target.key, *mark))
        draft.is_changed = True

    def _compared(
        self, instance: Any, target: Target, value: Any, held: Mapping[str, Any]
    ) -> tuple[bool, tuple[str, str]]:
        """Whether ``instance`` has ``value`` already, and what tells both."""
        if target.is_multiple:
            members = _members(instance, target.key)
            mark = (_identities(members), _identities(value))
            return set(members) == set(value), mark
        if target.is_relation:
            # The keys tell it; the row that is pointed at need not be loaded.
            before = {key: getattr(instance, key) for key in held}
            return bool(held) and before == held, (repr(before), repr(held))
        old = getattr(instance, target.key)
        is_null = value is None or value is target.blank or value is sa.JSON.NULL
        is_same = old is None if is_null else old is not None and target.is_same(value, old)
        return is_same, (str(self._told(target, old)), str(self._told(target, value)))

    def _put(self, instance: Any, target: Target, value: Any, held: Mapping[str, Any]) -> None:
        if target.is_multiple:
            _set_members(instance, target.key, value)
            return
        for key, one in held.items():
            setattr(instance, key, one)
        if target.relationship is not None:
            # The keys are what is written; collections on the other side hear nothing of a row
            # that may yet be refused.
            orm.attributes.set_committed_value(instance, target.key, value)
            return
        state = orm.attributes.instance_state(instance)
        if not state.persistent:
            return
        attribute = state.attrs.get(target.key)
        # SQLAlchemy finds 1, 1.0 and true equal.
        if attribute is not None and not attribute.history.has_changes():
            orm.attributes.flag_modified(instance, target.key)

    def _told(self, target: Target, value: Any) -> str | None:
        if value is None or value is target.blank or isinstance(value, sa.ClauseElement):
            return None
        if target.is_multiple:
            return ", ".join(target.tell(one) for one in value)
        return target.tell(value)

    # Rules

    def _check_unique(self, drafts: Sequence[_Draft]) -> None:
        """Refuse what another row has already that only one may have: a statement a rule."""
        for rule in constraints.uniques(self.rows.mapper):
            asked: dict[tuple[Any, ...], _Draft] = {}
            for draft in drafts:
                if draft.errors or not draft.written.keys() & set(rule.keys):
                    continue
                values = tuple(self._known(draft, key) for key in rule.keys)
                if None in values or any(isinstance(v, _Sign | sa.ClauseElement) for v in values):
                    continue
                number = self._met(rule.keys, values, draft)
                if number is not None and not (self._finds and rule.keys == self.settings.match):
                    one = "this value" if len(rule.keys) == 1 else "these values"
                    self._object(draft, rule, f"Row {number:,} of this file has {one} already.")
                elif number is None or draft.is_new:
                    asked[values] = draft
            for values, identity in self._taken(rule, list(asked)):
                draft = asked[values]
                if identity != draft.identity:
                    self._object(draft, rule, None)

    def _known(self, draft: _Draft, key: str) -> Any:
        if key in draft.written:
            return draft.written[key]
        return _Sign.KEPT if draft.is_new else getattr(draft.instance, key)

    def _taken(
        self, rule: constraints.Unique, values: Sequence[tuple[Any, ...]]
    ) -> Iterable[tuple[tuple[Any, ...], tuple[Any, ...]]]:
        """Those of ``values`` that rows have, each with the identity of the row."""
        if not values:
            return
        mapper = self.rows.mapper
        columns = [getattr(mapper.class_, key) for key in rule.keys]
        identity = [getattr(mapper.class_, key) for key in inspection.identity_keys(mapper)]
        statement = sa.select(*columns, *identity).where(among(columns, values))
        known = set(values)
        for row in self.session.execute(statement):
            found = tuple(row[: len(columns)])
            if found in known:
                yield found, tuple(row[len(columns) :])

    def _object(self, draft: _Draft, rule: constraints.Unique, sentence: str | None) -> None:
        concerned = set(draft.written)
        for key, told in constraints.told(self.rows.mapper, concerned, [rule]).items():
            draft.errors += [(self._title(key), sentence or one) for one in told]
        self._let_go(draft)

    def _title(self, key: str) -> str:
        """What the column is called that fills ``key``; else what pages call it."""
        targets = self.rows.offer.targets
        known = targets[key].label if key in targets else inspection.words(key)
        return self._titles.get(key, known)

    def _refuse(self, draft: _Draft, refusal: WriteRefused) -> None:
        for key, sentences in refusal.fields.items():
            draft.errors += [(self._title(key), sentence) for sentence in sentences]
        if not refusal.fields:
            draft.errors.append(("", refusal.sentence))

    # Writing

    def _write(self, drafts: Sequence[_Draft], *, is_first: bool = False) -> None:
        """Write ``drafts``; where the database objects, find out which of them it does not take."""
        if not drafts:
            return
        error = self._attempt(drafts, is_first)
        if error is None:
            return
        if isinstance(error, _OutOfReach):
            for draft in error.drafts:
                told = f"With these values the {self.rows.noun} would be out of your reach."
                draft.errors.append(("", told))
            self._write([draft for draft in drafts if not draft.errors])
            return
        refusal = changes.explain(error, self.rows.mapper)
        if refusal is None or isinstance(refusal, Contended) or not _is_about_values(error):
            raise error
        left = [draft for draft in drafts if not draft.errors]
        if len(left) == 1:
            self._refuse(left[0], refusal)
            return
        middle = len(left) // 2 if len(left) > 8 else 1
        self._write(left[:middle])
        self._write(left[middle:])

    def _attempt(self, drafts: Sequence[_Draft], is_first: bool) -> Exception | None:
        """Set what ``drafts`` say and write it, all or none; what stands against it.

        The savepoint comes first: what is set before it would be written outside of it.
        """
        try:
            with self.session.no_autoflush, self.session.begin_nested():
                for draft in drafts:
                    self._fill(draft)
                if is_first:
                    self._check_unique(drafts)
                written = [d for d in drafts if not d.errors and (d.is_new or d.is_changed)]
                self.session.add_all(draft.instance for draft in written if draft.is_new)
                self.session.flush()
                if lost := self._out_of_reach(written):
                    raise _OutOfReach(lost)
        except (exc.SQLAlchemyError, _OutOfReach) as error:
            return error
        return None

    def _out_of_reach(self, drafts: Sequence[_Draft]) -> list[_Draft]:
        """Those of ``drafts`` that are, as written, no rows that their owner may write."""
        lost: list[_Draft] = []
        for what in ("add", "change"):
            group = [d for d in drafts if d.is_new == (what == "add")]
            criteria = self.rows.must_meet(what) if group else ()
            if criteria:
                identities = [sa.inspect(d.instance).identity or () for d in group]
                kept = Listing(self.rows.mapper, criteria=criteria).many(self.session, identities)
                known = {sa.inspect(one).identity for one in kept}
                lost += [d for d, i in zip(group, identities, strict=True) if i not in known]
        return lost

    def _outcome(self, draft: _Draft) -> Outcome:
        if draft.errors:
            return Outcome(draft.row.number, "rejected", draft.errors, cells=draft.row.cells)
        kind: Kind = "created" if draft.is_new else "changed" if draft.is_changed else "unchanged"
        label = ""
        if self.samples.get(kind, 0) > 0:
            self.samples[kind] -= 1
            label = _label(draft.instance) if kind == "changed" else ""
        return Outcome(
            draft.row.number,
            kind,
            [],
            draft.differences,
            label,
            instance=draft.instance,
            marks=draft.marks,
        )


class _OutOfReach(Exception):
    def __init__(self, drafts: list[_Draft]) -> None:
        super().__init__()
        self.drafts = drafts


def among(attributes: Sequence[Any], keys: Sequence[tuple[Any, ...]]) -> sa.ColumnElement[bool]:
    """That ``attributes`` together have one of the values ``keys``."""
    if len(attributes) == 1:
        found: sa.ColumnElement[bool] = attributes[0].in_([key[0] for key in keys])
        return found
    return sa.tuple_(*attributes).in_(list(keys))


def _is_about_values(error: Exception) -> bool:
    """Whether the database objects to what a row holds, and not to what others do just now."""
    if isinstance(error, exc.IntegrityError | exc.DataError):
        return True
    if isinstance(error, exc.DBAPIError):
        code = getattr(error.orig, "pgcode", None) or getattr(error.orig, "sqlstate", None) or ""
        return str(code).startswith(("P0", "428", "22", "23", "44"))
    return isinstance(error, exc.StatementError)


def _members(instance: Any, key: str) -> list[Any]:
    return list(orm.collections.collection_adapter(getattr(instance, key)))


def _set_members(instance: Any, key: str, wanted: Sequence[Any]) -> None:
    members = orm.collections.collection_adapter(getattr(instance, key))
    present = list(members)
    for one in present:
        if one not in wanted:
            members.remove_with_event(one)
    for one in wanted:
        if one not in present:
            members.append_with_event(one)


def _identities(instances: Iterable[Any]) -> str:
    return repr(sorted(repr(sa.inspect(one).identity) for one in instances))


def _label(instance: Any) -> str:
    try:
        return inspection.label(sa.inspect(instance).mapper).of(instance)
    except Exception:  # a host's __str__ must not hinder an import
        return ""
