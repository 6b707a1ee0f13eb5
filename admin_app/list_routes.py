"""The routes of a view that show something about its list, and not the list itself."""

from __future__ import annotations

from typing import Any

from flask.typing import ResponseReturnValue
from flask_admin.base import expose

from admin_app import list_pages, query_pages


class ListRoutes:
    """What can be fetched beside a list."""

    render: Any

    @expose("/facets/")
    def facets_view(self) -> ResponseReturnValue:
        """The facets of the list with the same arguments, as a piece of HTML for a script."""
        html: str = self.render("admin/model/_facets.html", panel=list_pages.facets(self))
        return html

    @expose("/query/")
    def query_view(self) -> ResponseReturnValue:
        """What the list with the same arguments asks of the database, for who may see it."""
        html: str = self.render("admin/model/query.html", page=query_pages.query_page(self))
        return html
