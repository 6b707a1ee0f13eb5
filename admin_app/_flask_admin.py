"""Every use of a part of Flask-Admin that it does not promise to keep, each with its reason.

The rest of the package uses its public names only. When an upgrade of Flask-Admin breaks
something, it is mended here.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import flask
import sqlalchemy as sa
import wtforms
from flask_admin.base import Admin as FlaskAdmin
from flask_admin.contrib.sqla import typefmt as sqla_typefmt
from flask_admin.contrib.sqla.fields import InlineModelFormList
from flask_admin.contrib.sqla.filters import BaseSQLAFilter
from flask_admin.contrib.sqla.form import InlineModelConverter
from flask_admin.form import BaseForm, SecureForm
from flask_admin.model import typefmt
from flask_admin.model.base import BaseModelView
from flask_admin.model.fields import InlineModelFormField
from flask_admin.model.form import InlineBaseFormAdmin
from flask_wtf.csrf import generate_csrf, validate_csrf
from sqlalchemy import orm
from wtforms.csrf.session import SessionCSRF
from wtforms.utils import unset_value

from admin_app import forms, inspection, navigation, pages
from admin_app.contexts import IndexPage, ListPage
from admin_app.errors import ConfigurationError, InvalidRequest
from admin_app.forms.fields import ModelFieldMixin
from admin_app.forms.widgets import prepopulate
from admin_app.listing import Count, ListedRow, ListState, Page
from admin_app.pages import Crumb


def adopt(admin: FlaskAdmin) -> None:
    """Let views of ours stand in a ``flask_admin.Admin``: our templates, headers and frame.

    ``Admin.app`` is set by then: Flask-Admin makes blueprints only once it knows its application.
    """
    app = admin.app
    if app is None or "admin_app" in app.extensions:
        return
    if "admin_adopted" not in app.extensions:
        app.extensions["admin_adopted"] = admin
        pages.install(app)
        pages.guard(app, admin.url or "")
        app.jinja_env.globals["admin_site"] = lambda: navigation.site(admin, current_view())
        app.jinja_env.globals["admin_index"] = lambda: index_page(admin)


def index_page(admin: FlaskAdmin) -> IndexPage:
    """The first page of ``admin``, which Flask-Admin's own index view hands nothing to draw."""
    history = getattr(admin, "history", None)
    return IndexPage(
        title=str(admin.name),
        breadcrumbs=[Crumb(str(admin.name))],
        sections=navigation.directory(admin),
        activity=[] if history is None else history.recent(),
        activity_url=None if history is None else flask.url_for(f"{history.endpoint}.index_view"),
    )


def current_view() -> Any:
    """The view that the current request is for; Flask-Admin keeps it on its blueprints alone."""
    endpoint = flask.request.blueprint
    for admin in flask.current_app.extensions.get("admin", ()):
        for view in admin._views:
            if view.endpoint == endpoint:
                return view
    return None


def guarded_base(base: type[BaseForm]) -> type[BaseForm]:
    """A host's ``form_base_class``; a SecureForm whose token is that of this site's other forms.

    Flask-WTF's guard looks for its own token under the name that SecureForm gives to another.
    """
    if not issubclass(base, SecureForm):
        return base
    meta: Any = base.Meta
    guarded = type("Meta", (meta,), {"csrf_class": _SiteCSRF})
    return type(base.__name__, (base,), {"Meta": guarded})


class _SiteCSRF(SessionCSRF):
    """The token of Flask-WTF where that guards the application, else a token of the session."""

    def generate_csrf_token(self, csrf_token_field: Any) -> Any:
        if _is_guarded():
            return generate_csrf()
        return super().generate_csrf_token(csrf_token_field)

    def validate_csrf_token(self, form: Any, field: Any) -> None:
        if not _is_guarded():
            super().validate_csrf_token(form, field)
        elif not flask.g.get("csrf_valid"):
            validate_csrf(field.data)


def _is_guarded() -> bool:
    return bool(flask.current_app.config.get("WTF_CSRF_ENABLED"))


def view_for(admin: FlaskAdmin, mapper: orm.Mapper[Any]) -> Any:
    """The first view of ours in ``admin`` for ``mapper``: Flask-Admin keeps no such register."""
    for view in admin._views:
        if getattr(view, "mapper", None) is mapper:
            return view
    return None


