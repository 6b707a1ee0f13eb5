"""The way of an operator through the pages of one model, as a browser would send it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import sqlalchemy as sa
from sqlalchemy import orm
from werkzeug.test import TestResponse

from admin_app.inspection import subtypes

LIST_BUDGET = 4
"""Statements that a list may cost, whatever its rows and relations."""


class Journey:
    """Drives the pages of ``model`` in ``site`` and checks what holds for every mapping."""

    def __init__(self, site: Any, model: type[Any], controls: Any, statements: Any) -> None:
        self.site = site
        self.model = model
        self.mapper: orm.Mapper[Any] = sa.inspect(model)
        self.controls = controls
        self.statements = statements
        self.engine = site.engine
        self.client = site.client

    def url(self, page: str = "list", key: str | None = None) -> str:
        url: str = self.site.url(self.model, page)
        if key is not None:
            return f"{url}?id={quote(key, safe='')}"
        names = [n for n, m in subtypes(self.mapper).items() if m is self.mapper]
        return f"{url}?type={quote(names[0])}" if page == "create" and names else url

    def get(self, page: str = "list", key: str | None = None) -> str:
        response = self.client.get(self.url(page, key))
        assert response.status_code == 200, (page, key, sentences(response))
        return response.text

    def list(self) -> str:
        """The list, which stays within its budget."""
        with self.statements(self.engine) as seen:
            html = self.get()
        assert len(seen) <= LIST_BUDGET, seen
        return html

    def keys(self) -> list[str]:
        """The identity texts of the rows that the list shows."""
        return [html.unescape(k) for k in re.findall(r'name="rowid" value="([^"]*)"', self.list())]

    def fields(self) -> set[str]:
        """The names of the controls of the form for a new row."""
        return set(re.findall(r'(?:input|select|textarea)[^>]* name="([^"]*)"', self.get("create")))

    def post_new(self, typed: dict[str, Any]) -> TestResponse:
        sent = {**self.controls(self.get("create")), **typed, "_continue_editing": "1"}
        return self.client.post(self.url("create"), data=sent)

    def create(self, **typed: Any) -> str:
        """Fill in the form for a new row; the identity text of the row that it made."""
        assert set(typed) <= self.fields(), (set(typed) - self.fields(), self.fields())
        response = self.post_new(typed)
        assert response.status_code == 302, sentences(response)
        (key,) = parse_qs(urlsplit(response.location).query)["id"]
        return key

    def post(self, key: str, typed: dict[str, Any]) -> TestResponse:
        sent = {**self.controls(self.get("edit", key)), **typed}
        return self.client.post(self.url("edit", key), data=sent)

    def change(self, key: str, **typed: Any) -> list[str]:
        """Save the form of a row with some fields typed anew; the writes that this made.

        Without what is written into the history.
        """
        sent = {**self.controls(self.get("edit", key)), **typed}
        with self.statements(self.engine) as seen:
            response = self.client.post(self.url("edit", key), data=sent)
        assert response.status_code == 302, sentences(response)
        written = [s for s in seen if not s.lstrip("( ").upper().startswith(("SELECT", "WITH"))]
        return [s for s in written if not s.startswith("INSERT INTO admin_")]

    def save_untouched(self, key: str) -> None:
        """Saving a form in which nobody touched anything writes nothing."""
        written = self.change(key)
        assert written == [], written

    def delete(self, key: str) -> None:
        """See what would go, confirm, and have the row gone."""
        self.get("delete", key)
        response = self.client.post(self.url("delete"), data={"id": key})
        assert response.status_code == 302, sentences(response)
        assert self.client.get(self.url("details", key)).status_code == 404

    def delete_many(self, keys: Iterable[str]) -> None:
        """Tick rows, choose «Delete», see them, confirm, and have them gone."""
        data = {"action": "delete", "rowid": list(keys)}
        asked = self.client.post(self.url("action"), data=data)
        assert asked.status_code == 200, sentences(asked)
        done = self.client.post(self.url("action"), data={**data, "confirmed": "1"})
        assert done.status_code == 302, sentences(done)
        for key in data["rowid"]:
            assert self.client.get(self.url("details", key)).status_code == 404

    def lookup(self, field: str, text: str = "") -> dict[str, str]:
        """Label → identity text of what the picker of ``field`` finds."""
        html = self.get("create")
        address = re.search(rf'name="{field}"[^>]* data-lookup-url="([^"]*)"', html)
        assert address is not None, f"{field} has no picker"
        found = self.client.get(f"{address[1]}?q={quote(text)}")
        assert found.status_code == 200, sentences(found)
        return {item["text"]: item["id"] for item in found.json["items"]}

    def whole(
        self, new: Callable[[int], dict[str, Any]], *, writes: Iterable[str] = (), **typed: Any
    ) -> None:
        """Every page, for rows made from what ``new`` says to type for the n-th.

        ``typed`` is changed in the form of the first; exactly the columns ``writes`` are updated.
        """
        keys = [self.create(**new(n)) for n in range(3)]
        shown = self.keys()
        assert set(keys) <= set(shown), (keys, shown)
        first, *others = keys
        for page in ("details", "edit", "delete"):
            self.get(page, first)
        self.save_untouched(first)
        if typed:
            written = columns_written(self.change(first, **typed))
            assert written == set(writes), written
            self.save_untouched(first)
        self.delete(first)
        self.delete_many(others)


def columns_written(statements: Iterable[str]) -> set[str]:
    """The columns that UPDATE statements set."""
    found: set[str] = set()
    for statement in statements:
        match = re.match(r"UPDATE .+? SET (.+?) WHERE ", statement, re.DOTALL)
        assert match is not None, statement
        names = (part.partition("=")[0].strip(' "') for part in match[1].split(", "))
        # psycopg2 wants every % of a name twice.
        found.update(name.replace("%%", "%") for name in names)
    return found


def sentences(response: TestResponse) -> str:
    """What a page says, without its tags."""
    text = re.sub(r"<(head|nav|aside).*?</\1>", " ", response.text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))[:2000]
