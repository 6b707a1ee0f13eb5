"""The fields of a form as what the columns of a file can be put into.

A cell of a file is read by the field that a person would have typed it into, so that both mean the
same and are refused alike. Related rows are found within the reach of whoever imports.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
import wtforms
from sqlalchemy import orm
from werkzeug.datastructures import MultiDict

from admin_app import constraints, inspection, layout, rendering
from admin_app import listing as listings
from admin_app.errors import Forbidden, InvalidRequest, NotFound, WriteRefused
from admin_app.forms import by_type, fields, pickers
from admin_app.imports.planning import among
from admin_app.imports.targets import Offer, Target, Way
from admin_app.listing import Listing
from admin_app.lookups import RowLookup

LOOKED_UP = 200
"""Names of related rows that are searched for one by one, where no column holds them whole."""

CANDIDATES = 100
"""Rows that are compared with the label that is looked for."""

YES = frozenset({"true", "yes", "y", "on", "1", "t", "x", "ja", "wahr", "✓"})
NO = frozenset({"false", "no", "n", "off", "0", "f", "nein", "falsch", "✗"})


class ImportedRows:
    """The rows of ``view`` as whoever imports may write them: a `planning.Rows`."""

    def __init__(self, view: Any) -> None:
        self.view = view
        self.mapper: orm.Mapper[Any] = view.mapper
        self.noun = str(view.singular).lower()
        self.form = view._create_form_class(None)
        layout.prepare(view, self.form, None)
        self.offer = _offer(view, self.form)
        self._reach: dict[str, Listing] = {}
        self._unticked = [
            field.short_name
            for field in self.form
            if isinstance(field, fields.CheckboxField) and not _is_generated(view, field)
        ]
        self.has_hook = not is_ours(view, "on_model_change")
        self.has_after_hook = not is_ours(view, "after_model_change")

    def new(self) -> Any:
        instance = self.view.build_new_instance()
        for key in self._unticked:
            # As the form does, which sends every box.
            setattr(instance, key, False)
        return instance

    def in_reach(self, what: str) -> Listing:
        if what not in self._reach:
            self._reach[what] = self.view.get_listing(what)
        return self._reach[what]

    def must_meet(self, what: str) -> Sequence[sa.ColumnElement[bool]]:
        asked = dict.fromkeys([self.view, self.view.parent_view or self.view])
        return [n for v in asked if (n := v._narrowed(what, v.model)) is not None]

    def hook(self, instance: Any, is_created: bool) -> None:
        """Let the application's own ``on_model_change`` see the row, and a form that holds it."""
        self._fill(instance)
        try:
            self.view._on_model_change(self.form, instance, is_created)
        except wtforms.ValidationError as error:
            raise WriteRefused(str(error)) from None

    def after(self, instance: Any, is_created: bool) -> None:
        """Tell the application's own ``after_model_change`` of a row that is committed."""
        self._fill(instance)
        self.view.after_model_change(self.form, instance, is_created)

    def _fill(self, instance: Any) -> None:
        for field in self.form:
            if field.short_name in self.offer.targets:
                field.data = getattr(instance, field.short_name)


def is_ours(view: Any, method: str) -> bool:
    """Whether ``method`` of ``view`` is our own, or Flask-Admin's, and no host's."""
    owner = next((cls for cls in type(view).__mro__ if method in vars(cls)), None)
    return owner is None or owner.__module__.partition(".")[0] in ("admin_app", "flask_admin")


def _offer(view: Any, form: Any) -> Offer:
    targets: dict[str, Target] = {}
    for key in inspection.identity_keys(view.mapper):
        target = _key_target(view, key)
        if target is not None:
            targets[key] = target
    for field in form:
        key = str(field.name).removeprefix(form._prefix)
        if not _may_be_put_into(view, field, key):
            continue
        target = _target(view, form, field, key)
        if target is not None:
            targets[key] = target
    covered = inspection.foreign_key_relationships(view.mapper)
    return Offer(
        targets,
        list(_keys(view.mapper, targets, covered)),
        covered,
        can_add=bool(view.allows("add")),
        can_change=bool(view.allows("change")),
    )


