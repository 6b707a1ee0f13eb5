"""An import as it is tried and done: what a view, a kept file and a change set make together."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import flask
import sqlalchemy as sa
from sqlalchemy import orm

from admin_app import changes, database, saved_views, saving
from admin_app.errors import WriteRefused
from admin_app.import_fields import ImportedRows, is_ours
from admin_app.imports import kept, reading, records
from admin_app.imports.kept import Upload
from admin_app.imports.planning import BATCH, Importer, Outcome
from admin_app.imports.reading import FileRow
from admin_app.imports.report import SHOWN, Report, reason
from admin_app.imports.targets import Settings, guess

CHECKED = 5_000
"""Rows that are tried while one waits; others of a longer file are tried as they are written."""

SAMPLED = 50


def root() -> Path:
    """Where files are kept between the pages."""
    return Path(flask.current_app.instance_path) / "imports"


def owner(view: Any) -> str:
    principal = view.principal()
    return "" if principal is None else str(principal.id)


def find(view: Any, token: str) -> Upload:
    """The visitor's file with this name; NotFound when it is not there."""
    return kept.find(root(), token, owner(view), saved_views.model_key(view.mapper))


def is_remembered(view: Any) -> bool:
    """Whether the admin has its tables of imports."""
    admin = view.admin
    return hasattr(admin, "has_table") and bool(
        admin.has_table(records.MappingRecord) and admin.has_table(records.ImportRecord)
    )


def has_own_saving(view: Any) -> bool:
    """Whether the application saves rows by itself, so that nothing else may write them."""
    return not (is_ours(view, "create_model") and is_ours(view, "update_model"))


# What is chosen


def settings_of(view: Any, upload: Upload, rows: ImportedRows, header: Sequence[str]) -> Settings:
    """What was chosen for the file, else for the last one like it, else what it looks like."""
    chosen = upload.about.settings
    if chosen is None and is_remembered(view):
        model = saved_views.model_key(view.mapper)
        chosen = records.remembered(view.admin.session, model, owner(view), header)
    if chosen is not None and len(chosen.columns) == len(header):
        known = rows.offer.targets
        columns = [c if c.target in known else replace(c, target="") for c in chosen.columns]
        return replace(chosen, columns=tuple(columns))
    return _with_ways(rows, upload, guess(rows.offer, header), len(header))


def _with_ways(rows: ImportedRows, upload: Upload, settings: Settings, width: int) -> Settings:
    """``settings`` with the way of naming related rows by which most of a sample is found."""
    sample = list(itertools.islice(all_rows(upload, width), SAMPLED))
    columns = list(settings.columns)
    for place, choice in enumerate(columns):
        target = rows.offer.targets.get(choice.target)
        if target is None or not target.is_relation or choice.way:
            continue
        named = (t for row in sample for t in _named(row.cells[place], target))
        texts = list(dict.fromkeys(t for t in named if reading.is_storable(t)))
        best, most = target.ways[0].name, 0
        for way in target.ways if texts else ():
            found = sum(not isinstance(one, str) for one in way.find(texts).values())
            if found > most:
                best, most = way.name, found
        columns[place] = replace(choice, way=best)
    return replace(settings, columns=tuple(columns))


def _named(cell: Any, target: Any) -> list[str]:
    if isinstance(cell, list):
        return [str(one) for one in cell]
    if not cell:
        return []
    return reading.parts(cell) if target.is_multiple else [str(cell)]


def remember(view: Any, header: Sequence[str], settings: Settings) -> None:
    """Keep what was chosen for the next file like this one."""
    if not is_remembered(view):
        return
    model = saved_views.model_key(view.mapper)
    with changes.change_set(view.admin.session, view.principal(), "import") as change_set:
        records.remember(change_set.session, model, owner(view), header, settings)


# Rows


def all_rows(upload: Upload, width: int) -> Iterator[FileRow]:
    return (reading.padded(row, width) for row in reading.read(upload.path, upload.about.form))


def importer(
    view: Any, rows: ImportedRows, upload: Upload, header: Sequence[str], **options: Any
) -> Importer:
    assert upload.about.settings is not None
    session = view.get_session()
    own = session() if isinstance(session, orm.scoped_session) else session
    is_marked = upload.about.form.kind == "csv"
    return Importer(rows, own, header, upload.about.settings, is_marked=is_marked, **options)


def put_aside(upload: Upload, outcomes: Sequence[Outcome]) -> None:
    """Keep the rows that were refused, for a file of them."""
    refused = [o for o in outcomes if o.kind == "rejected"]
    upload.reject((o.number, o.cells, reason(o)) for o in refused)


