"""Values as HTML: one renderer per column, chosen once from its type, called once per row.

`value_renderer` gives the HTML of one attribute for the details page; `cell_renderer` wraps it
into the ``<td>`` of a list. What a view's options ask for (``column_formatters``,
``column_choices``, ``column_type_formatters``) comes before the type. Everything that comes from
the database is escaped here.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import functools
import json
import operator
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from markupsafe import Markup, escape

from admin_app import columns, inspection, json_text, moments
from admin_app.as_stored import AsStored
from admin_app.inspection import Path
from admin_app.listing import ListedRow, is_out_of_reach
from admin_app.markup import escaped, has_signs, late, safe

CUT = 80
"""Characters of a long value that a list shows; the rest is in its title."""

RELATED_CUT = 28
"""Characters of a related row's label that the style sheet leaves room for in a list."""

TITLE_CUT = 600

TOLD_CUT = 2000
"""Characters of a value of an unknown class that a page shows."""

MEMBERS_SHOWN = 5
"""Rows that a cell of a list names where it leads through a collection."""

NONE = Markup('<span class="none" title="NULL">–</span>')
BLANK = Markup('<span class="none" title="Empty text">“ ”</span>')
YES = Markup('<span class="tag ok">yes</span>')
NO = Markup('<span class="tag off">no</span>')

Renderer = Callable[[ListedRow], Markup]
"""Makes the HTML of one column from a row."""

RowLink = Callable[[Any], str | None]
"""The address of a row's page; None when this visitor has no such page."""


def late_renderer(renderer: Renderer) -> Renderer:
    """``renderer`` for a host's formatter, which may name macros of the template."""
    return lambda row: late(lambda: renderer(row))


class Links(Protocol):
    """Finds the way to other rows; given by the view, which knows the site and the visitor."""

    def __call__(self, mapper: sa.orm.Mapper[Any]) -> RowLink: ...


