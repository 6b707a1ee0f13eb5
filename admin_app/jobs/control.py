"""What the owner of a job does to it: start, pause, resume, cancel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flask
import sqlalchemy as sa

from admin_app import changes
from admin_app.jobs import engines
from admin_app.jobs.records import LONGEST, Job, now


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
    with changes.change_set(admin.session, principal, "job") as change_set:
        change_set.session.add(job)
        change_set.session.flush()
        number = job.id
    if view is not None and view.get_session() is not admin.session:
        # Nothing that the request holds may stand in the way of the job.
        view.get_session().rollback()
    engines.enqueue(flask.current_app, admin, number)
    found: Job = admin.session.get(Job, number, populate_existing=True)
    return found


def _move(admin: Any, number: int, frm: tuple[str, ...], **values: Any) -> bool:
    """Set ``values`` of a job if it is in one of the states ``frm``; whether it was."""
    with changes.change_set(admin.session, admin.principal(), "job") as change_set:
        moved = change_set.session.execute(
            sa.update(Job).where(Job.id == number, Job.state.in_(frm)).values(**values),
            execution_options={"synchronize_session": False},
        )
    return bool(moved.rowcount)  # type: ignore[attr-defined]


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