def trial(view: Any, upload: Upload, header: Sequence[str]) -> Report:
    """Write the rows of the file, the first `CHECKED` of them, and take it back."""
    report = Report()
    upload.forget_rejected()
    upload.keep("header", list(header))
    rows = ImportedRows(view)
    found = all_rows(upload, len(header))
    session = view.get_session()
    session.rollback()
    database.begin_write(session, view.mapper, "preview")
    try:
        with _uncommitted(session), session.no_autoflush:
            work = importer(view, rows, upload, header, samples=SHOWN)
            for batch in reading.batches(itertools.islice(found, CHECKED), BATCH):
                outcomes = work.take(batch)
                report.add(outcomes, header)
                put_aside(upload, outcomes)
    except sa.exc.SQLAlchemyError as error:
        refusal = changes.explain(error, view.mapper)
        if refusal is None:
            raise
        raise refusal from error
    finally:
        session.rollback()
    report.total = report.checked + sum(1 for _ in found)
    upload.keep("trial", report.to_json())
    return report


@contextlib.contextmanager
def _uncommitted(session: Any) -> Iterator[None]:
    """A block in which nobody commits: the application's own code might."""
    own = session() if isinstance(session, orm.scoped_session) else session

    def refuse(session: orm.Session) -> None:
        if not session.in_nested_transaction():
            raise WriteRefused(
                "The application's own code saves each row by itself, so that it cannot be tried."
            )

    sa.event.listen(own, "before_commit", refuse)
    try:
        yield
    finally:
        sa.event.remove(own, "before_commit", refuse)


def last_trial(upload: Upload) -> Report | None:
    """What `trial` found last; None when there was none."""
    found = upload.kept("trial")
    try:
        return None if found is None else Report.from_json(found)
    except (TypeError, KeyError):
        return None


class Differs(WriteRefused):
    """What an import would do now is not what was looked at; ``report`` is what it would do."""

    def __init__(self, report: Report) -> None:
        super().__init__("It would now do something else than what you looked at.")
        self.report = report


def write(
    view: Any, upload: Upload, header: Sequence[str], change_set: changes.ChangeSet, only_good: bool
) -> tuple[Report, list[Outcome], ImportedRows]:
    """Write the rows of the file; `Differs` where that is not what its trial has told."""
    told = last_trial(upload)
    report, written = Report(), list[Outcome]()
    rows = ImportedRows(view)
    upload.forget_rejected()
    work = importer(view, rows, upload, header, lock=True, samples=SHOWN)
    for batch in reading.batches(all_rows(upload, len(header)), BATCH):
        outcomes = work.take(batch)
        report.add(outcomes, header)
        put_aside(upload, outcomes)
        if rows.has_after_hook:
            written += [o for o in outcomes if o.kind in ("created", "changed")]
    report.total = report.checked
    is_told = told is not None and report.digests[: len(told.digests)] == told.digests
    if not is_told or (report.counts["rejected"] and not only_good):
        raise Differs(report)
    name(upload, change_set)
    if report.written:
        note(view, upload, change_set)
    return report, written, rows


def name(upload: Upload, change_set: changes.ChangeSet) -> None:
    """Let the history call ``change_set`` by the file."""
    change_set.label = upload.about.filename or "Pasted rows"


def note(view: Any, upload: Upload, change_set: changes.ChangeSet) -> None:
    """Keep in the transaction of ``change_set`` that the rows of the file are written."""
    if is_remembered(view):
        about = upload.about
        who = view.principal()
        label = "" if who is None else who.label
        records.note(change_set.session, about.model, about.digest, about.filename, label)


def apply(
    view: Any,
    upload: Upload,
    header: Sequence[str],
    only_good: bool,
    answer: Callable[[Report], tuple[str, str]],
) -> Report | None:
    """Write the rows while the visitor waits; what was done, None where nothing was.

    Where it would do something else than its trial told, that is kept as its trial.
    """
    done: list[tuple[Report, list[Outcome], ImportedRows]] = []
    differing: list[Report] = []

    def work(change_set: changes.ChangeSet) -> None:
        try:
            done[:] = [write(view, upload, header, change_set, only_good)]
        except Differs as differs:
            differing.append(differs.report)
            raise

    instance = view.build_new_instance()
    database.begin_write(view.get_session(), view.mapper)
    if not saving.save(view, None, work, "import", instance, lambda: answer(done[0][0])):
        if differing:
            upload.keep("trial", differing[-1].to_json())
        return None
    report, written, rows = done[0]
    for outcome in written:
        rows.after(outcome.instance, outcome.kind == "created")
    upload.keep("done", report.to_json())
    upload.done()
    return report


def label(view: Any, count: int) -> str:
    """So many rows of ``view``, in words."""
    noun = str(view.singular).lower() if count == 1 else view.plural
    return f"{count:,} {noun}"


def said(view: Any, report: Report) -> str:
    """What an import has done, in a sentence."""
    counts = report.counts
    parts = [f"{counts[kind]:,} {kind}" for kind in ("created", "changed") if counts[kind]]
    first, *others = parts or ["0 changed"]
    number, verb = first.split(" ")
    noun = str(view.singular).lower() if number == "1" else view.plural
    told = ", ".join([f"{number} {noun} {verb}", *others])
    rejected = counts["rejected"]
    return f"Imported: {told}{f', {rejected:,} rejected' if rejected else ''}."
