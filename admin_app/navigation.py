"""The frame around a page: the site's name, its menu, who is signed in.

It is read off Flask-Admin's menu, so categories, links and views of other kinds stand in it as a
host has added them, and whatever a visitor may not see is left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import flask
from flask_admin.menu import MenuCategory, MenuView

from admin_app import pages
from admin_app.pages import Crumb, MenuItem, MenuSection, Site


def site(admin: Any, current: Any = None) -> Site:
    """The frame for ``admin``, ours or Flask-Admin's own, around a page of the view ``current``."""
    principal = admin.principal() if hasattr(admin, "principal") else None
    sign_in = getattr(admin, "sign_in", None)
    return Site(
        name=admin.name,
        home_url=_home_url(admin),
        menu=sections(admin, current),
        principal=principal,
        sign_out_url=sign_in.sign_out_url() if principal is not None and sign_in else None,
        theme_url=pages.theme_url(),
        theme=pages.theme(),
        is_open=getattr(admin, "is_open", False),
        account_url=admin.account_url() if hasattr(admin, "account_url") else None,
        search_url=admin.search_url() if hasattr(admin, "search_url") else None,
    )


def _home_url(admin: Any) -> str:
    return flask.url_for(f"{admin.endpoint}.index")


def sections(admin: Any, current: Any = None) -> list[MenuSection]:
    """What the visitor may reach, by category; entries without one come first, unnamed."""
    loose, last = MenuSection(None), MenuSection(None)
    found = [loose]
    for entry in admin.menu():
        if isinstance(entry, MenuCategory):
            items = list(_items(entry, current))
            if items:
                found.append(MenuSection(str(entry.name), items))
        elif not (isinstance(entry, MenuView) and entry._view is admin.index_view):
            view = getattr(entry, "_view", None)
            section = last if getattr(view, "stands_last", False) else loose
            section.items.extend(_item(entry, current))
    for link in admin.menu_links():
        loose.items.extend(_item(link, current))
    return [s for s in (*found, last) if s.items]


def directory(admin: Any) -> list[MenuSection]:
    """The sections for the first page: each model tells what it is and offers a new row."""
    views = {view.endpoint: view for view in getattr(admin, "views_by_model", {}).values()}
    return [
        MenuSection(s.title, [_introduced(item, views.get(item.key)) for item in s.items])
        for s in sections(admin)
    ]


def _introduced(item: MenuItem, view: Any) -> MenuItem:
    if view is None:
        return item
    return dataclasses.replace(
        item,
        description=description(view),
        create_url=view.url_for("create") if view.allows("add") else None,
    )


def description(view: Any) -> str | None:
    """What a view says of its model, else the comment of the table."""
    return view.description or getattr(view.mapper.local_table, "comment", None)


def _items(category: Any, current: Any) -> Iterator[MenuItem]:
    for child in category.get_children():
        if child.is_category():
            yield from _items(child, current)
        else:
            yield from _item(child, current)


def _item(entry: Any, current: Any) -> list[MenuItem]:
    if not entry.is_visible() or not entry.is_accessible():
        return []
    view = getattr(entry, "_view", None)
    url = entry.get_url()
    if url is None:
        return []
    is_current = view is not None and view is current
    return [MenuItem(str(entry.name), url, is_current, getattr(view, "endpoint", ""))]


def breadcrumbs(view: Any, *steps: tuple[str, str | None]) -> list[Crumb]:
    """The way to a page of ``view``: the site, its category, then ``steps``."""
    crumbs = [Crumb(str(view.admin.name), _home_url(view.admin))]
    if view.category:
        crumbs.append(Crumb(str(view.category)))
    return crumbs + [Crumb(text, url) for text, url in steps]
