"""The pages of jobs: a list of them, how far one has come, and what its owner may do to it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import flask
import sqlalchemy as sa
from flask import request
from flask.typing import ResponseReturnValue
from flask_admin.base import expose
from markupsafe import Markup
from werkzeug.utils import redirect

from admin_app import contexts as c
from admin_app import formulas, inspection, jobs, rendering, saving
from admin_app.changes import ChangeSetRecord, undoing
from admin_app.errors import InvalidRequest, WriteRefused
from admin_app.jobs import Failure, FailureRecord, Job, Outcome
from admin_app.navigation import breadcrumbs
from admin_app.views import ModelView

SHOWN_FAILURES = 100
"""Failures that the page of a job tells; all are in the file."""

LISTED_FAILURES = 200
"""Failures whose rows can be shown as a list of their model: they stand in its address."""

_STATES = {
    "queued": ("Waits for its turn", ""),
    "running": ("Running", ""),
    "paused": ("Paused", "warn"),
    "done": ("Done", "ok"),
    "cancelled": ("Cancelled", "warn"),
    "stopped": ("Stopped", "bad"),
}
_WANTED = {"paused": "Pauses after this chunk", "cancelled": "Ends after this chunk"}

_show_moment = rendering.by_type(sa.DateTime(timezone=True), is_cut=False)


class JobsView(ModelView):
    """The jobs of a principal; all of them for whom the policy allows ``oversee``."""

    stands_last = True
    can_create = can_edit = can_delete = can_export = False
    column_list = ("label", "state", "done", "failed", "owner", "created_at")
    column_labels = {"created_at": "Started", "label": "What", "owner": "Who"}
    column_default_sort = ("id", True)
    column_searchable_list = ("label", "owner")
    column_display_actions = False
    description = "What takes longer than a page may, and how far it has come."

    plural = "jobs"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.singular = "Job"

    def may(self, what: str, column: str | None = None) -> bool:
        """As of any model; only that everybody who may enter sees jobs, namely his own."""
        if what == "view":
            return bool(self.admin.policy.may(self.principal(), "view"))
        return super().may(what, column)

    def is_accessible(self) -> bool:
        return self.may("view") and bool(self.admin.has_table(Job))

    def is_visible(self) -> bool:
        return True

    @property
    def column_formatters(self) -> dict[str, Any]:  # type: ignore[override]
        return {
            "created_at": lambda v, context, job, name: _moment(job.created_at),
            "label": lambda v, context, job, name: (
                Markup('<a class="link" href="%s">%s</a>') % (self.page_url(job.id), job.label)
            ),
            "state": lambda v, context, job, name: (
                Markup('<span class="tag %s">%s</span>') % _STATES.get(job.state, ("", ""))[::-1]
            ),
            "done": lambda v, context, job, name: _progress_text(job),
            "failed": lambda v, context, job, name: f"{job.failed:,}" if job.failed else "",
        }

    def _narrowed(self, what: str, model: Any) -> sa.ColumnElement[bool] | None:
        found = super()._narrowed(what, model)
        if model is not self.model or self.may("oversee"):
            return found
        principal = self.principal()
        own = Job.owner_id == principal.id if principal else sa.false()
        return own if found is None else sa.and_(found, own)

    def page_url(self, number: int) -> str:
        """Where the page of a job is."""
        url: str = flask.url_for(f"{self.endpoint}.details_view", id=number)
        return url

    def is_own(self, job: Job) -> bool:
        """Whether the visitor has started the job."""
        principal = self.principal()
        return principal is not None and job.owner_id == principal.id

    @expose("/details/")
    def details_view(self) -> ResponseReturnValue:
        """How far a job has come."""
        _, job = self._requested("view")
        html: str = self.render("admin/jobs/job.html", page=_page(self, job))
        if self.is_own(job):
            jobs.tell(self.admin, job)
        return html

    @expose("/state/")
    def state_view(self) -> ResponseReturnValue:
        """The part of a job's page that changes, for its script."""
        _, job = self._requested("view")
        page = _page(self, job)
        answer = {
            "html": self.render("admin/jobs/_state.html", page=page),
            "title": page.title,
            "is_over": page.refresh_seconds is None,
        }
        if self.is_own(job):
            jobs.tell(self.admin, job)
        return flask.jsonify(answer)

    @expose("/do/", methods=("POST",))
    def do_view(self) -> ResponseReturnValue:
        """Pause, resume or cancel a job."""
        _, job = self._requested("view")
        number, what = job.id, request.form.get("do", "")
        if what not in _DEEDS:
            raise InvalidRequest("There is nothing of this name to be done to a job.")
        function, refusal = _DEEDS[what]
        if not function(self.admin, number):
            flask.flash(refusal, "warning")
        return redirect(self.page_url(number), 303)

    @expose("/failures/")
    def failures_view(self) -> ResponseReturnValue:
        """All failures of a job as a CSV file."""
        _, job = self._requested("view")
        response = flask.Response(
            flask.stream_with_context(_failures_file(self.get_session(), job.id)),
            mimetype="text/csv",
        )
        response.headers["Content-Disposition"] = f"attachment; filename=failures-{job.id}.csv"
        return response

    @expose("/undo/", methods=("GET", "POST"))
    def undo_view(self) -> ResponseReturnValue:
        """GET asks, POST starts the job that takes everything back."""
        _, job = self._requested("view")
        found = _written(self, job)
        if not _can_undo(job, found):
            flask.flash("There is nothing that could be undone.", "warning")
            return redirect(self.page_url(job.id), 303)
        view = self.admin.view_at(job.view) if job.view else None
        if request.method == "POST":
            return self._start_undo(job, view, found)
        html: str = self.render(
            "admin/confirm_action.html", page=_undo_page(self, job, view, found)
        )
        return html

    def _start_undo(self, job: Job, view: Any, found: Written) -> ResponseReturnValue:
        number, label = job.id, job.label
        try:
            reason = None if view is None else saving.reason(view)
        except WriteRefused as refusal:
            flask.flash(refusal.sentence, "error")
            page = _undo_page(self, job, view, found)
            return self.render("admin/confirm_action.html", page=page), 400
        made = jobs.start(
            self.admin,
            "undo_job",
            view,
            parameters={"job": number},
            total=found.rows,
            label=f"Undo: {label}",
            reason=reason,
            undoes_id=number,
        )
        return redirect(self.page_url(made.id), 303)


