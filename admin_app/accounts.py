"""Who is at the keyboard: the three ways to sign in, and the accounts of the bundled one.

`Accounts` keeps people in tables of our own and lets Flask-Security do what one should not write
oneself. `FlaskLogin` takes the user of a host application that has a sign-in already. `Open` lets
everybody in and is for tests. Anything else that meets `SignIn` will do as well.
"""

from __future__ import annotations

import datetime as dt
import logging
import secrets
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import flask
import flask_login
import flask_security
import sqlalchemy as sa
from flask import g, request
from flask.typing import ResponseReturnValue
from flask_login import user_logged_out
from flask_security.core import RoleMixin, UserMixin
from flask_security.datastore import AsaList, SQLAlchemySessionUserDatastore
from flask_security.signals import password_changed, user_authenticated
from flask_security.utils import set_request_attr
from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, TemplateNotFound
from sqlalchemy import orm
from sqlalchemy.ext.mutable import MutableList
from werkzeug.exceptions import TooManyRequests

from admin_app import grants, pages, sessions, throttling
from admin_app.database import Base
from admin_app.errors import ConfigurationError, WriteRefused
from admin_app.grants import ADMINISTRATORS, ANY, Grant, GrantRecord, RoleGrants
from admin_app.policy import Principal
from admin_app.sessions import Limits, SessionRecord
from admin_app.throttling import TryRecord

SESSION_KEY = "_sid"
"""Under which a session's cookie has its secret (see `sessions`)."""

log = logging.getLogger("admin_app.security")
"""What somebody who watches over the sign-in should know of."""

BLUEPRINT = "admin_accounts"

_FALSE = {"", "0", "false", "no", "off"}


class Host(Protocol):
    """What a sign-in needs to know of the admin that it guards."""

    url: str | None

    @property
    def session(self) -> orm.scoped_session[Any]:
        """The session of the admin's own tables."""

    def has_table(self, model: type[Base]) -> bool:
        """Whether the database has the table of one of the admin's own models."""


class SignIn(Protocol):
    """A way to tell who sends a request.

    It may also have ``find(id)``, which gives the principal of this id as he is today, or None.
    Without it a job that somebody has started is run with the rights that he has as staff.
    """

    def init_app(self, app: flask.Flask, admin: Host) -> None:
        """Prepare ``app``, once; raises `ConfigurationError` where this sign-in cannot work."""

    def identify(self) -> Principal | None:
        """Whoever sends the current request, or None for a stranger."""

    def sign_in_url(self, next_url: str) -> str | None:
        """Where a stranger signs in before he is sent on to ``next_url``; None answers 403."""

    def sign_out_url(self) -> str | None:
        """Where a POST signs the current user out; None shows no such button."""


def _now() -> dt.datetime:
    # Flask-Security keeps moments without a zone, in UTC.
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


def _moments() -> list[sa.Column[Any]]:
    return [
        sa.Column("create_datetime", sa.DateTime, nullable=False, server_default=sa.func.now()),
        sa.Column(
            "update_datetime",
            sa.DateTime,
            nullable=False,
            server_default=sa.func.now(),
            onupdate=_now,
        ),
    ]


class _Texts(AsaList):
    """Flask-Security's list of texts, which leaves open whether a statement with it is cached."""

    cache_ok = True


