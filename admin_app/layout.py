"""How a form is laid out: its groups, what is only shown, and which controls its fields have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import wtforms
from flask_admin.model.fields import InlineFieldList
from markupsafe import Markup, escape
from sqlalchemy import orm
from wtforms.fields.core import UnboundField

from admin_app import inspection, listing, rendering
from admin_app.contexts import FormGroup
from admin_app.errors import ConfigurationError
from admin_app.forms import attribute_for, widgets
from admin_app.forms.fields import MULTILINE, ChoiceField, ColumnField
from admin_app.forms.pickers import PickerField
from admin_app.inspection import Path
from admin_app.listing import ListedRow
from admin_app.markup import late
from admin_app.options import ModelOptions

SMALL = 8
"""A form without options and with no more fields than this is one group."""

SHOWN_MEMBERS = 20
"""Rows of a collection that a form names where it is only shown."""


@dataclass(frozen=True, slots=True)
class Fieldset:
    """One group of ``form_fieldsets``; ``rows`` are lines of one or several names."""

    title: str | None
    rows: tuple[tuple[str, ...], ...]
    description: str | None = None
    classes: tuple[str, ...] = ()

    @property
    def keys(self) -> Iterator[str]:
        for row in self.rows:
            yield from row


def _name(key: Any) -> str:
    return str(getattr(key, "key", key))


def fieldsets(view: Any, given: Any) -> list[Fieldset]:
    """``form_fieldsets`` as written by a host, read; ConfigurationError where it has no sense."""
    try:
        return [_fieldset(view.mapper, *entry) for entry in given or ()]
    except (TypeError, KeyError, ValueError) as error:
        raise ConfigurationError(
            f"{type(view).__name__}.form_fieldsets must be a list of a title and its fields: "
            '[(None, ["name"]), ("Money", {"fields": [("net", "gross")]})].'
        ) from error


def _fieldset(mapper: orm.Mapper[Any], title: Any, given: Any) -> Fieldset:
    options = given if isinstance(given, Mapping) else {"fields": given}
    fields = options["fields"]
    if isinstance(fields, str):
        raise TypeError(fields)
    rows = tuple(
        tuple(
            part
            for key in map(_name, row if isinstance(row, tuple | list) else (row,))
            for part in inspection.composite_keys(mapper, key) or (key,)
        )
        for row in fields
    )
    description = options.get("description")
    return Fieldset(
        None if title is None else str(title),
        rows,
        None if description is None else str(description),
        tuple(options.get("classes", ())),
    )


def form_columns(view: Any) -> Any:
    """The fields of a view's form: those of its groups, else ``form_columns``."""
    given = fieldsets(view, view.form_fieldsets)
    if not given:
        return view.form_columns
    shown = _readonly_names(view)
    keys = [key for one in given for key in one.keys]
    extra = view.form_extra_fields or {}
    problems = [
        f"{type(view).__name__}.form_fieldsets names “{key}”, "
        f"which is no field of {view.model.__name__}."
        for key in dict.fromkeys(keys)
        if key not in shown and key not in extra and not _is_attribute(view.mapper, key)
        # A hook may show what only it knows, as long as the class has it.
        if not (_has_readonly_hook(view) and hasattr(view.model, key))
    ]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    problems += [f"{type(view).__name__}.form_fieldsets names “{key}” twice." for key in twice]
    if problems:
        raise ConfigurationError(problems)
    return [key for key in keys if key in extra or _is_attribute(view.mapper, key)]


def _is_attribute(mapper: orm.Mapper[Any], key: str) -> bool:
    """Whether a field can be made for ``key``."""
    return (
        key in inspection.columns(mapper)
        or key in inspection.relationships(mapper)
        or key in mapper.synonyms
        or inspection.is_hybrid(mapper, key)
        or inspection.is_association_proxy(mapper, key)
    )


def _has_readonly_hook(view: Any) -> bool:
    hook = type(view).get_form_readonly_columns
    return hook is not ModelOptions.get_form_readonly_columns


def _readonly_names(view: Any) -> list[str]:
    return [_name(key) for key in view.form_readonly_columns or ()]


