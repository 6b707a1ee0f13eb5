"""The pages of accounts and roles: who there is, what each role may do, and why.

Accounts and roles are lists and forms like any other. What a role may do is a matrix of models and
actions, and for each model a page of its rows and columns. Nobody changes an account or a role that
may do more than he (see `accounts.AccountGrants`), and nobody gives away what he has not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import flask
import sqlalchemy as sa
import wtforms
from flask import request
from flask.typing import ResponseReturnValue
from flask_admin.base import expose
from markupsafe import Markup
from werkzeug.utils import redirect

from admin_app import contexts as c
from admin_app import filter_words, filters, grants, inspection, pages, saving, you
from admin_app.accounts import Accounts, Role, User
from admin_app.changes import ChangeSet, change_set
from admin_app.errors import NotFound, WriteRefused
from admin_app.grants import ANY, Grant, GrantRecord
from admin_app.navigation import breadcrumbs
from admin_app.policy import Principal, Reach
from admin_app.views import ModelView

ACTIONS = {
    "view": "View",
    "add": "Add",
    "change": "Change",
    "delete": "Delete",
    "export": "Export",
    "import": "Import",
    "history": "History",
    "undo": "Undo",
}
"""The columns of the matrix."""

OTHER_ACTIONS = {"query": "Show the query of a list", "share_view": "Share views of the list"}
"""What can be allowed for every model beside, without a column of its own."""

_ACCESS = ("write", "read", "hidden")


class _OwnView(ModelView):
    """A page of the admin's own, for whoever has a grant on its table."""

    stands_last = True
    can_import = False

    def is_accessible(self) -> bool:
        return self.may("view") and bool(self.admin.has_table(GrantRecord))

    def is_visible(self) -> bool:
        return True

    @property
    def accounts(self) -> Accounts:
        found: Accounts = self.admin.sign_in
        return found


class UserView(_OwnView):
    """Who may sign in."""

    column_list = ("email", "active", "roles", "current_login_at", "sessions")
    column_details_list = [
        "email",
        "active",
        "roles",
        "current_login_at",
        "current_login_ip",
        "login_count",
        "create_datetime",
    ]
    column_labels = {
        "email": "E-mail",
        "active": "May sign in",
        "current_login_at": "Last sign-in",
        "current_login_ip": "From",
        "login_count": "Sign-ins",
        "create_datetime": "Since",
    }
    column_searchable_list = ("email",)
    column_default_sort = "email"
    form_columns = ("email", "active", "roles", "new_password")
    form_extra_fields = {
        "new_password": wtforms.PasswordField(
            "New password",
            description="Ends every session of the account. Leave it empty to keep the password.",
            render_kw={"autocomplete": "new-password"},
        )
    }
    description = "Who may sign in here."
    plural = "accounts"

    _known = frozenset({*column_details_list, "id"})

    def may(self, what: str, column: str | None = None) -> bool:
        """What the policy says, and no column that only the sign-in is to know."""
        is_known = column is None or column in {*self._known, "username", "sessions"}
        return is_known and super().may(what, column)

    @property
    def column_formatters(self) -> dict[str, Any]:  # type: ignore[override]
        return {"sessions": lambda view, context, user, name: self._sessions(user)}

    def _sessions(self, user: Any) -> Markup:
        link = Markup('<a class="link" href="%s">Where signed in</a>')
        shown: Markup = link % self.get_url(".sessions_view", id=user.id)
        return shown

    @expose("/sessions/", methods=("GET", "POST"))
    def sessions_view(self) -> ResponseReturnValue:
        """Where an account is signed in; POST ends what it names."""
        self.require("change")
        _, user = self._requested("change")
        url = self.get_url(".sessions_view", id=user.id)
        if request.method == "POST":
            you.end(self.accounts, user.id)
            return redirect(url, 303)
        page = you.sessions_page(self, user, url, f"Where {user.email} is signed in")
        html: str = self.render("admin/access/sessions.html", page=page)
        return html

    def on_model_change(self, form: Any, model: Any, is_created: bool) -> None:
        password = form.new_password.data if "new_password" in form else None
        try:
            if password or is_created:
                self.accounts.prepare(model, password or "")
        except WriteRefused as refusal:
            raise WriteRefused(refusal.sentence, {"new_password": [refusal.sentence]}) from None
        self._leave_one(model, bool(model.active) and self._administers(model.roles))

    def on_model_delete(self, model: Any) -> None:
        principal = self.principal()
        if principal is not None and str(model.id) == principal.id:
            raise wtforms.ValidationError("You are signed in with this account.")
        self._leave_one(model, False)

    def _administers(self, roles: Iterable[Role]) -> bool:
        names = {role.name for role in roles}
        return bool(names & self.accounts.administering())

    def _leave_one(self, model: Any, is_one: bool) -> None:
        """ValidationError when nobody would be left who may do everything."""
        if not is_one and not self.accounts.is_administered(without=model.id):
            raise wtforms.ValidationError(
                "Somebody must be left who may sign in and do everything. Let another account do "
                "so first."
            )


