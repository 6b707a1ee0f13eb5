"""What the owner of a job does to it (start, pause, resume, cancel), and what he is told."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flask
import sqlalchemy as sa
from flask import request
from markupsafe import Markup

from admin_app import changes
from admin_app.errors import WriteRefused
from admin_app.jobs import engines
from admin_app.jobs.records import LONGEST, OPEN, FailureRecord, Job, execute, now, writing


def are_offered(admin: Any) -> bool:
    """Whether ``admin`` has jobs: it is ours, and its database has their table."""
    return hasattr(admin, "principal_of") and bool(admin.has_table(Job))


def start(
    admin: Any,
    kind: str,
    view: Any = None,
    selection: Any = None,
    parameters: Mapping[str, Any] | None = None,
    total: int | None = None,
    label: str = "",
    reason: str | None = None,
    undoes_id: int | None = None,
) -> Job:
    """Write down a job of the visitor's and have it run; what the session did before is committed.

    ``selection`` is a `listing.Selection`, ``parameters`` JSON that the work understands, ``total``
    the number of rows as far as it is known.
    """
    principal = admin.principal()
    job = Job(
        kind=kind,
        label=(label or kind)[:LONGEST],
        view=None if view is None else view.endpoint,
        owner_id=str(principal.id)[:LONGEST],
        owner=str(principal.label)[:LONGEST],
        selection=None if selection is None else selection.to_json(),
        parameters=dict(parameters or {}),
        reason=reason,
        state="queued",
        total=total,
        created_at=now(),
        undoes_id=undoes_id,
    )
    with changes.change_set(admin.session, principal, "job"):
        pass
    with writing(admin) as session:
        session.add(job)
        session.flush()
        number = job.id
    if view is not None and view.get_session() is not admin.session:
        # Nothing that the request holds may stand in the way of the job.
        view.get_session().rollback()
    expect(admin)
    engines.enqueue(flask.current_app, admin, number)
    found: Job = admin.session.get(Job, number, populate_existing=True)
    return found


def _move(admin: Any, number: int, frm: tuple[str, ...], **values: Any) -> bool:
    """Set ``values`` of a job if it is in one of the states ``frm``; whether it was."""
    criteria = Job.id == number, Job.state.in_(frm)
    with writing(admin) as session:
        return bool(execute(session, sa.update(Job).where(*criteria).values(**values)))


def pause(admin: Any, number: int) -> bool:
    """Let a job rest when its present chunk is done; False when there is nothing to pause."""
    return _move(admin, number, ("queued",), state="paused") or _move(
        admin, number, ("running",), wanted="paused"
    )


def cancel(admin: Any, number: int) -> bool:
    """End a job when its present chunk is done; False when it has ended already."""
    ended = {"state": "cancelled", "finished_at": now(), "is_told": True}
    return _move(admin, number, ("queued", "paused", "stopped"), **ended) or _move(
        admin, number, ("running",), wanted="cancelled"
    )


def resume(admin: Any, number: int) -> bool:
    """Let a job go on that was paused or has stopped; False for any other."""
    anew = {"state": "queued", "wanted": None, "sentence": None, "finished_at": None}
    is_moved = _move(admin, number, ("paused", "stopped"), is_told=False, **anew)
    if is_moved:
        engines.enqueue(flask.current_app, admin, number)
        return True
    return _move(admin, number, ("running",), wanted=None)


# What its owner is told


_NOTICE = "admin_jobs"
"""What the session of somebody holds who has started a job and does not know its end yet."""

_ENDS = {
    "done": ("“{}” is done.", "info"),
    "cancelled": ("“{}” is cancelled.", "info"),
    "stopped": ("“{}” has stopped.", "warning"),
}


def expect(admin: Any) -> None:
    """Remember that the visitor waits for a job of his."""
    if flask.has_request_context() and admin.sign_in is not None:
        flask.session[_NOTICE] = True


def announce(admin: Any, page_url: Callable[[int], str]) -> None:
    """Tell the visitor which of his jobs have ended, on the next page that he opens.

    It costs a statement only for whoever waits for one.
    """
    principal = admin.principal()
    is_page = request.method == "GET" and request.headers.get("Sec-Fetch-Mode", "navigate") == (
        "navigate"
    )
    if not is_page or principal is None or not flask.session.get(_NOTICE):
        return
    found = admin.session.execute(
        sa.select(Job.id, Job.label, Job.state, Job.failed)
        .where(Job.owner_id == principal.id, sa.not_(Job.is_told))
        .order_by(Job.id)
    ).all()
    ended = [row for row in found if row.state in _ENDS]
    if not found:
        flask.session.pop(_NOTICE)
    if not ended:
        return
    try:
        _mark_told(admin, [row.id for row in ended])
    except (WriteRefused, sa.exc.OperationalError):
        # Others write; there will be another page.
        admin.session.rollback()
        return
    if len(ended) == len(found):
        flask.session.pop(_NOTICE)
    for number, label, state, failed in ended:
        words, category = _ENDS[state]
        more = (
            f" {failed:,} {'row' if failed == 1 else 'rows'} could not be done." if failed else ""
        )
        link = Markup(' <a class="link" href="%s">Look at the job</a>') % page_url(number)
        flask.flash(Markup("%s") % (words.format(label) + more) + link, category)


def tell(admin: Any, job: Job) -> None:
    """Note that the owner has seen the end of ``job``, if it has ended."""
    if job.state in _ENDS and not job.is_told:
        with contextlib.suppress(WriteRefused, sa.exc.OperationalError):
            _mark_told(admin, [job.id])


def _mark_told(admin: Any, numbers: Sequence[int]) -> None:
    with writing(admin, "preview") as session:
        execute(session, sa.update(Job).where(Job.id.in_(numbers)).values(is_told=True))


def latest(admin: Any, count: int = 20) -> list[Job]:
    """The jobs that have not ended, and of the others the last ``count``; newest first."""
    is_open = Job.state.in_(OPEN)
    ended = sa.select(Job.id).where(sa.not_(is_open)).order_by(Job.id.desc()).limit(count)
    statement = sa.select(Job).where(is_open | Job.id.in_(ended.scalar_subquery()))
    return list(admin.session.scalars(statement.order_by(Job.id.desc())))


def prune(admin: Any, before: dt.datetime) -> int:
    """Delete the jobs that ended before that moment, with their failures; their number."""
    is_old = sa.and_(Job.finished_at < before, Job.state.not_in(OPEN))
    old = sa.select(Job.id).where(is_old)
    with writing(admin) as session:
        execute(session, sa.delete(FailureRecord).where(FailureRecord.job_id.in_(old)))
        execute(session, sa.update(Job).where(Job.undoes_id.in_(old)).values(undoes_id=None))
        return execute(session, sa.delete(Job).where(is_old))
