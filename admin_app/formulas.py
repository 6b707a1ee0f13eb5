"""Text that a spreadsheet would run as a formula: an apostrophe keeps it text in a CSV file.

What is written with `disarmed` or `exact` is read back with `armed`, so that a file of ours comes
back as it was. Text that begins with apostrophes before such a start gets one more, which is taken
off again.
"""

from __future__ import annotations

import re

_START = re.compile(r"'*\s*[=+\-@＝＋－＠\t\r]")
_MARKED = re.compile(rf"(?:{_START.pattern}|'*\Z)")


starts = _START.match
"""Finds that a text begins like a formula; for loops in which a call of `disarmed` would cost."""


def disarmed(text: str) -> str:
    """``text``, with an apostrophe before it when it begins like a formula."""
    return f"'{text}" if _START.match(text) else text


def exact(text: str) -> str:
    """``text`` as `disarmed` has it, and empty text as an apostrophe: an empty cell holds none."""
    return f"'{text}" if _MARKED.match(text) else text


def armed(text: str) -> str:
    """What `disarmed` or `exact` made ``text`` of."""
    return text[1:] if text.startswith("'") and _MARKED.match(text) else text
