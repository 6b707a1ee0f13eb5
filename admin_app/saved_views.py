"""Saved views: the state of a list under a name, for oneself or for everybody.

A saved view is a query string and nothing more. It is read like any other address of the list,
under the reach of whoever opens it, so it shows nobody more than he may see; what it names and is
no longer there becomes a note on the page.

In an address ``view=7`` stands for the arguments of that view; others beside it take the place of
its own. ``view=7-edited`` says only where the visitor came from: all that holds is beside it.
``view=all`` is the list as it is without a view, for whom another opens by default.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

import sqlalchemy as sa
from flask import g, request
from flask.typing import ResponseReturnValue
from sqlalchemy import orm
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.utils import redirect

from admin_app import changes, database, inspection
from admin_app import contexts as c
from admin_app.errors import Forbidden, InvalidRequest, NotFound
from admin_app.policy import Principal

MAX_NAME = 80
MAX_QUERY = 8_000
MAX_VIEWS = 100
"""Views that one principal may keep of one model."""

PLACE = frozenset(
    ("page", "after", "before", "at", "count", "edit", "choose", "filter", "facets", "view", "url")
)
"""Arguments of a list that say where one is in it, or what else is open, not what it shows."""

LISTS = frozenset(
    {"index_view", "export", "export_page", "cells_view", "facets_view", "query_view"}
)
"""The routes that read the state of a list from their address."""

ALL = "all"

Pairs = list[tuple[str, str]]


class SavedView(database.Base):
    """The state of the list of ``model`` under a name; ``query`` is what stands in its address."""

    __tablename__ = "admin_saved_view"
    __table_args__ = (sa.UniqueConstraint("model", "owner", "name"),)

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    model: orm.Mapped[str] = orm.mapped_column(sa.String(200))
    owner: orm.Mapped[str] = orm.mapped_column(sa.String(255))
    name: orm.Mapped[str] = orm.mapped_column(sa.String(MAX_NAME))
    query: orm.Mapped[str] = orm.mapped_column(sa.Text)
    is_shared: orm.Mapped[bool] = orm.mapped_column(server_default=sa.false())
    position: orm.Mapped[int] = orm.mapped_column(server_default="0")
    created_at: orm.Mapped[dt.datetime]


class DefaultView(database.Base):
    """The view that the list of ``model`` opens with for one principal."""

    __tablename__ = "admin_default_view"

    model: orm.Mapped[str] = orm.mapped_column(sa.String(200), primary_key=True)
    owner: orm.Mapped[str] = orm.mapped_column(sa.String(255), primary_key=True)
    view_id: orm.Mapped[int] = orm.mapped_column(
        sa.ForeignKey(SavedView.id, ondelete="CASCADE"), index=True
    )


@dataclass(frozen=True, slots=True)
class Saved:
    """A saved view as it is for one principal."""

    id: int
    name: str
    query: str
    is_own: bool
    is_shared: bool
    is_default: bool
    position: int

    @property
    def pairs(self) -> Pairs:
        return parse_qsl(self.query, keep_blank_values=True)


@dataclass(slots=True)
class Opened:
    """What the address of this request says of views, and those that there are."""

    known: Sequence[Saved]
    saved: Saved | None = None
    is_all: bool = False
    is_untouched: bool = False
    """Whether the address says nothing beside the view of what the list shows."""
    notes: list[str] = field(default_factory=list)

    def is_edited(self, arguments: Mapping[str, Any]) -> bool:
        """Whether ``arguments``, the whole state of the list, are not what the view keeps."""
        if self.saved is None or self.is_untouched:
            return False
        return sorted(state_of(arguments)) != sorted(self.saved.pairs)


def model_key(mapper: orm.Mapper[Any]) -> str:
    """What a model is called in the table of views, whatever its address is."""
    table = getattr(mapper.local_table, "fullname", "")
    return f"{table}:{mapper.class_.__name__}"[:200]


def are_kept(view: Any) -> bool:
    """Whether the visitor of ``view`` can have views: he is known, and their table is there."""
    admin = view.admin
    return (
        hasattr(admin, "has_table")
        and view.principal() is not None
        and not view.has_own_rows
        and admin.has_table(SavedView)
    )


def known(view: Any) -> list[Saved]:
    """The views of the list of ``view`` that the visitor sees: his own, then those of others.

    One statement a request.
    """
    cache: dict[str, list[Saved]] = g.setdefault("admin_saved_views", {})
    key = model_key(view.mapper)
    if key not in cache:
        cache[key] = _read(view.admin.session, key, view.principal()) if are_kept(view) else []
    return cache[key]


def _read(session: Any, model: str, principal: Principal | None) -> list[Saved]:
    assert principal is not None
    is_own = SavedView.owner == principal.id
    is_default = sa.and_(
        DefaultView.view_id == SavedView.id,
        DefaultView.owner == principal.id,
        DefaultView.model == model,
    )
    statement = (
        sa.select(
            SavedView.id,
            SavedView.name,
            SavedView.query,
            SavedView.owner,
            SavedView.is_shared,
            DefaultView.view_id,
            SavedView.position,
        )
        .outerjoin(DefaultView, is_default)
        .where(SavedView.model == model, sa.or_(is_own, SavedView.is_shared))
        .order_by(SavedView.position, SavedView.name, SavedView.id)
    )
    found = [
        Saved(id, name, query, owner == principal.id, shared, default is not None, position)
        for id, name, query, owner, shared, default, position in session.execute(statement)
    ]
    return sorted(found, key=lambda one: not one.is_own)


# The address


def enter(view: Any, route: str) -> ResponseReturnValue | None:
    """Open the view that the address names, or the one that opens by default.

    Its arguments are put among those of the request, which are all that the list reads. Returns
    the way to the default view for a list that was opened without arguments.
    """
    is_bare = route == "index_view" and not request.args and request.method == "GET"
    asked = request.args.get("view", "")
    if not (is_bare or asked) or route not in LISTS or not are_kept(view):
        return None
    opened = Opened(known(view), is_all=asked == ALL)
    if is_bare:
        default = next((one for one in opened.known if one.is_default), None)
        url = None if default is None else view.get_url(".index_view", view=default.id)
        return None if url is None else redirect(url)
    g.admin_opened_view = opened
    match = re.fullmatch(r"([0-9]{1,9})(-edited)?", asked)
    opened.saved = _by_id(opened.known, int(match[1])) if match else None
    if opened.saved is None and not opened.is_all:
        opened.notes.append("The view that this address names is gone, or not yours to see.")
        request.args = ImmutableMultiDict(
            [(k, v) for k, v in request.args.items(multi=True) if k != "view"]
        )
    elif match and not match[2] and opened.saved is not None:
        given = list(request.args.items(multi=True))
        names = {name for name, _ in given}
        opened.is_untouched = names <= PLACE
        own = [(k, v) for k, v in opened.saved.pairs if k not in names | PLACE]
        # Complete as they are now, they say so: pages make further addresses of them.
        named = [(k, f"{asked}-edited" if k == "view" else v) for k, v in given]
        request.args = ImmutableMultiDict([*own, *named])
    return None


def _by_id(views: Iterable[Saved], id: int) -> Saved | None:
    return next((one for one in views if one.id == id), None)


def notes() -> list[str]:
    """Sentences about the view that the address names, for the page."""
    opened: Opened | None = g.get("admin_opened_view")
    return [] if opened is None else opened.notes


def is_open() -> bool:
    """Whether the address of this request names a view, so that `in_address` changes others."""
    opened: Opened | None = g.get("admin_opened_view")
    return opened is not None and opened.saved is not None


def in_address(arguments: Mapping[str, Any], present: Mapping[str, Any]) -> dict[str, Any]:
    """``arguments`` of a list's address, short where they are those of the view that is open.

    ``present`` is the whole state of the list that this request shows.
    """
    opened: Opened | None = g.get("admin_opened_view")
    if opened is None or opened.saved is None or "view" not in arguments:
        return dict(arguments)
    rest = {k: v for k, v in arguments.items() if k != "view"}
    kept = state_of(present) if opened.is_untouched else opened.saved.pairs
    if sorted(state_of(rest)) == sorted(kept):
        place = {k: v for k, v in rest.items() if k in PLACE}
        return {"view": str(opened.saved.id), **place}
    return {"view": f"{opened.saved.id}-edited", **rest}


def state_of(arguments: Mapping[str, Any]) -> Pairs:
    """What ``arguments`` of a list's address say of what it shows, as pairs of names and values."""
    return [
        (name, str(value))
        for name, values in arguments.items()
        if name not in PLACE
        for value in (values if isinstance(values, list | tuple) else [values])
        if value not in (None, "")
    ]


