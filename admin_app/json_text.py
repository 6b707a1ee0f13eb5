"""JSON as a database has it, laid out for a person with nothing in it changed.

Python's floats do not keep every number, its dicts no key that stands twice, and its parser does
not follow every depth; so what is shown is made of the text, never of what it means to Python.
"""

from __future__ import annotations

import json
import re

FORMATTED_DEPTH = 40
FORMATTED_SIZE = 500_000
"""Deeper or longer text is shown as it is stored: line ends and blanks would be most of it."""

_TOKEN = re.compile(r'\s*("[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]|[^\s\[\]{},:"]+)')


def formatted(text: str) -> str:
    """JSON as stored, indented for a person; its numbers, keys and their order untouched."""
    if len(text) > FORMATTED_SIZE or not _is_whole(text):
        return text
    tokens = _TOKEN.findall(text)
    parts: list[str] = []
    level = 0
    for index, part in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else ""
        if part in ("[", "{"):
            is_empty = following in ("]", "}")
            level += 0 if is_empty else 1
            parts.append(part if is_empty else part + _line(level))
        elif part in ("]", "}"):
            was_empty = index > 0 and tokens[index - 1] in ("[", "{")
            level -= 0 if was_empty else 1
            parts.append(part if was_empty else _line(level) + part)
        elif part == ",":
            parts.append(part + _line(level))
        elif part == ":":
            parts.append(": ")
        else:
            parts.append(_readable(part))
        if level > FORMATTED_DEPTH or level < 0:
            return text
    return "".join(parts) if level == 0 else text


def on_one_line(text: str) -> str:
    """JSON as stored, or the beginning of it, on one line."""
    spaced = {",": ", ", ":": ": "}
    parts: list[str] = []
    end = 0
    for match in _TOKEN.finditer(text):
        if match.start() != end:
            break
        parts.append(spaced.get(match[1]) or _readable(match[1]))
        end = match.end()
    # A cut may have left a text open.
    return printable("".join(parts) + " ".join(text[end:].split()))


def _line(level: int) -> str:
    return "\n" + "  " * level


def _is_whole(text: str) -> bool:
    """Whether ``text`` is made of tokens, and blanks between them, alone."""
    end = 0
    for match in _TOKEN.finditer(text):
        if match.start() != end:
            return False
        end = match.end()
    return not text[end:].strip()


def _readable(token: str) -> str:
    if not token.startswith('"') or "\\" not in token:
        return token
    try:
        return printable(json.dumps(json.loads(token, strict=False), ensure_ascii=False))
    except ValueError:
        return token


def printable(text: str) -> str:
    """``text`` with halves of a character pair, which no page can carry, written as escapes."""
    return re.sub("[\ud800-\udfff]", lambda match: f"\\u{ord(match[0]):04x}", text)
