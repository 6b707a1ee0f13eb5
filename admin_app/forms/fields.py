"""The fields of columns, and the widgets that draw them.

All share the rule of `ModelFieldMixin`: what was not sent, or is what was shown, writes nothing.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
import wtforms
from markupsafe import Markup, escape
from sqlalchemy import orm
from werkzeug.datastructures import FileStorage

from admin_app import rendering
from admin_app.as_stored import AsStored
from admin_app.constraints import Limit
from admin_app.forms.by_type import option_text
from admin_app.forms.codecs import Codec
from admin_app.json_text import formatted

NEEDED = "A value is needed."
MULTILINE = "\n\r"
TOKEN_NAME = "csrf_token"  # noqa: S105 - a name, no secret

FLASK_ADMIN_BLANK = "__None"
"""What Flask-Admin's forms, and scripts written for them, send for nothing chosen."""


def is_stored(instance: Any) -> bool:
    state = sa.inspect(instance, raiseerr=False)
    return state is not None and state.has_identity


class ModelFieldMixin:
    """What the fields for mapped attributes share.

    ``is_changed`` is true when the POST held the field with something else than it had shown;
    only then does ``populate_obj`` set the attribute. ``is_editing`` tells an existing row.
    """

    is_changed = False
    is_editing = False
    is_key = False
    widget: Any
    process: Any
    raw_data: Any

    def process_formdata(self, valuelist: Sequence[Any]) -> None:
        """Take what was sent; ValueError with a sentence when it cannot be taken."""
        if self.flags.readonly_text:  # type: ignore[attr-defined]
            return
        if self.name == TOKEN_NAME and len(valuelist) > 1:  # type: ignore[attr-defined]
            # The token against forged forms goes by this column's name, and stands before it.
            valuelist = self.raw_data = valuelist[1:]
        if valuelist:
            self.take(valuelist)
        else:
            self.refuse_absence()

    def take(self, valuelist: Sequence[Any]) -> None:
        """Set ``data`` and ``is_changed`` from the values that were sent under the field's name."""
        raise NotImplementedError

    def refuse_absence(self) -> None:
        """ValueError when a new row lacks what it needs; on an existing row absence means keep."""
        is_needed = not self.is_editing and self.flags.required  # type: ignore[attr-defined]
        if is_needed and self.object_data is None:  # type: ignore[attr-defined]
            raise ValueError(NEEDED)

    def prefill(self, values: Sequence[str]) -> None:
        """Show ``values``, from the URL of a new row, as if they had been typed."""
        if not self.flags.readonly_text:  # type: ignore[attr-defined]
            self.raw_data = list(values)

    def become_readonly(self) -> None:
        """Show the value and take none: a key of an existing row."""
        self.flags.readonly_text = True  # type: ignore[attr-defined]
        self.widget = ReadOnlyWidget()

    def populate_obj(self, obj: Any, name: str) -> None:
        if self.is_changed:
            setattr(obj, name, self.data)  # type: ignore[attr-defined]


class ReadOnlyWidget:
    """The value as text, no control."""

    def __call__(self, field: Any, **kwargs: Any) -> Markup:
        return Markup('<div class="readonly" id="{}">{}</div>').format(
            kwargs.get("id", field.id), field.shown()
        )


class ControlWidget:
    """An ``<input>`` or, where the text may run over lines, a ``<textarea>``."""

    validation_attrs = ("required",)

    def __call__(self, field: ColumnField, **kwargs: Any) -> Markup:
        text = field.text()
        attributes = {"id": field.id, "name": field.name, **field.codec.attributes, **kwargs}
        if field.flags.required:
            attributes.setdefault("required", True)
        limit = attributes.get("maxlength")
        if limit and len(text) > limit:
            del attributes["maxlength"]
        is_line = "type" in attributes or not field.codec.is_long
        is_line = is_line or (field.is_secret and field.codec.rows == 1)
        if not is_line or any(c in text for c in MULTILINE):
            attributes.pop("type", None)
            attributes.setdefault("rows", max(field.codec.rows, min(24, text.count("\n") + 1)))
            # A parser drops the first line end after the tag, so one is given to be dropped.
            return Markup("<textarea %s>\n%s</textarea>") % (attributes_html(attributes), text)
        if field.is_secret:
            attributes |= {"type": "password", "autocomplete": "new-password"}
        attributes.setdefault("type", field.codec.input_type_for(text))
        if attributes["type"] == "text":
            attributes.pop("step", None)
        return Markup("<input %s>") % (attributes_html({**attributes, "value": text}),)