_DEEDS: dict[str, tuple[Any, str]] = {
    "pause": (jobs.pause, "There was nothing left to pause."),
    "resume": (jobs.resume, "This job does not wait to go on."),
    "cancel": (jobs.cancel, "The job had ended already."),
}


def _moment(at: Any) -> Markup:
    return _show_moment(at.replace(microsecond=0))


# The page


def _page(view: JobsView, job: Job) -> c.JobPage:
    state_text, tone = _STATES.get(job.state, (job.state, ""))
    if job.state == "running" and job.wanted:
        state_text = _WANTED.get(job.wanted, state_text)
    share = _share(job)
    is_moving = job.state in ("queued", "running")
    lead = f"{share:.0%}" if is_moving and share is not None else state_text
    failures, model_view = _failures(view, job)
    keys = [f.key for f in failures if f.key is not None]
    has_list = model_view is not None and 0 < len(keys) == job.failed <= LISTED_FAILURES
    return c.JobPage(
        title=f"{lead}: {job.label}",
        heading=job.label,
        breadcrumbs=breadcrumbs(
            view, (str(view.name), view.get_url(".index_view")), (job.label, None)
        ),
        state=job.state,
        state_text=state_text,
        tone=tone,
        share=share,
        progress_text=_progress_text(job),
        left_text=_left_text(job),
        note=job.sentence or _waiting_text(view, job),
        facts=_facts(view, job),
        action_url=view.get_url(".do_view", id=job.id),
        state_url=view.get_url(".state_view", id=job.id),
        buttons=_buttons(job),
        failures=[_failed_row(model_view, f) for f in failures[:SHOWN_FAILURES]],
        failures_text=f"{job.failed:,} {'row' if job.failed == 1 else 'rows'} could not be done",
        more_text=f"and {job.failed - SHOWN_FAILURES:,} more"
        if job.failed > SHOWN_FAILURES
        else None,
        failures_url=view.get_url(".failures_view", id=job.id) if job.failed else None,
        list_url=_list_url(model_view, keys) if has_list else None,
        undo_url=view.get_url(".undo_view", id=job.id)
        if _can_undo(job, _written(view, job))
        else None,
        refresh_seconds=5 if is_moving else None,
    )