# The page


def tabs(view: Any, arguments: Mapping[str, Any]) -> c.Views | None:
    """The tabs over a list and the menu of its views; ``arguments`` are the whole of its state."""
    if not are_kept(view):
        return None
    views = known(view)
    opened: Opened = g.get("admin_opened_view") or Opened(views)
    current = opened.saved
    has_default = any(one.is_default for one in views)
    is_edited = opened.is_edited(arguments)
    plain = view.get_url(".index_view", view=ALL) if has_default else view.get_url(".index_view")
    found = [c.ViewTab("All", plain, is_current=current is None)]
    found += [
        c.ViewTab(
            one.name,
            view.get_url(".index_view", view=one.id),
            is_current=one is current,
            is_shared=one.is_shared,
            is_own=one.is_own,
            is_edited=one is current and is_edited,
        )
        for one in views
    ]
    query = urlencode(state_of(arguments))
    return c.Views(
        tabs=found if views else [],
        query=query,
        action_url=view.get_url(".saved_view"),
        save_url=view.get_url(".saved_view", do="save", query=query),
        current_id=None if current is None else current.id,
        name=None if current is None else current.name,
        is_own=current is not None and current.is_own,
        is_shared=current is not None and current.is_shared,
        is_default=current is not None and current.is_default,
        is_edited=is_edited,
        can_share=bool(view.may("share_view")),
        can_move=current is not None and current.is_own and _before(views, current) is not None,
    )


