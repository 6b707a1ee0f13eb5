"""Every error the admin raises on purpose.

The tree, with the HTTP status that the web layer answers:

    AdminError
    ├── ConfigurationError      the start is stopped; never seen by an operator
    ├── InvalidRequest     400  an argument of the URL or form that means nothing
    ├── Forbidden          403  the policy says no
    ├── NotFound           404  no such row or page, or none that this principal may know of
    ├── OutOfSpace         507  the disk of the server is full
    ├── OutOfTime          503  a reading that was stopped by its time budget; what needed it
    │                           mostly says so in its own place
    └── WriteRefused            a write that was rolled back; carries the sentences to show
        ├── Undecided           the one of which it is not known: its commit got no answer
        └── Contended           a deadlock, or transactions that no order explains
            └── Overtaken       somebody else changed or deleted the same row at the same moment

A message is a sentence for whoever has to act on it: the operator for the last four, the
developer for the first. It never contains SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

NOT_WHOLE = "This file is not whole: the export broke off here. Export it again."
"""With this a file of text ends that could not be written to its end; no import takes it."""


class AdminError(Exception):
    """Root of the tree; never raised itself."""

    @property
    def sentence(self) -> str:
        """The message, as shown to a person."""
        return str(self.args[0]) if self.args else ""


class ConfigurationError(AdminError):
    """The application is set up wrongly.

    ``problems`` holds one sentence per wrong setting, so that all of them can be mended at once.
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class InvalidRequest(AdminError):
    """An argument of the URL or of a form has no meaning here."""


class Forbidden(AdminError):
    """The principal may not do this."""


class NotFound(AdminError):
    """There is no such row, model or page, or none within the principal's reach."""


class OutOfTime(AdminError):
    """A reading took longer than the time it was given; see `database.budget`."""


class OutOfSpace(AdminError):
    """The disk of the server, or what it may keep there, is full."""


class WriteRefused(AdminError):
    """A write was refused and wholly rolled back.

    ``fields`` maps attribute keys to the sentences that concern them; ``sentence`` is for the
    page when no field can be named.
    """

    def __init__(self, message: str, fields: Mapping[str, list[str]] | None = None) -> None:
        super().__init__(message)
        self.fields: dict[str, list[str]] = dict(fields or {})


class Undecided(WriteRefused):
    """The connection was lost over a commit, and the database does not tell what became of it."""


class Contended(WriteRefused):
    """Two transactions stood in each other's way, or the connection was lost before the commit.

    Nothing was saved; done once more, the write may well succeed.
    """


class Overtaken(Contended):
    """Somebody else changed or deleted the row between its reading and its writing."""
