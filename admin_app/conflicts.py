"""Two people at one row: what a form had shown, what the row holds by now, and what was typed.

The form of a row carries what it shows (`token`), signed. When it is saved, each field is compared
three ways (`meet`), under the lock of the row. What only somebody else has changed stays as he
left it, what only this visitor has changed is written; a field that both changed is not saved
before it is chosen which value stays. A row that is gone can be made again (`create_again`).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import flask
import itsdangerous
import sqlalchemy as sa
import wtforms
from flask import g, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from werkzeug.datastructures import MultiDict
from wtforms.csrf.core import CSRFTokenField

from admin_app import changed_rows, inspection, layout, rendering, saving, subtypes
from admin_app import contexts as c
from admin_app._flask_admin import InlineRows
from admin_app.changes import versions
from admin_app.changes.versions import Change
from admin_app.errors import NotFound
from admin_app.forms.fields import (
    BinaryField,
    CheckboxField,
    ChoiceField,
    ColumnField,
    ModelFieldMixin,
)
from admin_app.forms.pickers import PickerField
from admin_app.forms.shown import sent_text, shown_text, values_for

FORM_FIELD = "_form_base"
"""The name under which a form sends back what it had shown."""

CHOICE = "_keep-"
"""Before the name of a field: which of its values stays, ``theirs``, ``yours`` or ``base``."""

AGAIN = "again"
"""The argument of a URL that names the row, gone meanwhile, that is made again."""

_LIMITS = (4_000, 200, 0)
"""Characters of a value that a form carries; of a longer one it carries a digest."""

_ROOM = 60_000
"""Characters that all of it may take, else a smaller limit is tried."""

_UNSEEN = Markup("••••••")

Text = str | list[str]
"""What a form showed in a field, or a list of one digest of it."""


@dataclass(slots=True)
class Base:
    """What the form of a row had shown."""

    texts: dict[str, Text] = field(default_factory=dict)
    before: dict[str, Text] = field(default_factory=dict)
    """Of fields about which it had asked: what they held before both changes."""
    version: str | None = None
    at: dt.datetime | None = None
    label: str = ""
    subtype: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether it could be read: a key of the application may have been changed since."""
        return self.at is not None


# What a form carries


def token(view: Any, form: Any, model: Any) -> str:
    """What the form of ``model`` sends back of what it shows."""
    keyed = list(_keyed(form))
    shown: dict[str, Text] = {key: _now(one) for key, one in keyed}
    before = {key: one.conflict_base for key, one in keyed if hasattr(one, "conflict_base")}
    payload = {
        "v": getattr(form, "shown_version", None) or _version(view, model),
        "at": int((getattr(form, "shown_at", None) or dt.datetime.now(dt.UTC)).timestamp()),
        "l": inspection.label(view.mapper).of(model)[:200],
        "s": view.subtype,
    }
    signer, signed = _signer(view, view.get_pk_value(model)), ""
    for limit in _LIMITS:
        payload |= {"t": _cut(shown, limit), "b": _cut(before, limit)}
        signed = str(signer.dumps(payload))
        if len(signed) <= _ROOM:
            break
    return signed


def _signer(view: Any, text: str) -> itsdangerous.URLSafeSerializer:
    keys = [*(flask.current_app.config.get("SECRET_KEY_FALLBACKS") or ()), _secret()]
    return itsdangerous.URLSafeSerializer(keys, salt=f"admin-base\0{view.endpoint}\0{text}")


def _secret() -> str | bytes:
    return flask.current_app.secret_key or ""


def _cut(texts: dict[str, Text], limit: int) -> dict[str, Text]:
    return {
        name: [_digest(text)] if isinstance(text, str) and len(text) > max(limit, 40) else text
        for name, text in texts.items()
    }


def _digest(text: str) -> str:
    secret = _secret()
    key = secret.encode() if isinstance(secret, str) else secret
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32]


def _same(one: Text | None, other: str) -> bool:
    return one == other or isinstance(one, list) and one == [_digest(other)]