def check(view: Any) -> None:
    """ConfigurationError with a sentence for each name in the options that leads nowhere."""
    problems: list[str] = []
    owner = type(view).__name__

    def complain(option: str, key: str, what: str) -> None:
        problems.append(f"{owner}.{option} names “{key}”, which is {what}.")

    for key in _readonly_names(view):
        if not hasattr(view.model, key) and key not in (view.column_formatters or {}):
            complain("form_readonly_columns", key, f"no attribute of {view.model.__name__}")
    if view.form is not None and view.form_fieldsets:
        for one in fieldsets(view, view.form_fieldsets):
            for key in one.keys:
                if _unbound(view, key) is None and key not in _readonly_names(view):
                    complain("form_fieldsets", key, "no field of the form")
    for key in map(_name, view.form_radio_columns or ()):
        field = _unbound(view, key)
        if field is None or not issubclass(field.field_class, ChoiceField | wtforms.SelectField):
            complain("form_radio_columns", key, "no choice")
    for key, kind in (view.form_multiple_widgets or {}).items():
        field = _unbound(view, key)
        if field is None or not field.kwargs.get("is_multiple"):
            complain("form_multiple_widgets", key, "no to-many relationship in the form")
        if kind not in widgets.MULTIPLE_WIDGETS:
            known = ", ".join(widgets.MULTIPLE_WIDGETS)
            problems.append(f"{owner}.form_multiple_widgets[{key!r}] must be one of {known}.")
    for key, sources in (view.form_prepopulated_fields or {}).items():
        if isinstance(sources, str):
            problems.append(f"{owner}.form_prepopulated_fields[{key!r}] must be a list of names.")
            continue
        for name in (key, *sources):
            if _unbound(view, name) is None and name not in _readonly_names(view):
                complain("form_prepopulated_fields", name, "no field of the form")
    if view.form_fieldsets and (view._form_create_rules or view._form_edit_rules):
        problems.append(f"{owner} has both form_fieldsets and form_rules; one of them must go.")
    if problems:
        raise ConfigurationError(problems)


def _unbound(view: Any, key: str) -> UnboundField[Any] | None:
    field = getattr(view._edit_form_class, attribute_for(key), None)
    return field if isinstance(field, UnboundField) else None


def _field(form: Any, key: str) -> Any:
    return form._fields.get(attribute_for(key))


def prepare(view: Any, form: Any, model: Any) -> None:
    """Give ``form`` what the options say: what is left out, what is text, and other controls.

    Before it is validated, so that what is left out or is text cannot be sent.
    """
    readonly = [_name(key) for key in view.get_form_readonly_columns(model) or ()]
    drawn = [_key(form, f) for f in form if isinstance(f, widgets.ShownField)]
    readonly += [key for key in drawn if key not in readonly]
    named = [key for one in _own_fieldsets(view, model) for key in one.keys]
    if named:
        for name, field in list(form._fields.items()):
            is_kept = _key(form, field) in named or _is_hidden(field) or _is_inline(field)
            if not is_kept:
                del form[name]
    readonly += [key for key in _withheld(view, form, model) if key not in readonly]
    _show(view, form, model, readonly)
    choose_widgets(view, form)


def _withheld(view: Any, form: Any, model: Any) -> list[str]:
    """Take from ``form`` what the visitor may not see; the names of what he may see but not write.

    A new row has nothing to show where he may not write.
    """
    what = "add" if model is None else "change"
    reach, shown = view.reach(), []
    known = {*inspection.columns(view.mapper), *inspection.relationships(view.mapper)}
    for name, field in list(form._fields.items()):
        key = _key(form, field)
        if key not in known or isinstance(field, widgets.ShownField):
            continue
        parts = (key, *_keys_behind(view.mapper, key))
        is_seen = all(
            inspection.is_secret(one) or reach.may_read(view.mapper, one) for one in parts
        )
        if is_seen and all(view.may(what, one) for one in parts):
            continue
        if not is_seen or model is None or inspection.is_secret(key):
            del form[name]
        else:
            shown.append(key)
    return shown


def _keys_behind(mapper: orm.Mapper[Any], key: str) -> list[str]:
    """The column attributes that are written by writing the relationship ``key``."""
    relationship = inspection.relationships(mapper).get(key)
    if relationship is None or not inspection.is_to_one(relationship):
        return []
    found = (inspection.key_of(mapper, column) for column in relationship.local_columns)
    keys = set(inspection.identity_keys(mapper))
    return [one for one in found if one is not None and one not in keys]


def choose_widgets(view: Any, form: Any) -> None:
    """Give the fields of ``form`` the controls that the options choose."""
    for key in map(_name, view.form_radio_columns or ()):
        _make_radio(_field(form, key))
    for key, kind in (view.form_multiple_widgets or {}).items():
        field = _field(form, key)
        if isinstance(field, PickerField) and not field.flags.readonly_text:
            field.widget = widgets.MULTIPLE_WIDGETS[kind]()