class RoleView(_OwnView):
    """What roles there are, and what each of them allows."""

    column_list = ("name", "description", "users", "allows")
    form_columns = ("name", "description", "users")
    column_labels = {"users": "Accounts"}
    column_searchable_list = ("name", "description")
    column_default_sort = "name"
    plural = "roles"

    _known = frozenset({"id", "name", "description", "users"})

    def may(self, what: str, column: str | None = None) -> bool:
        """What the policy says, of the columns that are in use."""
        return (column is None or column in self._known) and super().may(what, column)

    @property
    def description(self) -> Markup:  # type: ignore[override]
        """What roles are for, and the way to ask what somebody may do."""
        said = Markup(
            'What the accounts that have a role may do. <a class="link" href="%s">Who may what</a>'
        )
        shown: Markup = said % self.get_url(".why_view")
        return shown

    @property
    def column_formatters(self) -> dict[str, Any]:  # type: ignore[override]
        return {"allows": lambda view, context, role, name: self._allows(role)}

    def _allows(self, role: Any) -> Markup:
        link = Markup('<a class="link" href="%s">What it allows</a>')
        shown: Markup = link % self.get_url(".grants_view", id=role.id)
        return shown

    def get_save_return_url(self, model: Any, is_created: bool = False) -> str:
        """A new role goes on to what it allows."""
        if is_created:
            url: str = self.get_url(".grants_view", id=model.id)
            return url
        return super().get_save_return_url(model, is_created)

    def on_model_delete(self, model: Any) -> None:
        if self.accounts.administering() == {model.name}:
            raise wtforms.ValidationError(
                "Somebody must be left who may do everything. Let another role do so first."
            )

    @expose("/grants/", methods=("GET", "POST"))
    def grants_view(self) -> ResponseReturnValue:
        """The matrix of one role."""
        role, held = self._role()
        if request.method == "GET":
            return self._matrix(role, held)
        self.require("change")
        sent = {tuple(text.split("|", 1)) for text in request.form.getlist("allow")}
        wanted = _of_matrix(held, sent, set(self._models()), "everything" in request.form)
        try:
            self._save(role, held, wanted)
        except WriteRefused as refusal:
            return flask.make_response(self._matrix(role, wanted, refusal.sentence), 400)
        flask.flash(f"What “{role.name}” allows is saved.", "success")
        return redirect(self.get_url(".grants_view", id=role.id), 303)

    @expose("/model/", methods=("GET", "POST"))
    def model_view(self) -> ResponseReturnValue:
        """The rows and columns of one model that a role may reach; ``of`` names it."""
        role, held = self._role()
        name = request.args.get("of", "")
        view = self._models().get(name)
        if view is None:
            raise NotFound("There is no such model.")
        if request.method == "GET":
            return self._model_page(role, name, view, held)
        self.require("change")
        rule = _query(request.form.get("rule", ""))
        wanted = _of_model(held, name, rule, self._accesses(view), self._allowed(view))
        try:
            if rule:
                grants.criterion(rule, view.model, self._values(), view.dialect_name())
        except WriteRefused as refusal:
            told = refusal.sentence
            page = self._model_page(role, name, view, wanted, rule_error=told)
            return flask.make_response(page, 400)
        try:
            self._save(role, held, wanted)
        except WriteRefused as refusal:
            page = self._model_page(role, name, view, wanted, error=refusal.sentence)
            return flask.make_response(page, 400)
        flask.flash(f"What “{role.name}” allows of {view.plural} is saved.", "success")
        return redirect(self.get_url(".grants_view", id=role.id), 303)

    @expose("/why/")
    def why_view(self) -> ResponseReturnValue:
        """Whether an account may do something, and what decides it."""
        html: str = self.render("admin/access/why.html", page=_why_page(self))
        return html

    def _role(self) -> tuple[Any, list[Grant]]:
        _, role = self._requested("view" if request.method == "GET" else "change")
        return role, grants.of_role(self.get_session(), role.id)

    def _models(self) -> dict[str, Any]:
        """A view of each model that grants can be about, by the name that they call it."""
        found: dict[str, Any] = {}
        for view in self.admin.every_view():
            found.setdefault(grants.name_of(view.model), view)
        return dict(sorted(found.items(), key=lambda item: str(item[1].name).lower()))

    def _accesses(self, view: Any) -> dict[str, str]:
        """What was sent for each column of ``view``."""
        found = {key: request.form.get(f"column:{key}", "write") for key, _ in _columns(view)}
        for key, relationship in inspection.foreign_key_relationships(view.mapper).items():
            # Who may not see to whom an order belongs is not shown the customer's number either.
            found[key] = found.get(relationship, "write")
        return {key: access for key, access in found.items() if access in _ACCESS}

    def _allowed(self, view: Any) -> dict[str, bool]:
        sent = set(request.form.getlist("action"))
        return {name: name in sent for name, _ in _own_actions(view)}

    def _save(self, role: Any, held: Sequence[Grant], wanted: Sequence[Grant]) -> None:
        """Replace what ``role`` allows, in a change set; WriteRefused where one may not."""
        principal = self.principal()
        own = None if principal is None else principal.grants
        if isinstance(own, grants.RoleGrants):
            more = grants.covers(own.grants, wanted)
            if more is not None:
                raise WriteRefused(
                    f"You may not do that yourself, so you cannot let others: {self._said(more)}."
                )
        session = self.get_session()
        with change_set(
            session,
            principal,
            "grants",
            mapper=self.mapper,
            is_recorded=saving.keeps_history(self),
            is_chained=saving.chains_history(self),
            request_id=pages.request_id(),
        ) as changes:
            changes.label = role.name
            _write(changes, role, wanted)
            if not self.accounts.is_administered():
                raise WriteRefused("Somebody must be left who may do everything.")

    def _values(self) -> dict[str, str]:
        """What a rule may call by a name in braces, of the visitor, to try it with."""
        principal = self.principal()
        return {} if principal is None else {"me.id": principal.id, "me.email": principal.label}

    def _role_link(self, name: str) -> c.Link:
        role = self.accounts.role(name)
        return c.Link(name, self.get_url(".grants_view", id=role.id))

    def _said(self, grant: Grant) -> str:
        """``grant`` in words."""
        view = self._models().get(grant.model)
        model = "every model" if grant.model == ANY else str(view.name) if view else grant.model
        doing = "everything" if grant.action == ANY else _words(grant.action).lower()
        said = f"{doing} of {model}"
        if grant.columns:
            said += f" in the columns {', '.join(grant.columns)}"
        if grant.rule:
            said += f" where {_rule_words(view, grant.rule)}"
        return f"not {said}" if grant.is_denied else said

    def _matrix(self, role: Any, held: Sequence[Grant], error: str | None = None) -> str:
        principal = self.principal()
        link = self.links(inspection.mapper_of(User))
        models = set(self._models())
        heading = f"What “{role.name}” allows"
        own = self.get_url(".index_view")
        html: str = self.render(
            "admin/access/grants.html",
            page=c.GrantsPage(
                title=heading,
                heading=heading,
                breadcrumbs=breadcrumbs(self, (str(self.name), own), (role.name, None)),
                actions=list(ACTIONS.items()),
                rows=self._rows(role, held),
                is_everything=any(_is_everything(g) for g in held),
                can_give_everything=bool(self.admin.policy.may(principal, "administer")),
                others=[
                    self._said(g) for g in held if not _has_box(g, models) and not _is_of_columns(g)
                ],
                members=[c.Link(u.email, link(u)) for u in role.users],
                action_url=self.get_url(".grants_view", id=role.id),
                cancel_url=own,
                error=error,
            ),
        )
        return html

    def _rows(self, role: Any, held: Sequence[Grant]) -> list[c.GrantRow]:
        found = [c.GrantRow(ANY, "Every model", _ticked(held, ANY))]
        for name, view in self._models().items():
            url = self.get_url(".model_view", id=role.id, of=name)
            note = _note(view, [g for g in held if g.model == name])
            found.append(c.GrantRow(name, str(view.name), _ticked(held, name), url, note))
        return found

    def _model_page(
        self, role: Any, name: str, view: Any, held: Sequence[Grant], **errors: Any
    ) -> str:
        heading = f"{view.name}: what “{role.name}” may reach"
        back = self.get_url(".grants_view", id=role.id)
        about = [g for g in held if g.model == name]
        rule = next((g.rule for g in about if g.rule and not g.is_denied), "")
        hidden, read = _denied(about, "view"), _denied(about, "change")
        columns = [
            c.GrantColumn(k, t, "hidden" if k in hidden else "read" if k in read else "write")
            for k, t in _columns(view)
        ]
        allowed = {g.action for g in about if _is_plain(g)}
        html: str = self.render(
            "admin/access/model.html",
            page=c.ModelGrantsPage(
                title=heading,
                heading=heading,
                breadcrumbs=breadcrumbs(
                    self,
                    (str(self.name), self.get_url(".index_view")),
                    (role.name, back),
                    (str(view.name), None),
                ),
                columns=columns,
                actions=[(n, words, n in allowed) for n, words in _own_actions(view)],
                rule=rule,
                rule_words=_rule_words(view, rule) if rule else "",
                list_url=f"{view.url_for('list')}?{rule}" if view.may("view") else None,
                action_url=self.get_url(".model_view", id=role.id, of=name),
                cancel_url=back,
                **errors,
            ),
        )
        return html