def _sent_base(view: Any, text: str) -> Base | None:
    """What the form that was sent for the row ``text`` had shown; None where it does not say."""
    sent = request.form.get(FORM_FIELD)
    if not sent:
        return None
    try:
        told = _signer(view, text).loads(sent)
        at = dt.datetime.fromtimestamp(told["at"], dt.UTC)
        return Base(told["t"], told["b"], told["v"], at, told["l"], told["s"])
    except (itsdangerous.BadData, KeyError, TypeError):
        return Base()


def _version(view: Any, model: Any) -> str | None:
    column = view.mapper.version_id_col
    key = None if column is None else inspection.key_of(view.mapper, column)
    value = None if key is None else sa.inspect(model).dict.get(key)
    return None if value is None else str(value)


def _compared(form: Any) -> Iterator[Any]:
    """The fields that hold one value which can be sent."""
    for one in form:
        is_nested = hasattr(one, "entries") or hasattr(one, "form")
        if not (is_nested or one.flags.readonly_text or isinstance(one, CSRFTokenField)):
            yield one


def _keyed(form: Any) -> Iterator[tuple[str, Any]]:
    """The same by what tells them apart, and those of inline rows by the row that each is of."""
    yield from ((one.name, one) for one in _compared(form))
    for rows in form:
        if isinstance(rows, InlineRows):
            for key, entry in rows.stored():
                for one in _compared(entry.form):
                    if isinstance(one, ModelFieldMixin):
                        name = one.short_name  # type: ignore[attr-defined]
                        yield f"{rows.name}\0{key}\0{name}", one


def _removed(form: Any) -> set[Any]:
    """The fields of inline rows that are to be removed."""
    found = [e for rows in form if isinstance(rows, InlineRows) for _, e in rows.stored()]
    return {one for entry in found if getattr(entry, "_should_delete", False) for one in entry.form}


def _is_secret(one: Any) -> bool:
    return isinstance(one, ColumnField) and one.is_secret


def _now(one: Any) -> str:
    """What a form shows of the field now, whatever was sent; of a secret a digest."""
    if _is_secret(one):
        return "" if not one.object_data else _digest(f"{one.name}\0{one.object_data}")
    return shown_text(one)


# The comparison


def meet(view: Any, form: Any, model: Any) -> bool:
    """Let what others changed since the form was shown stay; False if something is to be chosen.

    Before the form is validated. A form that does not say what it had shown, as a script may send
    it, is taken by its word.
    """
    if request.method != "POST":
        return True
    form.shown_version = _version(view, model)
    base = _sent_base(view, view.get_pk_value(model))
    if base is None:
        return True
    meeting = _Meeting(view, model, base)
    removed = _removed(form)
    for key, one in list(_keyed(form)):
        if one in removed:
            meeting.compare_removed(key, one)
        else:
            meeting.compare(key, one)
    is_elsewhere = base.version is not None and base.version != form.shown_version
    meeting.tell(is_elsewhere)
    if meeting.is_open:
        # What was changed since then is still to be told when the answer comes.
        form.shown_at, g.admin_status = base.at, 409
    return not meeting.is_open