def attributes_html(attributes: Mapping[str, Any]) -> Markup:
    written = (
        escape(name) if value is True else Markup('%s="%s"') % (name.rstrip("_"), value)
        for name, value in attributes.items()
        if value is not False and value is not None
    )
    return Markup(" ").join(written)


class ColumnField(ModelFieldMixin, wtforms.Field):
    """The value of one column, typed as text and read by a codec."""

    widget = ControlWidget()

    def __init__(
        self,
        label: str | None = None,
        validators: Any = None,
        *,
        codec: Codec,
        is_nullable: bool = True,
        is_generated: bool = False,
        is_key: bool = False,
        is_secret: bool = False,
        keeps_blank: bool = False,
        dialect: Callable[[], str] = lambda: "",
        limit: Limit | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(label, validators, **kwargs)
        self.codec = codec.chosen()
        self.stored_text: str | None = None
        self.copied: sa.ScalarSelect[Any] | None = None
        self.is_nullable = is_nullable
        self.is_generated = is_generated
        self.is_key = is_key
        self.is_secret = is_secret
        self.keeps_blank = keeps_blank and not is_nullable
        self.dialect = dialect
        self.limit = limit
        if not is_nullable and not is_generated and not self.keeps_blank:
            self.flags.required = True
        self.description = Markup(" ").join(
            part for part in (self.description, escape(self.codec.note())) if part
        )

    def process(
        self, formdata: Any, data: Any = wtforms.utils.unset_value, extra_filters: Any = None
    ) -> None:
        is_untold = self.codec.needs_stored and self.stored_text is None and data is not None
        # A page cannot carry the character, so a form would send another back.
        if self.is_editing and (is_untold or isinstance(data, str) and "\0" in data):
            self.become_readonly()
            self.description = self.codec.untold if is_untold else _NUL_HELD
        super().process(formdata, data, extra_filters)

    def text(self) -> str:
        """The text of the control: what was typed, else the value."""
        if self.raw_data and not self.flags.readonly_text:
            return str(self.raw_data[0])
        return self.shown_text()

    def shown_text(self) -> str:
        """The text of the control for what the row holds, whatever was typed."""
        if self.is_secret:
            return ""
        if self.stored_text is not None and self.codec.is_json:
            return formatted(self.stored_text)
        if self.object_data is None:
            return ""
        return self.codec.write(self.object_data)

    _value = text

    def shown(self) -> Markup:
        """The value as the details page has it, for a field that only shows it."""
        return rendering.render(self.object_data, is_cut=False)

    def take(self, valuelist: Sequence[Any]) -> None:
        typed = str(valuelist[0])
        shown = self.shown_text()
        if typed == "" and self.keeps_blank:
            self.data = ""
            self.is_changed = self.object_data != ""
            return
        if self.is_editing and self.object_data == "" and typed == "":
            return
        if _same_lines(typed) == _same_lines(shown) and (self.is_editing or not typed):
            if not typed and not self.is_nullable and not self.is_editing and not self.is_generated:
                raise ValueError(NEEDED)
            return
        if not typed and self.is_secret:
            return
        if not typed.strip() and not (typed and self.codec.is_text):
            self._clear()
            return
        if "\0" in typed or any("\ud800" <= c <= "\udfff" for c in typed):
            raise ValueError("This holds a character that cannot be stored.")
        value = self.codec.read(_with_line_ends(typed, shown), self.dialect())
        if self.limit is not None and self.limit.refuses(value):
            raise ValueError(self.limit.sentence)
        if self.is_editing and self._is_kept(value, typed, shown):
            return
        self.data = value
        self.is_changed = True

    def _is_kept(self, value: Any, typed: str, shown: str) -> bool:
        """Whether ``value`` is what the row holds, written otherwise."""
        if self.codec.is_json and self.stored_text is not None:
            return formatted(_same_lines(typed)) == shown
        return self.object_data is not None and self.codec.is_same(value, self.object_data)

    def copy(self, value: Any, stored_text: str | None, stored: sa.ScalarSelect[Any]) -> None:
        """Let a new row have what another one holds, where it was shown and sent as it is there.

        ``stored`` takes it over in the database: no digit is lost, and what cannot be typed stays.
        """
        is_told = stored_text is not None if self.codec.is_json else isinstance(value, AsStored)
        if not is_told or not self.raw_data:
            return
        typed, typed_anew = str(self.raw_data[0]), (self.object_data, self.stored_text)
        self.object_data, self.stored_text = value, stored_text
        if _same_lines(typed) == _same_lines(self.shown_text()):
            self.copied, self.is_changed, self.process_errors = stored, True, []
        self.object_data, self.stored_text = typed_anew

    def populate_obj(self, obj: Any, name: str) -> None:
        if self.copied is not None:
            set_unnoticed(obj, name, self.copied)
            return
        try:
            super().populate_obj(obj, name)
        except ValueError as error:
            if not str(error).startswith(f"Attribute '{name}' does not accept objects of type"):
                raise
            # So sqlalchemy.ext.mutable says that it tracks values of another kind.
            if not isinstance(self.data, sa.ClauseElement) and self.data is not sa.JSON.NULL:
                raise ValueError(f"{_kind_of(self.data)} cannot stand here.") from None
            set_unnoticed(obj, name, self.data)
        if not self.is_changed or not self.is_editing:
            return
        state = sa.inspect(obj)
        attribute = state.attrs.get(name)
        # SQLAlchemy finds 1, 1.0 and true equal, and dicts whatever the order of their keys.
        if attribute is not None and name in state.dict and not attribute.history.has_changes():
            orm.attributes.flag_modified(obj, name)

    def _clear(self) -> None:
        is_defaulted = self.is_generated and not self.is_editing
        if not self.is_nullable:
            if is_defaulted:
                return
            raise ValueError(NEEDED)
        # None of a JSON column is JSON's null, and of a new row it lets a default come in;
        # what was emptied means SQL's.
        self.data = sa.null() if is_defaulted or self.codec.is_json else None
        self.is_changed = True


def set_unnoticed(obj: Any, name: str, value: Any) -> None:
    """Set an attribute to what only the database can make a value of its type of.

    What listens expects such a value; which this will be once stored.
    """
    orm.attributes.set_committed_value(obj, name, value)


def _kind_of(value: Any) -> str:
    """What a value of JSON is, as the beginning of a sentence."""
    kinds = {dict: "An object", list: "A list", str: "A text", bool: "True or false"}
    return kinds.get(type(value), "A number" if isinstance(value, int | float) else "This value")


_NUL_HELD = "Shown only: it holds a character that no form can send."


def _same_lines(text: str) -> str:
    """``text`` as browsers compare it: they send every line end as CRLF."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


_LINE_END = re.compile(r"\r\n|\r|\n")


def _with_line_ends(typed: str, shown: str) -> str:
    """``typed`` with the line ends that its lines had before; new lines get the commonest one."""
    ends = _LINE_END.findall(shown)
    if not ends or set(ends) == {"\n"}:
        return _same_lines(typed)
    commonest = max(("\n", "\r\n", "\r"), key=ends.count)
    lines, before = _same_lines(typed).split("\n"), _same_lines(shown).split("\n")
    kept = min(len(lines), len(before)) - 1
    first = next((i for i in range(kept) if lines[i] != before[i]), kept)
    last = next((i for i in range(kept - first) if lines[-1 - i] != before[-1 - i]), kept - first)
    added = len(lines) - 1 - first - last
    now = [*ends[:first], *[commonest] * added, *ends[len(ends) - last :], ""]
    return "".join(line + end for line, end in zip(lines, now, strict=True))


class CheckboxWidget:
    """A checkbox, with a hidden twin that tells an unticked one from one that was not there."""

    input_type = "checkbox"
    validation_attrs = ()

    def __call__(self, field: wtforms.Field, **kwargs: Any) -> Markup:
        attributes: dict[str, Any] = {
            "type": "checkbox",
            "id": field.id,
            "name": field.name,
            "value": "y",
        }
        attributes.update(kwargs)
        attributes["checked"] = bool(field.data)
        return Markup('<input type="hidden" name="{}" value=""><input {}>').format(
            field.name, attributes_html(attributes)
        )


class CheckboxField(ModelFieldMixin, wtforms.Field):
    """True or false of a column that is never NULL."""

    widget = CheckboxWidget()
    false_values = ("", "false", "0", "off", "no")

    def prefill(self, values: Sequence[str]) -> None:
        self.data = self.is_ticked(values)

    def populate_obj(self, obj: Any, name: str) -> None:
        if self.is_changed or not self.is_editing:
            setattr(obj, name, bool(self.data))

    def is_ticked(self, values: Sequence[Any]) -> bool:
        """What the values that were sent mean."""
        return any(str(v).lower() not in self.false_values for v in values)

    def take(self, valuelist: Sequence[Any]) -> None:
        value = self.is_ticked(valuelist)
        self.is_changed = value != self.object_data
        self.data = value

    def shown(self) -> Markup:
        return rendering.render(self.object_data)


class ChoiceWidget:
    """A ``<select>``."""

    validation_attrs = ("required",)

    def __call__(self, field: ChoiceField, **kwargs: Any) -> Markup:
        attributes = {"id": field.id, "name": field.name, **kwargs}
        if field.flags.required:
            attributes.setdefault("required", True)
        options = Markup("").join(
            inner
            if group is None
            else Markup('<optgroup label="{}">{}</optgroup>').format(group, inner)
            for group, found in field.iter_groups()
            for inner in [Markup("").join(map(self._option, found))]
        )
        return Markup("<select {}>{}</select>").format(attributes_html(attributes), options)

    def _option(self, option: tuple[str, str, bool]) -> Markup:
        text, words, is_chosen = option
        attributes = attributes_html({"value": text, "selected": is_chosen})
        return Markup("<option {}>{}</option>").format(attributes, words)


class ChoiceField(ModelFieldMixin, wtforms.Field):
    """One of few values: an enum, a boolean that may be NULL, the options of ``form_choices``.

    ``options`` are pairs of a value and the words for it, or of the words of a group and a list of
    its pairs; ``aliases`` are values by other texts that may be sent for them. A value that the
    database holds and the options do not know is shown, and kept.
    """

    widget = ChoiceWidget()

    def __init__(
        self,
        label: str | None = None,
        validators: Any = None,
        *,
        options: Sequence[tuple[Any, Any]],
        text_of: Callable[[Any], str] | None = None,
        aliases: Mapping[str, Any] = MappingProxyType({}),
        is_nullable: bool = True,
        is_generated: bool = False,
        is_key: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(label, validators, **kwargs)
        self.text_of = text_of or option_text
        self.by_text: dict[str, Any] = {}
        self.aliases = aliases
        self.words: dict[str, str] = {}
        self.groups: dict[str, str] = {}
        for one, words in options:
            is_group = isinstance(words, list | tuple)
            pairs = words if is_group else [(one, words)]
            for value, told in (p if isinstance(p, list | tuple) else (p, p) for p in pairs):
                text = self.text_of(value)
                self.by_text[text], self.words[text] = value, str(told)
                if is_group:
                    self.groups[text] = str(one)
        self.blank = "" if "" not in self.by_text else "(none)"
        self.is_nullable = is_nullable
        self.is_generated = is_generated
        self.is_key = is_key
        if not is_nullable and not is_generated:
            self.flags.required = True

    def shown_text(self) -> str:
        """What is sent for the value that the row holds."""
        return self.blank if self.object_data is None else self.text_of(self.object_data)

    def iter_choices(self) -> Iterable[tuple[str, str, bool]]:
        """Text to send, words to show and whether it is the chosen one, of each option."""
        chosen = self.blank if self.data is None else self.text_of(self.data)
        if self.raw_data:
            chosen = self._named(str(self.raw_data[0]))
        if self.is_nullable or self.object_data is None:
            yield self.blank, "–", chosen == self.blank
        for text, words in self.words.items():
            yield text, words, text == chosen
        shown = self.shown_text()
        if shown != self.blank and shown not in self.words:
            yield shown, f"{shown} (unknown)", shown == chosen

    def iter_groups(self) -> Iterable[tuple[str | None, list[tuple[str, str, bool]]]]:
        """The options under the words of their group, None for those that have none."""
        grouped = itertools.groupby(self.iter_choices(), lambda option: self.groups.get(option[0]))
        return ((group, list(options)) for group, options in grouped)

    def _named(self, text: str) -> str:
        """``text`` as an option sends it, where it is another word for one."""
        is_other = text not in self.by_text and text in self.aliases
        return self.text_of(self.aliases[text]) if is_other else text

    def take(self, valuelist: Sequence[Any]) -> None:
        text = self._named(str(valuelist[0]))
        if text == FLASK_ADMIN_BLANK and text not in self.by_text:
            text = self.blank
        if text == self.shown_text() and (self.is_editing or text == self.blank):
            if text == self.blank and not self.is_nullable and not self.is_generated:
                raise ValueError(NEEDED)
            return
        if text == self.blank:
            if not self.is_nullable:
                raise ValueError(NEEDED)
            self.data = None
        elif text in self.by_text:
            self.data = self.by_text[text]
        else:
            raise ValueError("This is not one of the choices.")
        self.is_changed = True

    def shown(self) -> Markup:
        return rendering.render(self.object_data)


class FileWidget:
    """A file to upload, the size of what is there, and a box to remove it."""

    validation_attrs = ("required",)

    def __call__(self, field: BinaryField, **kwargs: Any) -> Markup:
        attributes = {"type": "file", "id": field.id, "name": field.name, **kwargs}
        if field.object_data is not None:
            attributes.pop("required", None)
        control = Markup("<input {}>").format(attributes_html(attributes))
        if field.object_data is None:
            return control
        kept = Markup('<span class="file-kept">{} stored</span>').format(field.shown())
        if field.url is not None:
            kept += Markup(' <a class="link" href="{}">Download</a> ').format(field.url)
        if not field.is_nullable:
            return Markup('<span class="file">{}{}</span>').format(kept, control)
        return Markup(
            '<span class="file">{}{}<label class="file-clear">'
            '<input type="checkbox" name="{}" value="clear"> Remove</label></span>'
        ).format(kept, control, field.name + "-clear")


class BinaryField(ModelFieldMixin, wtforms.Field):
    """Binary content: kept unless a file is sent or its removal is asked for."""

    widget = FileWidget()

    def __init__(
        self,
        label: str | None = None,
        validators: Any = None,
        *,
        link: Callable[[Any], str | None] | None = None,
        is_nullable: bool = True,
        is_generated: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(label, validators, **kwargs)
        self.link = link
        self.url: str | None = None
        self.object_digest = ""
        """What tells the content that the row holds from other of the same size."""
        self.is_nullable = is_nullable
        if not is_nullable and not is_generated:
            self.flags.required = True

    def process(
        self, formdata: Any, data: Any = wtforms.utils.unset_value, extra_filters: Any = None
    ) -> None:
        super().process(formdata, data, extra_filters)
        if formdata is not None and formdata.get(self.name + "-clear") and not self.is_changed:
            self.data = None
            self.is_changed = self.object_data is not None and self.is_nullable

    def take(self, valuelist: Sequence[Any]) -> None:
        sent = next((v for v in valuelist if isinstance(v, FileStorage) and v.filename), None)
        if sent is not None:
            self.data = sent.read()
            self.is_changed = True
        elif valuelist and self.flags.required and self.object_data is None:
            raise ValueError("A file is needed.")

    def shown(self) -> Markup:
        value = self.object_data
        count = value if isinstance(value, int) else None if value is None else len(value)
        return rendering.size(count)


class ReadOnlyField(ModelFieldMixin, wtforms.Field):
    """A value that is shown and never taken: computed, of an unknown type, a pickle."""

    widget = ReadOnlyWidget()

    is_drawn = False
    """Whether somebody else draws the value, so that it is not read for the form."""

    def __init__(
        self, *args: Any, is_binary: bool = False, is_of_column: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.is_binary = is_binary
        self.is_of_column = is_of_column
        self.flags.readonly_text = True

    def copy(self, stored: sa.ScalarSelect[Any]) -> None:
        """Let a new row have what another one holds, though nobody can type it."""
        self.data = stored
        self.is_changed = True

    def populate_obj(self, obj: Any, name: str) -> None:
        if self.is_changed:
            set_unnoticed(obj, name, self.data)

    def shown(self) -> Markup:
        if self.is_binary:
            count = self.object_data
            return rendering.size(count if isinstance(count, int) else None)
        return rendering.render(self.object_data, is_cut=False)
