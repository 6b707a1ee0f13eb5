"""The words for names of classes and attributes, their plurals, and text cut for a message."""

from __future__ import annotations

import re

_NAME_PART = re.compile(r"[^\W_]+")
_INNER_BOUNDARY = re.compile(
    r"(?<=[^\WA-Z_])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][^\W\dA-Z_])|(?<=[^\W\d_])(?=\d)"
)
_ACRONYMS = frozenset({"url", "uuid", "ip", "vat", "iban", "sku", "csv", "html", "json", "api"})


def words(name: str) -> str:
    """``order_items`` or ``OrderItem`` as it stands in a heading: «Order items», «Order item»."""
    parts = [w for part in _NAME_PART.findall(name) for w in _INNER_BOUNDARY.split(part)]
    text = " ".join(p.upper() if p.lower() in _ACRONYMS else p.lower() for p in parts) or name
    return text[:1].upper() + text[1:]


IRREGULAR = {
    "person": "people",
    "child": "children",
    "man": "men",
    "woman": "women",
    "analysis": "analyses",
    "index": "indices",
    "cache": "caches",
    "shoe": "shoes",
    "movie": "movies",
    "data": "data",
    "media": "media",
    "news": "news",
    "series": "series",
    "species": "species",
}
_UNCOUNTED = frozenset(
    {"data", "equipment", "feedback", "history", "information", "inventory", "media", "metadata"}
    | {"money", "music", "news", "software", "staff", "stuff", "telemetry", "traffic", "weather"}
)


def plural(text: str) -> str:
    """An English plural of the last word of ``text``; a word that looks plural stays."""
    head, space, last = text.rpartition(" ")
    lower = last.lower()
    if lower in IRREGULAR:
        many = IRREGULAR[lower]
        return head + space + (many.capitalize() if last[:1].isupper() else many)
    if lower in _UNCOUNTED or lower in IRREGULAR.values():
        return text
    if re.search(r"[^s]s$", lower) and not re.search(r"(us|is|as|os)$", lower):
        return text
    if lower.endswith(("s", "x", "z", "ch", "sh")):
        last += "es"
    elif re.search(r"[^aeiou]y$", lower):
        last = last[:-1] + "ies"
    else:
        last += "s"
    return head + space + last


def shorten(text: str, limit: int = 60) -> str:
    """``text`` cut for a message, with what cannot be printed replaced."""
    text = "".join(c if c.isprintable() else "�" for c in text[: limit + 1])
    return text if len(text) <= limit else text[:limit] + "…"