class _Meeting:
    """One form that was sent, and the row as it is by now."""

    def __init__(self, view: Any, model: Any, base: Base) -> None:
        self.view = view
        self.model = model
        self.base = base
        self.is_open = False
        self.has_moved = False
        self.kept: list[Any] = []
        """Fields that stay as somebody else left them."""
        self._since: versions.Since | None = None

    def compare_removed(self, key: str, one: Any) -> None:
        """Ask once more before a row goes that is not as it was shown."""
        was = self.base.texts.get(key)
        if was is not None and not _same(was, _now(one)):
            self.is_open = self.has_moved = True
            sentence = "Somebody else changed this meanwhile. Save again to remove the row."
            one.process_errors = [*one.process_errors, sentence]

    def compare(self, key: str, one: Any) -> None:
        """Decide what becomes of one field, which is known by ``key``."""
        was, now = self.base.texts.get(key), _now(one)
        if was is None and (self.base.is_known or "\0" in key):
            return
        before = self.base.before.get(key)
        has_moved = not _same(was, now)
        self.has_moved |= has_moved
        is_asked = False
        if before is not None:
            chosen = request.form.get(CHOICE + one.name)
            if chosen == "theirs":
                _leave(one, now)
                self.kept += [one] if has_moved else []
                return
            if chosen == "base":
                before = self._recalled(before, self._change(one))
            if chosen == "base" and isinstance(before, str) and _can_return(one):
                _put(one, values_for(one, before))
            else:
                is_asked = chosen != "yours"
        if has_moved or is_asked:
            self._settle(one, was if before is None else before, was, now, is_asked)

    def _settle(
        self, one: Any, before: Text | None, was: Text | None, now: str, asked: bool
    ) -> None:
        is_multiple = isinstance(one, PickerField) and one.is_multiple
        if not _is_written(one):
            # Not sent at all, or both changed it to the same.
            is_unseen = isinstance(one, BinaryField) or _is_secret(one)
            self.kept += [one] if is_unseen or sent_text(one) is None else []
        elif not asked and _is_left_alone(one, was):
            _leave(one, now)
            self.kept.append(one)
        elif not asked and is_multiple and isinstance(was, str) and not one.process_errors:
            yours = str(sent_text(one))
            both = versions.merged(was.split("\0"), now.split("\0"), yours.split("\0"))
            _put(one, values_for(one, "\0".join(both)))
            self.kept.append(one)
        else:
            self._collide(one, before, now)

    def _collide(self, one: Any, before: Text | None, now: str) -> None:
        self.is_open = True
        change = self._change(one)
        who = _who(self.view, change) or "Somebody else"
        before = self._recalled(before, change)
        one.conflict_base = before if before is not None else []
        base = _words(one, before) if isinstance(before, str) and _can_return(one) else None
        one.conflict = c.Conflict(
            name=CHOICE + one.name,
            who=who.rstrip(","),
            when=None if change is None else _moment(change.at.replace(microsecond=0)),
            theirs=_against(one, before, now),
            yours=_against(one, before, _typed(one)),
            base=base,
            chosen=request.form.get(CHOICE + one.name, ""),
        )
        one.process_errors = [
            *one.process_errors,
            f"{who} changed this meanwhile. Choose which value stays.",
        ]

    def _change(self, one: Any) -> Change | None:
        """The last change of the field since the form was shown, where the history has it."""
        if self._since is None:
            self._since = _since(self.view, sa.inspect(self.model).identity, self.base.at)
        return self._since.of(self.view.mapper, one.name)

    def _recalled(self, before: Text | None, change: Change | None) -> Text | None:
        """The whole of a text that was too long to be carried, from the history."""
        olds = [] if change is None or not isinstance(before, list) else change.olds
        texts = (old for old in olds if isinstance(old, str))
        return next((text for text in texts if _same(before, text)), before)

    def tell(self, is_elsewhere: bool) -> None:
        """Keep for the visitor what was changed beside him."""
        by: dict[str, list[str]] = {}
        for one in self.kept:
            who = _who(self.view, self._change(one)) or "Somebody else"
            by.setdefault(who, []).append(f"“{one.label.text}”")
        g.admin_told = [
            f"{who} changed {_listed(names)} meanwhile. That is kept." for who, names in by.items()
        ]
        if is_elsewhere and not self.has_moved:
            g.admin_told.append(
                "Somebody else changed this row meanwhile, in what the form does not show. "
                "That is kept."
            )


def _is_written(one: Any) -> bool:
    """Whether the field is about to change the row, or to be refused."""
    if isinstance(one, ModelFieldMixin):
        return one.is_changed or bool(one.process_errors)  # type: ignore[attr-defined]
    is_sent = bool(one.raw_data) or isinstance(one, wtforms.BooleanField)
    return is_sent and str(one.data) != str(one.object_data)


def _is_left_alone(one: Any, was: Text | None) -> bool:
    """Whether what was sent is what had been shown."""
    if was is None or isinstance(one, BinaryField) or _is_secret(one):
        return False
    if isinstance(one, wtforms.BooleanField):
        return str(one.data) == was
    sent = sent_text(one)
    return sent is None or _same(was, sent) or isinstance(was, str) and _means(one, was)


def _means(one: Any, text: str) -> bool:
    """Whether ``text`` is another way to write what was typed."""
    if not isinstance(one, ColumnField) or one.process_errors or not text:
        return False
    try:
        return bool(one.codec.is_same(one.codec.read(text, one.dialect()), one.data))
    except Exception:  # what cannot be read or compared is something else
        return False