def render(value: Any, *, is_cut: bool = True) -> Markup:
    """HTML of any value by what it is; ``is_cut`` shortens it to fit a list."""
    if value is None:
        return NONE
    if value is True:
        return YES
    if value is False:
        return NO
    if isinstance(value, Markup):
        return value
    if isinstance(value, str):
        return text(value) if is_cut else long_text(value)
    if isinstance(value, enum.Enum):
        return Markup('<span class="tag">%s</span>') % _enum_text(value)
    if isinstance(value, dt.datetime):
        return _time(value)
    if isinstance(value, dt.date | dt.time):
        return escape(value.isoformat())
    if isinstance(value, dt.timedelta):
        return escape(duration(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return size(len(value))
    if isinstance(value, decimal.Decimal):
        return escape(f"{value:,}" if value.is_finite() else str(value))
    if isinstance(value, uuid.UUID):
        return Markup('<span class="mono">%s</span>') % value
    if isinstance(value, dict | list | tuple | set | frozenset):
        return structure(value, is_cut=is_cut)
    told = _told(value)
    return text(told) if is_cut else long_text(told)


def _told(value: Any) -> str:
    """A value of a class that we do not know, in its own words, the beginning of them."""
    try:
        words = str(value)
    except Exception:  # its class has a fault, which must not hide the rest of the row
        return f"({type(value).__name__})"
    return words if len(words) <= TOLD_CUT else words[:TOLD_CUT] + "…"


def text(value: str) -> Markup:
    """One line of text, cut for a list, with the whole (or much of it) in its title."""
    if len(value) <= CUT and "\n" not in value:
        return safe(escaped(value)) if value and not value.isspace() else BLANK
    line = " ".join(value[: CUT * 4].split())
    shown = line if len(line) <= CUT else line[:CUT].rstrip() + "…"
    title = value if len(value) <= TITLE_CUT else value[:TITLE_CUT] + "…"
    return Markup('<span class="cut" title="%s">%s</span>') % (title, shown)


def long_text(value: str) -> Markup:
    """Text in full, line ends kept; an address that a browser may open becomes a link."""
    if _is_address(value):
        return Markup('<a class="link" href="{0}" rel="noopener noreferrer">{0}</a>').format(value)
    if not value or value.isspace():
        return BLANK
    if "\n" in value or len(value) > 200:
        return Markup('<div class="prose">{}</div>').format(value)
    return escape(value)


def _time(value: dt.datetime) -> Markup:
    """A date with its time; a moment reads as in the visitor's zone, with its offset in reach."""
    told = value.isoformat()
    if value.tzinfo is None:
        return safe(f'<time datetime="{told}">{moment(value)}</time>')
    return _here(moments.local(value), told)


def _here(value: dt.datetime, told: str) -> Markup:
    """A moment in the visitor's zone, ``told`` for machines. Nothing in it has to be escaped."""
    text = value.isoformat(" ")
    # Without seconds it is read off the whole.
    shown = moment(value) if value.second or value.microsecond else text[:16]
    return safe(f'<time datetime="{told}" title="{text}">{shown}</time>')


def _moment(value: Any, *, is_cut: bool) -> Markup:
    """A value of a column with a time zone, which SQLite gives back without one."""
    if not isinstance(value, dt.datetime):
        return render(value, is_cut=is_cut)
    here = moments.local(value)
    return _here(here, here.isoformat())


def _day(value: Any, *, is_cut: bool) -> Markup:
    """A value of a column of dates, or of times without a zone."""
    if type(value) is dt.datetime:
        return _time(value)
    return safe(value.isoformat()) if type(value) is dt.date else render(value, is_cut=is_cut)


def moment(value: dt.datetime) -> str:
    """Date and time to the minute, finer only where there is something finer, no offset."""
    precision = "microseconds" if value.microsecond else "seconds" if value.second else "minutes"
    plain = value if value.tzinfo is None else value.replace(tzinfo=None)
    return plain.isoformat(" ", precision)


def duration(value: dt.timedelta) -> str:
    """«2 days 03:04:05», to be read back by the form; negative ones carry one sign before all."""
    sign = "-" if value < dt.timedelta() else ""
    value = abs(value)
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours:02}:{minutes:02}:{seconds:02}"
    if value.microseconds:
        clock += f".{value.microseconds:06}"
    if not value.days:
        return sign + clock
    return f"{sign}{value.days} {'day' if value.days == 1 else 'days'} {clock}"


def size(count: int | None) -> Markup:
    """The size of binary content, in bytes and their multiples by 1,024."""
    if count is None:
        return NONE
    number = float(count)
    for unit in ("bytes", "kB", "MB"):
        if number < 1024 or unit == "MB":
            break
        number /= 1024
    shown = f"{number:,.0f}" if unit == "bytes" else f"{number:,.1f}"
    return Markup('<span class="bytes">%s %s</span>') % (shown, unit)


def structure(value: Any, *, is_cut: bool) -> Markup:
    """JSON, arrays and the like, on one line for a list and indented otherwise."""
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    try:
        written = json.dumps(value, ensure_ascii=False, indent=None if is_cut else 2, default=_told)
    except (RecursionError, TypeError, ValueError):
        return Markup('<span class="none">nested too deeply to be shown</span>')
    return _code(json_text.printable(written), is_cut=is_cut)


def stored_json(value: str, *, is_cut: bool) -> Markup:
    """JSON as the database has it, or the beginning of it for a list."""
    if is_cut:
        return _code(json_text.on_one_line(value), is_cut=True)
    return _code(json_text.formatted(value), is_cut=False)


def _code(written: str, *, is_cut: bool) -> Markup:
    if not is_cut:
        return Markup('<pre class="mono">{}</pre>').format(written)
    return Markup('<span class="mono">%s</span>') % text(written)


def _enum_text(value: enum.Enum) -> str:
    return value.value if isinstance(value.value, str) else inspection.words(value.name)


def _json(value: Any, *, is_cut: bool) -> Markup:
    if value is None:
        return NONE
    if isinstance(value, AsStored):
        return stored_json(value, is_cut=is_cut)
    return structure(value, is_cut=is_cut)


def _number(scale: int | None) -> Callable[[Any], Markup]:
    pattern = "," if scale is None else f",.{scale}f"

    def render_number(value: Any) -> Markup:
        if value is None:
            return NONE
        if type(value) is int:
            return safe(str(value))
        if isinstance(value, decimal.Decimal) and value.is_finite():
            return text(format(value, pattern))
        return text(str(value))

    return render_number


def _secret(value: Any) -> Markup:
    return NONE if value is None else Markup('<span class="none">••••••</span>')


def _tag(value: Any) -> Markup:
    if value is None:
        return NONE
    shown = _enum_text(value) if isinstance(value, enum.Enum) else value
    return safe("".join(('<span class="tag">', escaped(shown), "</span>")))


def by_type(type_: sa.types.TypeEngine[Any], *, is_cut: bool) -> Callable[[Any], Markup]:
    """The renderer of values of a column type."""
    stored = inspection.stored_type(type_)
    is_decorated = isinstance(type_, sa.types.TypeDecorator)
    if isinstance(stored, sa.Enum):
        return _tag
    if isinstance(stored, sa.JSON) and not is_decorated:
        return functools.partial(_json, is_cut=is_cut)
    if isinstance(stored, sa.Numeric) and not isinstance(stored, sa.Float):
        return _number(stored.scale)
    if isinstance(stored, sa.DateTime) and stored.timezone and not is_decorated:
        return functools.partial(_moment, is_cut=is_cut)
    if isinstance(stored, sa.Date | sa.DateTime) and not is_decorated:
        return functools.partial(_day, is_cut=is_cut)
    if isinstance(stored, sa.Integer | sa.Float) and not is_decorated:
        return _number(None)
    return functools.partial(render, is_cut=is_cut)


def value_renderer(
    path: Path,
    links: Links,
    *,
    is_cut: bool,
    formatter: Callable[[Any], Any] | None = None,
    choices: Mapping[Any, Any] | None = None,
    type_formatters: Mapping[type, Callable[[Any], Any]] | None = None,
    is_linked: bool = False,
    is_wrapped: bool = False,
) -> Renderer:
    """How the column ``path`` of a row is shown.

    ``formatter`` takes the instance; ``choices`` maps values to words; ``type_formatters`` map
    Python types to functions of a value. What they return is escaped unless it is Markup.
    ``is_linked`` says that the cell leads to the row, so that an address in it is no link;
    ``is_wrapped`` shows long text in a list over several lines.
    """
    get = getter(path)
    if formatter is not None:
        return lambda row: render(formatter(row.instance), is_cut=is_cut)
    if choices:
        return lambda row: render(_choice(choices, get(row)), is_cut=is_cut)
    if path.is_to_many and path.relationship is not None and not path.relationship.uselist:
        return _members_renderer(path, links, MEMBERS_SHOWN if is_cut else None)
    if path.key in path.mapper.composites:
        parts = inspection.composite_keys(path.mapper, path.key)
        show: Callable[[Any], Markup] = functools.partial(_composite, parts, is_cut=is_cut)
    elif path.relationship is not None:
        show = _relationship_renderer(path, links)
    elif path.column is not None and inspection.is_binary(path.column.type):
        return lambda row: size(_binary_size(row, path, get))
    elif inspection.is_secret(path.key):
        show = _secret
    elif path.column is not None:
        show = by_type(path.column.type, is_cut=is_cut)
        if is_cut and inspection.is_text(path.column.type):
            show = _listed_text(show, is_linked=is_linked, is_wrapped=is_wrapped)
    else:
        show = functools.partial(render, is_cut=is_cut)
        display = columns.shown_as(path)
        if display is not None and display.empty is not None:
            show = or_words(show, display.empty)
    if type_formatters:
        show = _with_type_formatters(show, type_formatters)
    elif path.column is not None and inspection.is_json(path.column.type):
        get = _stored_json_getter(path, get)
    target = inspection.referred(path.mapper, path.key) if path.column is not None else None
    if target is not None:
        return _referred_renderer(path.name, target[0], links, lambda row: show(get(row)))
    return lambda row: show(get(row))


def _is_address(value: str) -> bool:
    """Whether ``value`` is an address that a browser may open: not ``javascript:`` and the like."""
    return value.startswith(("https://", "http://")) and not any(c.isspace() for c in value)


def _listed_text(
    show: Callable[[Any], Markup], *, is_linked: bool, is_wrapped: bool
) -> Callable[[Any], Markup]:
    """Text in a list; ``show`` for what a type makes of it that is no text."""

    def render_text(value: Any) -> Markup:
        if type(value) is not str:
            return show(value)
        if not is_linked and _is_address(value):
            link = Markup('<a class="link" href="%s" rel="noopener noreferrer">%s</a>')
            return link % (value, text(value))
        if is_wrapped and len(value) > CUT:
            whole = value if len(value) <= TOLD_CUT else value[:TOLD_CUT] + "…"
            return Markup('<span class="prose">%s</span>') % whole
        return text(value)

    return render_text


def _members_renderer(path: Path, links: Links, limit: int | None) -> Renderer:
    """The rows that a path through collections ends at, each leading to its page."""
    assert path.relationship is not None
    show = _row_renderer(path.relationship.mapper, links)

    def render_rows(row: ListedRow) -> Markup:
        found = [one for one in _members(row.instance, path) if one is not None]
        more = " …" if limit is not None and len(found) > limit else ""
        return Markup(", ").join(show(one) for one in found[:limit]) + more if found else NONE

    return render_rows


def or_words(show: Callable[[Any], Markup], words: str) -> Callable[[Any], Markup]:
    """``show``, with ``words`` for a value that is None."""
    none = Markup('<span class="none">%s</span>') % words
    return lambda value: none if value is None else show(value)


def _composite(keys: Sequence[str], value: Any, *, is_cut: bool) -> Markup:
    """A ``composite()`` in its own words, or, where its class has none, by its parts."""
    cls: Any = type(value)
    if value is None or (cls.__str__, cls.__repr__) != (object.__str__, object.__repr__):
        return render(value, is_cut=is_cut)
    held = zip(keys, value.__composite_values__(), strict=True)
    told = (f"{inspection.words(key)} {part}" for key, part in held if part is not None)
    return render(", ".join(told) or None, is_cut=is_cut)


def _referred_renderer(
    name: str, mapper: sa.orm.Mapper[Any], links: Links, plain: Renderer
) -> Renderer:
    """The row that a foreign key without relationship points to, where it was read along."""
    show = _row_renderer(mapper, links)
    return lambda row: plain(row) if row.extras.get(name) is None else show(row.extras[name])


def _stored_json_getter(path: Path, get: Callable[[ListedRow], Any]) -> Callable[[ListedRow], Any]:
    """Reads JSON as the database has it, where that was read along."""

    def read(row: ListedRow) -> Any:
        if path.name not in row.extras:
            return get(row)
        found = row.extras[path.name]
        return None if found is None else AsStored(found)

    return read


def _choice(choices: Mapping[Any, Any], value: Any) -> Any:
    try:
        return choices.get(value, value)
    except TypeError:
        return value


def _binary_size(row: ListedRow, path: Path, get: Callable[[ListedRow], Any]) -> int | None:
    if path.name in row.extras:
        return row.extras[path.name]  # type: ignore[no-any-return]
    if path.key in sa.inspect(row.instance).unloaded:
        return None
    value = get(row)
    return None if value is None else len(value)


def _with_type_formatters(
    show: Callable[[Any], Markup], formatters: Mapping[type, Callable[[Any], Any]]
) -> Callable[[Any], Markup]:
    def render_value(value: Any) -> Markup:
        for type_, formatter in formatters.items():
            if isinstance(value, type_):
                return escape(formatter(value))
        return show(value)

    return render_value


def _relationship_renderer(path: Path, links: Links) -> Callable[[Any], Markup]:
    assert path.relationship is not None

    def render_many(value: Any) -> Markup:
        if isinstance(value, int):
            return escape(f"{value:,}") if value else NONE
        return render(None if value is None else f"{len(value):,}")

    return (
        render_many if path.relationship.uselist else _row_renderer(path.relationship.mapper, links)
    )


def _row_renderer(mapper: sa.orm.Mapper[Any], links: Links) -> Callable[[Any], Markup]:
    """The label of a row, leading to its page."""
    label, text_of = inspection.label(mapper), inspection.identity_text(mapper)
    url_of = links(mapper)

    def render_one(value: Any) -> Markup:
        if value is None:
            return NONE
        if is_out_of_reach(value):
            return safe(f'<span class="muted">{escaped(text_of.of(value))}</span>')
        words, url = label.of(value), url_of(value)
        if url is None:
            return text(words)
        if len(words) <= RELATED_CUT and not has_signs(words) and "\n" not in words:
            return safe(f'<a class="link" href="{escaped(url)}">{words}</a>')
        shown = text(words)
        title = ('" title="', escaped(words)) if RELATED_CUT < len(words) <= CUT else ()
        return safe("".join(('<a class="link" href="', escaped(url), *title, '">', shown, "</a>")))

    return render_one


def getter(path: Path) -> Callable[[ListedRow], Any]:
    """Reads the value of ``path`` from a row; a step that is None makes the whole None."""
    name, key = path.name, path.key
    if path.is_to_many:
        return lambda row: _joined(_members(row.instance, path))
    if not path.relationships:
        if path.relationship is not None and path.relationship.uselist:
            return lambda row: (
                row.extras[name] if name in row.extras else getattr(row.instance, key)
            )
        if path.column is not None:
            return operator.attrgetter(f"instance.{key}")
        return lambda row: _called(getattr(row.instance, key))
    steps = [r.key for r in path.relationships]

    def get(row: ListedRow) -> Any:
        value = row.instance
        for step in steps:
            value = getattr(value, step)
            if value is None or is_out_of_reach(value):
                return None
        return _called(getattr(value, key))

    return get


def _called(value: Any) -> Any:
    """Methods may be named as columns; they are called without arguments, as in Django's admin."""
    return value() if callable(value) and hasattr(value, "__func__") else value


def _joined(values: Sequence[Any]) -> str | None:
    return ", ".join(map(str, values)) or None


def _members(instance: Any, path: Path) -> list[Any]:
    """What a path through collections leads to, in the order of these."""
    found: list[Any] = [instance]
    for relationship in path.relationships:
        if relationship.lazy == "write_only":
            return []
        reached: list[Any] = []
        for value in found:
            related = getattr(value, relationship.key)
            if not relationship.uselist:
                reached += [related] if related is not None else []
            else:
                reached += related.values() if isinstance(related, dict) else related
        found = reached
    return [_called(getattr(value, path.key)) for value in found]


def is_numeric(path: Path) -> bool:
    """Whether a column of ``path`` is set to the right: numbers that are no keys, and counts."""
    if path.relationship is not None:
        return bool(path.relationship.uselist)
    column = path.column
    if column is None or column.is_primary_key or column.foreign_keys:
        return False
    return inspection.is_number(column.type)


def css_of(path: Path) -> str:
    """The class of the column's cells and heading."""
    if is_numeric(path):
        return "num"
    if path.column is not None and inspection.is_long_text(path.column.type):
        return "clip"
    return ""


def _cell(css: str) -> str:
    return f'<td class="{escape(css)}">' if css else "<td>"


def cell_renderer(renderer: Renderer, css: str) -> Renderer:
    """``renderer`` as the whole cell of a list, ready to be printed."""
    begin = _cell(css)

    def render_cell(row: ListedRow) -> Markup:
        # Joined, not filled in: that would cost as much as all else that is done for a cell.
        shown = renderer(row)
        if type(shown) is not Markup:
            shown = escape(shown)
        return safe("".join((begin, shown, "</td>")))

    return render_cell


def key_cell_renderer(
    renderer: Renderer, url_of: RowLink, css: str = "", *, is_header: bool = False
) -> Renderer:
    """The cell that leads to the row itself; ``is_header`` makes it the one that names its row."""
    begin = _cell(f"key {css}".strip())
    if is_header:
        begin = begin.replace("<td", '<td role="rowheader"')

    def render_key(row: ListedRow) -> Markup:
        shown = renderer(row)
        if type(shown) is not Markup:
            shown = escape(shown)
        url = url_of(row.instance)
        if url is not None and "<a " not in shown:
            return safe("".join((begin, '<a href="', escaped(url), '">', shown, "</a></td>")))
        return safe("".join((begin, shown, "</td>")))

    return render_key
