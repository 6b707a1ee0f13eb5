"""Editing many rows at once: which fields, what becomes of each, what it would do, and doing it.

The pages send one form: ``do-<field>`` says what becomes of a field, ``set-<field>`` is its control
and ``old-<field>`` the text that is replaced. A preview tells by the values that the rows hold what
they would get, and which of them could not be changed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import flask
import sqlalchemy as sa
import wtforms
from flask import request
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from werkzeug.datastructures import MultiDict
from werkzeug.utils import redirect
from wtforms.fields.core import UnboundField

from admin_app import (
    changes,
    constraints,
    database,
    deleting,
    inspection,
    layout,
    rendering,
    saving,
    selecting,
    subtypes,
)
from admin_app import contexts as c
from admin_app import listing as listings
from admin_app.changes.alterations import Alteration, Altered, Alterer
from admin_app.errors import InvalidRequest, OutOfTime, WriteRefused
from admin_app.forms import ModelFormMixin, PickerField, attribute_for
from admin_app.forms.fields import (
    BinaryField,
    CheckboxField,
    ChoiceField,
    ColumnField,
    ReadOnlyField,
)
from admin_app.forms.pickers import KeyPickerField, ProxyPickerField
from admin_app.listing import Count, Selection
from admin_app.navigation import breadcrumbs

PORTION = 1_000
"""Rows that are read and written at once."""

TRIED = 2_000
"""Rows up to which a preview tries the change on each of them."""

SHOWN_VALUES = 8
"""Different values of a field that a preview names; the others are counted."""

SHOWN_FAILURES = 100

SECONDS = 2.0
"""What a preview may take to count the values of one field."""

SOURCE = "bulk_edit"
"""What the history calls it."""

PREFIX = "set-"

_WORDS = {
    "set": "Set to",
    "clear": "Empty",
    "add": "Add",
    "subtract": "Subtract",
    "append": "Add at the end",
    "prepend": "Add at the beginning",
    "replace": "Replace text",
    "gain": "Add",
    "lose": "Take away",
}


def is_offered(view: Any) -> bool:
    """Whether rows of ``view`` can be edited many at once.

    Not where the application's own code reads or saves a row: it is left to it, one by one.
    """
    own = ("update_model", "get_one", "get_list")
    is_plain = not inspection.is_union(view.mapper) and view.parent_view is None
    return is_plain and view.can_edit_many and not any(deleting.is_own(view, n) for n in own)


def run(view: Any, selection: Selection, job: Job) -> ResponseReturnValue:
    """Answer a request that edits ``selection``: the form, its preview, or the change."""
    edit = _Edit(view, selection, job)
    if not is_offered(view) or not edit.form.fields:
        flask.flash(f"The {view.plural} have no fields that can be edited together.", "warning")
        return redirect(view._return_url())
    step = "form" if "back" in request.form else request.form.get("step", "form")
    if step == "form":
        return edit.form_page(200)
    if not edit.form.read():
        return edit.form_page(400)
    return edit.apply() if step == "apply" else edit.preview(200)


class Form:
    """The form of fields that can be edited in many rows, filled with ``pairs``.

    ``fields`` are by attribute; after `read`, ``alterations`` are what is to be done.
    """

    def __init__(self, view: Any, pairs: Sequence[tuple[str, str]]) -> None:
        self.view = view
        self.sent: MultiDict[str, str] = MultiDict(pairs)
        self._class = _form_class(view)
        self.bound = self._class(self.sent, prefix=PREFIX)
        self._checker = self._class(MultiDict(), prefix=PREFIX)
        layout.choose_widgets(view, self.bound)
        layout.dress(view, self.bound)
        self.kinds: dict[str, list[str]] = {}
        for key in _candidates(view):
            kinds = _kinds(view, key, self.bound[attribute_for(key)])
            if kinds:
                self.kinds[key] = kinds
        self.fields = {key: self.bound[attribute_for(key)] for key in self.kinds}
        for field in self.fields.values():
            field.flags.required = False
        self.alterations: list[Alteration] = []
        self.errors: dict[str, list[str]] = {}
        self._checked: dict[tuple[str, Any], str | None] = {}

    def do(self, key: str) -> str:
        """What is done to the field ``key``, or nothing."""
        return self.sent.get(f"do-{key}", "")

    def read(self) -> bool:
        """Read what was sent; whether it means something, and is right."""
        for key, field in self.fields.items():
            kind = self.do(key)
            if not kind:
                continue
            if kind not in self.kinds[key]:
                raise InvalidRequest(f"“{inspection.shorten(kind)}” cannot be done to {key}.")
            try:
                self.alterations.append(self._alteration(key, kind, field))
            except (ValueError, ArithmeticError) as error:
                self.errors[key] = [str(error)]
        return bool(self.alterations) and not self.errors

    def pairs(self) -> list[tuple[str, str]]:
        """What was sent of the fields that are to be changed."""
        names = {f"{sign}-{key}" for key in self.kinds if self.do(key) for sign in ("do", "old")}
        names |= {f.name for key, f in self.fields.items() if self.do(key) not in ("", "clear")}
        return [pair for pair in self.sent.items(multi=True) if pair[0] in names]

    def _alteration(self, key: str, kind: Any, field: Any) -> Alteration:
        raw = str(field.raw_data[0]) if field.raw_data else ""
        text = raw.replace("\r\n", "\n")
        if kind == "clear":
            column = inspection.columns(self.view.mapper).get(key)
            if column is not None and inspection.is_json(column.type):
                return Alteration(key, "set", sa.null())
            return Alteration(key, "clear")
        if kind in ("append", "prepend", "replace"):
            old = self.sent.get(f"old-{key}", "").replace("\r\n", "\n")
            if kind == "replace" and not old:
                raise ValueError("Type the text that is to be replaced.")
            if kind != "replace" and not text:
                raise ValueError("Type the text that is to be added.")
            return Alteration(key, kind, text, old)
        if kind in ("add", "subtract"):
            if not text.strip():
                raise ValueError("Type a number.")
            return Alteration(key, kind, field.codec.read(text.strip(), self.view.dialect_name()))
        return Alteration(key, kind, self._value(field, kind, raw))

    def _value(self, field: Any, kind: str, raw: str) -> Any:
        """What was typed or chosen, valid."""
        if not field.validate(self.bound):
            raise ValueError(" ".join(map(str, field.errors)))
        is_blank = isinstance(field, CheckboxField) or getattr(field, "keeps_blank", False)
        if not raw.strip() and not is_blank:
            is_choice = isinstance(field, PickerField | ChoiceField)
            raise ValueError("Choose one." if is_choice else "Type a value, or choose “Empty”.")
        if isinstance(field, KeyPickerField):
            return getattr(field.data, field.target_key)
        return field.data

    def check(self, key: str, value: Any) -> None:
        """ValueError where ``value``, which a row would get, is none that the field takes."""
        known = (key, value)
        if known not in self._checked:
            self._checked[known] = self._complaint(key, value)
        complaint = self._checked[known]
        if complaint is not None:
            raise ValueError(complaint)

    def _complaint(self, key: str, value: Any) -> str | None:
        field = self._checker[attribute_for(key)]
        if not isinstance(field, ColumnField) or value is None:
            return None
        text = field.codec.write(value)
        try:
            if text:
                field.codec.read(text, self.view.dialect_name())
        except ValueError as error:
            return str(error)
        if field.limit is not None and field.limit.refuses(value):
            return field.limit.sentence
        field.data, field.raw_data, field.process_errors = value, [text], []
        own = getattr(self._class, f"validate_{attribute_for(key)}", None)
        extra = [] if own is None else [own.__get__(self._checker)]
        if field.validate(self._checker, [e for e in extra if callable(e)]):
            return None
        return " ".join(map(str, field.errors))


def _form_class(view: Any) -> type[Any]:
    members: dict[str, Any] = {}
    for key in _candidates(view):
        name = attribute_for(key)
        members[name] = getattr(view._edit_form_class, name)
        own_check = getattr(view._edit_form_class, f"validate_{name}", None)
        if own_check is not None:
            members[f"validate_{name}"] = own_check
    return type("BulkForm", (ModelFormMixin, view.form_base_class), members)


def _candidates(view: Any) -> list[str]:
    """The attributes that have a field in the form of a row, and may be changed by the visitor."""
    mapper = view.mapper
    alone = {u.keys[0] for u in constraints.uniques(mapper) if len(u.keys) == 1}
    left_out = {str(getattr(k, "key", k)) for k in view.form_readonly_columns or ()} | alone
    every = [*inspection.columns(mapper), *inspection.relationships(mapper)]
    names = {attribute_for(key): key for key in every if key not in left_out}
    form = view._edit_form_class
    order = [n for n, f in vars(form).items() if isinstance(f, UnboundField)]
    order = sorted(
        (n for n in names if isinstance(getattr(form, n, None), UnboundField)),
        key=lambda n: (getattr(form, n).creation_counter, order.index(n) if n in order else 0),
    )
    return [names[n] for n in order if _may_change(view, names[n], getattr(form, n))]


def _may_change(view: Any, key: str, field: UnboundField[Any]) -> bool:
    column = inspection.columns(view.mapper).get(key)
    is_key = column is not None and bool(column.is_primary_key)
    never: tuple[type[Any], ...] = (ReadOnlyField, BinaryField, ProxyPickerField)
    never = (*never, wtforms.FileField, wtforms.FieldList, wtforms.FormField)
    is_left_out = is_key or inspection.is_secret(key) or issubclass(field.field_class, never)
    return not is_left_out and view.may("change", key)


def _kinds(view: Any, key: str, field: Any) -> list[str]:
    """What can be done to a field in many rows."""
    relationship = inspection.relationships(view.mapper).get(key)
    if isinstance(field, PickerField) and field.is_multiple:
        is_linked = relationship is not None and relationship.secondary is not None
        return ["gain", "lose"] if is_linked else []
    if relationship is not None and relationship.uselist:
        return []
    kinds = ["set"]
    if getattr(field, "is_nullable", False) and not isinstance(field, CheckboxField):
        kinds.append("clear")
    column = inspection.columns(view.mapper).get(key)
    if isinstance(field, ColumnField) and column is not None:
        is_decorated = inspection.is_decorated(column.type)
        if inspection.is_number(column.type) and not is_decorated:
            kinds += ["add", "subtract"]
        elif inspection.is_text(column.type) and field.codec.is_text and not is_decorated:
            kinds += ["append", "prepend", "replace"]
    return kinds


class Job(Protocol):
    """The job that does the edit where the rows are too many to wait for."""

    def is_wanted(self, number: int | None) -> bool:
        """Whether it does the edit of ``number`` rows, None for many."""

    def start(self, form: Form, number: int | None, label: str) -> ResponseReturnValue:
        """Have it done, and lead on."""


class Failures:
    """Rows that could not be changed: their number, and the first of them in words."""

    def __init__(self, view: Any) -> None:
        self.view, self.count = view, 0
        self.shown: list[c.BulkFailure] = []

    def add(self, refused: Sequence[tuple[Any, WriteRefused]]) -> None:
        label, link = inspection.label(self.view.mapper), self.view.row_link()
        for instance, refusal in refused:
            self.count += 1
            if len(self.shown) < SHOWN_FAILURES:
                sentence = told(self.view, refusal)
                self.shown.append(c.BulkFailure(label.of(instance), link(instance), sentence))


def unreadable(view: Any) -> InvalidRequest:
    """What is said where the form of a job means something else by now."""
    return InvalidRequest(f"The fields of {view.plural} are others by now.")


def told(view: Any, refusal: WriteRefused) -> str:
    """Why a row cannot be changed, field by field."""
    if not refusal.fields:
        return refusal.sentence
    return " ".join(
        f"{view.get_column_name(key)}: {' '.join(sentences)}"
        for key, sentences in refusal.fields.items()
    )


def alterer(view: Any, form: Form, *, is_tried: bool = False) -> Alterer:
    """What changes rows of ``view`` as ``form`` says; one that is only tried calls no hook."""
    has_hook = deleting.is_own(view, "on_model_change") or deleting.is_own(view, "_on_model_change")

    def hook(instance: Any) -> None:
        try:
            view._on_model_change(form.bound, instance, False)
        except wtforms.ValidationError as error:
            raise WriteRefused(str(error)) from error

    own = hook if has_hook and not is_tried else None
    return Alterer(view.get_session(), view.mapper, form.alterations, form.check, own)


class _Edit:
    """One request to edit the rows of a selection."""

    def __init__(self, view: Any, selection: Selection, job: Job) -> None:
        self.view, self.selection, self.job = view, selection, job
        self.session = view.get_session()
        self.listing = selecting.listing(view, selection, "change")
        self.form = Form(view, list(request.form.items(multi=True)))
        self.failures = Failures(view)
        self.asked = request.form.get("failing", "none")
        """Whether rows are changed though others cannot be: ``none`` or ``others``."""

    # Pages

    def _counted(self) -> tuple[Count | None, int | None]:
        """How many match, and how many are chosen of these, as far as both are known."""
        count = dataclasses.replace(self.selection, excepted=()).count(self.session, self.listing)
        if count is None or not count.is_exact:
            return count, None
        return count, max(0, count.number - len(self.selection.excepted))

    def _hidden(self, count: Count | None) -> list[tuple[str, str]]:
        matched = count.number if count is not None and count.is_exact else None
        return [
            ("action", "edit"),
            *selecting.hidden(self.selection, matched),
            ("url", self.view._return_url()),
        ]

    def form_page(self, status: int) -> ResponseReturnValue:
        """The form that says what becomes of which field."""
        count, number = self._counted()
        nothing = status == 400 and not self.form.errors
        page = c.BulkEditPage(
            title=f"Edit {selecting.words(self.view, count, number)}",
            sentence="Fields that you leave as they are stay so in every row.",
            breadcrumbs=self._way("Edit"),
            action_url=self.view.get_url(".action_view"),
            hidden=self._hidden(count),
            fields=[self._field(key) for key in self.form.kinds],
            cancel_url=self.view._return_url(),
            error="Say for at least one field what becomes of it." if nothing else "",
            note=self._moved(count),
        )
        html = self.view.render("admin/model/bulk_edit.html", page=page)
        return flask.make_response(html, status)

    def _way(self, here: str) -> Any:
        back = self.view._return_url()
        return breadcrumbs(self.view, (str(self.view.name), back), (here, None))

    def _field(self, key: str) -> c.BulkField:
        field = self.form.fields[key]
        return c.BulkField(
            key=key,
            label=str(field.label.text),
            field=field,
            kinds=[(kind, _WORDS[kind]) for kind in self.form.kinds[key]],
            chosen=self.form.do(key),
            old=self.form.sent.get(f"old-{key}", ""),
            errors=self.form.errors.get(key, []),
        )

    def _moved(self, count: Count | None) -> str:
        matched = self.selection.matched
        if matched is None or count is None or not count.is_exact or count.number == matched:
            return ""
        if (
            "step" not in request.form
            and self.view._narrowed("change", self.view.model) is not None
        ):
            return f"Of the {matched:,} that match you may change {count.number:,}."
        return f"Matched {matched:,} when you looked, {count.number:,} now."

    def preview(self, status: int, note: str = "") -> ResponseReturnValue:
        """What would become of the rows, by the values that they hold now."""
        count, number = self._counted()
        parts = [self._part(alteration) for alteration in self.form.alterations]
        tried = None
        if not self.failures.count and number is not None and number <= TRIED:
            tried = self._try()
        rows = selecting.words(self.view, count, number if tried is None else tried)
        is_job = self.job.is_wanted(number)
        is_partial = self.failures.count > 0 and not is_job
        page = c.BulkPreviewPage(
            title=f"Change {rows}",
            heading=f"Change {rows}?" if rows else "",
            sentence=f"Nothing has been changed yet.{_BY_JOB if is_job else ''}",
            breadcrumbs=self._way("Edit"),
            action_url=self.view.get_url(".action_view"),
            hidden=[
                *self._hidden(count),
                *self.form.pairs(),
                ("step", "apply"),
                (saving.FORM_FIELD, saving.new_token()),
            ],
            parts=parts,
            failures=self.failures.shown,
            failure_count=self.failures.count,
            is_partial=is_partial,
            failing=self.asked,
            submit_text=f"Change {rows}",
            can_submit=number != 0 and tried != 0,
            cancel_url=self.view._return_url(),
            note=note or self._moved(count),
            reason=saving.reason_field(self.view),
        )
        html = self.view.render("admin/model/bulk_preview.html", page=page)
        return flask.make_response(html, status)

    def _try(self) -> int:
        """Do it and take it back; how many rows it changes. Those that it cannot are kept."""
        alter = alterer(self.view, self.form, is_tried=True)
        changed = 0
        try:
            for instances in self._portions(alter):
                subtypes.require(self.view, instances, "change")
                is_whole = alter.is_set_based
                done = alter.alter(instances) if is_whole else _looked_at(alter, instances)
                changed += done.changed
                self.failures.add(done.refused)
        finally:
            self.session.rollback()
        return changed

    def _portions(self, alter: Alterer) -> Iterator[list[Any]]:
        options = [*listings.label_options(self.view.mapper), *alter.options()]
        portions = self.selection.portions(
            self.session, self.listing, PORTION, None, options, lock=True
        )
        for instances, _ in portions:
            yield instances

    # What it does, by the values that there are

    def _part(self, alteration: Alteration) -> c.BulkPart:
        field = self.form.fields[alteration.key]
        title = f"{field.label.text}: {_what(alteration, field)}"
        part = c.BulkPart(title)
        try:
            with database.budget(self.session, SECONDS, self.view.mapper):
                if alteration.kind in ("gain", "lose"):
                    self._by_members(part, alteration, field)
                else:
                    self._by_values(part, alteration, field)
        except OutOfTime:
            part.more_text = "There are too many rows to count the values that they hold in time."
        except sa.exc.DBAPIError:
            # What has no equality, as JSON, cannot be grouped.
            self.session.rollback()
            part.more_text = "What the rows hold cannot be counted by value."
        return part

    def _by_values(self, part: c.BulkPart, alteration: Alteration, field: Any) -> None:
        key = alteration.key
        relationship = self.view.mapper.relationships.get(key)
        if relationship is not None:
            local = inspection.key_of(self.view.mapper, next(iter(relationship.local_columns)))
            key = local or key
        column = getattr(self.view.model, key)
        found, others = self._grouped(column)
        words = _labels(field, alteration, [old for old, _ in found])
        new_of = _as_stored(self.view, alteration, key)
        same: list[c.BulkValue] = []
        for old, number in found:
            try:
                new = new_of(old)
            except (ValueError, ArithmeticError):
                continue
            if type(new) is type(old) and new == old:
                same.append(c.BulkValue(number, words(old), None, is_same=True))
            else:
                part.values.append(c.BulkValue(number, words(old), words(new)))
        part.values += _together(same)
        if others:
            part.more_text = f"and {others:,} more with other values"

    def _grouped(self, column: Any) -> tuple[list[tuple[Any, int]], int]:
        """The commonest values of ``column`` in the selection, and how many rows have others."""
        rows = self.selection.statement(self.listing).order_by(None)
        rows = rows.with_only_columns(column.label("old"), maintain_column_froms=True)
        inner = rows.subquery()
        number = sa.func.count()
        grouped = sa.select(inner.c.old, number, sa.func.sum(number).over())
        grouped = grouped.group_by(inner.c.old).order_by(number.desc()).limit(SHOWN_VALUES)
        found = self.session.execute(grouped, bind_arguments={"mapper": self.view.mapper}).all()
        counted = [(old, number) for old, number, _ in found]
        total = int(found[0][2]) if found else 0
        return counted, total - sum(number for _, number in counted)

    def _by_members(self, part: c.BulkPart, alteration: Alteration, field: Any) -> None:
        """How many rows have each of the members already."""
        attribute = getattr(self.view.model, alteration.key)
        base = self.selection.statement(self.listing).order_by(None)
        is_gain = alteration.kind == "gain"
        total = self._number(base)
        for member in alteration.value:
            having = self._number(base.where(attribute.contains(member)))
            words = rendering.render(field.lookup.words(member))
            there, to_do = (having, total - having) if is_gain else (total - having, having)
            part.values.append(
                c.BulkValue(to_do, None, words)
                if is_gain
                else c.BulkValue(to_do, words, Markup("–"))
            )
            if there:
                held = words if is_gain else Markup("without")
                part.values.append(c.BulkValue(there, held, None, is_same=True))

    def _number(self, rows: Any) -> int:
        inner = rows.with_only_columns(sa.literal(1), maintain_column_froms=True).subquery()
        statement = sa.select(sa.func.count()).select_from(inner)
        return int(self.session.scalar(statement, bind_arguments={"mapper": self.view.mapper}))

    # Doing it

    def apply(self) -> ResponseReturnValue:
        """Change the rows, all of them or those that can be, as was asked."""
        count, number = self._counted()
        if self._moved(count):
            return self.preview(409)
        if self.job.is_wanted(number):
            label = f"Change {selecting.words(self.view, count, number)}"
            return self.job.start(self.form, number, label)
        view, alter = self.view, alterer(self.view, self.form)
        changed: list[int] = [0]
        rows: list[Any] = []
        keeps_rows = deleting.is_own(view, "after_model_change")

        def write(change_set: changes.ChangeSet) -> None:
            for instances in self._portions(alter):
                subtypes.require(view, instances, "change")
                change_set.label = change_set.label or selecting.words(view, count)
                done = alter.alter(instances)
                changed[0] += done.changed
                self.failures.add(done.refused)
                stay_in_reach(view, instances)
                if keeps_rows:
                    rows.extend(instances)
            if self.failures.count and self.asked != "others":
                raise WriteRefused(f"Nothing was changed: {self._left_out()}.")

        def answer() -> tuple[str, str]:
            noun = view.singular.lower() if changed[0] == 1 else view.plural
            said = f"{changed[0]:,} {noun} {'is' if changed[0] == 1 else 'are'} changed."
            return said, view._return_url()

        if saving.save(view, None, write, SOURCE, view.build_new_instance(), answer):
            for row in rows:
                view.after_model_change(self.form.bound, row, False)
            if not self.failures.count:
                return saving.response(answer)
            return self._partly_done(answer()[0])
        if saving.is_answered():
            return saving.response(answer)
        return self.preview(409)

    def _left_out(self) -> str:
        count = self.failures.count
        noun = self.view.singular.lower() if count == 1 else self.view.plural
        return f"{count:,} {noun} cannot be changed so"

    def _partly_done(self, said: str) -> ResponseReturnValue:
        """The page that tells which rows were left as they are, after the others were changed."""
        saving.response(lambda: (said, ""))
        page = c.BulkPreviewPage(
            title=said,
            heading=said,
            sentence=f"{self._left_out()}; they are as they were.",
            breadcrumbs=self._way("Edit"),
            action_url="",
            hidden=[],
            parts=[],
            failures=self.failures.shown,
            failure_count=self.failures.count,
            is_partial=False,
            failing="",
            submit_text="",
            can_submit=False,
            cancel_url=self.view._return_url(),
        )
        html: str = self.view.render("admin/model/bulk_preview.html", page=page)
        return html


_BY_JOB = (
    " A job does it, some rows at a time; those that cannot be changed stay as they are and are "
    "listed."
)


def stay_in_reach(view: Any, instances: Sequence[Any]) -> None:
    """WriteRefused where rows are no longer among those that the policy lets one change."""
    narrowed = view._narrowed("change", view.model)
    if narrowed is None or not instances:
        return
    session = view.get_session()
    rows = listings.Listing(view.mapper, criteria=[narrowed])
    identities = tuple(view.get_pk_value(instance) for instance in instances)
    found = Selection(identities).count(session, rows)
    if found is not None and found.number < len(instances):
        raise WriteRefused(
            f"With these values {len(instances) - found.number:,} of the {view.plural} would be "
            "out of your reach. Nothing was changed."
        )


def _together(same: Sequence[c.BulkValue]) -> list[c.BulkValue]:
    """Rows that stay as they are: a value that they share is named, several are not."""
    if len(same) <= 1:
        return list(same)
    return [c.BulkValue(sum(value.count for value in same), None, None, is_same=True)]


def _looked_at(alter: Alterer, instances: Sequence[Any]) -> Altered:
    """What would become of ``instances``, as far as it is known without writing them."""
    refused: list[tuple[Any, WriteRefused]] = []
    changed = 0
    for instance in instances:
        try:
            changed += bool(alter._new_values(instance)) or bool(alter.members)
        except WriteRefused as refusal:
            refused.append((instance, refusal))
    return Altered(changed, refused)


def _what(alteration: Alteration, field: Any) -> str:
    """What is done to a field, in words."""
    kind, value = alteration.kind, alteration.value
    if kind == "clear" or isinstance(value, sa.ClauseElement):
        return "empty"
    if kind in ("gain", "lose"):
        names = ", ".join(str(field.lookup.words(member)) for member in value)
        return f"add {names}" if kind == "gain" else f"take away {names}"
    if kind == "replace":
        return f"replace “{inspection.shorten(alteration.text)}”" + (
            f" by “{inspection.shorten(value)}”" if value else ", leaving nothing"
        )
    if kind == "set":
        return f"set to {inspection.shorten(_in_words(value, field))}"
    told = field.codec.write(value) if kind in ("add", "subtract") else f"“{value}”"
    where = {"append": " at the end", "prepend": " at the beginning"}.get(kind, "")
    return f"{'subtract' if kind == 'subtract' else 'add'} {inspection.shorten(told)}{where}"


def _in_words(value: Any, field: Any) -> str:
    """A value of ``field`` as a visitor would say it."""
    if isinstance(field, PickerField):
        return str(field.lookup.words(field.data))
    if isinstance(field, ChoiceField):
        return field.words.get(field.text_of(value), str(value))
    if isinstance(field, ColumnField):
        return field.codec.write(value)
    return {True: "yes", False: "no"}.get(value, str(value))


def _as_stored(view: Any, alteration: Alteration, key: str) -> Callable[[Any], Any]:
    """What becomes of a value of the column ``key``."""
    relationship = view.mapper.relationships.get(alteration.key)
    if relationship is None or alteration.kind != "set":
        return alteration.applied_to
    new = constraints.key_values(relationship, alteration.value).get(key)
    return lambda old: new


def _labels(field: Any, alteration: Alteration, olds: Sequence[Any]) -> Callable[[Any], Markup]:
    """How values of a field are shown: foreign keys as the rows that they lead to."""
    known: dict[Any, Markup] = {}
    if isinstance(field, PickerField):
        is_by_key = isinstance(field, KeyPickerField)
        target = field.lookup.mapper
        keys = inspection.identity_keys(target)
        name = getattr(field, "target_key", keys[0])
        if len(keys) == 1 and name == keys[0]:
            held = [old for old in olds if old is not None]
            for row in field.lookup.fetch([(old,) for old in held]):
                known[getattr(row, name)] = rendering.render(field.lookup.words(row))
        if alteration.kind == "set" and not is_by_key:
            words = rendering.render(field.lookup.words(alteration.value))
            known[getattr(alteration.value, name)] = words
        elif alteration.kind == "set" and field.data is not None:
            known[alteration.value] = rendering.render(field.lookup.words(field.data))
    if isinstance(field, ChoiceField):
        options = {field.text_of(v): field.words[text] for text, v in field.by_text.items()}
        return lambda value: rendering.render(
            None if value is None else options.get(field.text_of(value), value)
        )
    return lambda value: known[value] if _is_in(value, known) else rendering.render(value)


def _is_in(value: Any, known: dict[Any, Markup]) -> bool:
    try:
        return value in known
    except TypeError:
        return False