def _may_be_put_into(view: Any, field: Any, key: str) -> bool:
    is_shown = field.flags.readonly_text or isinstance(field, fields.ReadOnlyField)
    if is_shown or inspection.is_secret(key) or isinstance(field, wtforms.HiddenField):
        return False
    return bool(view._may_read(view.mapper, key) and view.may("change", key))


def _keys(
    mapper: orm.Mapper[Any], targets: Mapping[str, Target], covered: Mapping[str, str]
) -> Sequence[tuple[str, ...]]:
    """The unique keys by which rows can be found, the primary key first."""
    found = [inspection.identity_keys(mapper)]
    # Constraints come in no order of their own.
    found += sorted((rule.keys for rule in constraints.uniques(mapper)), key=lambda k: (len(k), k))

    def is_filled(key: str) -> bool:
        target = targets.get(covered.get(key, key))
        return target is not None and not target.is_multiple

    return [keys for keys in dict.fromkeys(found) if all(map(is_filled, keys))]


def _key_target(view: Any, key: str) -> Target | None:
    """A key that the database makes: it can be read, and serves to find rows."""
    column = inspection.columns(view.mapper)[key]
    codec = by_type.codec_by_dialect(column.type, view.dialect_name)
    if codec is None or not column.is_generated or not view._may_read(view.mapper, key):
        return None
    codec = codec.chosen()
    return Target(
        key,
        str(view.get_column_name(key)),
        functools.partial(_read_by, codec, view.dialect_name()),
        codec.write,
        codec.is_same,
        is_text=codec.is_text,
        is_key=True,
        is_only_found_by=True,
    )


def _read_by(codec: Any, dialect: str, text: str) -> Any:
    return codec.read(text, dialect)


def _target(view: Any, form: Any, field: Any, key: str) -> Target | None:
    label = str(getattr(field.label, "text", "") or inspection.words(key))
    common: dict[str, Any] = {
        "is_needed": bool(field.flags.required),
        "is_nullable": bool(getattr(field, "is_nullable", not field.flags.required)),
        "is_generated": bool(getattr(field, "is_generated", False)),
        "is_key": bool(getattr(field, "is_key", False)),
        "default": getattr(field, "object_data", None),
    }
    if isinstance(field, pickers.PickerField):
        return _relation(view, field, key, label, common)
    if isinstance(field, fields.ColumnField):
        return _column(view, form, field, key, label, common)
    if isinstance(field, fields.ChoiceField):
        read = _checked(form, field, key, functools.partial(_read_choice, field))
        return Target(key, label, read, field.text_of, _is_same, **common)
    if isinstance(field, fields.CheckboxField):
        read = _checked(form, field, key, _read_flag)
        return Target(key, label, read, _tell_flag, _is_same, **{**common, "is_nullable": False})
    if isinstance(field, fields.BinaryField):
        return Target(key, label, _read_base64, _tell_size, _is_same, **common)
    return _of_host(view, form, field, key, label, common)


def _read_base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        raise ValueError("This is no binary content, written as base64.") from None


def _tell_size(value: Any) -> str:
    return rendering.size(len(value)).striptags()


def _column(
    view: Any, form: Any, field: Any, key: str, label: str, common: dict[str, Any]
) -> Target | None:
    codec, dialect, limit = field.codec, view.dialect_name(), field.limit

    def read(text: str) -> Any:
        value = codec.read(text, dialect)
        if limit is not None and limit.refuses(value):
            raise ValueError(limit.sentence)
        return value

    if field.keeps_blank:
        common |= {"blank": "", "is_nullable": True}
    elif codec.is_json:
        common["blank"] = sa.null()
    return Target(
        key,
        label,
        _checked(form, field, key, read),
        codec.write,
        codec.is_same,
        is_text=codec.is_text,
        is_json=codec.is_json,
        **common,
    )


