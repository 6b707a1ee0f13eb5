"""`Admin`: the site. It registers models, knows who is there and what he may, and holds the menu.

It is Flask-Admin's ``Admin`` with ``register``, ``register_all``, a sign-in and a policy. Pages
themselves are made by views; what every page needs is in `pages`.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any, Literal
from urllib.parse import urlsplit

import flask
import sqlalchemy as sa
from flask import g, request
from flask.typing import ResponseReturnValue
from flask_admin.base import Admin as FlaskAdmin
from flask_admin.base import AdminIndexView as FlaskAdminIndexView
from flask_admin.base import expose
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import orm
from werkzeug.utils import redirect

from admin_app import _flask_admin, accounts, database, inspection, jobs, navigation, pages, palette
from admin_app.access import RoleView, UserView
from admin_app.accounts import SignIn
from admin_app.actions import action
from admin_app.changes import (
    ChainRecord,
    ChangeSet,
    ChangeSetRecord,
    RowChangeRecord,
    change_set,
)
from admin_app.errors import AdminError, ConfigurationError, Forbidden
from admin_app.history import HistoryView
from admin_app.job_pages import JobsView
from admin_app.listing import known_table
from admin_app.policy import Policy, Principal
from admin_app.views import ModelView, end_with_request, scoped
from admin_app.you import YouView

SIGN_INS: dict[str, type[Any]] = {"accounts": accounts.Accounts, "none": accounts.Open}


class AdminIndexView(FlaskAdminIndexView):
    """The first page: every model that the visitor may see, by category."""

    def create_blueprint(self, admin: Any) -> Any:
        blueprint = super().create_blueprint(admin)
        pages.catch_errors(blueprint)
        return blueprint

    def is_accessible(self) -> bool:
        admin = self.admin
        if not isinstance(admin, Admin):
            return bool(super().is_accessible())
        return admin.policy.may(admin.principal(), "view")

    def inaccessible_callback(self, name: Any, **kwargs: Any) -> ResponseReturnValue:
        admin = self.admin
        answer = admin.enter() if isinstance(admin, Admin) else None
        if answer is None:
            raise Forbidden(_closed(admin))
        return answer

    @expose()
    def index(self) -> str:
        assert self.admin is not None
        return str(self.render(self._template, page=_flask_admin.index_page(self.admin)))


class Admin(FlaskAdmin):
    """The admin of one application.

    ``db`` is Flask-SQLAlchemy's object, a ``scoped_session`` or a ``sessionmaker``; it may be
    given to `register` instead. ``sign_in`` is ``"accounts"`` (the admin's own, on
    Flask-Security), ``"none"`` (see `accounts.Open`) or an object that meets `accounts.SignIn`.
    ``policy`` decides what a principal may do. ``history`` writes every change into the history, so
    that it can be looked up and undone (see `history`), where the database has the tables for it;
    ``"chained"`` protects it with digests as well (see `changes.chain`). ``actions`` are functions
    of a view and of rows, marked by `action`, that every model has (see `actions`).
    Everything else is Flask-Admin's.
    """

    def __init__(
        self,
        app: flask.Flask | None = None,
        db: Any = None,
        name: str | None = None,
        url: str | None = None,
        *,
        sign_in: str | SignIn = "accounts",
        policy: Policy | None = None,
        history: bool | Literal["chained"] = True,
        actions: Iterable[Callable[..., Any]] = (),
        index_view: Any = None,
        endpoint: str | None = None,
        **kwargs: Any,
    ) -> None:
        if isinstance(sign_in, str) and sign_in not in SIGN_INS:
            raise ConfigurationError(
                f"sign_in is {sign_in!r}; it must be one of {', '.join(map(repr, SIGN_INS))} or an "
                "object that meets admin_app.accounts.SignIn."
            )
        self.db = scoped(db)
        self.policy = policy or Policy()
        self.sign_in: SignIn = SIGN_INS[sign_in]() if isinstance(sign_in, str) else sign_in
        self.views_by_model: dict[type[Any], ModelView] = {}
        self.actions = list(actions)
        self._you: YouView | None = None
        self._own_views: dict[type[Any], ModelView] = {}
        self._own_tables: set[type[database.Base]] = set()
        self.history: HistoryView | None = None
        self.jobs: JobsView | None = None
        self._is_chained = history == "chained"
        self._missing_tables: dict[type[database.Base], float] = {}
        super().__init__(
            app,
            name,
            url,
            index_view=index_view or AdminIndexView(endpoint=endpoint, url=url),
            endpoint=endpoint,
            csp_nonce_generator=pages.csp_nonce,
            **kwargs,
        )
        if isinstance(self.sign_in, accounts.Accounts) and self.db is not None:
            self._add_access()
        if history and self.db is not None:
            self._add_history()
        if self.db is not None:
            self._add_jobs()

    def _init_extension(self) -> None:
        assert self.app is not None
        app = self.app
        super()._init_extension()
        app.extensions.setdefault("admin_app", self)
        pages.install(app)
        pages.guard(app, self.url or "", self.enter)
        app.register_error_handler(AdminError, pages.error_response)
        app.before_request(self._guard_entry)
        jobs.wake_at_first_request(app, self)
        path = f"{(self.url or '').rstrip('/')}/search/"
        app.add_url_rule(path, f"{self.endpoint}_search", lambda: palette.response(self))
        app.jinja_env.globals["admin_site"] = self.site
        app.jinja_env.globals["admin_index"] = lambda: _flask_admin.index_page(self)
        if self.db is not None:
            if isinstance(self.db, SQLAlchemy):
                database.attach(self.db.metadata)
            self.sign_in.init_app(app, self)
        elif not isinstance(self.sign_in, accounts.Accounts):
            self.sign_in.init_app(app, self)
        else:
            raise ConfigurationError(
                "Admin needs db, the database that keeps its accounts: Admin(app, db). Without "
                "accounts, pass sign_in=FlaskLogin(…) or another sign-in."
            )
        end_with_request(app, self.db)

    def _add_access(self) -> None:
        """Give accounts and roles their pages; they are not among those of the host's classes."""
        users = UserView(
            accounts.User, self.db, "Accounts", endpoint=f"{self.endpoint}_users", url="accounts"
        )
        roles = RoleView(
            accounts.Role, self.db, "Roles", endpoint=f"{self.endpoint}_roles", url="roles"
        )
        users.singular, roles.singular = "Account", "Role"
        for view in (users, roles):
            self._own_views[view.model] = view
            super().add_view(view)
        self._you = YouView("Your account", endpoint=f"{self.endpoint}_you", url="you")
        super().add_view(self._you)

    def account_url(self) -> str | None:
        """Where whoever is signed in finds his own account; None with another sign-in."""
        return None if self._you is None else flask.url_for(f"{self._you.endpoint}.index")

    def own_view(self, model: type[Any]) -> ModelView:
        """The view of one of the admin's own classes; KeyError when it has none."""
        return self._own_views[model]

    def recorded_views(self) -> list[ModelView]:
        """The views of all classes whose changes the history tells."""
        return [*self.views_by_model.values(), *self._own_views.values()]

    def every_view(self) -> list[ModelView]:
        """The views of all classes, the host's and the admin's own."""
        return [*self.recorded_views(), *([self.history] if self.history else [])]

    def _add_history(self) -> None:
        """Give the history its pages; they are not among those of the host's own classes."""
        self.history = HistoryView(
            ChangeSetRecord, self.db, "History", endpoint=f"{self.endpoint}_history", url="history"
        )
        super().add_view(self.history)

    def _add_jobs(self) -> None:
        """Give long jobs their pages."""
        self.jobs = JobsView(
            jobs.Job, self.db, "Jobs", endpoint=f"{self.endpoint}_jobs", url="jobs"
        )
        super().add_view(self.jobs)

    def job_url(self, number: int) -> str | None:
        """Where the page of a long job is; None where there are no jobs."""
        return None if self.jobs is None else self.jobs.page_url(number)

    def keeps_history(self, source: Any) -> bool:
        """Whether what is written through ``source``, a session, is recorded."""
        is_own = self.history is not None and scoped(source) is self.db
        return is_own and self.has_table(RowChangeRecord)

    def _has_beside(self, session: Any, model: type[database.Base]) -> bool:
        """Whether the table of ``model`` is where a ``session`` of the program writes."""
        mapper = inspection.mapper_of(model)
        name: str = mapper.local_table.name  # type: ignore[attr-defined]
        try:
            connection = session.connection(bind_arguments={"mapper": mapper})
        except sa.exc.UnboundExecutionError:
            return False
        is_there: bool = sa.inspect(connection).has_table(name)
        return is_there

    def chains_history(self) -> bool:
        """Whether each change set gets a digest over itself and the one before."""
        return self._is_chained and self.has_table(ChainRecord)

    def change_set(
        self,
        reason: str | None = None,
        *,
        source: str = "program",
        model: type[Any] | None = None,
        session: Any = None,
        principal: Principal | None = None,
    ) -> AbstractContextManager[ChangeSet]:
        """A block of a program's own writes, committed with their history, or not at all.

        The block gets a `ChangeSet`; what is changed through its ``session`` in any other way, too,
        is written down. Within a request ``principal`` is who sends it. ``session`` is the
        program's own, when that is not the one of ``db``; of a database without the tables of the
        history nothing is written down. What the program commits by itself within the block is
        recorded with ``changes.following_commits()``.

        Raises WriteRefused when the database refuses.
        """
        is_recorded, is_chained = self.history is not None, self._is_chained
        if session is None:
            session = self.session
            is_recorded, is_chained = self.keeps_history(self.db), self.chains_history()
        elif is_recorded:
            is_recorded = self._has_beside(session, RowChangeRecord)
            is_chained = is_chained and self._has_beside(session, ChainRecord)
        if principal is None and flask.has_request_context():
            principal = self.principal()
        return change_set(
            session,
            principal,
            source,
            mapper=None if model is None else inspection.mapper_of(model),
            is_recorded=is_recorded,
            is_chained=is_chained,
            request_id=pages.request_id() if flask.has_request_context() else None,
            reason=reason,
        )

    def action(
        self, name: str, text: str, confirmation: str | None = None, **options: Any
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Make a function of a view and of rows an action of every model; see `actions.action`."""

        def keep(function: Callable[..., Any]) -> Callable[..., Any]:
            self.actions.append(action(name, text, confirmation, **options)(function))
            return function

        return keep

    # Registration

    @property
    def session(self) -> orm.scoped_session[Any]:
        """The session of the admin's own tables, and of models registered without one."""
        found = self.db.session if hasattr(self.db, "session") else self.db
        assert isinstance(found, orm.scoped_session)
        return found

    def add_view(self, view: Any) -> None:
        """Add a view; a second one of the same name gets an endpoint of its own."""
        if isinstance(view, ModelView):
            taken = self._taken_endpoints()
            if view.endpoint in taken:
                view.endpoint = _free_endpoint(view.model, taken)
            self.views_by_model.setdefault(view.model, view)
        super().add_view(view)

    def _taken_endpoints(self) -> set[str]:
        return {v.endpoint for v in self._views} | pages.RESERVED

    def register(
        self,
        model: type[Any],
        view_class: type[ModelView] = ModelView,
        *,
        session: Any = None,
        **kwargs: Any,
    ) -> ModelView:
        """Give ``model`` pages; the keyword arguments are those of `ModelView`.

        ``session`` is where its rows are, when that is not the admin's own ``db``.
        """
        if model in self.views_by_model and "endpoint" not in kwargs:
            raise ConfigurationError(
                f"{model.__name__} has pages already. Register it before register_all, which then "
                "leaves it out, or give this second view an endpoint of its own."
            )
        source = session if session is not None else self.db
        if source is None:
            raise ConfigurationError(
                f"Nothing says where the rows of {model.__name__} are: pass Admin(app, db) or "
                "register(…, session=…)."
            )
        view = view_class(model, source, **kwargs)
        self.add_view(view)
        return view

    def register_all(
        self,
        source: Any,
        *,
        views: dict[type[Any], type[ModelView]] | None = None,
        session: Any = None,
    ) -> list[ModelView]:
        """Give every mapped class of ``source`` pages, except those that have some already.

        ``source`` is a declarative base, a registry, Flask-SQLAlchemy's ``db``, a module or an
        iterable of classes; ``views`` names the view classes of models that have options. The
        category in the menu is the schema or the module, where there is more than one.
        """
        models = [m for m in mapped_classes(source) if m not in self.views_by_model]
        endpoints = _endpoints(models, self._taken_endpoints())
        categories = _categories(models)
        added: list[ModelView] = []
        for model in models:
            view_class = (views or {}).get(model, ModelView)
            options: dict[str, Any] = {"category": categories.get(model)}
            if model in endpoints:
                options["endpoint"] = endpoints[model]
            added.append(self.register(model, view_class, session=session, **options))
        return added

    def view_for(self, model: type[Any]) -> ModelView:
        """The view of ``model``; KeyError when it has none."""
        return self.views_by_model[model]

    def view_at(self, endpoint: str) -> ModelView | None:
        """The view of a model that has this endpoint."""
        found = (v for v in self._views if v.endpoint == endpoint and isinstance(v, ModelView))
        return next(found, None)

    def view_for_mapper(self, mapper: orm.Mapper[Any]) -> ModelView | None:
        """The view of a mapper's class, or of the nearest class that it inherits from."""
        for ancestor in mapper.iterate_to_root():
            view = self.views_by_model.get(ancestor.class_)
            view = view or self._own_views.get(ancestor.class_)
            if view is not None:
                return view
        return None

    # Who is there

    @property
    def is_open(self) -> bool:
        """Whether there is no sign-in at all, which every page says."""
        return isinstance(self.sign_in, accounts.Open)

    def has_table(self, model: type[database.Base]) -> bool:
        """Whether the database has the table of one of the admin's own models.

        One that is missing is looked for again after a minute: migrations may have run.
        """
        is_due = self._missing_tables.get(model, 0) <= time.monotonic()
        if model not in self._own_tables and self.db is not None and is_due:
            table = inspection.mapper_of(model).local_table
            try:
                bind = self.session.get_bind(mapper=inspection.mapper_of(model))
                if self._is_there(bind, table):
                    self._own_tables.add(model)
                else:
                    self._missing_tables[model] = time.monotonic() + 60
            except sa.exc.SQLAlchemyError:
                return False
        return model in self._own_tables

    def _is_there(self, bind: sa.Engine | sa.Connection, table: Any) -> bool:
        """Whether ``bind`` has ``table``; PostgreSQL tells of all tables of the site at once."""
        if bind.dialect.name != "postgresql":
            return sa.inspect(bind).has_table(table.name)
        others = [t for view in self.views_by_model.values() for t in view.mapper.tables]
        if isinstance(bind, sa.Connection):
            return known_table(bind, table, others).is_there
        with bind.connect() as connection:
            return known_table(connection, table, others).is_there

    def principal(self) -> Principal | None:
        """Who sends the current request, asked of the sign-in once a request."""
        found: Principal | None
        try:
            found = g.admin_principal
        except AttributeError:
            found = g.admin_principal = self.sign_in.identify()
        return found

    def principal_of(self, id: str, label: str) -> Principal | None:
        """Somebody who has started a job, as the sign-in knows him today; None if it does not.

        A sign-in that cannot tell (see `accounts.SignIn`) leaves it to the policy alone.
        """
        find = getattr(self.sign_in, "find", None)
        found: Principal | None = find(id) if find else Principal(id, label, is_staff=True)
        return found

    def enter(self) -> ResponseReturnValue | None:
        """What answers a stranger: the way to sign in. None for whoever is signed in."""
        if self.principal() is not None:
            return None
        is_page = request.method in ("GET", "HEAD")
        target = request.full_path.rstrip("?") if is_page else self._referring_page()
        url = self.sign_in.sign_in_url(request.root_path + target)
        return None if url is None else redirect(url, 302 if is_page else 303)

    def _referring_page(self) -> str:
        try:
            path = urlsplit(request.referrer or "").path
        except ValueError:
            path = ""
        return pages.safe_url(path, self.url or "/")

    def _guard_entry(self) -> ResponseReturnValue | None:
        """Keep strangers out of every page of this admin, whoever wrote its view.

        Views that a host adds know nothing of our policy, and Flask-Admin's are open by default.
        """
        endpoint, blueprint = request.endpoint, request.blueprint
        if endpoint is None or endpoint in pages.PUBLIC or blueprint == accounts.BLUEPRINT:
            return None
        is_ours = any(v.endpoint == blueprint for v in self._views)
        if not is_ours and not pages.is_under(request.path, self.url):
            return None
        if endpoint.endswith(".static"):
            return None
        answer = self.enter()
        if answer is None and self.jobs is not None and request.blueprint != self.jobs.endpoint:
            jobs.announce(self, self.jobs.page_url)
        if answer is None and not self.policy.may(self.principal(), "view"):
            answer = pages.error_response(Forbidden(_closed(self)))
        return answer

    def search_url(self) -> str:
        """Where everything is searched: the page, and the dialog that every page opens."""
        return flask.url_for(f"{self.endpoint}_search")

    def site(self) -> pages.Site:
        """The frame around the current page."""
        if self.principal() is None or not self.policy.may(self.principal(), "view"):
            return pages.Site(
                name=str(self.name),
                home_url=flask.url_for(f"{self.endpoint}.index"),
                principal=self.principal(),
                sign_out_url=self.sign_in.sign_out_url() if self.principal() else None,
                theme_url=pages.theme_url(),
                theme=pages.theme(),
            )
        return navigation.site(self, _flask_admin.current_view())


def _closed(admin: Any) -> str:
    """Why somebody who is signed in may do nothing here, and what helps."""
    principal, sign_in = admin.principal(), getattr(admin, "sign_in", None)
    if isinstance(sign_in, accounts.Accounts) and principal is not None and principal.is_staff:
        if not sign_in.has_grants():
            return (
                "This database has no table of what roles allow, so nobody may do anything yet. "
                "Run “flask db upgrade”, or “flask admin init-db” where the schema is not managed "
                "by it."
            )
        return (
            "You are signed in, but no role lets you do anything here yet. Ask whoever looks after "
            "the accounts."
        )
    return "You are signed in, but this admin is not open to you."


def mapped_classes(source: Any) -> list[type[Any]]:
    """The mapped classes of a base, a registry, a ``db``, a module or an iterable, by name."""
    if isinstance(source, SQLAlchemy):
        source = _registry(source)
    if isinstance(source, ModuleType):
        found = _module_classes(source)
    elif isinstance(source, orm.registry):
        found = _classes(source)
    elif isinstance(source, type) and isinstance(getattr(source, "registry", None), orm.registry):
        base: Any = source
        found = _classes(base.registry)
        if sa.inspect(source, raiseerr=False) is not None:
            found = [source]
    elif isinstance(source, Iterable):
        found = list(source)
        for model in found:
            if not isinstance(sa.inspect(model, raiseerr=False), orm.Mapper):
                raise ConfigurationError(
                    f"register_all takes mapped classes; {model!r} is none. Is it mapped by now?"
                )
    else:
        raise ConfigurationError(
            f"register_all takes a declarative base, a registry, a db, a module or classes; "
            f"{source!r} is none of these."
        )
    own = {m.class_ for m in database.Base.registry.mappers}
    models = {m for m in found if sa.inspect(m, raiseerr=False) is not None and m not in own}
    return sorted(models, key=lambda m: (m.__name__, m.__module__, _table_name(m)))


def _classes(registry: orm.registry) -> list[type[Any]]:
    """The classes of ``registry``, those included that are mapped when all others are."""
    registry.configure()
    return [m.class_ for m in registry.mappers]


def _module_classes(module: ModuleType) -> list[type[Any]]:
    """Classes that the module holds, and all of the bases that it defines."""
    found: dict[type[Any], None] = {}
    for value in vars(module).values():
        if isinstance(value, SQLAlchemy):
            found.update(dict.fromkeys(_classes(_registry(value))))
        elif isinstance(value, type) and sa.inspect(value, raiseerr=False) is not None:
            found[value] = None
        elif isinstance(value, type) and value.__module__ == module.__name__:
            registry = getattr(value, "registry", None)
            if isinstance(registry, orm.registry):
                found.update(dict.fromkeys(_classes(registry)))
        elif isinstance(value, orm.registry):
            found.update(dict.fromkeys(_classes(value)))
    return list(found)


def _registry(db: SQLAlchemy) -> orm.registry:
    """The registry of Flask-SQLAlchemy's declarative base, which its hints leave out."""
    base: Any = db.Model
    found: orm.registry = base.registry
    return found


def _table_name(model: type[Any]) -> str:
    table = inspection.mapper_of(model).local_table
    return str(getattr(table, "fullname", ""))


def _endpoint_names(model: type[Any]) -> tuple[str, str, str]:
    """What tells a class from others of its name: its table, else its module, else both."""
    table = _table_name(model).replace(".", "_").lower()
    module = model.__module__.replace(".", "_").lower()
    return table, f"{module}_{model.__name__.lower()}", f"{module}_{table}"


def _endpoints(models: list[type[Any]], taken: set[str]) -> dict[type[Any], str]:
    """Endpoints for those of ``models`` that share their name with another, whatever the order."""
    groups: dict[str, list[type[Any]]] = {}
    for model in models:
        groups.setdefault(model.__name__.lower(), []).append(model)
    taken = taken | set(groups)
    found: dict[type[Any], str] = {}
    for name, group in groups.items():
        if len(group) > 1:
            numbered = tuple(f"{name}_{n + 1}" for n in range(len(group)))
            ways = (*zip(*map(_endpoint_names, group), strict=True), numbered)
            names = next(w for w in ways if w is numbered or _are_free(w, taken - {name}))
            found.update(zip(group, names, strict=True))
            taken.update(names)
    return found


def _are_free(names: tuple[str, ...], taken: set[str]) -> bool:
    return (
        len(set(names)) == len(names)
        and taken.isdisjoint(names)
        and all(n.isidentifier() for n in names)
    )


def _free_endpoint(model: type[Any], taken: set[str]) -> str:
    """An endpoint for a class whose name is taken by another."""
    name = model.__name__.lower()
    candidates = itertools.chain(
        _endpoint_names(model), (f"{name}_{n}" for n in itertools.count(2))
    )
    return next(c for c in candidates if _are_free((c,), taken))


def _categories(models: list[type[Any]]) -> dict[type[Any], str]:
    """Headings of the menu: schemas when there are several, else modules when there are several."""
    schemas = {m: getattr(inspection.mapper_of(m).local_table, "schema", None) for m in models}
    if len(set(schemas.values())) > 1:
        return {m: inspection.words(s) if s else "Main" for m, s in schemas.items()}
    modules = {m: m.__module__ for m in models}
    if len(set(modules.values())) < 2:
        return {}
    return {m: inspection.words(_module_noun(name)) for m, name in modules.items()}


def _module_noun(name: str) -> str:
    """The part of a module's name that tells it from others: ``shop.orders.models`` → orders."""
    parts = [p for p in name.split(".") if p not in ("models", "model", "tables", "schema", "db")]
    return parts[-1] if parts else name