user_roles = sa.Table(
    "admin_user_role",
    Base.metadata,
    sa.Column("user_id", sa.ForeignKey("admin_user.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("role_id", sa.ForeignKey("admin_role.id", ondelete="CASCADE"), primary_key=True),
)


class Role(Base, RoleMixin):
    """A named set of grants (see `grants`); the permissions of Flask-Security are not asked."""

    __table__ = sa.Table(
        "admin_role",
        Base.metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("description", sa.String(255)),
        sa.Column("permissions", MutableList.as_mutable(_Texts())),
        *_moments(),
        sa.UniqueConstraint("name"),
    )


class User(Base, UserMixin):
    """Somebody who may sign in. The columns are those that Flask-Security calls ``fsqla_v3``."""

    __table__ = sa.Table(
        "admin_user",
        Base.metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("email", sa.String(255), nullable=False),
        sa.Column("username", sa.String(255)),
        sa.Column("password", sa.String(255)),
        sa.Column("active", sa.Boolean, nullable=False),
        # Not the primary key is in the session cookie but this: a new one ends every session.
        sa.Column("fs_uniquifier", sa.String(64), nullable=False),
        sa.Column("fs_webauthn_user_handle", sa.String(64)),
        sa.Column("confirmed_at", sa.DateTime),
        sa.Column("last_login_at", sa.DateTime),
        sa.Column("current_login_at", sa.DateTime),
        sa.Column("last_login_ip", sa.String(64)),
        sa.Column("current_login_ip", sa.String(64)),
        sa.Column("login_count", sa.Integer),
        sa.Column("tf_primary_method", sa.String(64)),
        sa.Column("tf_totp_secret", sa.String(255)),
        sa.Column("tf_phone_number", sa.String(128)),
        sa.Column("mf_recovery_codes", MutableList.as_mutable(_Texts())),
        sa.Column("us_totp_secrets", sa.Text),
        sa.Column("us_phone_number", sa.String(128)),
        *_moments(),
        sa.UniqueConstraint("email"),
        sa.UniqueConstraint("username"),
        sa.UniqueConstraint("fs_uniquifier"),
        sa.UniqueConstraint("fs_webauthn_user_handle"),
        sa.UniqueConstraint("us_phone_number"),
    )
    __mapper_args__ = {
        "properties": {
            "roles": orm.relationship(
                Role, secondary=user_roles, backref=orm.backref("users", order_by="User.email")
            )
        }
    }

    def __str__(self) -> str:
        return self.email


# Flask-Security's mixins say that their attributes are plain values.
_Role: Any = Role
_User: Any = User


class AccountGrants(RoleGrants):
    """The grants of an account, which reach no account and no role that may do more than itself.

    Whoever could change such a one could give himself what he was not given.
    """

    def __init__(self, session: orm.scoped_session[Any], *args: Any) -> None:
        super().__init__(*args)
        self._session = session
        self._beyond: list[str] | None = None

    def rows(self, action: str, model: type[Any]) -> sa.ColumnElement[bool] | None:
        found = super().rows(action, model)
        if model not in (User, Role) or action in _READING or self.may("administer", None):
            return found
        beyond = _Role.name.in_(self.beyond())
        within = sa.not_(_User.roles.any(beyond) if model is User else beyond)
        return within if found is None else sa.and_(found, within)

    def beyond(self) -> list[str]:
        """The names of the roles that allow more than these grants do."""
        if self._beyond is None:
            every = grants.of_all(self._session)
            self._beyond = [n for n, held in every.items() if grants.covers(self.grants, held)]
        return self._beyond


_READING = {"view", "export", "history"}

_is_everything = sa.and_(
    GrantRecord.model == ANY,
    GrantRecord.action == ANY,
    GrantRecord.is_denied.is_(False),
    GrantRecord.columns.is_(None),
    GrantRecord.rule.is_(None),
)


class Accounts:
    """Sign-in with the admin's own accounts, kept in the tables ``admin_user`` and ``admin_role``.

    There is no default account: ``flask admin create-user`` makes the first. Every
    ``SECURITY_*`` setting of Flask-Security is honoured; nobody can register unless one says so.
    """

    def __init__(self) -> None:
        self._has_accounts = False

    def init_app(self, app: flask.Flask, admin: Host) -> None:
        """Give ``app`` the routes ``login`` and ``logout`` under the URL of ``admin``."""
        if hasattr(app, "login_manager"):
            raise ConfigurationError(
                "This application has a sign-in of its own already (app.login_manager). Pass "
                "Admin(sign_in=FlaskLogin(lambda user: …)) to let its users in, or another "
                "object that meets admin_app.accounts.SignIn."
            )
        self._session = admin.session
        self._has_table = admin.has_table
        prefix = (admin.url or "").rstrip("/")
        for name, value in _settings(prefix).items():
            app.config.setdefault(name, value)
        self.limits = _session_limits(app)
        app.config.setdefault("REMEMBER_COOKIE_SAMESITE", "Lax")
        app.config.setdefault("REMEMBER_COOKIE_DURATION", dt.timedelta(days=14))
        self.datastore = SQLAlchemySessionUserDatastore(admin.session, User, Role)
        assert app.jinja_loader is not None
        app.jinja_loader = ChoiceLoader([app.jinja_loader, _DressedLoader()])
        security = flask_security.Security(render_template=_render)
        security.init_app(app, self.datastore)
        # Two things that are of no use here and harm: an identity that is looked up for each
        # file and each page of the host, and tokens that would sign in without a session.
        security.principal.identity_loaders.clear()
        security.login_manager.request_loader(lambda request: None)
        self._load_by_token = security.login_manager._user_callback
        security.login_manager.user_loader(self._load_user)
        app.before_request(self._brake)
        app.before_request(self._greet)
        user_authenticated.connect(_renew_token, app)
        user_authenticated.connect(self._forget_tries, app, weak=False)
        user_authenticated.connect(self._begin_session, app, weak=False)
        password_changed.connect(self._end_others, app, weak=False)
        user_logged_out.connect(self._end_session, app, weak=False)

    def identify(self) -> Principal | None:
        """The signed-in user; deactivated ones are strangers from the next request on."""
        if "admin_account" not in g:
            g.admin_account = self._load()
        principal: Principal | None = g.admin_account
        return principal

    def _load(self) -> Principal | None:
        try:
            user = flask_login.current_user
            if not user.is_authenticated:
                return None
            return self.principal_of(user)
        except sa.exc.DBAPIError:
            # The cookie is older than this database, which has no tables for accounts yet.
            self._session.rollback()
            if self._missing_tables():
                return None
            raise

    def find(self, id: str) -> Principal | None:
        """The account with this id, as it is now; None when it is gone."""
        user = self.user(id)
        return None if user is None else self.principal_of(user)

    def user(self, id: str) -> User | None:
        """The account whose principal has this id."""
        return self._session.get(User, int(id)) if id.isdecimal() else None

    def principal_of(self, user: User) -> Principal:
        """``user`` as the policy knows him."""
        is_staff = bool(user.active)
        return Principal(str(user.id), user.email, is_staff, grants=self.grants_of(user))

    def grants_of(self, user: User) -> AccountGrants:
        """What the roles of ``user`` allow him; nothing where the database has no grants yet."""
        found = grants.of_user(self._session, user.id) if self.has_grants() else []
        values = {"me.id": str(user.id), "me.email": user.email}
        dialect = self._session.get_bind(sa.inspect(User)).dialect.name
        return AccountGrants(self._session, found, values, dialect)

    def has_grants(self) -> bool:
        """Whether the database has the table of grants."""
        return self._has_table(GrantRecord)

    def sign_in_url(self, next_url: str) -> str | None:
        return flask.url_for(f"{BLUEPRINT}.login", next=next_url)

    def sign_out_url(self) -> str | None:
        return flask.url_for(f"{BLUEPRINT}.logout")

    def create_user(self, email: str, password: str, roles: Sequence[str] | None = None) -> User:
        """A new account with the ``roles`` of these names, committed.

        Without ``roles`` the first account may do everything, every later one nothing yet. Raises
        `WriteRefused` for an address or password that will not do, an address in use or a role
        that there is not.
        """
        address = _valid_email(email)
        if self.find_user(address) is not None:
            raise WriteRefused(f"There is an account for {address} already.")
        user = self.datastore.create_user(email=address, password=_hashed(password))
        if roles is None and not self.is_administered():
            user.roles.append(self._administrators())
        user.roles += [self.role(name) for name in roles or ()]
        self._session.commit()
        assert isinstance(user, User)
        return user

    def set_password(self, user: User, password: str) -> None:
        """Give ``user`` another password and end all of his sessions; committed."""
        self.prepare(user, password)
        self._session.commit()

    def prepare(self, user: User, password: str) -> None:
        """Give ``user`` a password and end all of his sessions, for a commit that is to come.

        Raises `WriteRefused` for a password that will not do.
        """
        user.password = _hashed(password)
        user.fs_uniquifier = uuid.uuid4().hex
        if user.id is not None and self._has_table(SessionRecord):
            own = sa.delete(SessionRecord).where(SessionRecord.user_id == user.id)
            self._session.execute(own.execution_options(synchronize_session=False))

    def find_user(self, email: str) -> User | None:
        """The account of this address, whatever its case."""
        wanted = sa.select(User).where(sa.func.lower(User.email) == email.strip().lower())
        user: User | None = self._session.scalar(wanted)
        return user

    def give(self, user: User, name: str) -> None:
        """Let ``user`` have the role of this name; committed. WriteRefused where there is none."""
        role = self.role(name)
        if role not in user.roles:
            user.roles.append(role)
        self._session.commit()

    def take(self, user: User, name: str) -> None:
        """Let ``user`` have the role of this name no more; committed.

        WriteRefused where there is no such role, or nobody would be left who may do everything.
        """
        role = self.role(name)
        if role in user.roles:
            user.roles.remove(role)
        self._session.flush()
        if name in self.administering() and not self.is_administered():
            self._session.rollback()
            raise WriteRefused("Somebody must be left who may sign in and do everything.")
        self._session.commit()

    def allow(self, name: str, wanted: Sequence[Grant]) -> None:
        """Add ``wanted`` to what the role of this name allows, made where needed; committed."""
        role = self._session.scalar(sa.select(_Role).where(_Role.name == name))
        if role is None:
            role = Role(name=name)
            self._session.add(role)
            self._session.flush()
        held = {grants.bare(g) for g in grants.of_role(self._session, role.id)}
        self._session.add_all(grants.record_of(g, role.id) for g in wanted if g not in held)
        self._session.commit()

    def overview(self) -> list[tuple[Role, list[str], list[str]]]:
        """Each role, what it allows in words, and the addresses of the accounts that have it."""
        held = grants.of_all(self._session)
        roles = self._session.scalars(sa.select(_Role).order_by(_Role.name))
        return [
            (r, [str(g) for g in held.get(r.name, ())], [u.email for u in r.users]) for r in roles
        ]

    def role(self, name: str) -> Role:
        """The role of this name; WriteRefused where there is none, with those that there are."""
        found: Role | None = self._session.scalar(sa.select(_Role).where(_Role.name == name))
        if found is None:
            others = ", ".join(self._session.scalars(sa.select(_Role.name).order_by(_Role.name)))
            raise WriteRefused(
                f"There is no role {name!r}. {f'There are: {others}.' if others else ''}"
            )
        return found

    def appoint_all(self) -> int:
        """Let all accounts go on doing everything, as before there were grants; their number.

        Does nothing once there is a grant.
        """
        users = self._session.scalars(sa.select(User)).all()
        if not users or self._session.scalar(sa.select(GrantRecord).limit(1)) is not None:
            return 0
        role = self._administrators()
        for user in users:
            if role not in user.roles:
                user.roles.append(role)
        self._session.commit()
        return len(users)

    def administering(self) -> set[str]:
        """The names of the roles that may do everything."""
        held = sa.select(GrantRecord.role_id).where(_is_everything)
        return set(self._session.scalars(sa.select(_Role.name).where(_Role.id.in_(held))))

    def is_administered(self, without: int | None = None) -> bool:
        """Whether somebody may sign in and do everything, but the account ``without``."""
        found = (
            sa.select(_User.id)
            .join(user_roles, user_roles.c.user_id == _User.id)
            .join(GrantRecord, GrantRecord.role_id == user_roles.c.role_id)
            .where(_is_everything, _User.active)
        )
        if without is not None:
            found = found.where(_User.id != without)
        return self._session.scalar(found.limit(1)) is not None

    def _administrators(self) -> Role:
        """The role that may do everything, made where it is missing."""
        held = sa.select(GrantRecord.role_id).where(_is_everything)
        found: Role | None = self._session.scalar(sa.select(_Role).where(_Role.id.in_(held)))
        if found is not None:
            return found
        found = self._session.scalar(sa.select(_Role).where(_Role.name == ADMINISTRATORS))
        if found is None:
            found = Role(name=ADMINISTRATORS, description="May do everything.")
            self._session.add(found)
            self._session.flush()
        self._session.add(GrantRecord(role_id=found.id, model=ANY, action=ANY))
        return found

    def _missing_tables(self) -> bool:
        return not sa.inspect(self._session.connection()).has_table(User.__table__.name)

    def _load_user(self, token: str) -> User | None:
        """The account whose session the cookie is, in one statement; None when that has ended."""
        if not self._has_table(SessionRecord):
            return self._load_by_token(token)  # type: ignore[no-any-return]
        secret = flask.session.get(SESSION_KEY)
        if not token or not secret:
            return None
        found = self._session.execute(
            sa.select(User, SessionRecord.seen_at)
            .join(SessionRecord, SessionRecord.user_id == _User.id)
            .where(_User.fs_uniquifier == token, _User.active)
            .where(SessionRecord.id == sessions.digest(secret))
            .where(sessions.is_alive(self.limits))
        ).first()
        if found is None:
            return None
        set_request_attr("fs_authn_via", "session")
        set_request_attr("fs_paa", flask.session.get("fs_paa", 0))
        user, seen_at = found
        sessions.see(self._session, sessions.digest(secret), seen_at)
        return user

    def _begin_session(self, app: flask.Flask, user: User, **arguments: Any) -> None:
        """Give a sign-in its row. What keeps it beyond the browser's end is the row, too."""
        if not self._has_table(SessionRecord):
            return
        is_kept = flask.session.pop("_remember", None) == "set"
        before = flask.session.get(SESSION_KEY)
        if before:
            sessions.end_one(self._session, before)
        sessions.prune(self._session, self.limits)
        agent = request.user_agent.string
        flask.session[SESSION_KEY] = sessions.begin(
            self._session, user.id, request.remote_addr, agent, is_kept=is_kept
        )
        flask.session.permanent = is_kept
        self._session.commit()

    def _end_session(self, app: flask.Flask, **arguments: Any) -> None:
        secret = flask.session.pop(SESSION_KEY, None)
        if secret and self._has_table(SessionRecord):
            sessions.end_one(self._session, secret)
            self._session.commit()

    def _end_others(self, app: flask.Flask, user: User, **arguments: Any) -> None:
        """A new password ends every session but the one in which it was given."""
        if self._has_table(SessionRecord):
            sessions.end(self._session, user.id, but=self.own_session())

    def own_session(self) -> str | None:
        """The key of the session that this request is in."""
        secret = flask.session.get(SESSION_KEY)
        return sessions.digest(secret) if secret else None

    def sessions_of(self, user_id: int) -> Sequence[SessionRecord]:
        """Where an account is signed in, the last used first."""
        if not self._has_table(SessionRecord):
            return []
        return sessions.of_user(self._session, user_id, self.limits)

    def end_sessions(self, user_id: int, ids: Sequence[str] | None = None) -> int:
        """End these sessions of an account, or all of them but the one of this request."""
        if ids is None:
            return sessions.end(self._session, user_id, but=self.own_session())
        return sessions.end(self._session, user_id, ids)

    def _brake(self) -> None:
        """Before anything is hashed: let nobody try fast what can be guessed."""
        is_try = request.method == "POST" and request.blueprint == BLUEPRINT
        if not is_try or request.endpoint == f"{BLUEPRINT}.logout":
            return
        if not self._has_table(TryRecord):
            return
        limits = [throttling.of_network(request.remote_addr)]
        name = _typed_name()
        if name:
            limits.append(throttling.of_account(name))
        seconds = throttling.take(self._session, limits)
        if seconds:
            log.warning("Too many tries to sign in as %r from %s", name, request.remote_addr)
            raise TooManyRequests(
                f"This was tried too often. Try again in {_in_words(seconds)}.", retry_after=seconds
            )

    def _forget_tries(self, app: flask.Flask, **arguments: Any) -> None:
        name = _typed_name()
        if name and self._has_table(TryRecord):
            throttling.succeeded(self._session, throttling.of_account(name))

    def _greet(self) -> ResponseReturnValue | None:
        """Before the sign-in page: drop a foreign ``next``, tell what has to be run first."""
        if request.endpoint != f"{BLUEPRINT}.login":
            return None
        next_urls = [*request.args.getlist("next"), *request.form.getlist("next")]
        if any(url and not pages.safe_url(url, "") for url in next_urls):
            return flask.redirect(request.path)
        return None if self._has_accounts else self._tell_first_steps()

    def _tell_first_steps(self) -> ResponseReturnValue | None:
        if self._missing_tables():
            message = (
                "Nobody can sign in yet: this database has no tables for accounts. Run "
                "“flask admin init-db” and then “flask admin create-user” with an e-mail address."
            )
        elif self._session.scalar(sa.select(User).limit(1)) is None:
            message = (
                "Nobody can sign in yet: there is no account. "
                "Run “flask admin create-user” with an e-mail address."
            )
        else:
            self._has_accounts = True
            return None
        flask.flash(message, "warning")
        return None if request.method == "GET" else flask.redirect(request.full_path)


class FlaskLogin:
    """Sign-in of a host application that uses Flask-Login (or Flask-Security).

    ``may_enter`` decides whether a signed-in user is staff; ``label`` is how pages call him.
    ``sign_out_endpoint`` must accept POST.
    """

    def __init__(
        self,
        may_enter: Callable[[Any], bool],
        label: Callable[[Any], str] = str,
        sign_out_endpoint: str | None = None,
    ) -> None:
        self.may_enter = may_enter
        self.label = label
        self.sign_out_endpoint = sign_out_endpoint

    def init_app(self, app: flask.Flask, admin: Host) -> None:
        """Nothing to prepare: the host does, before or after."""

    def identify(self) -> Principal | None:
        user = flask_login.current_user
        if user is None or not user.is_authenticated:
            return None
        return Principal(user.get_id(), self.label(user), bool(self.may_enter(user)))

    def find(self, id: str) -> Principal | None:
        """The user whom the host's ``user_loader`` finds; None when he is gone or not active."""
        # Flask-Login has a public way to set the loader only.
        manager = flask.current_app.login_manager  # type: ignore[attr-defined]
        user = manager._user_callback(id)
        if user is None or not user.is_active:
            return None
        return Principal(user.get_id(), self.label(user), bool(self.may_enter(user)))

    def sign_in_url(self, next_url: str) -> str | None:
        view = flask.current_app.login_manager.login_view  # type: ignore[attr-defined]
        if view is None and "security" in flask.current_app.extensions:
            return str(flask_security.url_for_security("login", next=next_url))
        if view is None:
            return None
        return str(flask_login.login_url(view, next_url))

    def sign_out_url(self) -> str | None:
        return flask.url_for(self.sign_out_endpoint) if self.sign_out_endpoint else None


class Open:
    """No sign-in: whoever reaches the server may do everything. For tests and benchmarks."""

    def init_app(self, app: flask.Flask, admin: Host) -> None:
        self.check(app)

    @staticmethod
    def check(app: flask.Flask) -> None:
        """Refuse to open an application that is neither debugged nor tested, unless told to."""
        allowed = str(app.config.get("ADMIN_ALLOW_OPEN") or "").lower() not in _FALSE
        if not (app.debug or app.testing or allowed):
            raise ConfigurationError(
                "ADMIN_SIGN_IN is 'none', which lets everybody change everything. Set it to "
                "'accounts', or set ADMIN_ALLOW_OPEN=1 if no stranger can reach this server."
            )

    def identify(self) -> Principal | None:
        return Principal("open", "Open access", is_staff=True)

    def find(self, id: str) -> Principal | None:
        """Everybody, whoever it was."""
        return self.identify()

    def sign_in_url(self, next_url: str) -> str | None:
        return None

    def sign_out_url(self) -> str | None:
        return None


def _render(name: str, **context: Any) -> str:
    """A page of Flask-Security as ``admin/security/…``.

    Under its own name, ``security/…``, it belongs to a host that uses Flask-Security by itself.
    """
    is_page = name.startswith("security/") and not name.startswith("security/email/")
    return flask.render_template(f"admin/{name}" if is_page else name, **context)


class _DressedLoader(BaseLoader):
    """Those pages of Flask-Security that we have no template for, in our frame."""

    def __init__(self) -> None:
        self.theirs = PackageLoader("flask_security")

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        if not template.startswith("admin/security/"):
            raise TemplateNotFound(template)
        name = template.removeprefix("admin/")
        source, path, is_fresh = self.theirs.get_source(environment, name)
        return source.replace('"security/', '"admin/security/'), path, is_fresh

    def list_templates(self) -> list[str]:
        return []


def _settings(prefix: str) -> dict[str, Any]:
    """What we choose of Flask-Security unless the application's configuration does."""
    return {
        "SECURITY_BLUEPRINT_NAME": BLUEPRINT,
        "SECURITY_URL_PREFIX": prefix or None,
        "SECURITY_POST_LOGIN_VIEW": f"{prefix}/",
        "SECURITY_POST_LOGOUT_VIEW": f"{prefix}/login",
        "SECURITY_STATIC_FOLDER": None,
        "SECURITY_CLI_USERS_NAME": None,
        "SECURITY_CLI_ROLES_NAME": None,
        "SECURITY_RETURN_GENERIC_RESPONSES": True,
        "SECURITY_API_ENABLED_METHODS": ["session"],
        "SECURITY_TRACKABLE": True,
        # Argon2 salts by itself. The HMAC that Flask-Security would put before it ties every
        # password to one more secret, which nobody can ever change.
        "SECURITY_PASSWORD_SINGLE_HASH": {"argon2"},
        "SECURITY_PASSWORD_LENGTH_MIN": 10,
        "SECURITY_CHANGEABLE": True,
        "SECURITY_POST_CHANGE_VIEW": f"{prefix}/you/",
        # A server that sends no mail must not fail at it.
        "SECURITY_SEND_PASSWORD_CHANGE_EMAIL": False,
        # Looking up whether a domain takes mail needs the net and tells nothing about a person.
        "SECURITY_EMAIL_VALIDATOR_ARGS": {"check_deliverability": False},
        # Below zero: there is no page yet that asks for the password again.
        "SECURITY_FRESHNESS": dt.timedelta(seconds=-1),
        "SECURITY_MSG_GENERIC_AUTHN_FAILED": (
            "That e-mail address and password do not belong together.",
            "error",
        ),
    }


def _typed_name() -> str:
    """Whom a form of the sign-in is about: who was typed, else who is signed in."""
    typed = request.form.get("email") or request.form.get("identity")
    if typed:
        return typed[:255]
    return str(flask.session.get("tf_user_id") or flask.session.get("_user_id") or "")


def _in_words(seconds: int) -> str:
    if seconds < 60:
        return "one second" if seconds == 1 else f"{seconds} seconds"
    minutes = -(-seconds // 60)
    return "one minute" if minutes == 1 else f"{minutes} minutes"


def _session_limits(app: flask.Flask) -> Limits:
    """What the settings say of how long sessions last; ConfigurationError for what has no sense."""
    problems, found = [], {}
    for setting, name, usual in _LIMITS:
        value = app.config.get(setting, usual)
        if not str(value).isdecimal() or int(value) < 1:
            problems.append(
                f"{setting} is {value!r}. Set it to a number of minutes, or leave it out for "
                f"{usual:,}."
            )
        else:
            found[name] = dt.timedelta(minutes=int(value))
    if problems:
        raise ConfigurationError(problems)
    return Limits(**found)


_LIMITS = (
    ("ADMIN_SESSION_IDLE", "idle", 120),
    ("ADMIN_SESSION_LIFE", "life", 720),
    ("ADMIN_SESSION_KEPT", "kept", 20_160),
)
"""Settings, in minutes: unused, at all, and of who wants to stay signed in."""


def _renew_token(app: flask.Flask, **arguments: Any) -> None:
    # What was known of the session before somebody signed in must not be of use afterwards.
    name = app.config["WTF_CSRF_FIELD_NAME"]
    flask.session.pop(name, None)
    g.pop(name, None)


def _valid_email(email: str) -> str:
    try:
        address: str = flask.current_app.extensions["security"]._mail_util.validate(email)
    except ValueError:
        raise WriteRefused(f"{email!r} is no e-mail address.") from None
    return address


def _hashed(password: str) -> str:
    problems, normal = flask.current_app.extensions["security"]._password_util.validate(
        password, False
    )
    if problems:
        raise WriteRefused(f"{problems[0].rstrip('.')}.")
    return str(flask_security.hash_password(normal))


def random_password() -> str:
    """A password that nobody guesses and somebody can type."""
    return secrets.token_urlsafe(12)
