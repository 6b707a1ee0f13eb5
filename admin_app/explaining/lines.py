"""Long lines of Python and of SQL, broken so that they can be read."""

from __future__ import annotations

import re
from collections.abc import Iterator

WIDTH = 88
_CLOSING = {"(": ")", "[": "]"}
_PIECE = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[()\[\],]|[^'"()\[\],]+""")


def of_code(text: str, level: int = 0) -> Iterator[str]:
    """The lines of ``text``, Python without comments, none wider than can be helped."""
    for line in text.split("\n"):
        yield from _broken(line, level, "")


def _broken(line: str, level: int, end: str) -> Iterator[str]:
    indent = "    " * level
    group = _longest_group(line)
    if len(indent + line + end) <= WIDTH or group is None:
        yield indent + line + end
        return
    start, stop = group
    parts = list(_split(line[start:stop]))
    yield indent + line[:start]
    for part in parts:
        # A comma after the only part would make a tuple of what stands in parentheses.
        yield from _broken(part, level + 1, "," if len(parts) > 1 else "")
    yield indent + line[stop:] + end


def _longest_group(line: str) -> tuple[int, int] | None:
    """From where to where the longest text in brackets goes that are in no others."""
    best: tuple[int, int] | None = None
    depth, at, opened = 0, 0, 0
    for piece in _PIECE.findall(line):
        if piece in _CLOSING:
            depth += 1
            opened = at + 1 if depth == 1 else opened
        elif piece in _CLOSING.values():
            depth -= 1
            if depth == 0 and (best is None or at - opened > best[1] - best[0]):
                best = opened, at
        at += len(piece)
    return best if best and best[1] > best[0] else None


def _split(text: str) -> Iterator[str]:
    """The parts between commas that are in no brackets."""
    depth, part = 0, ""
    for piece in _PIECE.findall(text):
        depth += (piece in _CLOSING) - (piece in _CLOSING.values())
        if piece == "," and depth == 0:
            yield part.strip()
            part = ""
        else:
            part += piece
    if part.strip():
        yield part.strip()


_SQL_PIECE = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|[(),]|\s+|[^\s'"`(),]+""", re.DOTALL
)
_CLAUSES = {"SELECT", "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "UNION"}
_INNER = {"LEFT", "JOIN", "AND", "OR"}


def of_sql(text: str) -> str:
    """``text``, one statement of SQL, with each clause on a line, and subqueries set in."""
    writer = _Sql()
    for piece in _SQL_PIECE.findall(text):
        writer.add(piece)
    return "\n".join(line for ready in writer.lines() for line in _packed(ready))


class _Sql:
    def __init__(self) -> None:
        self.done: list[str] = []
        self.line = ""
        self.levels: list[str] = ["query"]
        self.last = ""
        self.is_between = False

    def lines(self) -> list[str]:
        return [*self.done, self.line]

    def add(self, piece: str) -> None:
        if piece.isspace():
            self.line += "" if self.line.endswith((" ", "(")) or not self.line.strip() else " "
            return
        word = piece.upper()
        if word in ("(", "CASE"):
            self.levels.append(word)
        elif word in (")", "END") and len(self.levels) > 1:
            was_query = self.levels.pop() == "query"
            if was_query:
                self._break(0)
        elif word == "SELECT" and self.levels[-1] == "(":
            self.levels[-1] = "query"
            self._break(0)
        elif self.levels[-1] == "query":
            self._clause(word)
        self.line += piece
        self.last = word

    def _clause(self, word: str) -> None:
        if word == "BETWEEN":
            self.is_between = True
        elif word == "AND" and self.is_between:
            self.is_between = False
        elif word in _CLAUSES and not (word == "FROM" and self.last == "DISTINCT"):
            self._break(0)
        elif word in _INNER and self.last not in ("LEFT", "OUTER", "INNER"):
            self._break(1)

    def _break(self, inner: int) -> None:
        depth = self.levels.count("query") - 1
        if self.line.strip():
            self.done.append(self.line.rstrip())
        self.line = "  " * (2 * depth + inner)


def _packed(line: str) -> Iterator[str]:
    """``line`` broken after commas where it is too wide."""
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    while len(line) > WIDTH:
        cut = max(line.rfind(", ", len(indent), WIDTH) + 1, line.rfind(" OR ", len(indent), WIDTH))
        if cut < len(indent) or line.count("'", 0, cut) % 2:
            break
        yield line[:cut]
        line = indent + line[cut + 1 :]
    yield line