def _checked(form: Any, field: Any, key: str, read: Callable[[str], Any]) -> Callable[[str], Any]:
    """``read``, and after it what the host has to object to the value by itself."""
    stock = (wtforms.validators.Optional, wtforms.validators.InputRequired)
    own = [v for v in field.validators if not isinstance(v, stock)]
    inline = getattr(form, f"validate_{field.short_name}", None)
    if not own and inline is None:
        return read

    def read_and_validate(text: str) -> Any:
        value = read(text)
        field.raw_data, field.data, field.process_errors = [text], value, []
        if not field.validate(form, [inline] if inline is not None else ()):
            raise ValueError(" ".join(map(str, field.errors)) or "This value is not accepted.")
        return field.data

    return read_and_validate


def _of_host(
    view: Any, form: Any, field: Any, key: str, label: str, common: dict[str, Any]
) -> Target | None:
    """A field of the host's own, which takes a text and keeps what it makes of it."""
    if key not in inspection.columns(view.mapper) or isinstance(
        field, wtforms.FileField | wtforms.FormField | wtforms.FieldList | fields.ModelFieldMixin
    ):
        return None

    def read(text: str) -> Any:
        field.process(MultiDict([(field.name, text)]))
        if not field.validate(form):
            raise ValueError(" ".join(map(str, field.errors)) or "This value is not accepted.")
        return field.data

    return Target(key, label, read, str, _is_same, is_text=True, **common)


def _is_same(one: Any, other: Any) -> bool:
    try:
        return type(one) is type(other) and bool(one == other)
    except Exception:  # a value that cannot be compared is another one
        return False


def _read_choice(field: fields.ChoiceField, text: str) -> Any:
    text = field._named(text)
    if text in field.by_text:
        return field.by_text[text]
    typed = text.strip().casefold()
    for known, words in field.words.items():
        if typed in (words.casefold(), known.casefold()):
            return field.by_text[known]
    if set(field.by_text) <= {"true", "false"} and typed in YES | NO:
        return field.by_text["true" if typed in YES else "false"]
    choices = inspection.shorten(", ".join(field.words.values()))
    raise ValueError(f"“{inspection.shorten(text)}” is not one of the choices: {choices}.")


def _read_flag(text: str) -> bool:
    typed = text.strip().casefold()
    if typed in YES:
        return True
    if typed in NO:
        return False
    raise ValueError(f"“{inspection.shorten(text)}” is neither yes nor no.")


def _tell_flag(value: Any) -> str:
    return "yes" if value else "no"


def _is_generated(view: Any, field: Any) -> bool:
    column = inspection.columns(view.mapper).get(field.short_name)
    return column is None or column.is_generated


# Related rows


def _relation(
    view: Any, field: pickers.PickerField, key: str, label: str, common: dict[str, Any]
) -> Target | None:
    if isinstance(field, pickers.ProxyPickerField) or not isinstance(field.lookup, RowLookup):
        return None
    finder = _Finder(view, field.lookup)
    try:
        ways = finder.ways()
    except Forbidden:
        return None
    set_key = field.target_key if isinstance(field, pickers.KeyPickerField) else None
    return Target(
        key,
        label,
        str,
        finder.tell,
        _is_same,
        ways=ways,
        relationship=None if set_key else inspection.relationships(view.mapper)[key],
        set_key=set_key,
        is_multiple=field.is_multiple,
        **{**common, "default": None},
    )


