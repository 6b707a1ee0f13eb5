"""What is done to chosen rows: run an action, ask first where it wants to, delete them all.

The routes of `action_routes` call these; which actions there are and who may run them is the view's
to say. An action runs inside a change set, so that what it writes is in the history and can be
undone; what it commits by itself is recorded as it does so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import flask
import wtforms
from flask import g, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from werkzeug.datastructures import CombinedMultiDict
from werkzeug.utils import redirect

from admin_app import (
    actions,
    bulk_jobs,
    changes,
    deleting,
    inspection,
    jobs,
    model_pages,
    pages,
    saving,
    selecting,
    subtypes,
)
from admin_app import listing as listings
from admin_app.actions import Action, Message
from admin_app.errors import Forbidden, InvalidRequest, WriteRefused
from admin_app.listing import Count, Selection

TICKS = "admin_ticks"
"""The key of the session that says: the ticks of the list have been used."""


def run(view: Any, back: str) -> ResponseReturnValue:
    """Run the action that the POST names over the rows that it names, once it is confirmed.

    ``back`` is where an action without an answer of its own leads.
    """
    name, selection = selecting.read()
    if not name:
        flask.flash("Choose what to do with the rows.", "warning")
        return redirect(back)
    found = view.get_actions().get(name)
    if found is None:
        raise InvalidRequest(f"There is no action “{inspection.shorten(name)}”.")
    if not view.is_action_allowed(name):
        raise Forbidden(f"You may not do “{found.text}” here.")
    if not selection:
        flask.flash("Tick the rows first, then choose what to do with them.", "warning")
        return redirect(back)
    return _Run(view, found, selection, back).answer()


def delete_page(
    view: Any, selection: Selection, rows: Sequence[Any], asked: int, **told: Any
) -> Any:
    """The page that shows what deleting ``rows`` would do, and asks; ``told`` is for `ask`."""
    matched = selecting.hidden(selection, selection.matched)
    hidden = [("action", "delete"), ("confirmed", "1"), *matched]
    return deleting.ask(view, rows, asked, view.get_url(".action_view"), hidden, **told)


class _Run:
    """One request to run an action."""

    def __init__(self, view: Any, action: Action, selection: Selection, back: str) -> None:
        self.view, self.action, self.selection, self.back = view, action, selection, back
        what = action.name if action.name == "delete" else "view"
        self.listing = selecting.listing(view, selection, what)
        self.session = view.get_session()
        self.is_confirmed = request.form.get("confirmed") == "1"
        both: CombinedMultiDict[str, Any] = CombinedMultiDict([request.files, request.form])
        sent = both if self.is_confirmed else None
        self.form = action.make_form(sent)
        # A key that cannot be one, or a filter that means nothing, ends here.
        selection.statement(self.listing)

    def answer(self) -> ResponseReturnValue:
        if self.action.is_own and self.action.takes == "selection":
            return self._answered(self.action.handler(self.selection))
        if self.action.asks and not self.is_confirmed:
            return self._page(200)
        if self._has_moved():
            return self._page(409)
        if self.form is not None and not self.form.validate():
            return self._page(400)
        if self.action.asks:
            try:
                saving.reason(self.view)
            except WriteRefused as refusal:
                flask.flash(refusal.sentence, "error")
                return self._page(400) if self.form else redirect(self.back)
        return self._do()

    # Asking

    def _has_moved(self) -> bool:
        """Whether another number of rows match by now than when they were looked at."""
        if self.selection.query is None or self.selection.matched is None:
            return False
        count = self._matching()
        return count is not None and count.is_exact and count.number != self.selection.matched

    def _matching(self) -> Count | None:
        """How many rows match, the exceptions as well."""
        whole = dataclasses.replace(self.selection, excepted=())
        return whole.count(self.session, self.listing)

    def _page(self, status: int) -> ResponseReturnValue:
        """The page that asks, with what was typed."""
        count, asked = self._matching(), len(self.selection.keys)
        matched = count.number if count is not None and count.is_exact else None
        if self.action.name == "delete":
            number = None if matched is None else matched - len(self.selection.excepted)
            is_part = bulk_jobs.deletes(self.view, self.selection, number)
            rows = self._rows(jobs.IS_LONG if is_part else actions.MOST_IDS)
            if self.selection.query is not None:
                asked = (number or 0) if is_part else len(rows)
            selection = dataclasses.replace(self.selection, matched=matched)
            note = self._moved(count)
            page = delete_page(self.view, selection, rows, asked, is_part=is_part, note=note)
            response = flask.make_response(page)
            response.status_code = status if response.status_code == 200 else response.status_code
            return response
        rows = self._rows(actions.SHOWN_ROWS)
        page = model_pages.confirm_page(
            self.view,
            self.action.text,
            self.action.confirmation or self.action.text,
            rows,
            asked,
            [
                ("action", self.action.name),
                ("confirmed", "1"),
                *selecting.hidden(self.selection, matched),
            ],
        )
        number = None if count is None else count.number - len(self.selection.excepted)
        page.sentence = self._sentence(count, number)
        more = None if number is None else max(0, number - len(page.rows))
        page.more_text = f"and {more:,} more" if more else None
        page.submit_text = self.action.text.rstrip("…")
        page.form = self.form
        page.note = self._moved(count)
        page.can_submit = bool(rows)
        html = self.view.render("admin/confirm_action.html", page=page)
        return flask.make_response(html, status)

    def _moved(self, count: Count | None) -> str:
        """What is said where another number of rows match than when they were looked at."""
        if not self._differs(count):
            return ""
        assert count is not None
        narrowed = self.view._narrowed("delete", self.view.model)
        if self.action.name == "delete" and not self.is_confirmed and narrowed is not None:
            return f"Of the {self.selection.matched:,} that match you may delete {count.number:,}."
        return f"Matched {self.selection.matched:,} when you looked, {count.number:,} now."

    def _differs(self, count: Count | None) -> bool:
        if count is None or self.selection.matched is None or not count.is_exact:
            return False
        return count.number != self.selection.matched

    def _sentence(self, count: Count | None, number: int | None) -> str:
        told = f"This runs over {selecting.words(self.view, count, number)}"
        if self.selection.query is None:
            gone = len(self.selection.keys) - (count.number if count is not None else 0)
            return f"{told}." + (f" {gone:,} of the ticked rows are gone already." if gone else "")
        left_out = len(self.selection.excepted)
        told += ": all that match" if count is not None else ""
        return told + (f", but for {left_out:,}." if left_out else ".")

    def _rows(self, limit: int) -> list[Any]:
        """The first rows, at most ``limit``, with what names them."""
        found: list[Any] = []
        options = listings.label_options(self.view.mapper)
        portions = self.selection.portions(
            self.session, self.listing, min(limit, 1_000), None, options
        )
        for some, _ in portions:
            found += some
            if len(found) >= limit:
                break
        listings.load_chains(self.session, found[:limit])
        return found[:limit]

    # Doing

    def _do(self) -> ResponseReturnValue:
        if self.action.is_own and self.action.name == "delete":
            count: Count | None = Count(len(self.selection.keys))
            if self.selection.query is not None:
                count = self.selection.count(self.session, self.listing)
            number = count.number if count is not None and count.is_exact else None
            if bulk_jobs.deletes(self.view, self.selection, number):
                label = f"Delete {selecting.words(self.view, count)}"
                return self._answered(
                    bulk_jobs.start(self.view, "delete", self.selection, {}, number, label)
                )
        told = len(flask.session.get("_flashes", ()))
        given = self.selection if self.action.takes == "selection" else self._ids()
        arguments = [given] if self.form is None else [given, self.form]
        if self.action.is_own:
            return self._answered(self.action.handler(*arguments))
        if self.action.name == "delete":
            subtypes.require(self.view, self._rows(actions.MOST_IDS), "delete")
        try:
            with self._change_set() as change_set, change_set.following_commits():
                found = self.action.handler(*arguments)
                if not self.session.is_active:
                    self.session.rollback()
        except changes.AlreadySaved as saved:
            g.admin_answer = saved.answer
            return saving.response(lambda: ("", self.back))
        except WriteRefused as refusal:
            saving.try_again(refusal)
            saving.refuse(self.form, refusal)
            return self._refused()
        except wtforms.ValidationError as error:
            if not self.view.handle_view_exception(error):
                raise
            return self._refused()
        finally:
            g.pop("admin_answer", None)
        has_spoken = len(flask.session.get("_flashes", ())) > told
        self._say(found, change_set, has_spoken=has_spoken)
        return self._answered(found)

    @contextmanager
    def _change_set(self) -> Iterator[changes.ChangeSet]:
        """The change set of the action, which one form runs once."""
        view = self.view
        token = saving.key() if view.keeps_tokens() else None
        with changes.change_set(
            self.session,
            view.principal(),
            self.action.name,
            mapper=view.mapper,
            is_recorded=saving.keeps_history(view),
            is_chained=saving.chains_history(view),
            request_id=pages.request_id(),
            reason=saving.reason(view) if self.action.asks else None,
        ) as change_set:
            if token is not None:
                # An action may commit by itself, so that the answer has to be there at once.
                told = saving.written(f"“{self.action.text}” has been done.", self.back)
                change_set.claim(token)
                change_set.keep_answer(token, told)
                g.admin_answer = told
            yield change_set

    def _ids(self) -> list[str]:
        """The keys of the rows as texts; InvalidRequest for more than an action can be handed."""
        if self.selection.query is None:
            return list(self.selection.keys)
        limit = actions.MOST_IDS
        found = self.selection.identities(self.session, self.listing, limit + 1)
        if len(found) > limit:
            raise InvalidRequest(
                f"“{self.action.text}” can be done to {limit:,} rows at once. Narrow the list by a "
                "filter first."
            )
        text_of = inspection.identity_text(self.view.mapper)
        return [text_of.encode(identity) for identity in found]

    def _refused(self) -> ResponseReturnValue:
        return self._page(400) if self.form is not None else redirect(self.back)

    def _say(self, found: Any, change_set: changes.ChangeSet, *, has_spoken: bool) -> None:
        """Say that it is done, and how to take it back, unless the action has its own answer."""
        undo = None
        if len(change_set.ids) == 1:
            undo = saving.undo_url(self.view, change_set.id)
        said: Any = f"“{self.action.text}” is done."
        if isinstance(found, Message):
            actions.flash(found)
            has_spoken = True
        if undo is not None:
            said = saving.undo_message(said, undo)
        elif has_spoken or found is not None:
            return
        if not isinstance(said, Markup) or saving.keeps_markup():
            flask.flash(said, "success")

    def _answered(self, found: Any) -> ResponseReturnValue:
        if isinstance(found, jobs.Job):
            found = redirect(bulk_jobs.page_of(self.view, found, self.back))
        is_told = found is None or isinstance(found, Message)
        response = flask.make_response(redirect(self.back) if is_told else found)
        if response.status_code in (302, 303) and "one" not in request.form:
            flask.session[TICKS] = "used"
        return response


def _locked(view: Any, selection: Selection) -> list[Any]:
    """The rows of ``selection`` that may be deleted, which nobody else can change by then."""
    session, options = view.get_session(), listings.label_options(view.mapper)
    portions = selection.portions(
        session, view.get_listing("delete"), 1_000, None, options, lock=True
    )
    rows = [row for some, _ in portions for row in some]
    listings.load_chains(session, rows)
    return rows


def delete(view: Any, ids: Sequence[str], *, one_by_one: bool) -> ResponseReturnValue | None:
    """Delete the rows with these keys, all of them or none.

    ``one_by_one`` goes through the view's own ``delete_model``, each row for itself.
    """
    chosen = Selection(tuple(dict.fromkeys(ids)))
    rows = _locked(view, chosen)
    subtypes.require(view, rows, "delete")
    missing = len(chosen.keys) - len(rows)
    if missing:
        flask.flash(f"{missing:,} of the ticked rows were gone already.", "warning")

    def write(change_set: changes.ChangeSet) -> None:
        for row in rows:
            view.on_model_delete(row)
        plan = deleting.check(view, change_set, rows)
        if plan is None:
            change_set.delete(*rows)
        else:
            change_set.delete_planned(rows, plan)

    def answer(deleted: int = len(rows)) -> tuple[str, str]:
        noun = view.singular.lower() if deleted == 1 else view.plural
        verb = "is" if deleted == 1 else "are"
        return f"{deleted:,} {noun} {verb} deleted.", view._return_url()

    if one_by_one:
        deleted = sum(bool(view.delete_model(row)) for row in rows)
        g.pop("admin_answer", None)
        return saving.response(lambda: answer(deleted)) if deleted else None
    if rows and saving.save(view, None, write, "delete", rows[0], answer):
        for row in rows:
            view.after_model_delete(row)
    if deleting.was_blocked():
        rows = _locked(view, chosen)
        page: ResponseReturnValue = delete_page(view, chosen, rows, len(ids))
        return page
    return saving.response(answer) if saving.is_answered() else None