def over(view: Any, mapper: orm.Mapper[Any]) -> Any:
    """A copy of ``view`` at the same address, with its forms and columns made of ``mapper``.

    Flask-Admin makes both once, when a view is made, by methods that are its own.
    """
    found = copy.copy(view)
    found.model, found.mapper, found.parent_view = mapper.class_, mapper, view
    found._refresh_forms_cache()
    if found.can_view_details:
        found._details_columns = found.get_details_columns()
    return found


def as_select(query: orm.Query[Any]) -> sa.Select[Any]:
    """A ``Query`` that a host's ``get_query`` made, as the SELECT that a Listing starts from."""
    statement = query.statement
    if not isinstance(statement, sa.Select):
        raise TypeError("get_query must return a query over the rows of one model")
    return statement


def default_order(view: Any) -> list[tuple[Any, bool]] | None:
    """``column_default_sort`` in one form; the method that reads all three forms is private."""
    order = view.column_default_sort
    if not order:
        return None
    if isinstance(order, list):
        return [o if isinstance(o, tuple) else (o, False) for o in order]
    return [order if isinstance(order, tuple) else (order, False)]


def list_filters(
    view: Any, pairs: Iterable[tuple[str, str]] | None = None
) -> list[tuple[int, str, str]]:
    """The filters of the request's URL as position, name and value, in the order it numbers them.

    Flask-Admin understands either names or positions, whichever the view makes; old links to a
    view that makes names hold positions, so both are understood here. Of given ``pairs`` each has
    to mean something: else InvalidRequest.
    """
    known = {_squeezed(k): index for k, (index, _) in (view._filter_args or {}).items()}
    found: list[tuple[str, tuple[int, str, str]]] = []
    for argument, value in flask.request.args.items(multi=True) if pairs is None else pairs:
        number, _, key = argument.removeprefix("flt").partition("_")
        if not argument.startswith("flt") or not key:
            continue
        index = known.get(_squeezed(key), _position(key, len(view._filters or ())))
        flt: Any = None if index is None else view._filters[index]
        if index is not None and flt.validate(value):
            found.append((number, (index, str(flt.name), value)))
        elif pairs is not None:
            raise InvalidRequest("A filter means nothing, so it is not clear which rows are meant.")
        elif flt is not None:
            flask.flash(view.get_invalid_value_msg(value, flt), "error")
    return [f for _, f in sorted(found, key=lambda f: f[0])]


def _squeezed(key: str) -> str:
    """A filter's name without what differs between our labels and Flask-Admin's."""
    return key.replace("_", "").lower()


def _position(key: str, count: int) -> int | None:
    is_number = key.isascii() and key.isdigit() and len(key) < 6
    return int(key) if is_number and int(key) < count else None


def apply_filters(view: Any, filters: Sequence[Any], statement: sa.Select[Any]) -> sa.Select[Any]:
    """``statement`` narrowed by Flask-Admin's filter objects.

    They are written for ``Query``, whose ``filter`` and ``join`` a SELECT has as well. A filter
    that joins is put into a subquery over the key, so that no row is there twice.
    """
    model = view.model
    keys = [getattr(model, k) for k in inspection.identity_keys(view.mapper)]
    for index, _, value in filters:
        flt = view._filters[index]
        path = (
            view._filter_joins.get(flt.key_name or flt.column, [])
            if isinstance(flt, BaseSQLAFilter)
            else []
        )
        inner, alias = statement, None
        if path:
            inner = sa.select(*keys)
            inner, _, alias = view._apply_path_joins(inner, {}, path, inner_join=False)
        takes_alias = len(inspect.signature(flt.apply).parameters) >= 3
        arguments = (flt.clean(value), alias) if takes_alias else (flt.clean(value),)
        inner = flt.apply(inner, *arguments)
        if path:
            key = keys[0] if len(keys) == 1 else sa.tuple_(*keys)
            statement = statement.where(key.in_(inner))
        else:
            statement = inner
    return statement


def own_row_actions(view: Any) -> list[Any] | None:
    """All row actions of a list where a host has chosen them himself, else None."""
    if not view.column_display_actions:
        return []
    if type(view).get_list_row_actions is BaseModelView.get_list_row_actions:
        return None
    return list(view.get_list_row_actions())


@functools.cache
def _stock_formatters() -> dict[Any, set[Any]]:
    """The formatters that Flask-Admin sets, by type."""
    stock: dict[Any, Any] = {}
    for known in (
        typefmt.BASE_FORMATTERS,
        typefmt.DETAIL_FORMATTERS,
        sqla_typefmt.DEFAULT_FORMATTERS,
    ):
        for type_, formatter in known.items():
            stock.setdefault(type_, set()).add(formatter)
    return stock


