"""What a visitor chooses about a list and keeps: how dense its rows are, and how long texts stand.

The choices are links and forms over the list's own address: ``choose`` names one, the answer keeps
it in a cookie and leads back to the list as it was.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import request
from flask.typing import ResponseReturnValue
from werkzeug.utils import redirect

from admin_app import contexts as c

ONE_YEAR = 31_536_000
LOOK_COOKIE = "admin_list"

LOOKS = {"roomy": "density", "compact": "density", "cut": "texts", "wrapped": "texts"}
"""What can be chosen about the look of lists, and which of them exclude each other."""

_PLAIN = {"density": "roomy", "texts": "cut"}


def look() -> dict[str, str]:
    """The look that this visitor has chosen: ``density`` and ``texts``."""
    chosen = request.cookies.get(LOOK_COOKIE, "").split(".")
    return _PLAIN | {LOOKS[word]: word for word in chosen if word in LOOKS}


def answer(view: Any) -> ResponseReturnValue | None:
    """What the list answers to a choice; None where the request makes none."""
    chosen = request.args.get("choose")
    if chosen in LOOKS:
        words = look() | {LOOKS[chosen]: chosen}
        kept = ".".join(word for kind, word in words.items() if word != _PLAIN[kind])
        return _kept(LOOK_COOKIE, kept, _back(), view.admin.url or "/")
    return None


def _back(**changed: str | None) -> str:
    """The list as it was, without the choice."""
    kept = [(k, v) for k, v in request.args.items(multi=True) if k not in {"choose", *changed}]
    kept += [(k, v) for k, v in changed.items() if v]
    path = request.root_path + request.path
    return f"{path}?{urlencode(kept, safe=',:')}" if kept else path


def _kept(name: str, value: str, target: str, path: str) -> ResponseReturnValue:
    """The way to ``target``, with ``value`` kept for a year for the pages under ``path``."""
    response = redirect(target, 303)
    attributes: dict[str, Any] = {
        "path": request.root_path + path,
        "secure": request.is_secure,
        "samesite": "Lax",
    }
    if value:
        response.set_cookie(name, value, max_age=ONE_YEAR, **attributes)
    else:
        response.delete_cookie(name, **attributes)
    return response


def menu(choose_url: Any) -> list[c.MenuGroup]:
    """The lines of the list's menu that choose a look; ``choose_url`` makes their addresses."""
    current = look()
    return [
        c.MenuGroup(
            title,
            [c.MenuEntry(text, choose_url(word), current[kind] == word) for word, text in entries],
        )
        for title, kind, entries in (
            ("Rows", "density", (("roomy", "Comfortable"), ("compact", "Compact"))),
            ("Long texts", "texts", (("cut", "One line each"), ("wrapped", "In full"))),
        )
    ]