def _words(action: str) -> str:
    return ACTIONS.get(action) or OTHER_ACTIONS.get(action) or inspection.words(action)


def _is_everything(grant: Grant) -> bool:
    return _is_plain(grant) and grant.action == ANY and grant.model == ANY


def _is_plain(grant: Grant) -> bool:
    """Whether a tick, and a rule, say all of ``grant``."""
    return not grant.is_denied and not grant.columns


def _is_of_columns(grant: Grant) -> bool:
    """Whether ``grant`` hides columns, or forbids to write them."""
    return grant.is_denied and bool(grant.columns) and grant.action in ("view", "add", "change")


def _ticked(held: Iterable[Grant], name: str) -> frozenset[str]:
    return frozenset(g.action for g in held if g.model == name and _is_plain(g))


def _denied(about: Iterable[Grant], action: str) -> set[str]:
    return {key for g in about if _is_of_columns(g) and g.action == action for key in g.columns}


def _note(view: Any, about: Sequence[Grant]) -> str:
    """How a model is narrowed, in words."""
    said = [f"where {_rule_words(view, r)}" for r in dict.fromkeys(g.rule for g in about if g.rule)]
    hidden, read = _denied(about, "view"), _denied(about, "change")
    for keys, words in ((hidden, "hidden"), (read - hidden, "read only")):
        if keys:
            said.append(f"{len(keys)} {'column' if len(keys) == 1 else 'columns'} {words}")
    return ", ".join(said)


