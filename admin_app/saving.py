"""Saving what a request asks for: in a change set, once for each form, refusals told in words.

A form carries a token. Whoever sends it twice (a double click, a reload, a proxy that tries
again) gets the answer of the first time and saves nothing more.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import random
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any

import flask
import sqlalchemy as sa
from flask import g, request
from flask.sessions import SecureCookieSessionInterface
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from sqlalchemy import orm
from sqlalchemy.sql import visitors
from werkzeug.utils import redirect

from admin_app import changes, constraints, inspection, pages
from admin_app import contexts as c
from admin_app.errors import Contended, Undecided, WriteRefused
from admin_app.listing import Listing

log = logging.getLogger(__name__)

LONGEST_REASON = 2_000
REASON_FIELD = "_reason"
"""The name under which a form sends why its rows are changed."""

FORM_FIELD = "_form_token"
"""The name under which a form sends its token back."""


_OTHERWISE = {"csrf_token", "_review", "_reviewed", "_back"}
"""What a form may hold that does not make it another form."""


def new_token() -> str:
    """A token for a form that is about to be shown.

    The one that was sent, where it is not known whether that was saved: so it is saved once at
    most when it is sent again.
    """
    if "admin_undecided" in g and request.form.get(FORM_FIELD):
        return request.form[FORM_FIELD]
    return secrets.token_urlsafe(16)


def key() -> str | None:
    """What tells this request from every other: its token, its path and all that it sends.

    None without a token: a script that posts by itself means every post.
    """
    token = request.form.get(FORM_FIELD)
    if not token:
        return None
    sent = sorted((k, v) for k, v in request.form.items(multi=True) if k not in _OTHERWISE)
    files = sorted((k, f.filename or "", f.content_length) for k, f in request.files.items(True))
    text = json.dumps([request.full_path, sent, files])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def repeated(view: Any) -> ResponseReturnValue | None:
    """The answer that this very request got before; None when it is new."""
    token_key = key() if view.keeps_tokens() else None
    answer = token_key and changes.answer_to(view.get_session(), token_key)
    return _response(answer) if answer else None


def response(answer: Callable[[], tuple[str, str]]) -> ResponseReturnValue:
    """The response to a save: the one that `save` has kept, else the one that ``answer`` makes."""
    return _response(g.pop("admin_answer", None) or written(*answer()))


def told() -> str | None:
    """What is said of the save of this request, for a piece of a page that says it by itself."""
    answer = g.pop("admin_answer", None)
    if answer is None:
        return None
    said, _, is_html = json.loads(answer)
    return Markup(said) if is_html else said  # noqa: S704 - `message` has escaped it


def is_answered() -> bool:
    """Whether the request has been saved, by itself or by another that sent the same form."""
    return "admin_answer" in g


def is_refused() -> bool:
    """Whether this request has been told already what the database or its rules object to."""
    return "admin_refused" in g


class TryAgain(BaseException):
    """Ends a request that is to be answered anew; no Exception, as hosts catch these."""


ATTEMPTS = 3
"""How often a request is answered before it is told that others stand in its way."""

_OF_THE_REQUEST = {"admin_principal", "admin_account", "admin_request_id", "admin_csp_nonce"}


def attempts(view: Any, route: Callable[[], Any]) -> Any:
    """Answer with ``route``, and do so anew where the database has chosen it to give way.

    A deadlock, or transactions that no order explains, roll back everything: rows are read again,
    the form is filled again, and hooks that run within the transaction run again.
    """
    if request.method != "POST" or "admin_attempts" in g:
        return route()
    messages = list(flask.session.get("_flashes", ()))
    for left in reversed(range(ATTEMPTS)):
        g.admin_attempts = left
        try:
            return route()
        except TryAgain:
            pass
        except sa.exc.DBAPIError as error:
            if not left or not isinstance(changes.explain(error, None), Contended):
                raise
        _begin_anew(view, messages)
    raise AssertionError("the last attempt has no other after it")


def try_again(refusal: WriteRefused) -> None:
    """Answer the request from its beginning, where ``refusal`` is one that others have caused."""
    if isinstance(refusal, Contended) and g.get("admin_attempts", 0) > 0:
        raise TryAgain from refusal


def _begin_anew(view: Any, messages: list[Any]) -> None:
    view.get_session().rollback()
    if messages or "_flashes" in flask.session:
        flask.session["_flashes"] = messages
    for name in [n for n in g if n.startswith("admin_") and n not in _OF_THE_REQUEST]:
        g.pop(name)
    for file in request.files.values():
        file.stream.seek(0)
    # Two that have met once would meet again if both came back at once.
    time.sleep(random.uniform(0, 0.05))  # noqa: S311 - no secret


def tell() -> None:
    """Tell the visitor what others have changed beside him (see `conflicts`)."""
    for sentence in g.pop("admin_told", ()):
        flask.flash(sentence, "info")


def _tell_taken(form: Any) -> None:
    """Say which rows have left another row to become members of the one that was saved."""
    for field in form or ():
        if taken := vars(field).get("taken"):
            names = [f"“{inspection.label(sa.inspect(i).mapper).of(i)}”" for i in taken[:5]]
            names += [f"{len(taken) - 5:,} more"] if len(taken) > 5 else []
            said = f"{', '.join(names)} belonged elsewhere before."
            g.setdefault("admin_told", []).append(said)


def is_in_reach(view: Any, instance: Any) -> bool:
    """Whether the row that was just written is still among those that the visitor may see."""
    whole = view.parent_view or view
    identity = sa.inspect(instance).identity
    if identity is None or not whole.is_narrowed:
        return True
    return whole.get_listing().one(view.get_session(), identity) is not None


def _stay_in_reach(view: Any, form: Any, change_set: changes.ChangeSet) -> None:
    """WriteRefused when a row that was written is none that the policy lets the visitor write.

    He had one that he may change; what he made of it must be one, too. A view's own query, which
    narrows what is listed, is no such rule: that a row leaves it is only told.
    """
    what = "add" if change_set.source == "create" else "change"
    asked = dict.fromkeys([view, view.parent_view or view])
    narrowed = [c for v in asked if (c := v._narrowed(what, v.model)) is not None]
    if not narrowed or not change_set.written:
        return
    rows = Listing(view.mapper, criteria=narrowed)
    identities = [sa.inspect(instance).identity or () for instance in change_set.written]
    if len(rows.many(change_set.session, identities)) < len(identities):
        noun = view.singular.lower() if len(identities) == 1 else f"one of the {view.name}".lower()
        sentence = f"With these values the {noun} would be out of your reach."
        keys = _spoken_of(view.mapper, narrowed)
        changed = [f.short_name for f in form if getattr(f, "is_changed", False)]
        raise WriteRefused(
            f"{sentence} Nothing was saved.", {k: [sentence] for k in changed if k in keys}
        )


def _spoken_of(mapper: orm.Mapper[Any], criteria: Iterable[sa.ColumnElement[bool]]) -> set[str]:
    """The attributes whose columns are in ``criteria``, by the names of their fields."""
    elements = (e for c in criteria for e in visitors.iterate(c) if isinstance(e, sa.Column))
    keys = {key for e in elements if (key := inspection.key_of(mapper, e)) is not None}
    covered = inspection.foreign_key_relationships(mapper)
    return {covered.get(key, key) for key in keys}


def message(noun: str, label: str, done: str, url: str | None) -> str:
    """What is said after a save; with ``url``, HTML in which the row's label leads there."""
    if url is None:
        return f"{noun} “{label}” is {done}."
    return Markup('{} “<a class="link" href="{}">{}</a>” is {}.').format(noun, url, label, done)