def own_type_formatters(formatters: Mapping[type, Any] | None) -> dict[type, Any]:
    """The type formatters that a host has set, without those that Flask-Admin sets itself."""
    stock = _stock_formatters()
    return {t: f for t, f in (formatters or {}).items() if f not in stock.get(t, ())}


def format_type(formatter: Callable[..., Any], view: Any, name: str, value: Any) -> Any:
    """A type formatter called as it was written: with the column's name or, before 2.0, without."""
    if len(inspect.signature(formatter).parameters) >= 3:
        return formatter(view, value, name)
    return formatter(view, value)


def field_value(view: Any, name: Any, instance: Any) -> Any:
    """What Flask-Admin reads for a column that no attribute of the class is: None, mostly."""
    return view._get_field_value(instance, name)


def in_words(view: Any, name: Any, types: Mapping[type, Any], value: Any) -> Any:
    """``value`` of the column ``name`` by its choices, else by a formatter of its type."""
    choices = (view._column_choices_map or {}).get(name)
    if choices and isinstance(value, Hashable):
        return choices.get(value) or value
    for type_, formatter in types.items():
        if isinstance(value, type_):
            return format_type(formatter, view, name, value)
    return value


def new_instance(mapper: orm.Mapper[Any]) -> Any:
    """A new instance, by its class when that takes no arguments, else without ``__init__``.

    The manager's way still runs SQLAlchemy's init event, so that defaults of dataclass mappings
    and collections are in place.
    """
    if _takes_no_arguments(mapper):
        return mapper.class_()
    instance = mapper.class_manager.new_instance()
    mapper.class_manager.dispatch.init(orm.attributes.instance_state(instance), [], {})
    return instance


@functools.cache
def _takes_no_arguments(mapper: orm.Mapper[Any]) -> bool:
    try:
        inspect.signature(mapper.class_).bind()
    except (TypeError, ValueError):
        return False
    return True


def page_of(view: Any, state: ListState, filters: Sequence[Any]) -> Page:
    """The page that a host's own ``get_list`` gives."""
    order = state.order[0] if state.order else None
    count, instances = view.get_list(
        state.page,
        order.key if order else None,
        order.descending if order else False,
        state.search,
        filters or None,
        page_size=state.page_size,
    )
    rows = [ListedRow(i, {}) for i in instances]
    seen = state.page * state.page_size + len(rows)
    has_next = seen < count if count is not None else len(rows) >= state.page_size
    return Page(rows, has_next, None if count is None else Count(count))


