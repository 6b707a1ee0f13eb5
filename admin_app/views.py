"""`ModelView`: every option, hook and route of a model's pages.

It is Flask-Admin's view by its options, hooks and URLs, and ours by its work: a route reads the
request, calls one function of another module and renders. The rows come from a `Listing`
(`ModelView.listing`), every write goes through a change set, and every route asks the policy.
"""

from __future__ import annotations

import functools
import logging
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import flask
import sqlalchemy as sa
import wtforms
from flask import g, request
from flask.typing import ResponseReturnValue
from flask_admin.base import expose as expose
from flask_admin.contrib.sqla.view import ModelView as FlaskAdminModelView
from flask_admin.form import FormOpts
from flask_admin.helpers import get_render_ctx, is_form_submitted
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import orm
from werkzeug.utils import redirect

from admin_app import (
    _flask_admin,
    as_stored,
    changes,
    chooser,
    columns,
    conflicts,
    database,
    deleting,
    export_routes,
    exports,
    filter_pages,
    forms,
    inspection,
    layout,
    list_pages,
    listing,
    model_pages,
    pages,
    rendering,
    review,
    saved_views,
    saving,
    subtypes,
)
from admin_app.action_routes import ActionRoutes
from admin_app.cells import CellRoutes
from admin_app.errors import Forbidden, InvalidRequest, NotFound
from admin_app.export_routes import ExportRoutes
from admin_app.file_routes import FileRoutes
from admin_app.import_pages import ImportRoutes
from admin_app.inspection import Path
from admin_app.list_routes import ListRoutes
from admin_app.listing import Listing, ListState, Order
from admin_app.lookups import LookupRoutes
from admin_app.options import ModelOptions
from admin_app.policy import Principal, Reach
from admin_app.view_pages import SavedViewRoutes

log = logging.getLogger(__name__)


def scoped(source: Any) -> Any:
    """What ``source`` (Flask-SQLAlchemy's ``db``, a session or a factory of them) hands out.

    A factory is wrapped into a ``scoped_session`` so that a request has one session.
    """
    if isinstance(source, orm.sessionmaker):
        return orm.scoped_session(source)
    return source


def end_with_request(app: flask.Flask, session: Any) -> None:
    """Let ``session``, if it is a ``scoped_session``, begin anew with every request of ``app``."""
    ended: set[Any] = app.extensions.setdefault("admin_sessions", set())
    if isinstance(session, orm.scoped_session) and session not in ended:
        ended.add(session)
        app.teardown_appcontext(lambda error: session.remove())


