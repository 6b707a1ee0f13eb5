"""The pages of an import: choose a file, say where its columns go, look at the trial, import."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

import flask
from flask import request
from flask.typing import ResponseReturnValue
from flask_admin.base import expose
from werkzeug.utils import redirect, secure_filename

from admin_app import contexts as c
from admin_app import (
    formulas,
    import_jobs,
    import_work,
    moments,
    pages,
    rendering,
    saved_views,
    saving,
)
from admin_app.errors import Forbidden, InvalidRequest, NotFound, WriteRefused
from admin_app.import_fields import ImportedRows
from admin_app.imports import kept, reading, records, targets
from admin_app.imports.kept import Upload
from admin_app.imports.report import Report
from admin_app.imports.targets import Choice, Offer, Settings
from admin_app.navigation import breadcrumbs

NOT_IMPORTED = "Not imported"
EXAMPLES = 3


class ImportRoutes:
    """The routes of a view for rows that come from files."""

    def is_import_offered(self) -> bool:
        """Whether the visitor may import rows."""
        return is_offered(self)

    @expose("/import/", methods=("GET", "POST"))
    def import_view(self) -> ResponseReturnValue:
        """GET asks for a file or for pasted cells, POST keeps them and goes on to its columns."""
        require(self)
        return _upload(self) if request.method == "POST" else _upload_page(self)

    @expose("/import/columns/", methods=("GET", "POST"))
    def import_columns_view(self) -> ResponseReturnValue:
        """Where the columns of the file go. POST reads it otherwise, or tries the import."""
        require(self)
        upload = import_work.find(self, request.args.get("file", ""))
        if request.method == "GET":
            return _columns_page(self, upload)
        return _read_again(self, upload) if "read" in request.form else _check(self, upload)

    @expose("/import/check/", methods=("GET", "POST"))
    def import_check_view(self) -> ResponseReturnValue:
        """What the import would do. POST with ``rows`` as ``all`` or ``good`` does it."""
        require(self)
        if request.method == "POST" and (answered := saving.repeated(self)) is not None:
            return answered
        upload = import_work.find(self, request.args.get("file", ""))
        return _import(self, upload) if request.method == "POST" else _check_page(self, upload)

    @expose("/import/rejected/")
    def import_rejected_view(self) -> ResponseReturnValue:
        """The rows of the file that were refused, as CSV with the reasons."""
        require(self)
        upload = import_work.find(self, request.args.get("file", ""))
        name = secure_filename(PurePath(upload.about.filename).stem) or "rows"
        return flask.Response(
            "".join(_rejected(upload)).encode("utf-8-sig", "replace"),
            headers={"Content-Disposition": f"attachment;filename={name}-rejected.csv"},
            content_type="text/csv; charset=utf-8",
        )


def is_offered(view: Any) -> bool:
    """Whether the visitor of ``view`` may import rows."""
    return bool(
        view.can_import
        and view.read_only_note is None
        and view.may("import")
        and (view.allows("add") or view.allows("change"))
        and not import_work.has_own_saving(view)
    )


def require(view: Any) -> None:
    """Forbidden unless `is_offered`."""
    if is_offered(view):
        return
    if import_work.has_own_saving(view):
        raise Forbidden(
            f"The application saves {view.plural} by code of its own, so they cannot be imported."
        )
    raise Forbidden(f"You may not import {view.plural}.")


# The file


def _upload_page(view: Any, error: str | None = None) -> ResponseReturnValue:
    heading = f"Import {view.plural}"
    page = c.ImportPage(
        title=f"Error: {heading}" if error else heading,
        heading=heading,
        sentence="Nothing is written before you have seen what would change.",
        breadcrumbs=_crumbs(view, ("Import", None)),
        action_url=view.get_url(".import_view"),
        cancel_url=view.get_url(".index_view"),
        limit_text=f"At most {kept.size(pages.import_limit())}.",
        accept=".csv,.tsv,.txt,.json,.jsonl,.ndjson,.xlsx",
        pasted=request.form.get("pasted", "")[:100_000],
        error=error,
    )
    html = view.render("admin/model/import.html", page=page)
    return flask.make_response(html, 200 if error is None else 400)


def _upload(view: Any) -> ResponseReturnValue:
    sent, pasted = request.files.get("file"), request.form.get("pasted", "")
    stream: Any = None if sent is None or not sent.filename else sent.stream
    filename = "" if sent is None else sent.filename or ""
    if stream is None:
        if not pasted.strip():
            return _upload_page(view, "Choose a file, or paste some cells.")
        stream = io.BytesIO(pasted.encode("utf-8", "replace"))
    model = saved_views.model_key(view.mapper)
    owner, limit = import_work.owner(view), pages.import_limit()
    try:
        upload = kept.keep(import_work.root(), owner, model, filename, stream, limit)
    except InvalidRequest as refusal:
        return _upload_page(view, refusal.sentence)
    try:
        upload.about.form = reading.guess(upload.path, filename)
        reading.header(upload.path, upload.about.form)
    except InvalidRequest as refusal:
        upload.forget()
        return _upload_page(view, refusal.sentence)
    upload.save()
    return redirect(view.get_url(".import_columns_view", file=upload.token), 303)


def _read_again(view: Any, upload: Upload) -> ResponseReturnValue:
    """Read the file as the visitor says that it is written."""
    form, before = request.form, upload.about.form
    delimiter = form.get("delimiter", before.delimiter)
    delimiter = "\t" if delimiter == "tab" else delimiter
    if form.get("encoding", before.encoding) not in (*reading.ENCODINGS, before.encoding):
        raise InvalidRequest("This encoding is not known here.")
    if delimiter not in (*reading.DELIMITERS, before.delimiter):
        raise InvalidRequest("Cells cannot be told apart by this sign.")
    upload.about.form = replace(
        before,
        encoding=form.get("encoding", before.encoding),
        delimiter=delimiter,
        has_header="header" in form or before.kind in ("json", "jsonl"),
        sheet=form.get("sheet", before.sheet),
    )
    upload.about.settings = None
    try:
        reading.header(upload.path, upload.about.form)
    except InvalidRequest as refusal:
        upload.about.form = before
        return _columns_page(view, upload, [refusal.sentence])
    upload.save()
    return redirect(view.get_url(".import_columns_view", file=upload.token), 303)


# Its columns


def _columns_page(
    view: Any,
    upload: Upload,
    errors: Sequence[str] = (),
    settings: Settings | None = None,
) -> ResponseReturnValue:
    _require_file(upload)
    rows = ImportedRows(view)
    header = reading.header(upload.path, upload.about.form)
    try:
        found = list(_first(upload, len(header)))
    except InvalidRequest as refusal:
        found, errors = [], [*errors, refusal.sentence]
    if settings is None:
        settings = import_work.settings_of(view, upload, rows, header)
    heading = f"Import {upload.about.filename or 'pasted rows'}"
    needed = _unfilled(rows.offer, settings)
    page = c.ImportColumnsPage(
        title=f"Error: {heading}" if errors else heading,
        heading=heading,
        sentence="Say where each column goes. Nothing is written yet.",
        breadcrumbs=_crumbs(view, ("Import", view.get_url(".import_view")), ("Columns", None)),
        action_url=view.get_url(".import_columns_view", file=upload.token),
        cancel_url=view.get_url(".index_view"),
        columns=[
            c.ImportColumn(
                f"column-{n}",
                name,
                _examples(found, n),
                _options(rows.offer),
                _value(rows.offer, choice),
            )
            for n, (name, choice) in enumerate(zip(header, settings.columns, strict=True))
        ],
        choices=_choices(rows.offer, settings),
        file_choices=_file_choices(upload),
        has_header=upload.about.form.has_header
        if upload.about.form.kind in ("csv", "xlsx")
        else None,
        notes=[*_before(view, upload), *needed],
        errors=list(errors),
        can_check=bool(rows.offer.modes()),
    )
    html = view.render("admin/model/import_columns.html", page=page)
    return flask.make_response(html, 400 if errors else 200)


def _first(upload: Upload, width: int) -> Iterator[reading.FileRow]:
    for row in import_work.all_rows(upload, width):
        yield row
        if row.number > EXAMPLES:
            return


def _examples(rows: Sequence[reading.FileRow], place: int) -> str:
    texts = [row.cells[place] for row in rows[:EXAMPLES]]
    told = [t if isinstance(t, str) else reading.json_text(t) for t in texts if t]
    return " · ".join(t[:40] for t in told)


def _options(offer: Offer) -> list[tuple[str | None, list[tuple[str, str]]]]:
    plain = [(t.key, t.label) for t in offer.targets.values() if not t.is_relation]
    groups: list[tuple[str | None, list[tuple[str, str]]]] = [
        (None, [("", NOT_IMPORTED), *plain]),
    ]
    groups += [
        (t.label, [(f"{t.key}:{w.name}", f"{t.label} by {_lower(w.label)}") for w in t.ways])
        for t in offer.targets.values()
        if t.is_relation
    ]
    return groups


def _lower(words: str) -> str:
    return words if words.isupper() else words[:1].lower() + words[1:]


def _value(offer: Offer, choice: Choice) -> str:
    target = offer.targets.get(choice.target)
    if target is None:
        return ""
    if not target.is_relation:
        return target.key
    known = [way.name for way in target.ways]
    return f"{target.key}:{choice.way if choice.way in known else known[0]}"


def _choices(offer: Offer, settings: Settings) -> list[c.ImportChoice]:
    modes = offer.modes()
    ways: list[tuple[str, str]] = [(mode, targets.MODES[mode]) for mode in modes]
    choices = [c.ImportChoice("mode", "What to do with the rows", ways, settings.mode)]
    if offer.keys and len(modes) > 1:
        keys = [(",".join(key), offer.key_label(key)) for key in offer.keys]
        choices.append(c.ImportChoice("match", "Find rows by", keys, ",".join(settings.match)))
    empties: list[tuple[str, str]] = [(k, v) for k, v in targets.EMPTIES.items()]
    return [*choices, c.ImportChoice("empty", "Empty cells", empties, settings.empty)]


def _file_choices(upload: Upload) -> list[c.ImportChoice]:
    form = upload.about.form
    choices = []
    if form.kind == "xlsx":
        sheets = reading.sheets(upload.path)
        if len(sheets) > 1:
            names = [(name, name) for name in sheets]
            choices.append(c.ImportChoice("sheet", "Sheet", names, form.sheet or sheets[0]))
        return choices
    encodings = dict(reading.ENCODINGS)
    encodings.setdefault(form.encoding, form.encoding.upper())
    choices.append(c.ImportChoice("encoding", "Encoding", list(encodings.items()), form.encoding))
    if form.kind == "csv":
        signs = dict(reading.DELIMITERS)
        signs.setdefault(form.delimiter, form.delimiter)
        named = [("tab" if sign == "\t" else sign, words) for sign, words in signs.items()]
        chosen = "tab" if form.delimiter == "\t" else form.delimiter
        choices.append(c.ImportChoice("delimiter", "Cells are parted by", named, chosen))
    return choices


def _before(view: Any, upload: Upload) -> Iterator[str]:
    """That the very same file was imported before."""
    if not import_work.is_remembered(view):
        return
    found = records.before(view.admin.session, upload.about.model, upload.about.digest)
    if found is not None:
        # SQLite keeps no zone.
        at = found.at if found.at.tzinfo else found.at.replace(tzinfo=dt.UTC)
        when = rendering.moment(moments.local(at).replace(second=0, microsecond=0))
        who = f" by {found.owner}" if found.owner else ""
        yield f"A file with the same content was imported on {when}{who}. You may import it again."


def _unfilled(offer: Offer, settings: Settings) -> Iterator[str]:
    if settings.mode == "update":
        return
    filled = {choice.target for choice in settings.columns}
    needed = [t.label for t in offer.targets.values() if t.is_needed and t.key not in filled]
    if needed:
        yield f"A new row needs {', '.join(needed)}, into which no column goes."


def _chosen(offer: Offer, header: Sequence[str]) -> Settings:
    columns = []
    for n in range(len(header)):
        key, _, way = request.form.get(f"column-{n}", "").partition(":")
        columns.append(Choice(key, way) if key in offer.targets else Choice())
    modes = {mode: mode for mode in targets.MODES}
    empties = {empty: empty for empty in targets.EMPTIES}
    match = tuple(part for part in request.form.get("match", "").split(",") if part)
    return Settings(
        tuple(columns),
        modes.get(request.form.get("mode", ""), "create"),  # type: ignore[call-overload]
        match,
        empties.get(request.form.get("empty", ""), "leave"),  # type: ignore[call-overload]
    )


# Its trial


def _check(view: Any, upload: Upload) -> ResponseReturnValue:
    _require_file(upload)
    rows = ImportedRows(view)
    header = reading.header(upload.path, upload.about.form)
    settings = _chosen(rows.offer, header)
    errors = targets.objections(rows.offer, settings, header)
    if errors:
        return _columns_page(view, upload, errors, settings)
    upload.about.settings = settings
    upload.save()
    import_work.remember(view, header, settings)
    try:
        import_work.trial(view, upload, header)
    except (InvalidRequest, WriteRefused) as refusal:
        return _columns_page(view, upload, [refusal.sentence], settings)
    return redirect(view.get_url(".import_check_view", file=upload.token), 303)


def _require_file(upload: Upload) -> None:
    if not upload.path.exists():
        raise NotFound("The rows of this file have been imported already.")


def _check_page(
    view: Any, upload: Upload, notes: Sequence[str] = (), status: int = 200
) -> ResponseReturnValue:
    job = import_jobs.job_of(view, upload)
    if job is not None:
        return _job_page(view, upload, job)
    done = upload.kept("done")
    report = import_work.last_trial(upload) if done is None else Report.from_json(done)
    if report is None:
        return redirect(view.get_url(".import_columns_view", file=upload.token), 303)
    columns_url = view.get_url(".import_columns_view", file=upload.token)
    rejected = report.counts["rejected"]
    name = upload.about.filename or "pasted rows"
    labels = list(dict.fromkeys(v[0] for _, _, values in report.created for v in values))
    page = c.ImportCheckPage(
        title=name,
        heading=_heading(view, report, done is not None),
        sentence=_sentence(report, name, done is not None),
        breadcrumbs=_crumbs(
            view,
            ("Import", view.get_url(".import_view")),
            ("Columns", None if done else columns_url),
            ("Done" if done else "Check", None),
        ),
        action_url=view.get_url(".import_check_view", file=upload.token),
        columns_url=columns_url,
        cancel_url=view.get_url(".index_view"),
        counts=_counts(report),
        refused=report.refused,
        refused_more=_more(rejected, len({one[0] for one in report.refused})),
        rejected_url=view.get_url(".import_rejected_view", file=upload.token) if rejected else None,
        changed=[c.ImportedRow(*one) for one in report.changed],
        changed_more=_more(report.counts["changed"], len(report.changed)),
        created=_created(report, labels),
        created_labels=labels,
        created_more=_more(report.counts["created"], len(report.created)),
        submits=[] if done else _submits(view, report),
        notes=[*notes, *([] if done else _before(view, upload))],
        is_done=done is not None,
        token=saving.new_token(),
    )
    html = view.render("admin/model/import_check.html", page=page)
    return flask.make_response(html, status)


_ENDS = {"cancelled": "The import was cancelled", "stopped": "The import has stopped"}


def _job_page(view: Any, upload: Upload, job: Any) -> ResponseReturnValue:
    """How far the job has come that imports the file."""
    url = view.get_url(".import_check_view", file=upload.token)
    name = upload.about.filename or "pasted rows"
    counts: Counter[str] = Counter(job.counts or {})
    counts["rejected"] = job.failed
    report = Report(job.total or 0, job.done + job.failed, counts)
    is_done, is_over = job.state == "done", job.state in ("done", *_ENDS)
    if is_done:
        upload.done()
    told = f"{report.checked:,} of {report.total:,} rows of {name} are done."
    heading = _heading(view, report, True) if is_done else _ENDS.get(job.state, f"Importing {name}")
    has_rejected = next(upload.rejected(), None) is not None
    page = c.ImportCheckPage(
        title=heading,
        heading=heading,
        sentence=f"From {name}." if is_done else told,
        breadcrumbs=_crumbs(view, ("Import", view.get_url(".import_view")), (name, None)),
        action_url=url,
        columns_url=view.get_url(".import_columns_view", file=upload.token),
        cancel_url=view.get_url(".index_view"),
        counts=_counts(report),
        refused=[],
        changed=[],
        created=[],
        created_labels=[],
        rejected_url=view.get_url(".import_rejected_view", file=upload.token)
        if has_rejected
        else None,
        notes=[job.sentence] if job.sentence else [],
        is_done=True,
        again_url=None if is_over else url,
        job_url=view.admin.jobs.page_url(job.id),
    )
    html: ResponseReturnValue = view.render("admin/model/import_check.html", page=page)
    return html


def _heading(view: Any, report: Report, is_done: bool) -> str:
    label = import_work.label(view, report.written)
    if is_done:
        return f"{label} imported"
    if not report.written:
        return "This changes nothing"
    return f"This will import {label}" if report.is_complete else f"Import {view.plural}"


def _sentence(report: Report, name: str, is_done: bool) -> str:
    if is_done:
        return f"From {name}."
    if report.is_complete:
        return "Nothing has been written yet. It was tried in the database and taken back."
    return (
        f"Nothing has been written yet. The first {report.checked:,} of {report.total:,} rows were "
        "tried in the database and taken back; each of the others is tried as it is written."
    )


_TONES = {"created": "ok", "changed": "warn", "unchanged": "", "rejected": "bad"}


def _counts(report: Report) -> list[tuple[str, str]]:
    counts = [(tone, report.counts[kind], kind) for kind, tone in _TONES.items()]
    return [(tone, f"{count:,} {kind}") for tone, count, kind in counts if count]


def _created(report: Report, labels: Sequence[str]) -> list[tuple[int, list[str | None]]]:
    rows = []
    for number, _, values in report.created:
        new = {label: text for label, _, text in values}
        rows.append((number, [new.get(label) for label in labels]))
    return rows


def _more(count: int, shown: int) -> str | None:
    return f"and {count - shown:,} more rows" if count > shown else None


def _submits(view: Any, report: Report) -> list[tuple[str, str]]:
    if not report.is_complete:
        return [("all", "Import all rows, or none"), ("good", "Import the rows that are right")]
    if not report.written:
        return []
    if not report.counts["rejected"]:
        return [("all", f"Import {import_work.label(view, report.written)}")]
    return [("good", f"Import the {report.written:,} good rows")]


# The import


def _import(view: Any, upload: Upload) -> ResponseReturnValue:
    _require_file(upload)
    told = import_work.last_trial(upload)
    if upload.about.settings is None or told is None:
        return redirect(view.get_url(".import_columns_view", file=upload.token), 303)
    header = reading.header(upload.path, upload.about.form)
    only_good = request.form.get("rows") == "good"
    url = view.get_url(".import_check_view", file=upload.token)

    if import_jobs.is_long(view, told):
        import_jobs.start(view, upload, told, only_good)
        return redirect(url, 303)

    def answer(report: Report) -> tuple[str, str]:
        is_whole = not report.counts["rejected"]
        return import_work.said(view, report), view.get_url(".index_view") if is_whole else url

    report = import_work.apply(view, upload, header, only_good, answer)
    if report is None and not saving.is_answered():
        return _check_page(view, upload, status=409)
    return saving.response(lambda: answer(report or Report()))


def _rejected(upload: Upload) -> Iterator[str]:
    """The lines of a CSV file with the rows that were refused."""
    made = io.StringIO()
    delimiter = upload.about.form.delimiter if upload.about.form.kind == "csv" else ","
    writer = csv.writer(made, delimiter=delimiter)
    header = upload.kept("header") or []
    writer.writerow([*map(_inert, header), "Row", "Reason"])
    for number, cells, reason in upload.rejected():
        texts = ["" if one is None else _text(one) for one in cells]
        writer.writerow([*map(_inert, texts), number, _inert(reason)])
    yield made.getvalue()


def _text(cell: reading.Cell) -> str:
    return cell if isinstance(cell, str) else "; ".join(cell or ())


def _inert(text: str) -> str:
    """``text`` as no spreadsheet runs it; what is marked already stays as it is."""
    return text if text.startswith("'") else formulas.disarmed(text)


def _crumbs(view: Any, *steps: tuple[str, str | None]) -> list[pages.Crumb]:
    return breadcrumbs(view, (str(view.name), view.get_url(".index_view")), *steps)