def keeps_history(view: Any) -> bool:
    """Whether what ``view`` writes is recorded, so that it can be looked up and undone."""
    return hasattr(view.admin, "keeps_history") and bool(view.admin.keeps_history(view.session))


def chains_history(view: Any) -> bool:
    """Whether what ``view`` writes is chained in the history as well."""
    return keeps_history(view) and bool(view.admin.chains_history())


def _asks_reason(view: Any) -> str | None:
    asked: str | None = getattr(view, "change_reason", None)
    return asked if asked and keeps_history(view) else None


def reason_field(view: Any) -> c.ReasonField | None:
    """The field in which a change of a row of ``view`` is explained, where that is asked."""
    asked = _asks_reason(view)
    if asked is None:
        return None
    text, error = request.form.get(REASON_FIELD, ""), g.get("admin_reason_error")
    return c.ReasonField(REASON_FIELD, asked == "required", text, error)


def reason(view: Any, *, is_due: bool = True) -> str | None:
    """Why the rows are changed, as it was typed; WriteRefused where it has to be and was not.

    It is not due yet where perhaps nothing is changed.
    """
    asked = _asks_reason(view)
    text = request.form.get(REASON_FIELD, "").strip()
    if asked == "required" and not text and is_due:
        g.admin_reason_error = "Say why: a reason is kept with every change here."
        raise WriteRefused(g.admin_reason_error)
    return text[:LONGEST_REASON] or None if asked else None


def undo_url(view: Any, number: int | None) -> str | None:
    """Where change set ``number`` of the history can be undone; None where there is none."""
    return None if number is None else view.admin.history.undo_page_url(number)