def _rule_words(view: Any, rule: str) -> str:
    """A rule as the chips of a list would say it."""
    if view is None:
        return rule
    pairs, notes = parse_qsl(rule, keep_blank_values=True), list[str]()
    group = filters.parse(pairs, view.mapper, Reach(), notes, dialect=view.dialect_name())
    return rule if notes else filter_words.sentence(view, group, {})


def _columns(view: Any) -> list[tuple[str, str]]:
    """The attributes that can be hidden, with what they are called."""
    covered = inspection.foreign_key_relationships(view.mapper)
    keys = {*inspection.identity_keys(view.mapper), *covered}
    found = [k for k in inspection.columns(view.mapper) if k not in keys]
    found += [k for k in inspection.relationships(view.mapper) if not k.startswith("_")]
    return [(k, str(view.get_column_name(k))) for k in found if not inspection.is_secret(k)]


def _own_actions(view: Any) -> list[tuple[str, str]]:
    """What can be allowed of ``view`` beside the columns of the matrix: rights, with their words.

    An action goes by the rights that it declares, else by its own name.
    """
    own: dict[str, str] = {}
    for name, found in view.get_actions().items():
        for right in found.right or (name,):
            if right not in ACTIONS:
                own.setdefault(right, str(found.text))
    return [*own.items(), *OTHER_ACTIONS.items()]