def _can_return(one: Any) -> bool:
    """Whether the field can be set to what it showed before, by the text of it."""
    is_ours = isinstance(one, ColumnField | CheckboxField | ChoiceField | PickerField)
    return is_ours and not _is_secret(one)


def _put(one: Any, values: Sequence[str]) -> None:
    """Take ``values`` as if they had been sent."""
    if isinstance(one, ModelFieldMixin):
        one.is_changed = False
    one.process(MultiDict((one.name, value) for value in values), one.object_data)


def _leave(one: Any, now: str) -> None:
    """Let the field be as if it had shown what the row holds now, and nobody had touched it."""
    if _can_return(one):
        _put(one, values_for(one, now))
    elif isinstance(one, ModelFieldMixin):
        _put(one, [])
    else:
        _put(one, _own_values(one))


def _own_values(one: Any) -> list[str]:
    """What a field of a host's own would send, untouched."""
    one.raw_data = None
    one.process(None, one.object_data)
    shown = one._value() if hasattr(one, "_value") else one.data
    if isinstance(one, wtforms.BooleanField):
        return ["y"] if shown else []
    if isinstance(shown, list | tuple | set):
        return list(map(str, shown))
    return [] if shown is None else [str(shown)]


# Words


def _who(view: Any, change: Change | None) -> str | None:
    if change is None or not change.actor or view.admin.is_open:
        return None
    principal = view.principal()
    is_own = principal is not None and principal.id == change.actor_id
    return "You, in another window," if is_own else change.actor


def _since(view: Any, identity: Any, at: dt.datetime | None) -> versions.Since:
    """What the history tells of a row, to whom it is open."""
    if at is None or identity is None or not saving.keeps_history(view):
        return versions.Since()
    if not view.admin.history.is_accessible():
        return versions.Since()
    # The moment that a form carries is cut to the second.
    return versions.since(view.get_session(), view.mapper, identity, at)


_moment = rendering.by_type(sa.DateTime(timezone=True), is_cut=False)


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _typed(one: Any) -> str | None:
    """What was typed or chosen; None for what a page cannot show again."""
    if _is_secret(one):
        return _UNSEEN
    return None if isinstance(one, BinaryField) else sent_text(one)


def _against(one: Any, before: Text | None, text: str | None) -> Markup:
    """``text`` as it is read; in a long one the words are marked that differ from before."""
    is_text = isinstance(one, ColumnField) and not _is_secret(one)
    if not is_text or not text or not isinstance(before, str):
        return _words(one, text)
    if not rendering.CUT < max(len(text), len(before)) <= changed_rows.COMPARED:
        return _words(one, text)
    return changed_rows.marked(before, text)


def _words(one: Any, text: str | None) -> Markup:
    """What a form shows by ``text`` in a field, as it is read."""
    if text is None:
        return Markup("the file that you chose; choose it again")
    if _is_secret(one):
        return _UNSEEN if text else rendering.render(None)
    if isinstance(one, BinaryField):
        size = text.partition(" ")[0]
        return rendering.size(int(size) if size.isdigit() else None)
    if isinstance(one, CheckboxField):
        return rendering.render(one.is_ticked([text]))
    if isinstance(one, ChoiceField):
        text = "" if text == one.blank else one.words.get(text, text)
    if isinstance(one, PickerField):
        text = ", ".join(_names(one, [key for key in text.split("\0") if key]))
    if not text or text == "None":
        return rendering.render(None)
    return Markup('<div class="prose">%s</div>') % text


def _names(one: PickerField, keys: Sequence[str]) -> list[str]:
    """What the rows with ``keys`` are called; their key where one is gone or out of reach."""
    known = {}
    codec = inspection.identity_text(one.lookup.mapper)
    with contextlib.suppress(NotFound):
        for instance in one.lookup.fetch([tuple(codec.decode(key)) for key in keys]):
            text = inspection.identity_text(sa.inspect(instance).mapper.base_mapper).of(instance)
            known[text] = one.lookup.words(instance)
    return [known.get(key, key) for key in keys]