class _Finder:
    """Finds related rows by texts, all of them at once."""

    def __init__(self, view: Any, lookup: RowLookup) -> None:
        self.view, self.lookup, self.mapper = view, lookup, lookup.mapper
        self.noun = inspection.words(self.mapper.class_.__name__).lower()

    @functools.cached_property
    def listing(self) -> Listing:
        return self.lookup.listing()

    def tell(self, value: Any) -> str:
        """What a row is called; a bare key, where it is all that is known, as it is."""
        if isinstance(value, self.mapper.class_):
            return self.lookup.words(value)
        return str(value)

    def ways(self) -> list[Way]:
        reach = self.view.reach()
        self.listing  # noqa: B018 - Forbidden where the rows may not be seen
        found = [Way("key", "Key", self.by_key)]
        columns = inspection.columns(self.mapper)
        if len(self.mapper.primary_key) == 1:
            name = inspection.identity_keys(self.mapper)[0]
            found = [Way("key", inspection.words(name), self.by_key)]
        for rule in constraints.uniques(self.mapper):
            column = columns.get(rule.keys[0])
            if len(rule.keys) > 1 or column is None or column.is_primary_key:
                continue
            codec = by_type.codec_by_dialect(column.type, self.view.dialect_name)
            if codec is None or not reach.may_read(self.mapper, column.key):
                continue
            find = functools.partial(self.by_column, column.key, codec.chosen())
            label = (getattr(column.column, "info", None) or {}).get("label")
            found.append(Way(column.key, str(label or inspection.words(column.key)), find))
        found.append(Way("label", "Label", self.by_label))
        return found

    def _missing(self, text: str) -> str:
        return f"There is no {self.noun} “{inspection.shorten(text)}”."

    def by_key(self, texts: Sequence[str]) -> dict[str, Any]:
        codec = inspection.identity_text(self.mapper)
        named: dict[str, tuple[Any, ...]] = {}
        for text in texts:
            try:
                named[text] = codec.decode(text.strip())
            except NotFound:
                continue
        keys = [getattr(self.mapper.class_, k) for k in inspection.identity_keys(self.mapper)]
        rows = self._among(keys, list(dict.fromkeys(named.values())))
        known = {sa.inspect(row).identity: row for row in rows}
        return {
            t: known[named[t]] if t in named and named[t] in known else self._missing(t)
            for t in texts
        }

    def by_column(self, key: str, codec: Any, texts: Sequence[str]) -> dict[str, Any]:
        named: dict[str, Any] = {}
        for text in texts:
            try:
                named[text] = codec.read(text, self.view.dialect_name())
            except ValueError:
                continue
        rows = self._having(key, list(dict.fromkeys(named.values())))
        known = {getattr(row, key): row for row in rows}
        return {
            t: known[named[t]] if t in named and named[t] in known else self._missing(t)
            for t in texts
        }

    def by_label(self, texts: Sequence[str]) -> dict[str, Any]:
        session = self.view.get_session()
        found: dict[str, dict[Any, Any]] = {text: {} for text in texts}

        def note(rows: Sequence[Any]) -> None:
            for row in rows:
                words = self.lookup.words(row)
                if words in found:
                    found[words][sa.inspect(row).identity] = row

        for key in inspection.label_texts(self.mapper):
            note(self._having(key, list(texts)))
        for text in [text for text in texts if not found[text]][:LOOKED_UP]:
            # What a label is made of stands in several columns, with signs between.
            longest = max(re.findall(r"\w+", text), key=len, default=text)
            for sought in dict.fromkeys((text, longest)):
                with contextlib.suppress(InvalidRequest):
                    note(self.listing.lookup(session, sought, CANDIDATES)[0])
                if found[text]:
                    break
        return {text: self._only(text, list(rows.values())) for text, rows in found.items()}

    def _having(self, key: str, values: Sequence[Any]) -> list[Any]:
        return self._among([getattr(self.mapper.class_, key)], [(value,) for value in values])

    def _among(self, attributes: Sequence[Any], values: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The rows in reach that have one of ``values``; a thousand of these in a statement."""
        session, rows = self.view.get_session(), list[Any]()
        for start in range(0, len(values), 1_000):
            portion = values[start : start + 1_000]
            own = inspection.own_rows(self.mapper)
            statement = self.listing.base().where(among(attributes, portion), *own)
            statement = statement.options(*listings.label_options(self.mapper))
            try:
                # What was written before stays where the database cannot read one of them.
                with session.begin_nested():
                    rows += session.scalars(statement).unique().all()
            except sa.exc.DataError:
                if len(portion) > 1:
                    rows += [row for value in portion for row in self._among(attributes, [value])]
        listings.load_chains(session, rows)
        return rows

    def _only(self, text: str, rows: Sequence[Any]) -> Any:
        if len(rows) == 1:
            return rows[0]
        if not rows:
            return self._missing(text)
        plural = inspection.plural(self.noun)
        return f"{len(rows):,} {plural} are called “{inspection.shorten(text)}”."