def undo_message(said: str, url: str) -> Markup:
    """``said``, and a link to take back what it tells."""
    return Markup('{} <a class="link" href="{}">Undo</a>').format(said, url)


def written(said: str, url: str, undo_url: str | None = None) -> str:
    """An answer, to be kept and given again: what is said, and where to go on."""
    if undo_url is not None:
        said = undo_message(said, undo_url)
    return json.dumps([said, url, isinstance(said, Markup)])


def keeps_markup() -> bool:
    """Whether a message that is HTML is still known to be when it is shown."""
    return isinstance(flask.current_app.session_interface, SecureCookieSessionInterface)


def _response(answer: str) -> ResponseReturnValue:
    said, url, *is_html = json.loads(answer)
    if is_html == [True]:
        # `message` has escaped it. Sessions of other kinds may forget what is HTML and what is not.
        said = Markup(said)  # noqa: S704
        said = said if keeps_markup() else said.striptags()
    flask.flash(said, "success")
    tell()
    return redirect(url)


def save(
    view: Any,
    form: Any,
    write: Callable[[changes.ChangeSet], None],
    source: str,
    instance: Any,
    answer: Callable[[], tuple[str, str]],
) -> bool:
    """Run ``write`` in a change set; whether it was committed.

    ``answer`` makes the message and the address that `response` will answer with. A refusal is
    told in ``form``, or as a message without one. ``instance`` is the row at hand.
    """
    # An edit that is sent again finds nothing to change. And a host's own delete_model may be
    # called for one row after the other: one form all the same.
    is_once = source != "edit" and "admin_answer" not in g
    token_key = key() if is_once and view.keeps_tokens() else None
    try:
        with changes.change_set(
            view.get_session(),
            view.principal(),
            source,
            mapper=view.mapper,
            is_recorded=keeps_history(view),
            is_chained=chains_history(view),
            request_id=pages.request_id(),
            reason=reason(view, is_due=not _may_be_idle(source, form)),
        ) as change_set:
            if token_key is not None:
                change_set.claim(token_key)
            write(change_set)
            _stay_in_reach(view, form, change_set)
            change_set.record()
            if change_set.id is not None:
                reason(view)
            told = written(*answer(), undo_url(view, change_set.id))
            if token_key is not None:
                change_set.keep_answer(token_key, told)
    except changes.AlreadySaved as saved:
        g.admin_answer = saved.answer
        return False
    except WriteRefused as refusal:
        try_again(refusal)
        if isinstance(refusal, Undecided):
            g.admin_undecided, g.admin_status = True, 503
        refuse(form, refusal)
    except Exception as error:
        if not view.handle_view_exception(error):
            refuse(form, _fault(view))
    else:
        g.admin_answer = told
        _tell_taken(form)
        return True
    _forget_changes(view, instance)
    return False


def _may_be_idle(source: str, form: Any) -> bool:
    """Whether a save may change nothing, by what is known before it is tried."""
    return source == "edit" and not any(getattr(field, "is_changed", False) for field in form or ())


def _fault(view: Any) -> WriteRefused:
    """The refusal for an error in the application's own code, which is logged with its number."""
    error_id = pages.request_id()
    log.exception("Error %s while saving a %s", error_id, view.model.__name__)
    g.admin_status = 500
    return WriteRefused(f"The application's own code failed (error {error_id}). Nothing was saved.")


def _forget_changes(view: Any, instance: Any) -> None:
    """Let the page that follows show the row as it is in the database."""
    if not sa.inspect(instance).transient:
        with contextlib.suppress(sa.exc.SQLAlchemyError):
            view.get_session().expire(instance)


def add_objections(view: Any, form: Any, instance: Any) -> None:
    """Tell, beside what a form got wrong, which rules of the table its other values break.

    So everything can be mended at once. ``instance`` is the row at hand, None for a new one.
    """
    if not hasattr(form, "valid_values"):
        return
    values = form.valid_values(view.mapper)
    if not values:
        return
    known = {} if instance is None else constraints.known_values(instance)
    identity = None if instance is None else sa.inspect(instance).identity
    found = constraints.objections_to(
        view.get_session(), view.mapper, known | values, set(values), identity
    )
    if found:
        refuse(form, WriteRefused("The table's rules do not allow this.", found))


def refuse(form: Any, refusal: WriteRefused) -> None:
    """Put the sentences of a refusal where the operator looks: at the fields, else on the page."""
    g.admin_refused = True
    untold = dict(refusal.fields)
    for field in form or ():
        sentences = untold.pop(getattr(field, "short_name", field.name), None)
        if sentences:
            field.errors = [*field.errors, *sentences]
    if form is None or untold or not refusal.fields:
        flask.flash(refusal.sentence, "error")