def _share(job: Job) -> float | None:
    if job.state == "done":
        return 1.0
    if not job.total:
        return None
    return min((job.done + job.failed) / job.total, 1.0)


def _progress_text(job: Job) -> str:
    over = job.done + job.failed
    if job.total and job.state != "done":
        return f"{over:,} of {max(job.total, over):,}"
    return f"{over:,}"


def _left_text(job: Job) -> str | None:
    """About how long the rest takes, at the pace so far."""
    over = job.done + job.failed
    if job.state != "running" or not job.total or not over or over >= job.total:
        return None
    seconds = job.seconds / over * (job.total - over)
    if seconds < 10:
        return "A few seconds left"
    if seconds < 90:
        return f"About {round(seconds, -1):.0f} seconds left"
    if seconds < 5_400:
        return f"About {seconds / 60:.0f} minutes left"
    return f"About {seconds / 3_600:.0f} hours left"


def _waiting_text(view: JobsView, job: Job) -> str | None:
    if job.state != "queued" or jobs.engine_of(view.admin.app, view.admin).runs_here:
        return None
    return "It begins as soon as a worker is free (“flask admin worker”)."


def _facts(view: JobsView, job: Job) -> list[tuple[str, Any]]:
    left = None if not job.total else max(job.total - job.done - job.failed, 0)
    facts: list[tuple[str, Any]] = [("Done", f"{job.done:,}")]
    facts += [("Failed", f"{job.failed:,}")] if job.failed else []
    if left and job.state != "done":
        facts.append(("Left", f"{left:,}"))
    facts += [(inspection.words(n), f"{number:,}") for n, number in (job.counts or {}).items()]
    facts += [("Who", job.owner), ("Started", _moment(job.created_at))]
    if job.finished_at is not None:
        facts.append(("Ended", _moment(job.finished_at)))
    if job.reason:
        facts.append(("Reason", job.reason))
    if view.admin.history is not None and view.admin.history.is_accessible() and job.done:
        url = flask.url_for(f"{view.admin.history.endpoint}.index_view", job_id__is=job.id)
        facts.append(("Changes", Markup('<a class="link" href="%s">In the history</a>') % url))
    if job.undoes_id is not None:
        url = view.page_url(job.undoes_id)
        facts.append(
            ("Undoes", Markup('<a class="link" href="%s">job %s</a>') % (url, job.undoes_id))
        )
    return facts


def _buttons(job: Job) -> list[tuple[str, str]]:
    if job.wanted:
        return [("resume", "Go on")] if job.wanted == "paused" else []
    return {
        "queued": [("pause", "Pause"), ("cancel", "Cancel the rest")],
        "running": [("pause", "Pause"), ("cancel", "Cancel the rest")],
        "paused": [("resume", "Resume"), ("cancel", "Cancel the rest")],
        "stopped": [("resume", "Try again from here"), ("cancel", "Cancel the rest")],
    }.get(job.state, [])


# Failures


def _failures(view: JobsView, job: Job) -> tuple[Sequence[FailureRecord], Any]:
    """The first failures of a job, and the view of their rows if the visitor may use it."""
    if not job.failed:
        return [], None
    statement = (
        sa.select(FailureRecord)
        .where(FailureRecord.job_id == job.id)
        .order_by(FailureRecord.id)
        .limit(max(SHOWN_FAILURES, LISTED_FAILURES))
    )
    found = list(view.get_session().scalars(statement))
    model_view = view.admin.view_at(job.view) if job.view else None
    if model_view is None or not (model_view.may("view") and model_view.is_accessible()):
        return found, None
    return found, model_view


def _failed_row(view: Any, failure: FailureRecord) -> c.FailedRow:
    url = None
    if view is not None and failure.key is not None:
        page = "details" if view.can_view_details else "edit"
        url = view.url_for(page, id=failure.key)
    return c.FailedRow(failure.label, failure.sentence, url)


