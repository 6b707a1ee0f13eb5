"""The page that shows what a list asks of the database."""

from __future__ import annotations

from typing import Any

from admin_app import contexts as c
from admin_app import explaining, list_pages
from admin_app.errors import NotFound
from admin_app.navigation import breadcrumbs


def query_page(view: Any) -> c.QueryPage:
    """The statement of the list that the request describes, told in four ways."""
    view.require("query")
    if view.has_own_rows:
        raise NotFound("The rows of this list come from no statement.")
    listing, state = list_pages.asked(view)
    found = explaining.explain(listing, view.get_session(), state)
    back = list_pages.url_of(view, state)
    title = str(view.name)
    return c.QueryPage(
        title=f"Query · {title}",
        heading="Query",
        sentence=f"What the list of {title.lower()} asks of the database for this page.",
        breadcrumbs=breadcrumbs(view, (title, back), ("Query", None)),
        list_url=back,
        sql=found.sql,
        parameters=found.parameters,
        code=found.code,
        plan=found.plan,
        advice=found.advice,
    )
