"""What the columns of a file can be put into, and what was chosen for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from sqlalchemy import orm

Mode = Literal["create", "update", "upsert"]
Empty = Literal["leave", "null", "default"]

MODES: Mapping[Mode, str] = {
    "create": "Make a new row of each",
    "update": "Change rows that are there",
    "upsert": "Change rows that are there, make the others",
}
EMPTIES: Mapping[Empty, str] = {
    "leave": "Leave what is there; a new row gets its default",
    "null": "Empty the value",
    "default": "Set the default",
}

NEEDED = "A value is needed."


@dataclass(frozen=True, slots=True)
class Way:
    """How related rows are named in a file: by their key, what they are called, a column of theirs.

    ``find`` maps texts to the rows that they name; to a sentence where that is none, or not one.
    """

    name: str
    label: str
    find: Callable[[Sequence[str]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Target:
    """An attribute that a column of a file can be put into.

    ``read`` makes a value of a text, or raises ValueError with a sentence; ``tell`` makes a text
    of a value. ``relationship`` is there for related rows, which ``ways`` find; ``set_key`` where
    no relationship leads to them: the attribute of theirs that is stored.
    """

    key: str
    label: str
    read: Callable[[str], Any]
    tell: Callable[[Any], str]
    is_same: Callable[[Any, Any], bool]
    is_text: bool = False
    is_json: bool = False
    is_needed: bool = False
    is_nullable: bool = True
    is_generated: bool = False
    is_key: bool = False
    """It tells rows apart: it is set in new rows only."""
    is_only_found_by: bool = False
    """The database makes it, so that it only serves to find rows."""
    blank: Any = None
    """What an empty cell empties the value to."""
    default: Any = None
    ways: Sequence[Way] = ()
    relationship: orm.RelationshipProperty[Any] | None = None
    set_key: str | None = None
    is_multiple: bool = False

    @property
    def is_relation(self) -> bool:
        return bool(self.ways)


@dataclass(frozen=True, slots=True)
class Choice:
    """What is done with one column of a file: the key of its target, and how that names rows."""

    target: str = ""
    way: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is chosen about a file: a `Choice` a column, and what becomes of its rows.

    ``match`` are the attributes of the unique key by which rows are found.
    """

    columns: tuple[Choice, ...] = ()
    mode: Mode = "create"
    match: tuple[str, ...] = ()
    empty: Empty = "leave"

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """What `to_json` wrote; ValueError and its like for anything else."""
        found = json.loads(text)
        columns = tuple(Choice(str(c["target"]), str(c["way"])) for c in found["columns"])
        mode: Mode = next((m for m in MODES if m == found["mode"]), "create")
        empty: Empty = next((e for e in EMPTIES if e == found["empty"]), "leave")
        return cls(columns, mode, tuple(map(str, found["match"])), empty)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a file can be put into: targets by key, and the unique keys by which rows are found."""

    targets: Mapping[str, Target]
    keys: Sequence[tuple[str, ...]] = field(default_factory=tuple)
    covered: Mapping[str, str] = field(default_factory=dict)
    """The targets of foreign keys that a relationship writes, by attribute."""
    can_add: bool = True
    can_change: bool = True

    def target_of(self, attribute: str) -> str:
        """The target that fills ``attribute`` of a key."""
        return self.covered.get(attribute, attribute)

    def key_label(self, key: Sequence[str]) -> str:
        """The words for a unique key."""
        names = (self.targets[self.target_of(k)].label for k in key)
        return " and ".join(dict.fromkeys(names))

    def modes(self) -> list[Mode]:
        found: list[Mode] = []
        if self.can_add:
            found.append("create")
        if self.can_change and self.keys:
            found.append("update")
            if self.can_add:
                found.append("upsert")
        return found


def plain(name: str) -> str:
    """``name`` as names are compared: without case, spaces and signs."""
    return "".join(c for c in name.casefold() if c.isalnum())


def guess(offer: Offer, header: Sequence[str]) -> Settings:
    """What a file with these columns looks to be meant for."""
    by_name: dict[str, Choice] = {}
    for target in offer.targets.values():
        for name in (target.label, target.key, target.key.removeprefix("is_")):
            by_name.setdefault(plain(name), Choice(target.key))
        for way in target.ways:
            for name in (f"{target.key}{way.name}", f"{target.label}{way.label}"):
                by_name.setdefault(plain(name), Choice(target.key, way.name))
    for attribute, key in offer.covered.items():
        if key in offer.targets:
            by_name.setdefault(plain(attribute), Choice(key, "key"))
    chosen: list[Choice] = []
    for name in header:
        choice = by_name.get(plain(name), Choice())
        is_taken = any(c.target == choice.target for c in chosen)
        chosen.append(Choice() if is_taken else choice)
    return with_mode(offer, Settings(tuple(chosen)))


def with_mode(offer: Offer, settings: Settings) -> Settings:
    """``settings`` with the mode and key that fit what its columns are put into."""
    filled = {choice.target for choice in settings.columns}
    whole = [key for key in offer.keys if all(offer.target_of(k) in filled for k in key)]
    modes = offer.modes()
    if whole and "upsert" in modes:
        mode: Mode = "upsert"
    elif whole and "update" in modes:
        mode = "update"
    else:
        mode = modes[0] if modes else "create"
    return replace(settings, mode=mode, match=whole[0] if whole else ())


def objections(offer: Offer, settings: Settings, header: Sequence[str]) -> list[str]:
    """What stands against ``settings``, as sentences."""
    found: list[str] = []
    chosen = [choice.target for choice in settings.columns if choice.target]
    if not chosen:
        found.append("Choose what at least one column is put into.")
    for key in dict.fromkeys(k for k in chosen if chosen.count(k) > 1):
        names = [n for n, c in zip(header, settings.columns, strict=False) if c.target == key]
        told = ", ".join(f"“{name}”" for name in names)
        found.append(f"{offer.targets[key].label} can be filled by one column only, not by {told}.")
    if settings.mode not in offer.modes():
        found.append("You may not do that with these rows.")
    elif settings.mode != "create":
        if settings.match not in offer.keys:
            found.append("Choose by what rows are found.")
        else:
            missing = [k for k in settings.match if offer.target_of(k) not in chosen]
            if missing:
                label = offer.key_label(settings.match)
                found.append(f"To find rows by {label}, a column must be put into it.")
    else:
        only = [k for k in chosen if offer.targets[k].is_only_found_by]
        if only and len(only) == len(chosen):
            found.append(f"{offer.targets[only[0]].label} is made by the database.")
    return found