def _list_url(view: Any, keys: Sequence[str]) -> str | None:
    names = inspection.identity_keys(view.mapper)
    if len(names) != 1:
        return None
    url: str = view.url_for("list", **{f"{names[0]}__is": keys})
    return url


def _failures_file(session: Any, number: int) -> Iterator[str]:
    lines = io.StringIO()
    writer = csv.writer(lines)
    writer.writerow(["key", "row", "reason"])
    statement = (
        sa.select(FailureRecord.key, FailureRecord.label, FailureRecord.sentence)
        .where(FailureRecord.job_id == number)
        .order_by(FailureRecord.id)
        .execution_options(yield_per=1_000)
    )
    for row in session.execute(statement):
        writer.writerow([formulas.disarmed(text or "") for text in row])
        yield lines.getvalue()
        lines.seek(0)
        lines.truncate()
    yield lines.getvalue()


# Undo


class Written(NamedTuple):
    """What the history holds of a job: its change sets, and the rows in them."""

    sets: int
    rows: int


def _written(view: JobsView, job: Job) -> Written:
    if view.admin.history is None or not view.admin.has_table(ChangeSetRecord):
        return Written(0, 0)
    rows = sa.func.coalesce(sa.func.sum(ChangeSetRecord.row_count), 0)
    statement = sa.select(sa.func.count(), rows).where(ChangeSetRecord.job_id == job.id)
    return Written(*view.get_session().execute(statement).one())


def _can_undo(job: Job, found: Written) -> bool:
    return job.state not in ("queued", "running") and found.sets > 0


def _undo_page(view: JobsView, job: Job, model_view: Any, found: Written) -> c.ConfirmPage:
    question = f"Undo “{job.label}”?"
    back = view.page_url(job.id)
    rows = "One row is" if found.rows == 1 else f"{found.rows:,} rows are"
    return c.ConfirmPage(
        title=question,
        heading=question,
        breadcrumbs=breadcrumbs(
            view, (str(view.name), view.get_url(".index_view")), (job.label, back), ("Undo", None)
        ),
        sentence=f"Nothing has been changed yet. {rows} taken back, the last change first, by a "
        "job of its own. What was changed since stays as it is, and is told.",
        rows=[],
        action_url=view.get_url(".undo_view", id=job.id),
        hidden=[],
        submit_text="Undo",
        cancel_url=back,
        reason=None if model_view is None else saving.reason_field(model_view),
    )


@jobs.work("undo_job", right="view")
def _undo_chunk(job: jobs.Running, cursor: Any) -> Outcome:
    """Take back the last change set of a job that comes before ``cursor``."""
    history = job.admin.history
    statement = (
        sa.select(ChangeSetRecord)
        .where(ChangeSetRecord.job_id == job.parameters["job"])
        .order_by(ChangeSetRecord.id.desc())
        .limit(1)
    )
    if cursor is not None:
        statement = statement.where(ChangeSetRecord.id < cursor)
    record = job.session.scalar(statement)
    if record is None:
        return Outcome(0)
    job.take([(None, str(record))], record.id)
    steps = history.steps_of(record, lock=True)
    change_set = job.change_set
    change_set.source, change_set.label = "undo", record.label
    change_set.about |= {"undoes_id": record.id, "model": record.model}
    count = undoing.apply(change_set, steps, (), history.counters())
    failures = [
        Failure(*_named(job, step), _OBJECTIONS[step.state])
        for step in steps
        if step.state in _OBJECTIONS
    ]
    return Outcome(count, failures, record.id)


_OBJECTIONS = {
    "changed": "It was changed since, so it stays as it is.",
    "lost": "The history does not hold enough of it.",
}


def _named(job: jobs.Running, step: undoing.Step) -> tuple[str | None, str]:
    """The key of the row of ``step``, if it is one of the job's model, and what to call it."""
    view = job.view
    key = ",".join(map(str, step.key))
    if view is not None and step.table is view.mapper.local_table:
        key = inspection.identity_text(view.mapper).encode(step.key)
        return key, f"{view.singular} {key}"
    return None, f"{step.record.table_name} {key}"