def changed_cell(view: Any, one: Any, model: Any) -> str:
    """What is said of a cell whose value somebody else has changed since it was shown."""
    hour_ago = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    change = _since(view, sa.inspect(model).identity, hour_ago).of(view.mapper, one.short_name)
    who = _who(view, change) or "Somebody else"
    if _is_secret(one):
        return f"{who} has changed this meanwhile. Save again to put yours in its place."
    now = " ".join(_words(one, _now(one)).striptags().split())
    now = f"“{inspection.shorten(now)}”" if _now(one) else "nothing"
    return f"{who} has changed this meanwhile, to {now}. Save again to put yours in its place."


# A row that is gone


def create_again(view: Any, gone: NotFound) -> ResponseReturnValue:
    """The form for a new row, with what was typed for one that has been deleted meanwhile.

    Raises ``gone`` for a request that is no form of such a row.
    """
    text = _canonical(view, request.args.getlist("id") or request.form.getlist("id"))
    base = None if text is None or request.method != "POST" else _sent_base(view, text)
    if text is None or base is None or not base.is_known:
        raise gone
    mapper = inspection.subtypes(view.mapper).get(base.subtype or "")
    own = view if mapper is None else subtypes.over(view, mapper)
    identity = inspection.identity_text(own.mapper).decode(text)
    deletion = _since(own, identity, base.at).deletion
    who = _who(own, deletion)
    sentence = f"“{base.label}” was deleted meanwhile" + (f" by {who}." if who else ".")
    if not own.allows("add"):
        raise NotFound(f"{sentence} Nothing was saved.") from gone
    form = own.create_form()
    layout.prepare(own, form, None)
    _fill(own, form, base, identity)
    form.form_errors = [f"{sentence} Below is what you typed: create it again, or leave it."]
    if deletion is not None:
        url = own.admin.history.undo_page_url(deletion.change_set_id)
        said = "The deletion can be undone as well, with all that went along with the row."
        flask.flash(saving.undo_message(said, url), "info")
    g.admin_status, g.admin_again = 409, text
    answer: ResponseReturnValue = own._form_response(form, None, "create")
    return answer


def _canonical(view: Any, given: Sequence[str]) -> str | None:
    """The key that a request names, written as a form knows it."""
    codec = inspection.identity_text(view.mapper)
    try:
        return codec.encode(codec.decode(",".join(given)))
    except NotFound:
        return None


def _fill(view: Any, form: Any, base: Base, identity: Sequence[Any]) -> None:
    """Show what the form of the row had shown and did not send, and the parts of its key."""
    keys = dict(zip(inspection.identity_keys(view.mapper), identity, strict=True))
    for one in _compared(form):
        text = base.texts.get(one.name)
        if one.name in request.form or not _can_return(one):
            continue
        if isinstance(text, str):
            _put(one, values_for(one, text))
        elif one.name in keys and isinstance(one, ColumnField):
            _put(one, [one.codec.write(keys[one.name])])
        elif isinstance(one, PickerField) and not one.is_multiple:
            _put(one, _pointed_at(view.mapper, one, keys))


def _pointed_at(mapper: Any, one: PickerField, keys: dict[str, Any]) -> list[str]:
    """The row that a relationship over parts of the key leads to, as a form sends it."""
    relationship = mapper.relationships.get(one.name)
    if relationship is None:
        return []
    there = {
        remote: keys.get(inspection.key_of(mapper, local) or "")
        for local, remote in relationship.local_remote_pairs
    }
    identity = [there.get(column) for column in relationship.mapper.primary_key]
    if None in identity:
        return []
    return [inspection.identity_text(relationship.mapper.base_mapper).encode(identity)]


def again() -> str | None:
    """The key of the row, gone meanwhile, that the form of a new row makes again."""
    found: str | None = g.get("admin_again") or request.args.get(AGAIN)
    return found


def keep_key(view: Any, model: Any) -> None:
    """Let ``model``, a row that is made again, have the key that it had."""
    text = request.args.get(AGAIN)
    base = None if text is None else _sent_base(view, text)
    if text is None or base is None or not base.is_known:
        return
    identity = inspection.identity_text(view.mapper).decode(text)
    for key, value in zip(inspection.identity_keys(view.mapper), identity, strict=True):
        if getattr(model, key, None) is None:
            setattr(model, key, value)
