"""An import that takes longer than one waits: the job that does it, a portion at a time.

Where only all rows are wanted, or none, the job has one portion, and one transaction.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from admin_app import import_work, jobs
from admin_app.errors import WriteRefused
from admin_app.import_fields import ImportedRows
from admin_app.imports import reading
from admin_app.imports.kept import Upload
from admin_app.imports.planning import BATCH, Outcome
from admin_app.imports.reading import FileRow
from admin_app.imports.report import Report, reason

KIND = "import"

MOST_REFUSED = 1_000
"""Rows that are refused before an import of all rows or none is given up."""


def is_long(view: Any, report: Report) -> bool:
    """Whether so many rows are imported by a job."""
    return report.total > jobs.IS_LONG and jobs.are_offered(view.admin)


def start(view: Any, upload: Upload, report: Report, only_good: bool) -> None:
    """Have the rows of the file imported; nothing where that was begun before."""
    if not upload.claim("job"):
        return
    label = f"Import {upload.about.filename or 'pasted rows'}"
    parameters = {"file": upload.token, "rows": "good" if only_good else "all"}
    job = jobs.start(view.admin, KIND, view, None, parameters, report.total, label)
    upload.keep("job", job.id)


def job_of(view: Any, upload: Upload) -> jobs.Job | None:
    """The job that imports the file; None while there is none."""
    number = upload.kept("job")
    if number is None or not jobs.are_offered(view.admin):
        return None
    found: jobs.Job | None = view.admin.session.get(jobs.Job, number)
    return found


@dataclass(slots=True)
class _Open:
    """A file that is being read, and behind how many of its rows it stands."""

    rows: Iterator[FileRow]
    at: int = 0
    seen: dict[tuple[str, ...], dict[int, int]] = field(default_factory=dict)
    is_from_start: bool = True


_open: dict[int, _Open] = {}
_lock = threading.Lock()


@jobs.work(KIND, right="import")
def run(job: jobs.Running, cursor: Any) -> jobs.Outcome:
    """Import the next rows of the file; of all of them where only all are wanted."""
    upload = import_work.find(job.view, job.parameters["file"])
    header = reading.header(upload.path, upload.about.form)
    if job.parameters["rows"] == "all":
        return _all(job, upload, header)
    opened = _opened(job, upload, len(header), int(cursor or 0))
    rows = ImportedRows(job.view)
    work = import_work.importer(job.view, rows, upload, header, lock=True)
    work.seen = opened.seen
    told = import_work.last_trial(upload)
    sum_ = _Sum(upload, rows)
    taken = 0
    for _ in range(max(1, job.size // BATCH)):
        batch = list(itertools.islice(opened.rows, BATCH))
        if not batch:
            break
        found = work.take(batch)
        if opened.is_from_start and told is not None:
            _compare(told, (opened.at + taken) // BATCH, found, batch)
        sum_.add(found)
        taken += len(batch)
    opened.at += taken
    is_last = taken == 0 or taken % BATCH != 0
    with _lock:
        _open[job.id] = opened
    return sum_.outcome(job, None if is_last else opened.at)


def _opened(job: jobs.Running, upload: Upload, width: int, at: int) -> _Open:
    """The file behind its first ``at`` rows, opened before or anew."""
    with _lock:
        known = _open.pop(job.id, None)
    if known is not None and known.at == at:
        return known
    rows = import_work.all_rows(upload, width)
    for _ in itertools.islice(rows, at):
        pass
    return _Open(rows, at, is_from_start=at == 0)


def _compare(told: Report, place: int, found: list[Outcome], batch: list[FileRow]) -> None:
    """WriteRefused where a batch would not do what the trial has told."""
    if place >= len(told.digests):
        return
    now = Report()
    now.add(found, ())
    if now.digests[0] != told.digests[place]:
        first, last = batch[0].number, batch[-1].number
        raise WriteRefused(
            f"Rows {first:,} to {last:,} of the file would now do something else than what was "
            "shown, as somebody has changed rows since. They, and what follows, were not imported."
        )


def _all(job: jobs.Running, upload: Upload, header: list[str]) -> jobs.Outcome:
    """Import the whole file, or nothing of it."""
    rows = ImportedRows(job.view)
    work = import_work.importer(job.view, rows, upload, header, lock=True)
    told = import_work.last_trial(upload)
    sum_ = _Sum(upload, rows)
    upload.forget_rejected()
    batches = reading.batches(import_work.all_rows(upload, len(header)), BATCH)
    for place, batch in enumerate(batches):
        found = work.take(batch)
        sum_.add(found)
        if told is not None and not sum_.failures:
            _compare(told, place, found, batch)
        if len(sum_.failures) >= MOST_REFUSED:
            break
    refused = len(sum_.failures)
    if refused:
        least = "At least " if refused >= MOST_REFUSED else ""
        are = "row is" if refused == 1 else "rows are"
        raise WriteRefused(f"{least}{refused:,} {are} rejected, so nothing was imported.")
    return sum_.outcome(job, None)


class _Sum:
    """What a portion has done."""

    def __init__(self, upload: Upload, rows: ImportedRows) -> None:
        self.upload, self.rows = upload, rows
        self.counts: Counter[str] = Counter()
        self.failures: list[jobs.Failure] = []

    def add(self, outcomes: list[Outcome]) -> None:
        self.counts.update(one.kind for one in outcomes)
        refused = [one for one in outcomes if one.kind == "rejected"]
        self.failures += [jobs.Failure(None, f"Row {o.number:,}", reason(o)) for o in refused]
        import_work.put_aside(self.upload, refused)
        for one in outcomes if self.rows.has_after_hook else ():
            if one.kind in ("created", "changed"):
                self.rows.after(one.instance, one.kind == "created")

    def outcome(self, job: jobs.Running, cursor: int | None) -> jobs.Outcome:
        import_work.name(self.upload, job.change_set)
        if cursor is None:
            import_work.note(job.view, self.upload, job.change_set)
            with _lock:
                _open.pop(job.id, None)
        counts = {kind: n for kind, n in self.counts.items() if kind != "rejected"}
        return jobs.Outcome(sum(counts.values()), self.failures, cursor, counts)