def list_arguments(view: Any, page: ListPage, state: ListState, found: Page) -> dict[str, Any]:
    """What Flask-Admin gives its list template, for a host's template that extends ours."""
    names = [column.key for column in page.columns]
    order = state.order[0] if state.order else None
    count = found.count.number if found.count else None
    actions, confirmations = view.get_actions_list()
    return {
        "page": page,
        "data": [row.instance for row in found.rows],
        "list_columns": [(column.key, column.label) for column in page.columns],
        "sortable_columns": view._sortable_columns,
        "editable_columns": view.column_editable_list,
        "list_row_actions": view.get_list_row_actions(),
        "count": count,
        "page_size": state.page_size,
        "default_page_size": view.page_size,
        "num_pages": None if count is None else -(-count // state.page_size),
        "sort_column": names.index(order.key) if order and order.key in names else None,
        "sort_desc": order.descending if order else False,
        "search": state.search,
        "search_supported": view._search_supported,
        "actions": actions,
        "actions_confirmation": confirmations,
        "get_pk_value": view.get_pk_value,
        "get_value": view.get_list_value,
        "return_url": page.return_url,
        "enumerate": enumerate,
    }


def _is_mapped(model: Any) -> bool:
    return isinstance(sa.inspect(model, raiseerr=False), orm.Mapper)


class InlineRow(InlineModelFormField):
    """One row of an inline list; its key tells which row it is and is never written."""

    def populate_obj(self, obj: Any, name: str) -> None:
        keys = (self._pk,) if isinstance(self._pk, str) else tuple(self._pk)
        for key, field in self.form._fields.items():
            if key not in keys:
                field.populate_obj(obj, key)


class InlineRows(InlineModelFormList):
    """Rows of an inline list, each compared with the row of its key.

    Flask-Admin takes them in the order in which they come, and makes one that was deleted
    meanwhile anew.
    """

    form_field_type = InlineRow

    def process(self, formdata: Any, data: Any = unset_value, extra_filters: Any = None) -> None:
        if not formdata or data is unset_value:
            super().process(formdata, data, extra_filters)
            return
        names = self._key_names()
        rows = {tuple(str(getattr(row, n)) for n in names): row for row in data or ()}
        indices = sorted(set(self._extract_indices(self.name, formdata)))  # type: ignore[attr-defined]
        sent = [
            tuple((formdata.getlist(f"{self.name}-{i}-{n}") or [""])[0] for n in names)
            for i in indices
        ]
        super().process(formdata, [rows.get(key, unset_value) for key in sent], extra_filters)
        self.object_data = data
        for entry, key in zip(self.entries, sent, strict=False):
            entry.row_key = "\0".join(key) if key in rows else None
            entry.is_gone = key not in rows and any(key)
            if entry.is_gone and not self.should_delete(entry):
                shown: list[Any] = [f for f in entry.form if isinstance(f, ModelFieldMixin)]
                for field in shown[:1]:
                    field.process_errors = [*field.process_errors, _GONE]

    def _key_names(self) -> tuple[str, ...]:
        return (self._pk,) if isinstance(self._pk, str) else tuple(self._pk)

    def stored(self) -> Iterator[tuple[str, Any]]:
        """The entries of rows that are stored, with the key of each."""
        for entry in self.entries:
            shown = (str(getattr(entry.form, name).data) for name in self._key_names())
            key = entry.row_key if hasattr(entry, "row_key") else "\0".join(shown)
            if key is not None:
                yield key, entry

    def populate_obj(self, obj: Any, name: str) -> None:
        entries = self.entries
        self.entries = [entry for entry in entries if not getattr(entry, "is_gone", False)]
        try:
            super().populate_obj(obj, name)
        finally:
            self.entries = entries


_GONE = "Somebody else deleted this row meanwhile. Remove it here, or add it anew."


class InlineConverter(InlineModelConverter):
    """Flask-Admin's inline forms with our fields, whose pickers ask the parent's view for rows.

    ``get_info`` makes the object that the form converter will know as its view. Flask-Admin asks
    it for a form before it makes one of its own.
    """

    inline_field_list_type = InlineRows

    def get_info(self, p: Any) -> Any:
        named = p[0] if isinstance(p, tuple) else p
        if not any(_is_mapped(model) for model in (named, getattr(named, "model", None))):
            raise ConfigurationError(
                f"{type(self.view).__name__}.inline_models names {p!r}, which is no mapped class."
            )
        info: Any = super().get_info(p)
        view: Any = self.view
        if type(info).get_form is InlineBaseFormAdmin.get_form:
            info.get_form = functools.partial(self._child_form, info)
        info.lookup_for = view.lookup_for
        info.lookup_for_table = view.lookup_for_table
        info.dialect_name = view.dialect_name
        return info

    def _calculate_mapping_key_pair(self, model: Any, info: Any) -> dict[str, str]:
        try:
            found: dict[str, str] = super()._calculate_mapping_key_pair(model, info)
        except Exception as error:  # the class that Flask-Admin raises, for want of a better one
            child, parent = info.model.__name__, model.__name__
            raise ConfigurationError(
                f"{type(self.view).__name__}.inline_models names {child}, but no relationships "
                f"join it to {parent}: {child} needs one to {parent}, and {parent} one back."
            ) from error
        return found

    def _child_form(self, info: Any) -> type[wtforms.Form]:
        view: Any = self.view
        reverse = self._calculate_mapping_key_pair(view.model, info).values()
        form = forms.scaffold(
            inspection.mapper_of(info.model),
            view.model_form_converter(self.session, info),
            base_class=info.form_base_class or BaseForm,
            only=info.form_columns,
            exclude=[*reverse, *(info.form_excluded_columns or ())],
            field_args=info.form_args,
            extra_fields=info.form_extra_fields,
            hidden_key=True,
        )
        sources = getattr(info, "form_prepopulated_fields", None)
        return _prepopulated(form, sources) if sources else form


def _prepopulated(form: Any, sources: Mapping[str, Sequence[str]]) -> type[wtforms.Form]:
    """``form`` with fields that a script makes of others of the same row."""

    class Prepopulated(form):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            prepopulate(self, sources)

    return Prepopulated
