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

_has_signs = re.compile("[&<>\"']").search


def escaped(value: Any) -> Markup:
    """``value`` as `markupsafe.escape` writes it.

    Most texts have nothing to escape, and seeing that takes a third of the time.
    """
    if type(value) is str and _has_signs(value) is None:
        return safe(value)
    return escape(value)