class ModelView(
    ModelOptions,
    LookupRoutes,
    CellRoutes,
    FileRoutes,
    SavedViewRoutes,
    ImportRoutes,
    ListRoutes,
    ExportRoutes,
    ActionRoutes,
    FlaskAdminModelView,
):
    """The pages of one mapped class.

    Without any option it lists, shows, creates, edits and deletes rows of any mapped class. The
    options are Flask-Admin's (``column_*``, ``form_*``, ``can_*``, ``*_template``) with the same
    meaning.
    """

    admin: Any
    session: Any
    _list_columns: list[tuple[Any, str]]
    _sortable_columns: dict[Any, Any]

    parent_view: Any
    subtype: str | None

    def __init__(
        self,
        model: type[Any],
        session: Any,
        name: str | None = None,
        category: str | None = None,
        endpoint: str | None = None,
        url: str | None = None,
        static_folder: str | None = None,
        menu_class_name: str | None = None,
        menu_icon_type: str | None = None,
        menu_icon_value: str | None = None,
    ) -> None:
        self.model = model
        self.mapper = inspection.mapper_of(model)
        self.singular = inspection.words(model.__name__)
        self.read_only_note = inspection.is_read_only(model)
        if self.read_only_note is not None:
            self.can_create = self.can_edit = self.can_delete = False
        if self.page_size not in self.page_size_options:
            sizes = {*self.page_size_options, self.page_size}
            self.page_size_options = tuple(sorted(s for s in sizes if s))
        self._lookups = {}
        self.parent_view = self.subtype = None
        self._over: dict[orm.Mapper[Any], Any] = {}
        self.form_base_class = _flask_admin.guarded_base(self.form_base_class)
        with warnings.catch_warnings():
            # Flask-Admin deprecates sessions in favour of Flask-SQLAlchemy's object; we take both.
            warnings.filterwarnings("ignore", "Passing a session object", DeprecationWarning)
            super().__init__(
                model,
                scoped(session),
                name or inspection.plural(self.singular),
                category,
                endpoint,
                url,
                static_folder,
                menu_class_name=menu_class_name,
                menu_icon_type=menu_icon_type,
                menu_icon_value=menu_icon_value,
            )
        self.prepare_form_keys()
        self._state_columns = [self._path(name) for name, _ in self._list_columns]
        layout.check(self)
        exports.check(self)

    def prepare_form_keys(self) -> None:
        """Note the attributes that the form of a row loads along with it."""
        self._form_keys = forms.keys_of(self._edit_form_class, self.mapper)

    @property
    def plural(self) -> str:
        """What several rows are called within a sentence."""
        return str(self.name).lower()

    # What it stands on

    def get_session(self) -> Any:
        """The session of the current request."""
        if isinstance(self.session, SQLAlchemy) or hasattr(self.session, "session"):
            return self.session.session
        return self.session

    def dialect_name(self) -> str:
        """SQLAlchemy's name of the database that holds this model."""
        name: str = self.get_session().get_bind(mapper=self.mapper).dialect.name
        return name

    def create_blueprint(self, admin: Any) -> Any:
        """Flask-Admin's blueprint, with our pages installed where the admin is not ours."""
        _flask_admin.adopt(admin)
        blueprint = super().create_blueprint(admin)
        pages.catch_errors(blueprint)
        end_with_request(admin.app, self.session)
        if not pages.is_under(self.url or "", admin.url):
            # A host may put a view anywhere; it is as exposed there as under the admin.
            pages.guard(admin.app, self.url or "", getattr(admin, "enter", None))
        return blueprint

    # Who may

    def principal(self) -> Principal | None:
        """Who sends the current request, as far as the admin knows."""
        found: Principal | None = self.admin.principal() if self._is_ours else None
        return found

    @property
    def _is_ours(self) -> bool:
        return hasattr(self.admin, "policy")

    def may(self, what: str, column: str | None = None) -> bool:
        """Whether the policy lets the current principal do ``what`` to this model."""
        if not self._is_ours:
            return True
        return bool(self.admin.policy.may(self.principal(), what, self.model, column))

    def is_accessible(self) -> bool:
        """Whether this model may be seen; override it to narrow what the policy says.

        In a ``flask_admin.Admin``, which has no sign-in, it is open only where
        ``admin_app.accounts.Open`` would be; override it there to say who may enter.
        """
        if self._is_ours:
            return self.may("view")
        app = flask.current_app
        allowed = str(app.config.get("ADMIN_ALLOW_OPEN", os.environ.get("ADMIN_ALLOW_OPEN", "")))
        return bool(app.debug or app.testing or allowed.lower() not in ("", "0", "false", "no"))

    def _handle_view(self, name: str, **kwargs: Any) -> Any:
        bind = self.get_session().get_bind(mapper=self.mapper)
        as_stored.tolerate(getattr(bind, "engine", bind), self.mapper)
        if not self.may("view") or not self.is_accessible():
            return self.inaccessible_callback(name, **kwargs) or flask.abort(403)
        return saved_views.enter(self, name)

    def inaccessible_callback(self, name: Any, **kwargs: Any) -> Any:
        """Send a stranger to sign in; tell everybody else that he may not."""
        if self._is_ours:
            answer = self.admin.enter()
            if answer is not None:
                return answer
        elif type(self).is_accessible is ModelView.is_accessible:
            raise Forbidden(
                "This admin has no sign-in, so it is closed: use admin_app.Admin, override "
                "is_accessible, or set ADMIN_ALLOW_OPEN=1 where no stranger can reach it."
            )
        raise Forbidden(f"You may not see {self.plural}.")

    def _run_view(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        # Flask-Admin calls a view again after any TypeError, and so loses what raised it.
        return saving.attempts(self, lambda: review.run(self, lambda: fn(self, *args, **kwargs)))

    def allows(self, what: str) -> bool:
        """Whether options, mapping and policy together allow ``what``."""
        if what == "export" and not chooser.is_exported(self):
            return False
        option = {"add": "can_create", "change": "can_edit", "delete": "can_delete"}.get(what)
        if option and (not getattr(self, option) or self.read_only_note is not None):
            return False
        return self.may(what)

    def require(self, what: str) -> None:
        """Forbidden unless `allows` says yes."""
        if not self.allows(what):
            sentence = f"You may not {subtypes.VERBS[what]} {self.plural}."
            raise Forbidden(self.read_only_note or sentence)

    # Columns

    def _prettify_name(self, name: str) -> str:
        display = chooser.display_of(self, name)
        if display is not None and display.label:
            return display.label
        return inspection.words(
            name.rpartition(".")[2] if name.count(".") == 0 else name.replace(".", " ")
        )

    def scaffold_pk(self) -> Any:
        keys = inspection.identity_keys(self.mapper)
        return keys[0] if len(keys) == 1 else keys

    def scaffold_auto_joins(self) -> list[Any]:
        return []

    def scaffold_list_columns(self) -> list[str]:
        """The columns of a list without options: the key, then what fits and tells most."""
        keys = self._shown_keys()
        if self.column_display_all_relations:
            relations = inspection.relationships(self.mapper)
            return [*keys, *(k for k in relations if k not in keys)]
        return columns.listed(self.mapper, keys)

    def _shown_keys(self) -> list[str]:
        return columns.shown(
            self.mapper,
            with_key=bool(self.column_display_pk),
            with_hidden=not self.ignore_hidden,
        )

    def get_column_names(
        self, only_columns: Iterable[Any], excluded_columns: Iterable[Any] | None
    ) -> list[tuple[Any, str]]:
        """Columns as pairs of name and label: by the names that an option gives, dots included."""
        left_out = {self._name(c) for c in excluded_columns or ()}
        names = [self._name(c) for c in only_columns]
        return [(n, self.get_column_name(n)) for n in names if n not in left_out]

    def get_details_columns(self) -> list[tuple[Any, str]]:
        """Every attribute that can be shown, unless ``column_details_list`` names some."""
        names = self.column_details_list or [
            k for k in self._shown_keys() if not inspection.is_secret(k)
        ]
        return self.get_column_names(names, self.column_details_exclude_list)

    def get_sortable_columns(self) -> dict[Any, Any]:
        """Names that a list may be ordered by, each with the paths that make the order."""
        if self.column_sortable_list is None:
            names = [chooser.with_sort(self, name) for name, _ in self._list_columns]
            return columns.sortable(self.mapper, names)
        return columns.sortable(self.mapper, self.column_sortable_list)

    def _name(self, attribute: Any) -> str:
        return columns.name_of(self.mapper, attribute)

    def _path(self, name: str) -> Path:
        return columns.path_of(self.mapper, name)

    def get_filters(self) -> Any:
        """Flask-Admin's filters for ``column_filters``, of the columns that it has some for."""
        return filter_pages.positional(self)

    def init_search(self) -> bool:
        """Prepare the search: over ``column_searchable_list``, else over text and keys."""
        if self.column_searchable_list:
            names = [self._name(n) for n in self.column_searchable_list]
        elif self.column_searchable_list is None:
            names = columns.searchable(self.mapper)
        else:
            names = []
        self._searched = listing.search_fields(self.mapper, names)
        return bool(names)

    def search_placeholder(self) -> str | None:
        """The words in the empty search box."""
        if not self.column_searchable_list:
            return f"Search {self.plural}"
        names = [listing.signed(self._name(n))[1] for n in self.column_searchable_list]
        names = [self.get_column_name(n) for n in names]
        return ", ".join(str(n) for n in names)

    # Rows

    def reach(self) -> Reach:
        """What the principal may read, here and in the classes that relationships lead to."""
        return Reach(self._may_read, self._rows_in_reach)

    def _may_read(self, mapper: orm.Mapper[Any], key: str | None = None) -> bool:
        if key is not None and inspection.is_secret(key):
            return False
        view = self if mapper is self.mapper else self.view_of(mapper)
        if view is None:
            return not self._is_ours or bool(
                self.admin.policy.may(self.principal(), "view", mapper.class_, key)
            )
        return bool(view.may("view", key)) and bool(view is self or view.is_accessible())

    def _rows_in_reach(self, mapper: orm.Mapper[Any]) -> sa.Select[Any] | None:
        """The rows of a related class, as its own view narrows them; None for all of them."""
        view = self.view_of(mapper)
        if view is None:
            narrowed = self._narrowed("view", mapper.class_)
            return None if narrowed is None else sa.select(mapper.class_).where(narrowed)
        own = view.over(mapper)
        return own.get_listing().base() if own.is_narrowed else None

    @property
    def is_narrowed(self) -> bool:
        """Whether the current principal may see some of the rows only."""
        if self.parent_view is not None:
            return self.get_listing().is_narrowed
        return self._scope() is not None or self._narrowed("view", self.model) is not None

    def _narrowed(self, what: str, model: type[Any]) -> sa.ColumnElement[bool] | None:
        """The predicate that the policy sets on rows of ``model``."""
        if not self._is_ours:
            return None
        found: sa.ColumnElement[bool] | None = self.admin.policy.rows(self.principal(), what, model)
        return found

    def over(self, mapper: orm.Mapper[Any]) -> ModelView:
        """This view, or the one that it is for rows of a subclass without a view of its own."""
        found: ModelView = self if mapper is self.mapper else subtypes.over(self, mapper)
        return found

    def get_listing(self, what: str = "view", paths: Sequence[Path] = (), **kwargs: Any) -> Listing:
        """The rows within the principal's reach for ``what``, with what a list may do to them."""
        narrowed = self._narrowed(what, self.model)
        criteria = [] if narrowed is None else [narrowed]
        if self.parent_view is not None:
            criteria += subtypes.within(self.parent_view, self.mapper, what)
        size = self.page_size or 50
        return Listing(
            self.mapper,
            scope=self._scope(),
            criteria=criteria,
            columns=paths,
            searchable=self._searched,
            indexes=functools.partial(listing.known_indexes, self.get_session(), self.mapper),
            search_hook=self.get_search_condition,
            sortable=self._sorts(kwargs.get("offers")),
            default_order=self._default_orders(),
            page_size=size,
            page_sizes=self.page_size_options if self.can_set_page_size else (),
            reach=self.reach(),
            dialect=self.dialect_name(),
            filterable=filter_pages.allowed(self),
            **kwargs,
        )

    def _scope(self) -> sa.Select[Any] | None:
        """``get_query`` as a SELECT, when a subclass narrows by it."""
        if type(self).get_query is FlaskAdminModelView.get_query or self.parent_view is not None:
            return None
        query: Any = self.get_query()
        return query if isinstance(query, sa.Select) else _flask_admin.as_select(query)

    def _default_orders(self) -> list[Order]:
        named = self._get_default_order_names()
        return [Order(self._name(key), bool(descending)) for key, descending in named]

    def _sorts(self, offers: columns.Offers | None = None) -> Mapping[str, Sequence[Path]]:
        """What a list may be ordered by; the default order may use what the visitor may not."""
        names = [self._name(key) for key, _ in self._get_default_order_names()]
        always = {name: [inspection.resolve(self.mapper, name)] for name in names}
        sorts = columns.Readable(self._sortable_columns, self._may_read, always)
        if offers is None or self.column_sortable_list is not None:
            return sorts
        return columns.Sorts(sorts, offers)

    def _get_default_order_names(self) -> list[tuple[Any, bool]]:
        return _flask_admin.default_order(self) or []

    def get_list(  # type: ignore[override]  # Flask-Admin overrides its own base so, too
        self,
        page: int | None,
        sort_column: Any,
        sort_desc: bool,
        search: str | None,
        filters: Sequence[Any] | None,
        execute: bool = True,
        page_size: int | None = None,
    ) -> tuple[int | None, Any]:
        """One page as Flask-Admin gives it: the count, or None, and the instances.

        Override it to make the list from something else than the database's rows.
        """
        size = self.page_size if page_size is None else page_size
        listing = self.get_listing(paths=self._state_columns, refine=self._refinement(filters))
        order = (Order(sort_column, bool(sort_desc)),) if sort_column in self._sorts() else ()
        state = ListState(search or "", order, page or 0, size or 1_000_000)
        if not execute:
            return None, listing.statement(state)
        found = listing.page(self.get_session(), state, count=not self.simple_list_pager)
        count = None if found.count is None or self.simple_list_pager else found.count.number
        return count, [r.instance for r in found.rows]

    def _refinement(self, filters: Sequence[Any] | None) -> Any:
        return functools.partial(_flask_admin.apply_filters, self, filters) if filters else None

    def get_pk_value(self, model: Any) -> str:
        """The identity of ``model`` as it stands in URLs."""
        return inspection.identity_text(self.mapper).of(model)

    def get_one(self, id: Any) -> Any:
        """The instance that ``id``, text of a URL, stands for; None when none is in reach."""
        return self._one(str(id))

    def _one(self, text: str, what: str = "view", lock: bool = False) -> Any:
        try:
            identity = inspection.identity_text(self.mapper).decode(text)
        except NotFound:
            return None
        keys = self._form_keys if what == "change" else ()
        options = listing.form_options(self.mapper, keys)
        rows = self.get_listing(what)
        return rows.one(self.get_session(), identity, options=options, lock=lock, noted=keys)

    def one_to_change(self, text: str) -> Any:
        """The instance that ``text`` of a URL stands for, locked; None when none is in reach."""
        is_default = type(self).get_one is ModelView.get_one
        model = self._one(text, "change", lock=True) if is_default else self.get_one(text)
        subtypes.require(self, [] if model is None else [model], "change")
        return model

    def _requested(self, what: str) -> tuple[str, Any]:
        """The identity text and instance of the row that the request names; NotFound if none."""
        given = request.args.getlist("id") or request.form.getlist("id")
        if len(given) == len(self.mapper.primary_key) > 1:
            given = [",".join(given)]
        if len(given) != 1:
            raise InvalidRequest("The address must name one row by its key.")
        is_default = type(self).get_one is ModelView.get_one
        lock = request.method == "POST" and what == "change" and not review.is_going_back()
        instance = self._one(given[0], what, lock) if is_default else self.get_one(given[0])
        if instance is None:
            raise NotFound(f"There is no {self.singular.lower()} “{inspection.shorten(given[0])}”.")
        subtypes.require(self, [instance], what)
        return given[0], instance

    # Related rows

    def view_of(self, mapper: orm.Mapper[Any]) -> Any:
        """The view of another class in the same admin."""
        if self._is_ours:
            return self.admin.view_for_mapper(mapper)
        return _flask_admin.view_for(self.admin, mapper)

    def links(self, mapper: orm.Mapper[Any]) -> rendering.RowLink:
        """How rows of ``mapper`` are reached from here, for who may."""
        view = self.view_of(mapper)
        if view is None or not view.may("view") or not view.is_accessible():
            return lambda instance: None
        link: rendering.RowLink = view.row_link()
        return link

    def row_link(self) -> rendering.RowLink:
        """The address of a row's main page: details, else the form, else nothing."""
        endpoint = "details_view" if self.can_view_details else "edit_view"
        if endpoint == "edit_view" and not self.allows("change"):
            return lambda instance: None
        prefix = flask.url_for(f"{self.endpoint}.{endpoint}") + "?id="
        text_of = inspection.identity_text(self.mapper)
        if inspection.is_union(self.mapper):
            return subtypes.home_link(self, prefix)
        return lambda instance: prefix + text_of.quoted(instance)

    def url_for(self, page: str, identity: Sequence[Any] | None = None, **values: Any) -> str:
        """The URL of one of the pages list, create, edit, details, delete, action, export.

        ``identity`` is the key of the row as ``inspect(instance).identity`` gives it.
        """
        endpoint = {"list": "index_view", "export": "export", "lookup": "lookup"}.get(
            page, f"{page}_view"
        )
        if identity is not None:
            values["id"] = inspection.identity_text(self.mapper).encode(identity)
        if page == "create" and self.subtype is not None:
            values.setdefault(subtypes.ARGUMENT, self.subtype)
        return flask.url_for(f"{self.endpoint}.{endpoint}", **values)

    # Rendering

    def render(self, template: str, **kwargs: Any) -> str:
        kwargs.setdefault("extra_args", {})
        html: str = super().render(template, **kwargs)
        return html

    def _renderer(self, path: Path, *, is_list: bool, **looks: bool) -> rendering.Renderer:
        formatters = self.column_formatters if is_list else self.column_formatters_detail
        formatter = (formatters or {}).get(path.name) or chooser.formatter(self, path.name)
        types = self.column_type_formatters if is_list else self.column_type_formatters_detail
        return rendering.value_renderer(
            path,
            self.links,
            is_cut=is_list,
            formatter=formatter and (lambda row: formatter(self, get_render_ctx(), row, path.name)),
            choices=(self._column_choices_map or {}).get(path.name),
            type_formatters={
                t: functools.partial(_flask_admin.format_type, f, self, path.name)
                for t, f in _flask_admin.own_type_formatters(types).items()
            },
            **looks,
        )

    # Pages

    @expose("/")
    def index_view(self) -> ResponseReturnValue:
        """The list."""
        g.admin_list_args = request.args
        if (answered := chooser.answer(self) or filter_pages.answer(self)) is not None:
            return answered
        shown, state, found = list_pages.read(self)
        return self.render(
            self.list_template, **_flask_admin.list_arguments(self, shown, state, found)
        )

    @property
    def has_own_rows(self) -> bool:
        """Whether a host's own ``get_list`` makes the rows of the list."""
        return type(self).get_list is not ModelView.get_list

    @expose("/new/", methods=("GET", "POST"))
    def create_view(self) -> ResponseReturnValue:
        """The form for a new row."""
        self.require("add")
        view: ModelView | flask.Response = subtypes.for_new(self)
        if not isinstance(view, ModelView):
            return view
        if (answered := self._begin()) is not None:
            return answered
        form = view.create_form()
        layout.prepare(view, form, None)
        if request.method == "GET" and hasattr(form, "prefill"):
            form.prefill(request.args)
        return view._create(form)

    def _create(self, form: Any) -> ResponseReturnValue:
        """Save ``form`` as a new row if it was sent and is right, else show it."""
        self._apply_rules(form, self._form_create_rules)
        if self.validate_form(form):
            model = self.create_model(form)
            if model or saving.is_answered():
                return saving.response(lambda: self._answer(model, "created"))
        return self._form_response(form, None, "create")

    def _copy(self, original: Any) -> ResponseReturnValue:
        """Save the form of ``original`` as a new row; what it could not send is copied over."""
        self.require("add")
        form = self.create_form()
        layout.prepare(self, form, None)
        if hasattr(form, "copy_unsent"):
            form.copy_unsent(original)
        return self._create(form)

    @expose("/edit/", methods=("GET", "POST"))
    def edit_view(self) -> ResponseReturnValue:
        """The form for an existing row."""
        self.require("change")
        if (answered := self._begin()) is not None:
            return answered
        try:
            text, model = self._requested("change")
        except NotFound as gone:
            return conflicts.create_again(self, gone)
        view: ModelView = subtypes.for_row(self, model)
        if "_save_as_new" in request.form and subtypes.can_copy(view, model):
            return view._copy(model)
        with self.get_session().no_autoflush:
            form = view.edit_form(obj=model)
            layout.prepare(view, form, model)
            view._apply_rules(form, view._form_edit_rules)
            is_met = conflicts.meet(view, form, model)
            is_valid = view.validate_form(form) and is_met
        if is_valid and (view.update_model(form, model) or saving.is_answered()):
            return saving.response(lambda: view._answer(model, "saved"))
        if not is_form_submitted() or form.errors:
            view.on_form_prefill(form, text)
        return view._form_response(form, model, "edit")

    @expose("/details/")
    def details_view(self) -> ResponseReturnValue:
        """All of one row, and what belongs to it."""
        if not self.can_view_details:
            return redirect(self.get_url(".index_view"))
        text, model = self._requested("view")
        view: ModelView = subtypes.for_row(self, model)
        page = model_pages.details_page(view, text, model)
        return self.render(
            self.details_template,
            page=page,
            model=model,
            details_columns=view._details_columns,
            get_value=self.get_detail_value,
            return_url=page.list_url,
        )

    @expose("/delete/", methods=("GET", "POST"))
    def delete_view(self) -> ResponseReturnValue:
        """GET shows what a delete would do, POST does it."""
        self.require("delete")
        if (answered := self._begin()) is not None:
            return answered
        text, model = self._requested("delete")
        place = (self.get_url(".delete_view"), [("id", text)])
        if request.method == "GET":
            return deleting.ask(self, [model], 1, *place)
        answer = self._answer(model, "deleted")
        if self.delete_model(model) or saving.is_answered():
            return saving.response(lambda: answer)
        if deleting.was_blocked():
            return deleting.ask(self, [model], 1, *place)
        return redirect(self.url_for("delete", id=text, url=self._return_url()))

    def _export_data(self) -> tuple[int, Any]:
        rows = list(export_routes.rows(self))
        return len(rows), rows

    def get_export_value(self, model: Any, name: Any) -> Any:
        """The value of one cell of a file; text that a spreadsheet would run is disarmed."""
        return export_routes.cell(self, name)(model)

    @property
    def has_own_export_values(self) -> bool:
        """Whether a host's own ``get_export_value`` makes the cells of a file."""
        return type(self).get_export_value is not ModelView.get_export_value

    # Saving

    def _begin(self) -> ResponseReturnValue | None:
        """Begin a writing transaction before anything is read, when the request may write.

        Returns the answer when the same form was sent and saved before.
        """
        if request.method != "POST" or review.is_going_back():
            return None
        answer = saving.repeated(self)
        database.begin_write(self.get_session(), self.mapper, review.kind())
        return answer

    def scaffold_form(self) -> type[wtforms.Form]:
        """The form class, from the mapper and the ``form_*`` options."""
        form_class = forms.scaffold(
            self.mapper,
            self.model_form_converter(self.session, self),
            base_class=self.form_base_class,
            only=layout.form_columns(self),
            exclude=self.form_excluded_columns,
            field_args=self.form_args,
            extra_fields=self.form_extra_fields,
            ignore_hidden=self.ignore_hidden,
        )
        if self.inline_models:
            form_class = self.scaffold_inline_form_models(form_class)
        return form_class

    def scaffold_list_form(self, widget: Any = None, validators: Any = None) -> type[wtforms.Form]:
        """The form class of the cells in ``column_editable_list``.

        ``widget``, which drew them in Flask-Admin, is not used.
        """
        return forms.scaffold(
            self.mapper,
            self.model_form_converter(self.session, self),
            base_class=self.form_base_class,
            only=[self._name(n) for n in self.column_editable_list or ()],
            field_args=validators,
        )

    def scaffold_other_forms(self) -> None:
        subtypes.over_all(self)

    def _apply_rules(self, form: Any, rules: Any) -> None:
        if rules and not getattr(form, "_validated_ruleset", False):
            self._validate_form_instance(ruleset=rules, form=form)

    def validate_form(self, form: Any) -> bool:
        """Whether ``form`` was sent to be saved and holds nothing wrong."""
        if review.is_going_back():
            return False
        try:
            with self.get_session().no_autoflush:
                return bool(super().validate_form(form))
        except wtforms.ValidationError as error:
            # What a host's own form objects to as a whole.
            form.form_errors = [*form.form_errors, str(error)]
            return False

    def build_new_instance(self) -> Any:
        """A new instance; its ``__init__`` is passed by unless it takes no arguments."""
        return _flask_admin.new_instance(self.mapper)

    def create_model(self, form: Any) -> Any:
        """Insert what ``form`` holds; the instance, or False when nothing was saved."""
        model = self.build_new_instance()

        def write(change_set: changes.ChangeSet) -> None:
            with change_set.session.no_autoflush:
                form.populate_obj(model)
                conflicts.keep_key(self, model)
                change_set.session.add(model)
                self._on_model_change(form, model, True)
            change_set.add(model)

        def answer() -> tuple[str, str]:
            return self._answer(model, "created")

        if not saving.save(self, form, write, "create", model, answer):
            return False
        self.after_model_change(form, model, True)
        return model

    def update_model(self, form: Any, model: Any) -> bool:
        """Write what was changed in ``form``; whether it was saved."""

        def write(change_set: changes.ChangeSet) -> None:
            with change_set.session.no_autoflush:
                form.populate_obj(model)
                self._on_model_change(form, model, False)
            change_set.change(model)

        def answer() -> tuple[str, str]:
            return self._answer(model, "saved")

        if not saving.save(self, form, write, "edit", model, answer):
            return False
        self.after_model_change(form, model, False)
        return True

    def delete_model(self, model: Any) -> bool:
        """Delete one row; whether it is gone."""
        answer = self._answer(model, "deleted")

        def write(change_set: changes.ChangeSet) -> None:
            self.on_model_delete(model)
            deleting.check(self, change_set, [model])
            change_set.delete(model)

        if not saving.save(self, None, write, "delete", model, lambda: answer):
            return False
        self.after_model_delete(model)
        return True

    def handle_view_exception(self, exc: Exception) -> bool:
        """Tell what a hook objected to by a ``wtforms.ValidationError``; False for any other."""
        if isinstance(exc, wtforms.ValidationError):
            flask.flash(str(exc), "error")
            return True
        return False

    def _answer(self, model: Any, done: str) -> tuple[str, str]:
        """What is said after a save or a delete, and where to go on."""
        if model is True:
            return f"{self.singular} is {done}.", self._return_url()
        is_lost = done != "deleted" and not saving.is_in_reach(self, model)
        is_going_on = "_continue_editing" in request.form and not is_lost
        is_linked = not (is_lost or is_going_on or done == "deleted")
        link = self.row_link()(model) if is_linked else None
        message = saving.message(self.singular, inspection.label(self.mapper).of(model), done, link)
        if is_lost:
            message += " It is no longer among the rows that you see."
        back = self._kept_url()
        if done == "deleted":
            return message, self._return_url()
        if "_add_another" in request.form:
            return message, self.url_for("create", url=back)
        if is_going_on:
            return message, self.url_for("edit", id=self.get_pk_value(model), url=back)
        return message, self.get_save_return_url(model, is_created=done == "created")

    def keeps_tokens(self) -> bool:
        """Whether the admin has its table of forms that were saved (see `saving`)."""
        return self._is_ours and self.admin.has_table(changes.FormToken)

    def get_save_return_url(self, model: Any, is_created: bool = False) -> str:
        """Where to go after a save: back to the list as it was."""
        return self._return_url()

    @property
    def _is_row_form(self) -> bool:
        return request.endpoint in (f"{self.endpoint}.create_view", f"{self.endpoint}.edit_view")

    def _return_url(self) -> str:
        target = request.args.get("url")
        if not self._is_row_form or not hasattr(self.model, "url"):
            target = request.form.get("url") or target
        return pages.safe_url(_path_of(target), self.get_url(".index_view"))

    def _kept_url(self) -> str | None:
        """``url`` of the request for the next page's address: None, or one that stays here."""
        target = request.args.get("url")
        if target is None or pages.safe_url(_path_of(target), "") == "":
            return None if target is None else self.get_url(".index_view")
        return target

    def _form_response(self, form: Any, model: Any, mode: str) -> ResponseReturnValue:
        if is_form_submitted() and form.errors and not saving.is_refused():
            saving.add_objections(self, form, model)
        rules = self._form_create_rules if mode == "create" else self._form_edit_rules
        page = model_pages.form_page(self, form, model, mode)
        html = self.render(
            self.create_template if mode == "create" else self.edit_template,
            page=page,
            form=form,
            form_opts=FormOpts(widget_args=self.form_widget_args, form_rules=rules),
            return_url=page.cancel_url,
            model=model,
        )
        status = g.pop("admin_status", 400 if is_form_submitted() else 200)
        return html, status


def _path_of(target: str | None) -> str | None:
    """``target`` without the address of this host, with which Flask-Admin's links may begin."""
    return target and target.removeprefix(request.host_url.rstrip("/"))
