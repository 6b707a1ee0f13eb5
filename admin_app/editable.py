"""Cells that can be edited where they stand: which ones, by which fields, and how they are drawn.

A cell is edited by the field that the form of its row has for the column. Either alone, over its
cell (`marked` draws the way there), or as one of many in a `Sheet`: a page of the list whose
editable cells are the fields of one form. How they are saved is told in `cells`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import wtforms
from flask_admin.contrib.sqla.view import ModelView as FlaskAdminModelView
from markupsafe import Markup, escape
from sqlalchemy import orm
from wtforms.fields.core import UnboundField

from admin_app import inspection, layout, rendering
from admin_app.forms import Lookup, ModelFormMixin, PickerField, attribute_for
from admin_app.forms.fields import BinaryField, ReadOnlyField
from admin_app.forms.shown import mark
from admin_app.listing import ListedRow


def names(view: Any) -> list[str]:
    """The columns of the list that this visitor may edit in place."""
    if view.read_only_note is not None or not view.allows("change"):
        return []
    if inspection.is_union(view.mapper):
        # A key of one of its tables may be that of another, and each class has columns of its own.
        return []
    return [key for key in _fields(view) if view.may("change", key)]


def sheet_names(view: Any) -> list[str]:
    """Those of `names` that can be edited in all rows of a page at once.

    A collection or JSON would take a statement for each row, and more room than a cell has. Rows
    that a host makes or saves by himself are left to him, one by one.
    """
    own = (view.has_own_rows, _is_own(view, "update_model"), _is_own(view, "get_one"))
    return [] if any(own) else [key for key in names(view) if _is_plain(view, key)]


def _is_own(view: Any, method: str) -> bool:
    return str(getattr(type(view), method).__module__) != "admin_app.views"


def _fields(view: Any) -> dict[str, UnboundField[Any]]:
    """The fields of all editable columns, by name, for whoever may change them."""
    known: dict[str, UnboundField[Any]] | None = view.__dict__.get("_editable_fields")
    if known is None:
        found = {key: _field(view, key) for key in _candidates(view)}
        known = {key: one for key, one in found.items() if one is not None}
        view._editable_fields = known
    return known


def _candidates(view: Any) -> list[str]:
    own = [view._name(name) for name in view.column_editable_list or ()]
    if not view.column_editable_all:
        return own
    shown_only = set(map(_key, view.form_readonly_columns or ()))
    every = [*inspection.columns(view.mapper), *inspection.relationships(view.mapper)]
    return [*own, *(k for k in every if k not in own and _may_stand_open(view, k, shown_only))]


def _may_stand_open(view: Any, key: str, shown_only: set[str]) -> bool:
    """Whether ``column_editable_all`` means the column ``key``: plain, and in the form."""
    has_field = hasattr(view._edit_form_class, attribute_for(key))
    return has_field and key not in shown_only and _is_plain(view, key)


def _is_plain(view: Any, key: str) -> bool:
    column = inspection.columns(view.mapper).get(key)
    if column is None:
        relationship = inspection.relationships(view.mapper).get(key)
        return relationship is not None and not relationship.uselist
    return not inspection.is_json(column.type)


def _field(view: Any, key: str) -> UnboundField[Any] | None:
    """The field of the form for ``key``; None for what cannot be changed by a cell."""
    column = inspection.columns(view.mapper).get(key)
    if inspection.is_secret(key) or (column is not None and column.is_primary_key):
        return None
    has_own = any(
        getattr(type(view), name) is not getattr(FlaskAdminModelView, name) and _is_own(view, name)
        for name in ("get_list_form", "scaffold_list_form")
    )
    sources = [view._edit_form_class, getattr(view, "_list_form_class", None)]
    for source in reversed(sources) if has_own else sources:
        found = getattr(source, attribute_for(key), None)
        if isinstance(found, UnboundField):
            is_shown_only = issubclass(found.field_class, ReadOnlyField | BinaryField)
            return None if is_shown_only else found
    return None


def form(
    view: Any,
    keys: Sequence[str],
    instance: Any,
    prefix: str,
    formdata: Any = None,
    beside: Mapping[str, Any] | None = None,
    lookups: Mapping[str, Lookup] | None = None,
) -> Any:
    """The form of ``instance`` cut down to the fields for ``keys``.

    ``beside`` are rows that were read along with it, ``lookups`` know the rows that were sent.
    """
    made = _form_class(view, keys, lookups or {})
    form = made(formdata, obj=instance, prefix=prefix, beside=beside)
    for key in map(_key, view.get_form_readonly_columns(instance) or ()):
        if key in keys:
            form[attribute_for(key)].flags.readonly_text = True
    layout.choose_widgets(view, form)
    layout.dress(view, form)
    return form


def _key(attribute: Any) -> str:
    return str(getattr(attribute, "key", attribute))


def _form_class(view: Any, keys: Sequence[str], lookups: Mapping[str, Lookup]) -> type[Any]:
    classes: dict[tuple[str, ...], type[Any]] = view.__dict__.setdefault("_cell_forms", {})
    found = classes.get(tuple(keys))
    if found is None or lookups:
        members: dict[str, Any] = {}
        for key in keys:
            name, field = attribute_for(key), _fields(view)[key]
            if key in lookups:
                kwargs = {**field.kwargs, "lookup": lookups[key]}
                field = UnboundField(field.field_class, *field.args, name=field.name, **kwargs)
            members[name] = field
            own_check = getattr(view._edit_form_class, f"validate_{name}", None)
            if own_check is not None:
                members[f"validate_{name}"] = own_check
        found = type("CellForm", (ModelFormMixin, view.form_base_class), members)
        if not lookups:
            classes[tuple(keys)] = found
    return found


def is_picker(view: Any, key: str) -> bool:
    """Whether the column ``key`` is edited by choosing another row."""
    return issubclass(_fields(view)[key].field_class, PickerField)


def lookup_of(view: Any, key: str) -> Any:
    """Where the rows for the picker of ``key`` are found."""
    return _fields(view)[key].kwargs["lookup"]


class KnownRows:
    """A lookup that has been asked already for the rows that a page of cells names."""

    mapper: orm.Mapper[Any]

    def __init__(self, lookup: Any, found: Mapping[tuple[Any, ...], Any]) -> None:
        self._lookup = lookup
        self._found = found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lookup, name)

    def fetch(self, identities: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The instances with these identities; those out of reach are left out."""
        keys = [tuple(identity) for identity in identities]
        if any(key not in self._found for key in keys):
            found: list[Any] = self._lookup.fetch(identities)
            return found
        return [self._found[key] for key in keys]


