"""The page that browser tests are given complains of what it has to."""

from __future__ import annotations

import pytest
from flask import Flask, Response


@pytest.fixture
def site() -> Flask:
    app = Flask("site")
    page = '<!doctype html><html lang="en"><head><title>t</title></head><body><main><h1>t</h1>{}'

    @app.get("/<name>")
    def show(name: str) -> Response:
        body, status = {
            "plain": ("", 200),
            "missing": ("", 404),
            "broken": ("", 500),
            "inline": ("<script>document.title = 'ran'</script>", 200),
            "throwing": ("<script nonce='n'>throw new Error('oops')</script>", 200),
            "hole": ("<img src='/missing' alt=''>", 200),
            "unnamed": ("<input>", 200),
        }[name]
        answer = Response(page.format(body), status)
        answer.headers["Content-Security-Policy"] = "default-src 'self'; script-src 'nonce-n'"
        return answer

    @app.get("/favicon.ico")
    def favicon() -> tuple[str, int]:
        return "", 204

    return app


@pytest.mark.parametrize("name", ["plain", "missing"])
def test_an_honest_page_has_no_complaints(name: str, site: Flask, live_server, page) -> None:
    page.goto(f"{live_server(site)}/{name}")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("broken", "500 from GET"),
        ("inline", "Content Security Policy"),
        ("throwing", "uncaught error: oops"),
        ("hole", "404"),
    ],
)
def test_a_bad_page_is_complained_of(
    name: str, words: str, site: Flask, live_server, page, complaints
) -> None:
    page.goto(f"{live_server(site)}/{name}", wait_until="networkidle")
    page.wait_for_timeout(50)
    assert any(words in complaint for complaint in complaints)
    complaints.clear()


def test_axe_names_what_it_finds(site: Flask, live_server, page, axe) -> None:
    url = live_server(site)
    page.goto(f"{url}/plain")
    assert axe(page) == []
    page.goto(f"{url}/unnamed")
    assert [finding.split(":")[0] for finding in axe(page)] == ["label"]
