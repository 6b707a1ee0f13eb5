"""What is done to more rows than one waits for: jobs that edit and delete them, chunk by chunk.

A job leaves rows as they are that cannot be changed or deleted, and lists them with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flask
from flask import g, request
from flask.typing import ResponseReturnValue
from werkzeug.utils import redirect

from admin_app import bulk_edit, changes, deleting, jobs, review, saving, subtypes
from admin_app import listing as listings
from admin_app.listing import Selection


def is_long(view: Any, selection: Selection, number: int | None) -> bool:
    """Whether ``number`` rows, None for many, are a job; a review is done while one waits."""
    is_reviewed = changes.is_preview() or review.SEEN in request.form
    # A job knows the filters of the list's address, not those of a host's own code.
    is_known = not any(name.startswith("flt") for name, _ in selection.query or ())
    is_many = number is None or number > jobs.IS_LONG
    return is_many and is_known and not is_reviewed and jobs.are_offered(view.admin)


def start(
    view: Any,
    kind: str,
    selection: Selection,
    parameters: Mapping[str, Any],
    total: int | None,
    label: str,
) -> ResponseReturnValue:
    """Have a job do it, once for each form, and lead to its page."""
    back = view._return_url()
    reason = saving.reason(view)
    token = saving.key() if view.keeps_tokens() else None
    if token is not None:
        told = saving.written(f"{label}: a job does it already.", back)
        try:
            with changes.change_set(view.get_session(), view.principal(), "job") as change_set:
                change_set.claim(token)
                change_set.keep_answer(token, told)
        except changes.AlreadySaved as saved:
            g.admin_answer = saved.answer
            return saving.response(lambda: ("", back))
    job = jobs.start(view.admin, kind, view, selection, parameters, total, label, reason)
    return redirect(page_of(view, job, back))


def page_of(view: Any, job: jobs.Job, back: str) -> str:
    """Where to see how far ``job`` is: its page, else ``back``, with a word about it."""
    pages = getattr(view.admin, "jobs", None)
    if pages is None:
        flask.flash(f"{job.label}: a job does it.", "info")
        return back
    url: str = pages.page_url(job.id)
    return url


class EditJob:
    """The job that edits the rows of ``selection``."""

    def __init__(self, view: Any, selection: Selection) -> None:
        self.view, self.selection = view, selection

    def is_wanted(self, number: int | None) -> bool:
        """Whether it does the edit of ``number`` rows, None for many."""
        return is_long(self.view, self.selection, number)

    def start(self, form: bulk_edit.Form, number: int | None, label: str) -> ResponseReturnValue:
        """Have it done, and lead to the page of the job."""
        parameters = {"form": form.pairs()}
        return start(self.view, bulk_edit.SOURCE, self.selection, parameters, number, label)


def deletes(view: Any, selection: Selection, number: int | None) -> bool:
    """Whether a job deletes ``number`` rows: not where the application wants a say behind it."""
    own = deleting.is_own(view) or deleting.is_own(view, "after_model_delete")
    return not own and is_long(view, selection, number)


@jobs.work(bulk_edit.SOURCE)
def edit(job: jobs.Running, cursor: Any) -> jobs.Outcome:
    """Edit the next rows as the form said."""
    view = job.view
    form = bulk_edit.Form(view, [(name, value) for name, value in job.parameters["form"]])
    if not form.read():
        raise bulk_edit.unreadable(view)
    alter = bulk_edit.alterer(view, form)
    options = [*listings.label_options(view.mapper), *alter.options()]
    instances, following = job.portion(cursor, options)
    subtypes.require(view, instances, "change")
    done = alter.alter(instances)
    bulk_edit.stay_in_reach(view, instances)
    failures = [job.failure(row, bulk_edit.told(view, refusal)) for row, refusal in done.refused]
    return jobs.Outcome(len(instances) - len(failures), failures, following)


@jobs.work("delete", right="delete")
def delete(job: jobs.Running, cursor: Any) -> jobs.Outcome:
    """Delete the next rows; where one is blocked, the job comes to it alone."""
    view = job.view
    instances, following = job.portion(cursor, listings.label_options(view.mapper))
    subtypes.require(view, instances, "delete")
    if instances:
        for row in instances:
            view.on_model_delete(row)
        plan = deleting.check(view, job.change_set, instances)
        if plan is None:
            job.change_set.delete(*instances)
        else:
            job.change_set.delete_planned(instances, plan)
    return jobs.Outcome(len(instances), [], following)