# One cell


def marked(cell: rendering.Renderer, view: Any, key: str, suffix: str) -> rendering.Renderer:
    """``cell``, a whole ``<td>``, with the way to edit it.

    ``suffix`` are further arguments of its address.
    """
    head = f'<td data-cell="{escape(key)}"'
    prefix = f"{view.get_url('.cell_view')}?column={quote(key, safe='')}&id="
    label = f"Edit {str(view.get_column_name(key)).lower()} of {view.singular.lower()} "
    text_of = inspection.identity_text(view.mapper)

    def draw(row: ListedRow) -> Markup:
        text = text_of.of(row.instance)
        url = escape(prefix + quote(text, safe="") + suffix)
        link = (
            '<a class="sign edit cell-edit" href="',
            url,
            '" aria-label="',
            escape(label + text),
        )
        parts = (head, cell(row)[3:-5], *link, '"></a></td>')
        return Markup("".join(parts))  # noqa: S704 - every part is escaped

    return draw


# Many cells


@dataclass(slots=True)
class SheetRow:
    """One row of a `Sheet`: its number on the page, its key, and the fields of its cells."""

    number: int
    text: str
    form: Any = None
    errors: list[str] = field(default_factory=list)
    """What is wrong with the row as a whole."""
    sent: Any = None
    """What was typed into it before; ``told`` is what was wrong with that, by field."""
    told: dict[str, list[str]] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        return f"row-{self.number}-"