# What is done to views


def one(view: Any, text: str) -> Saved:
    """The view with the id ``text`` that the visitor sees; NotFound when there is none."""
    found = _by_id(known(view), int(text)) if re.fullmatch(r"[0-9]{1,9}", text) else None
    if found is None:
        raise NotFound("This view is gone, or not yours to see.")
    return found


def own(view: Any, text: str) -> Saved:
    """As `one`, of the visitor's own; Forbidden for that of somebody else."""
    found = one(view, text)
    if not found.is_own:
        raise Forbidden("Only who has saved a view may change it.")
    return found


def cleaned_name(text: str) -> str:
    """``text`` as the name of a view; ValueError with a sentence when it is none."""
    name = " ".join(text.split())
    if not name:
        raise ValueError("A name is needed.")
    if len(name) > MAX_NAME:
        raise ValueError(f"A name has at most {MAX_NAME} characters.")
    if not name.isprintable():
        raise ValueError("This holds a character that cannot be shown.")
    return name


def cleaned_query(text: str) -> str:
    """The query string ``text`` without what is no state of a list; InvalidRequest if too long."""
    if len(text) > MAX_QUERY:
        raise InvalidRequest("This list has too long an address to be kept as a view.")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=1_000)
    except ValueError as error:
        raise InvalidRequest("This list has too many arguments to be kept as a view.") from error
    return urlencode([(k, v) for k, v in pairs if k not in PLACE and v])


def is_taken(view: Any, name: str, but: Saved | None = None) -> bool:
    """Whether another view of the visitor's own has this name."""
    return any(v.is_own and v.name == name and (but is None or v.id != but.id) for v in known(view))


def save(view: Any, name: str, query: str, *, is_shared: bool, is_default: bool) -> int:
    """Keep a new view; its id."""
    mine = [one for one in known(view) if one.is_own]
    if len(mine) >= MAX_VIEWS:
        raise InvalidRequest(f"You have {MAX_VIEWS} views of this list; delete one of them first.")
    made = SavedView(
        model=model_key(view.mapper),
        owner=_owner(view),
        name=name,
        query=query,
        is_shared=is_shared,
        position=max((one.position for one in mine), default=0) + 1,
        created_at=dt.datetime.now(dt.UTC).replace(tzinfo=None),
    )
    with _writing(view) as change_set:
        change_set.add(made)
        if is_default:
            _set_default(view, change_set.session, made.id)
        kept = made.id
    return int(kept)


def change(view: Any, saved: Saved, **values: Any) -> None:
    """Set attributes of a view of the visitor's own: name, query, is_shared."""
    with _writing(view) as change_set:
        row = change_set.session.get(SavedView, saved.id)
        if row is not None:
            for key, value in values.items():
                setattr(row, key, value)
            change_set.change(row)


def delete(view: Any, saved: Saved) -> None:
    """Delete a view; nobody's list opens with it any more."""
    with _writing(view) as change_set:
        row = change_set.session.get(SavedView, saved.id)
        change_set.session.execute(
            sa.delete(DefaultView)
            .where(DefaultView.view_id == saved.id)
            .execution_options(synchronize_session=False)
        )
        if row is not None:
            change_set.delete(row)


def set_default(view: Any, saved: Saved | None) -> None:
    """Let the list open with ``saved`` for the visitor; None for the plain list."""
    with _writing(view) as change_set:
        _set_default(view, change_set.session, None if saved is None else saved.id)


def move(view: Any, saved: Saved) -> None:
    """Let ``saved`` change its place with the own view before it."""
    before = _before(known(view), saved)
    if before is None:
        return
    mine = [one.id for one in known(view) if one.is_own]
    at = mine.index(saved.id)
    mine[at - 1 : at + 1] = [saved.id, before.id]
    with _writing(view) as change_set:
        for position, id in enumerate(mine, 1):
            row = change_set.session.get(SavedView, id)
            if row is not None and row.position != position:
                row.position = position
                change_set.change(row)


def _before(views: Sequence[Saved], saved: Saved) -> Saved | None:
    mine = [one for one in views if one.is_own]
    at = next((n for n, one in enumerate(mine) if one.id == saved.id), 0)
    return mine[at - 1] if at else None


def _owner(view: Any) -> str:
    return str(view.principal().id)


def _writing(view: Any) -> Any:
    session = view.admin.session
    database.begin_write(session, inspection.mapper_of(SavedView))
    g.pop("admin_saved_views", None)
    return changes.change_set(session, view.principal(), "saved view")


def _set_default(view: Any, session: Any, id: int | None) -> None:
    key = {"model": model_key(view.mapper), "owner": _owner(view)}
    session.execute(
        sa.delete(DefaultView)
        .where(DefaultView.model == key["model"], DefaultView.owner == key["owner"])
        .execution_options(synchronize_session=False)
    )
    if id is not None:
        session.execute(sa.insert(DefaultView).values(**key, view_id=id))