def dress(view: Any, form: Any) -> None:
    """Choose the controls that go by what the fields of ``form`` hold, before they are drawn."""
    columns = inspection.columns(view.mapper)
    for field in form:
        key = _key(form, field)
        column = columns.get(key)
        widget = getattr(field, "widget", None)
        if isinstance(widget, widgets.CheckboxesWidget):
            widget.look(field)
        if isinstance(field, ChoiceField):
            _replace_stock(field, widget)
        if column is not None and isinstance(field, ColumnField):
            _dress_text(field, widgets.kind_of(key, column.type))
    widgets.prepopulate(form, view.form_prepopulated_fields or {})


def _dress_text(field: ColumnField, kind: str | None) -> None:
    if field.is_secret or field.flags.readonly_text:
        return
    if getattr(field.codec, "is_aware", False):
        # Its control is one of text, which a script has to be told of.
        _add(field, {"data-moment": True})
    if not field.codec.is_text:
        return
    text = field.text()
    if kind is None or any(sign in text for sign in MULTILINE):
        return
    # None of them runs over lines, however many characters its column takes.
    _add(field, {"type": "text", **widgets.control_attributes(kind, text)})
    link = widgets.safe_link(str(field.object_data or "")) if kind == "url" else None
    if link is not None:
        field.link = link  # type: ignore[attr-defined]


def _add(field: Any, attributes: Mapping[str, Any]) -> None:
    """Attributes of a control; those that a host gave win."""
    widgets.add_attributes(field, attributes)


def _key(form: Any, field: Any) -> str:
    return str(field.name).removeprefix(form._prefix)


def _is_hidden(field: Any) -> bool:
    return (
        isinstance(field, wtforms.HiddenField)
        or getattr(getattr(field, "widget", None), "input_type", None) == "hidden"
    )


def _is_inline(field: Any) -> bool:
    return isinstance(field, InlineFieldList)


def _make_radio(field: Any) -> None:
    drawn: Any = field
    if isinstance(field, ChoiceField) and not field.flags.readonly_text:
        drawn.widget = widgets.RadioWidget()
    elif isinstance(field, wtforms.SelectField):
        drawn.widget = wtforms.widgets.ListWidget(prefix_label=False)
        drawn.option_widget = wtforms.widgets.RadioInput()


def _replace_stock(field: Any, widget: Any) -> None:
    """Ours for the widgets of WTForms, which ask a field for what only theirs can answer."""
    if isinstance(widget, wtforms.widgets.ListWidget):
        field.widget = widgets.RadioWidget()
    elif isinstance(widget, wtforms.widgets.Select):
        field.widget = ChoiceField.widget


def _show(view: Any, form: Any, model: Any, keys: Sequence[str]) -> None:
    """Put text in the place of the fields for ``keys``, and after them what has no field."""
    if not keys:
        return
    paths = [view._path(key) for key in keys]
    row = None if model is None else _row(view, model, paths)
    for key, path in zip(keys, paths, strict=True):
        field = _field(form, key)
        label = view.get_column_name(key) if field is None else field.label.text
        help_text = (view.column_descriptions or {}).get(key)
        description = field.description if field is not None else escape(help_text or "")
        unbound = widgets.ShownField(
            str(label),
            description=description,
            value=rendering.NONE if row is None else _shown(view, path, row),
        )
        place = {"name": key, "prefix": form._prefix}
        bound = form.meta.bind_field(form, unbound, place)
        bound.process(None, None)
        form._fields[attribute_for(key)] = bound
        setattr(form, attribute_for(key), bound)


def _row(view: Any, model: Any, paths: Sequence[Path]) -> ListedRow:
    """The row with what ``paths`` need, in one statement, or none when that is there already."""
    is_plain = all(
        not p.relationships
        and p.relationship is None
        and (p.column is None or not inspection.is_binary(p.column.type))
        for p in paths
    )
    if is_plain:
        return ListedRow(model, {})
    identity = sa.inspect(model).identity or ()
    found: ListedRow | None = view.get_listing(paths=paths).row(view.get_session(), identity)
    return found or ListedRow(model, {})


def _shown(view: Any, path: Path, row: ListedRow) -> Markup:
    relationship = path.relationship
    is_formatted = path.name in (view.column_formatters_detail or {})
    if relationship is None or not relationship.uselist or path.relationships or is_formatted:
        renderer: rendering.Renderer = view._renderer(path, is_list=False)
        return late(lambda: renderer(row)) if is_formatted else renderer(row)
    session = view.get_session()
    reach = view.reach()
    found = listing.members(session, row.instance, relationship.key, SHOWN_MEMBERS + 1, reach=reach)
    label, url_of = inspection.label(relationship.mapper), view.links(relationship.mapper)
    names = [_link(label.of(one), url_of(one)) for one in found[:SHOWN_MEMBERS]]
    more = " …" if len(found) > SHOWN_MEMBERS else ""
    return Markup(", ").join(names) + more if names else rendering.NONE