def _query(text: str) -> str:
    """The filters of a list, of its address or of their query string alone."""
    text = text.strip()
    query = urlsplit(text).query if "?" in text else text
    pairs = parse_qsl(query, keep_blank_values=True)
    return urlencode([(n, v) for n, v in pairs if n not in _OF_THE_LIST])


_OF_THE_LIST = {
    "page",
    "page_size",
    "sort",
    "after",
    "before",
    "columns",
    "count",
    "facets",
    "view",
    "group",
    "totals",
}
"""Arguments of a list that say nothing of which rows it has."""


def _of_matrix(
    held: Sequence[Grant], sent: set[tuple[str, ...]], models: set[str], is_everything: bool
) -> list[Grant]:
    """What a role allows after its matrix was sent: the boxes are set, all else stays."""
    rules = {g.model: g.rule for g in reversed(held) if _is_plain(g)}
    boxes = [(m, a) for m in (ANY, *models) for a in ACTIONS]
    kept = [g for g in held if not _has_box(g, models)]
    found = [Grant(ANY, ANY)] if is_everything else []
    found += [
        Grant(action, model, rule=rules.get(model, ""))
        for model, action in boxes
        if (model, action) in sent
    ]
    return [*found, *kept]


def _has_box(grant: Grant, models: set[str]) -> bool:
    """Whether the matrix has a box that says all of ``grant``."""
    is_known = _is_plain(grant) and (grant.model == ANY or grant.model in models)
    return is_known and (grant.action in ACTIONS or _is_everything(grant))


def _of_model(
    held: Sequence[Grant],
    name: str,
    rule: str,
    accesses: dict[str, str],
    allowed: dict[str, bool],
) -> list[Grant]:
    """What a role allows after the page of one of its models was sent."""
    found = [g for g in held if g.model != name]
    for grant in held:
        if grant.model != name or _is_of_columns(grant):
            continue
        if not _is_plain(grant):
            found.append(grant)
        elif grant.action not in allowed:
            found.append(Grant(grant.action, name, rule=rule))
    found += [Grant(action, name, rule=rule) for action, is_on in allowed.items() if is_on]
    hidden = tuple(k for k, access in accesses.items() if access == "hidden")
    read = tuple(k for k, access in accesses.items() if access == "read")
    if hidden:
        found.append(Grant("view", name, hidden, is_denied=True))
    if hidden or read:
        keys = (*hidden, *read)
        found += [Grant(a, name, keys, is_denied=True) for a in ("add", "change")]
    return found


