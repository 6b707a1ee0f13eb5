"""Text that is HTML already, and text that becomes it, made as quickly as can be.

A page of a list escapes thousands of values, so what markupsafe does for each of them is felt.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, cast

from markupsafe import Markup, escape

safe = cast(Callable[[str], Markup], functools.partial(str.__new__, Markup))
"""`Markup` of a text that is HTML already: its own constructor takes three times as long."""


class _Late:
    """HTML that is made when a template prints it, and not before."""

    def __init__(self, make: Callable[[], Markup]) -> None:
        self._make = make

    def __html__(self) -> str:
        return self._make()

    def __str__(self) -> str:
        return self._make()


def late(make: Callable[[], Markup]) -> Markup:
    """What ``make`` gives, made when a template prints it: a host's own code may ask the template.

    It stands where Markup stands, though only printing tells what it is. What is raised then is
    raised; a template takes a property that raises AttributeError for one that is not there.
    """
    return cast(Markup, _Late(make))


has_signs = re.compile("[&<>\"']").search
"""Whether a text has signs that HTML writes otherwise: a match, or None."""


def escaped(value: Any) -> str:
    """``value`` as `markupsafe.escape` writes it, to be joined with other HTML.

    Most texts have nothing to escape, and seeing that takes a third of the time. They come back as
    they are.
    """
    if type(value) is not str:
        return escape(value)
    if has_signs(value) is None:
        return value
    text = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&#34;").replace("'", "&#39;")