def _link(words: str, url: str | None) -> Markup:
    if url is None:
        return escape(words)
    return Markup('<a class="link" href="{}">{}</a>').format(url, words)


def scripts(form: Any, drawn: Sequence[FormGroup]) -> list[str]:
    """The modules that a form needs, so that a page loads no other."""
    found = ["js/form.js", "js/controls.js", "js/picker.js"]
    if any(group.is_tab for group in drawn):
        found.insert(1, "js/tabs.js")
    if any(isinstance(f.widget, widgets.BoxesWidget) for f in form):
        found.append("js/boxes.js")
    if any(isinstance(f, wtforms.FieldList) for f in form):
        found.append("js/inline.js")
    return found


# Groups


def groups(view: Any, form: Any, model: Any, *, is_new: bool) -> list[FormGroup]:
    """The groups of a form: those of the options, else those that its fields suggest."""
    fields = {_key(form, f): f for f in form if not _is_hidden(f)}
    found = _own_fieldsets(view, model)
    if found:
        drawn = [_group(one, fields, is_new) for one in found]
        left = [f for f in fields.values() if _is_inline(f)]
        named = {id(f) for group in drawn for f in group.fields}
        rest = [f for f in left if id(f) not in named]
        drawn += [FormGroup(None, rest)] if rest else []
        return [group for group in drawn if group.fields]
    is_chosen = view.form is not None or view.form_columns
    if is_chosen or len(fields) <= SMALL:
        return [FormGroup(None, list(fields.values()))]
    return _suggested(view.mapper, fields, is_new)


def _own_fieldsets(view: Any, model: Any) -> list[Fieldset]:
    if view._form_create_rules if model is None else view._form_edit_rules:
        return []
    return fieldsets(view, view.get_form_fieldsets(model))


def _group(one: Fieldset, fields: Mapping[str, Any], is_new: bool) -> FormGroup:
    rows = [[fields[key] for key in row if key in fields] for row in one.rows]
    members = [field for row in rows for field in row]
    return FormGroup(
        one.title,
        members,
        one.description,
        is_folded="collapse" in one.classes and "tab" not in one.classes,
        rows=[row for row in rows if row],
        is_tab="tab" in one.classes,
        css=" ".join(c for c in one.classes if c not in ("collapse", "tab")),
        has_error=any(field.errors for field in members),
        is_open=_has_to_be_seen(members, is_new),
    )


def _has_to_be_seen(fields: Iterable[Any], is_new: bool) -> bool:
    """Whether a folded group has to be open: something is wrong in it, or has to be filled in."""
    return any(f.errors or (is_new and f.flags.required and not f.data) for f in fields)


_TIMES = re.compile(
    r"(^|_)(created|updated|modified|changed|inserted|added|saved|edited)(_?(at|on|time|date|ts))?$"
    r"|^(date|time)_?(created|updated|modified|changed|inserted|added)$"
)


def _suggested(mapper: orm.Mapper[Any], fields: Mapping[str, Any], is_new: bool) -> list[FormGroup]:
    """Groups for a long form: main, long texts, other rows, and times that make themselves."""
    main: list[Any] = []
    texts: list[Any] = []
    related: list[Any] = []
    times: list[Any] = []
    for key, field in fields.items():
        column = inspection.columns(mapper).get(key)
        if _is_inline(field) or (isinstance(field, PickerField) and field.is_multiple):
            related.append(field)
        elif column is not None and _is_stamp(column):
            times.append(field)
        elif isinstance(field, ColumnField) and (
            field.codec.is_json or (field.codec.is_long and field.codec.rows > 1)
        ):
            texts.append(field)
        else:
            main.append(field)
    if len(texts) == 1 or not main:
        # A heading over one text says less than the label that the text has anyway.
        main = [f for f in fields.values() if f not in related and f not in times]
        texts = []
    found = [FormGroup(None, main), FormGroup("Text", texts), FormGroup("Related", related)]
    if times:
        found.append(
            FormGroup("Times", times, is_folded=True, is_open=_has_to_be_seen(times, is_new))
        )
    return [group for group in found if group.fields]


def _is_stamp(column: inspection.Column) -> bool:
    """Whether a column holds a time that the database, or the mapping, sets by itself."""
    stored = inspection.stored_type(column.type)
    if not isinstance(stored, sa.DateTime | sa.Date | sa.Time):
        return False
    own: Any = column.column
    if getattr(own, "onupdate", None) is not None or getattr(own, "server_onupdate", None):
        return True
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column.key).lower()
    return column.is_generated and _TIMES.search(name) is not None