def _write(changes: ChangeSet, role: Any, wanted: Sequence[Grant]) -> None:
    """Make the records of ``role`` what is ``wanted``; those that stay are left alone."""
    session = changes.session
    left = [grants.bare(g) for g in wanted]
    for record in session.scalars(sa.select(GrantRecord).where(GrantRecord.role_id == role.id)):
        grant = grants.of_record(record)
        if grant in left:
            left.remove(grant)
        else:
            session.delete(record)
    for grant in dict.fromkeys(left):
        session.add(grants.record_of(grant, role.id))
    session.flush()


def _why_page(view: RoleView) -> c.WhyPage:
    """The answer to a question of the address, or the question alone."""
    names = ("account", "action", "model", "id", "column")
    asked = {name: request.args.get(name, "").strip() for name in names}
    models = view._models()
    page = c.WhyPage(
        title="Who may what",
        heading="Who may what",
        breadcrumbs=breadcrumbs(
            view, (str(view.name), view.get_url(".index_view")), ("Who may what", None)
        ),
        action_url=view.get_url(".why_view"),
        actions=[*ACTIONS.items(), *OTHER_ACTIONS.items()],
        models=[(name, str(v.name)) for name, v in models.items()],
        asked=asked,
    )
    if not asked["account"]:
        return page
    user, of = view.accounts.find_user(asked["account"]), models.get(asked["model"])
    if user is None or not view.admin.own_view(User).may("view"):
        page.error = f"There is no account {asked['account']}."
    elif of is None or asked["action"] not in dict(page.actions):
        page.error = "Choose what is to be done, and to which model."
    else:
        _answer(page, view, user, of)
    return page


def _answer(page: c.WhyPage, view: RoleView, user: User, of: Any) -> None:
    asked, policy = page.asked, view.admin.policy
    column, action = asked["column"] or None, asked["action"]
    if column is not None and column not in dict(_columns(of)):
        page.error = f"{of.name} have no column “{inspection.shorten(column)}”."
        return
    held = view.accounts.grants_of(user)
    somebody = view.accounts.principal_of(user)
    is_allowed, deciding = held.why(action, of.model, column)
    page.answer = bool(policy.may(somebody, action, of.model, column))
    if not user.active:
        page.sentences.append("The account may not sign in.")
    elif page.answer != is_allowed:
        page.sentences.append("The application's own policy decides it.")
    elif deciding is None:
        page.sentences.append("No role of the account says anything of it.")
    else:
        page.sentences.append(f"The role “{deciding.role}” says: {view._said(deciding)}.")
        page.role = view._role_link(deciding.role)
    if page.answer and asked["id"]:
        _answer_of_row(page, view, user, somebody, of)


def _answer_of_row(
    page: c.WhyPage, view: RoleView, user: User, somebody: Principal, of: Any
) -> None:
    """Whether the row is among those that the rules let through."""
    asked = page.asked
    if of.get_one(asked["id"]) is None:
        page.answer, page.error = None, f"There is no {of.singular.lower()} {asked['id']}."
        return
    rows = view.admin.policy.rows(somebody, asked["action"], of.model)
    identity = inspection.identity_text(of.mapper).decode(asked["id"])
    if rows is None:
        page.sentences.append("No rule narrows the rows.")
        return
    keys = inspection.identity_keys(of.mapper)
    is_own = [getattr(of.model, k) == v for k, v in zip(keys, identity, strict=True)]
    found = of.get_session().scalar(sa.select(sa.literal(1)).where(rows, *is_own).limit(1))
    page.answer = found is not None
    held = view.accounts.grants_of(user).grants
    rules = dict.fromkeys(
        f"{'not ' if g.is_denied else ''}where {_rule_words(of, g.rule)}"
        for g in held
        if g.rule and g.is_about(asked["action"], grants.name_of(of.model))
    )
    is_in = "among" if page.answer else "not among"
    page.sentences.append(f"The row is {is_in} those {' or '.join(rules) or 'in reach'}.")