@dataclass(slots=True)
class Sheet:
    """A page of a list with the editable cells ``keys`` as fields of one form.

    Each row is told by its key, which goes along with its fields; nothing depends on where it
    stands. ``rows`` are by identity text, and there before the page is read when it is shown again
    with what was typed. ``lookups`` know the rows that were sent for pickers.
    """

    view: Any
    keys: list[str]
    rows: dict[str, SheetRow] = field(default_factory=dict)
    lookups: Mapping[str, Lookup] = field(default_factory=dict)
    is_refused: bool = False
    """Whether it was sent, and nothing of it was saved."""

    def fill(self, found: Sequence[ListedRow]) -> None:
        """Make the fields of the rows ``found``."""
        text_of = inspection.identity_text(self.view.mapper)
        for row in found:
            text = text_of.of(row.instance)
            entry = self.rows.setdefault(text, SheetRow(len(self.rows), text))
            entry.form = form(
                self.view,
                self.keys,
                row.instance,
                entry.prefix,
                entry.sent,
                row.extras,
                self.lookups,
            )
            for one in entry.form:
                one.errors = entry.told.get(one.short_name, ())

    def cell(self, cell: rendering.Renderer, key: str, css: str) -> rendering.Renderer:
        """The ``<td>`` of the column ``key``: its field, or what ``cell`` draws where shut."""
        text_of = inspection.identity_text(self.view.mapper)
        label, noun = str(self.view.get_column_name(key)), self.view.singular.lower()
        args = (self.view.form_widget_args or {}).get(key, {})
        is_first = key == self.keys[0]

        def draw(row: ListedRow) -> Markup:
            entry = self.rows.get(text_of.of(row.instance))
            if entry is None or entry.form is None:
                return cell(row)
            one = entry.form[attribute_for(key)]
            sign = _sign(f"key-{entry.number}", entry.text) if is_first else Markup()
            if one.flags.readonly_text:
                return cell(row)[:-5] + sign + Markup("</td>")
            sign += _sign(f"was-{entry.number}-{key}", mark(one))
            return Markup('<td class="%s" data-field>%s%s</td>') % (
                f"entry {css}".strip(),
                sign,
                _control(one, f"{label} of {noun} {entry.text}", args),
            )

        return draw

    @property
    def problems(self) -> list[tuple[str | None, str, str]]:
        """Every error: the id of its control (None for a row), what it concerns, the words."""
        noun = self.view.singular
        found: list[tuple[str | None, str, str]] = []
        for entry in self.rows.values():
            found += [(None, f"{noun} {entry.text}", error) for error in entry.errors]
            for one in entry.form or ():
                label = f"{noun} {entry.text}, {str(one.label.text).lower()}"
                found += [(one.id, label, str(error)) for error in one.errors]
        return found


def _sign(name: str, value: str) -> Markup:
    return Markup('<input type="hidden" name="%s" value="%s">') % (name, value)


def _control(field: Any, label: str, args: Mapping[str, Any]) -> Markup:
    """The control of a cell, named for who cannot see its column, and what is wrong with it."""
    given: dict[str, Any] = {"rows": 1} if _is_text_area(field) else {}
    given |= {**args, "aria-label": label}
    if not field.errors:
        return Markup(field(**given))  # noqa: S704 - what a widget returns is HTML
    given |= {"aria-invalid": "true", "aria-describedby": f"{field.id}-error"}
    errors = " ".join(map(str, field.errors))
    return Markup('%s<p class="error" id="%s">%s</p>') % (
        Markup(field(**given)),  # noqa: S704
        f"{field.id}-error",
        errors,
    )


def _is_text_area(field: wtforms.Field) -> bool:
    return bool(getattr(getattr(field, "codec", None), "is_long", False))
