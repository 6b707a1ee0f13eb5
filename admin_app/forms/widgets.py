"""Other ways to draw a field than the one it comes with, chosen by a view's options."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import SplitResult, quote, unquote, urlsplit

import wtforms
from markupsafe import Markup

from admin_app import inspection, rendering
from admin_app.forms.by_type import is_of
from admin_app.forms.fields import ChoiceField, ReadOnlyField, attributes_html
from admin_app.forms.pickers import PickerField, PickerWidget

CHECKBOXES_LIMIT = 60
"""Rows that a list of checkboxes shows; where there are more, a picker takes its place."""


class ShownField(ReadOnlyField):
    """A value that somebody else has drawn."""

    is_drawn = True

    def __init__(self, *args: Any, value: Markup = rendering.NONE, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.value = value

    def shown(self) -> Markup:
        return self.value


class RadioWidget:
    """One radio button for each choice of a `ChoiceField`, the empty one included."""

    is_group = True
    role = "radiogroup"
    validation_attrs = ("required",)

    def __call__(self, field: ChoiceField, **kwargs: Any) -> Markup:
        kwargs.pop("id", None)
        numbers = itertools.count()

        def button(option: tuple[str, str, bool]) -> Markup:
            number = next(numbers)
            attributes = {
                "type": "radio",
                "id": field.id if number == 0 else f"{field.id}-{number}",
                "name": field.name,
                "value": option[0],
                "checked": option[2],
                **kwargs,
            }
            return _choice(attributes, "None" if option[1] == "–" else option[1])

        return Markup("").join(
            _group(words, Markup("").join(map(button, found)))
            for words, found in field.iter_groups()
        )


def _group(words: str | None, buttons: Markup) -> Markup:
    if words is None:
        return Markup('<div class="choices">{}</div>').format(buttons)
    return Markup(
        '<div class="choices" role="group" aria-label="{0}">'
        '<small aria-hidden="true">{0}</small>{1}</div>'
    ).format(words, buttons)


def _choice(attributes: dict[str, Any], words: str) -> Markup:
    return Markup("<label><input {}>{}</label>").format(attributes_html(attributes), words)


class _Searching(Protocol):
    def search(self, text: str, *, limit: int) -> tuple[list[dict[str, str]], bool]: ...


class CheckboxesWidget:
    """A checkbox for each row that a collection may hold; a picker where there are too many."""

    validation_attrs = ("required",)

    def __init__(self) -> None:
        self.is_group = True
        self.found: list[tuple[str, str]] | None = None

    def look(self, field: PickerField) -> None:
        """Read the rows to choose from; they decide which widget it is."""
        lookup: _Searching = field.lookup  # type: ignore[assignment]
        items, has_more = lookup.search("", limit=CHECKBOXES_LIMIT)
        if has_more:
            field.widget = PickerWidget()
            return
        self.found = [(item["id"], item["text"]) for item in items]

    def __call__(self, field: PickerField, **kwargs: Any) -> Markup:
        kwargs.pop("id", None)
        kwargs.pop("required", None)
        chosen = dict(field.chosen())
        options = {**dict(self.found or ()), **chosen}
        ticked = set(_sent(field)) if field.raw_data else set(chosen)
        boxes = [
            _choice(
                {
                    "type": "checkbox",
                    "id": field.id if number == 0 else f"{field.id}-{number}",
                    "name": field.name,
                    "value": quote(text, safe=""),
                    "checked": text in ticked,
                    **kwargs,
                },
                words,
            )
            for number, (text, words) in enumerate(options.items())
        ]
        # Tells a collection that was emptied from one that was not there.
        sign = Markup('<input type="hidden" name="{}" value="">').format(field.name)
        if not boxes:
            return sign + Markup('<p class="readonly">There is nothing to choose.</p>')
        return Markup('{}<div class="choices many">{}</div>').format(sign, Markup("").join(boxes))


def _sent(field: PickerField) -> list[str]:
    return [unquote(t) for v in field.raw_data for t in str(v).split(",") if t.strip()]


class BoxesWidget(PickerWidget):
    """Two boxes side by side, what may be chosen and what is; without scripts, the keys."""

    def __call__(self, field: PickerField, **kwargs: Any) -> Markup:
        chosen = [{"id": i, "text": t} for i, t in field.chosen()]
        attributes = {
            "type": "text",
            "id": field.id,
            "name": field.name,
            "value": field.text(),
            "autocomplete": "off",
            "data-boxes": True,
            "data-multiple": True,
            "data-lookup-url": field.lookup.url(),
            "data-chosen": json.dumps(chosen, ensure_ascii=False),
            **kwargs,
        }
        words = ", ".join(c["text"] for c in chosen)
        return Markup('<input {}><small class="picker-plain">{}</small>').format(
            attributes_html(attributes), words
        )


MULTIPLE_WIDGETS: dict[str, type[Any]] = {
    "picker": PickerWidget,
    "checkboxes": CheckboxesWidget,
    "boxes": BoxesWidget,
}
"""What ``form_multiple_widgets`` may name."""

_KINDS: Sequence[tuple[str, re.Pattern[str]]] = [
    ("email", re.compile(r"(^|_)e?mail(_address)?$")),
    ("url", re.compile(r"(^|_)(url|uri|website|web_?site|homepage|home_?page)$")),
    ("tel", re.compile(r"(^|_)(phone|telephone|tel|mobile|fax)(_(number|no))?$")),
    ("color", re.compile(r"(^|_)colou?r$")),
]
_TYPES = {"EmailType": "email", "URLType": "url", "PhoneNumberType": "tel", "ColorType": "color"}
"""By a type of SQLAlchemy-Utils."""

_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_MAX_LINK = 2000


def kind_of(key: str, type_: Any) -> str | None:
    """What a text column holds by its type or its name: ``email``, ``url``, ``tel``, ``color``."""
    while True:
        for name, kind in _TYPES.items():
            if is_of(type_, "sqlalchemy_utils", name):
                return kind
        if not inspection.is_decorated(type_):
            break
        type_ = type_.impl_instance
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower()
    return next((kind for kind, pattern in _KINDS if pattern.search(name)), None)


def control_attributes(kind: str, text: str) -> dict[str, str]:
    """The attributes of a control for ``text``.

    Browsers change or refuse what does not fit the type of a control, so one is named only for
    text that stays as it is; an address to come may be one within the site, so it stays free.
    """
    if kind == "email" and (not text or _EMAIL.fullmatch(text)):
        return {"type": "email", "autocomplete": "off"}
    if kind == "tel" and re.fullmatch(r"[^\r\n]*", text):
        return {"type": "tel", "autocomplete": "off"}
    if kind == "color":
        # A browser's control for colours always holds one and so could never be emptied; a script
        # puts it beside the text.
        return {"data-colour": "", "autocomplete": "off"}
    if kind == "url":
        return {"type": "url"} if safe_link(text) == text else {"inputmode": "url"}
    return {}


def safe_link(text: str) -> str | None:
    """The web address that ``text`` is and that may be followed, else None.

    One in other letters than ASCII's comes as browsers send it, so that it is seen where it leads.
    """
    if not 8 <= len(text) <= _MAX_LINK or not text.isprintable() or re.search(r"[\s\\]", text):
        return None
    try:
        parts = urlsplit(text)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
        return _in_ascii(text, parts) if is_whole else None
    except ValueError:
        return None


def _in_ascii(text: str, parts: SplitResult) -> str:
    """``text`` with its host in Punycode; ValueError for a host that cannot be one."""
    if text.isascii():
        return text
    if not parts.netloc.isascii():
        host, colon, port = parts.netloc.partition(":")
        parts = parts._replace(netloc=host.encode("idna").decode("ascii") + colon + port)
    if not re.fullmatch(r"[!-~]+", parts.netloc) or "@" in parts.netloc:
        raise ValueError(text)
    return quote(parts.geturl(), safe="!#$%&'()*+,/:;=?@[]~")


def add_attributes(field: Any, attributes: Mapping[str, Any]) -> None:
    """Give ``field`` attributes for its control; those that a host gave win."""
    field.render_kw = {**attributes, **(field.render_kw or {})}


def prepopulate(form: Any, sources: Mapping[str, Sequence[str]]) -> None:
    """Let a script make fields of others while these are typed, as `form_prepopulated_fields`."""
    fields = {field.name.removeprefix(form._prefix): field for field in form}
    for key, names in sources.items():
        field = fields.get(key)
        ids = [fields[name].id for name in names if name in fields]
        if field is not None and ids and not field.flags.readonly_text:
            add_attributes(field, {"data-slug-of": " ".join(ids)})


def needs_files(field: Any) -> bool:
    """Whether ``field``, or one inside it, sends a file."""
    if isinstance(field, wtforms.FormField):
        return any(map(needs_files, field.form))
    if isinstance(field, wtforms.FieldList):
        inner = field.unbound_field.args[0] if field.unbound_field.args else None
        if isinstance(inner, type) and issubclass(inner, wtforms.Form):
            return any(map(needs_files, inner()))
        return bool(issubclass(field.unbound_field.field_class, wtforms.FileField))
    widget = getattr(field, "widget", None)
    return getattr(widget, "input_type", None) == "file" or type(widget).__name__ == "FileWidget"
