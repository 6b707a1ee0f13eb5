"""What an address says of a file beside its rows and columns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from admin_app import inspection, moments
from admin_app.errors import InvalidRequest

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t"}


@dataclass(frozen=True, slots=True)
class Options:
    """How values are written.

    ``is_raw`` writes what an import reads back: keys, ISO dates, names of enums. Moments are told
    in ``zone``. ``with_content`` writes binary content as base64 instead of its size. ``delimiter``
    and ``with_bom`` (the mark by which Excel knows UTF-8) are of CSV alone.
    """

    is_raw: bool = False
    zone: dt.tzinfo = field(default_factory=moments.zone)
    with_content: bool = False
    delimiter: str = ","
    with_bom: bool = False

    @property
    def has_content(self) -> bool:
        return self.is_raw or self.with_content


def read_options(args: Mapping[str, str]) -> Options:
    """The options that the arguments ``values zone binary delimiter bom`` ask for.

    InvalidRequest for what is none of their values: a file shows no note that it was set aside.
    """
    zone = moments.named(args["zone"]) if args.get("zone") else moments.zone()
    if zone is None:
        raise InvalidRequest(f"There is no time zone “{inspection.shorten(args['zone'])}”.")
    return Options(
        is_raw=_one_of(args, "values", ("labels", "raw")) == "raw",
        zone=zone,
        with_content=_one_of(args, "binary", ("size", "base64")) == "base64",
        delimiter=DELIMITERS[_one_of(args, "delimiter", tuple(DELIMITERS))],
        with_bom=_one_of(args, "bom", ("0", "1")) == "1",
    )


def _one_of(args: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    """The value of the argument ``name``, the first that is known without one."""
    given = args.get(name) or known[0]
    if given not in known:
        shown = inspection.shorten(given)
        raise InvalidRequest(
            f"“{name}” is {' or '.join(known)} in the address of a file, not “{shown}”."
        )
    return given
