"""Files that are kept between the pages of an import: on disk, each its owner's alone.

A file lies in a folder of its own under a random name, with what was chosen about it and what its
trial found. It is forgotten after a day, and once its rows are written.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from admin_app.errors import InvalidRequest, NotFound
from admin_app.imports.reading import Cell, Format
from admin_app.imports.targets import Settings

LIFE = dt.timedelta(days=1)
PIECE = 2**20


@dataclass(slots=True)
class About:
    """What is known of a kept file; ``digest`` tells it from every other."""

    owner: str
    model: str
    filename: str
    size: int
    digest: str
    form: Format
    settings: Settings | None = None


class Upload:
    """A kept file, under ``folder``."""

    def __init__(self, folder: Path, about: About) -> None:
        self.folder = folder
        self.about = about

    @property
    def token(self) -> str:
        return self.folder.name

    @property
    def path(self) -> Path:
        return self.folder / "file"

    def save(self) -> None:
        """Keep what `about` says by now."""
        found = asdict(self.about)
        found["settings"] = self.about.settings and self.about.settings.to_json()
        _write(self.folder / "about.json", json.dumps(found))

    def keep(self, name: str, found: Any) -> None:
        """Keep ``found``, JSON, beside the file under ``name``; None takes it away."""
        place = self.folder / f"{name}.json"
        if found is None:
            place.unlink(missing_ok=True)
        else:
            _write(place, json.dumps(found))

    def claim(self, name: str) -> bool:
        """Whether this is the first to ask for ``name``, of several at once too."""
        try:
            (self.folder / f"{name}.claimed").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def kept(self, name: str) -> Any:
        """What `keep` has kept under ``name``; None where there is nothing."""
        try:
            return json.loads((self.folder / f"{name}.json").read_text())
        except (OSError, ValueError):
            return None

    def reject(self, rows: Iterable[tuple[int, Sequence[Cell], str]]) -> None:
        """Add rows that were refused: their number, their cells and the reason."""
        lines = [json.dumps([number, list(cells), reason]) + "\n" for number, cells, reason in rows]
        if lines:
            with (self.folder / "rejected.jsonl").open("a") as file:
                file.writelines(lines)

    def rejected(self) -> Iterator[tuple[int, list[Cell], str]]:
        """The rows that were refused, each once, as it was refused last."""
        place = self.folder / "rejected.jsonl"
        if not place.exists():
            return
        last: dict[int, int] = {}
        with place.open() as file:
            for line, text in enumerate(file):
                last[json.loads(text)[0]] = line
        with place.open() as file:
            for line, text in enumerate(file):
                number, cells, reason = json.loads(text)
                if last[number] == line:
                    yield number, cells, reason

    def forget_rejected(self) -> None:
        (self.folder / "rejected.jsonl").unlink(missing_ok=True)

    def done(self) -> None:
        """Delete the file itself; what was refused stays as long as the folder."""
        self.path.unlink(missing_ok=True)

    def forget(self) -> None:
        """Delete everything that is kept of it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _write(place: Path, text: str) -> None:
    made = place.with_name(f"{place.name}.{secrets.token_hex(4)}")
    made.write_text(text)
    made.replace(place)


def keep(root: Path, owner: str, model: str, filename: str, stream: Any, limit: int) -> Upload:
    """Keep what ``stream`` holds, at most ``limit`` bytes, under ``root``."""
    sweep(root)
    folder = root / secrets.token_urlsafe(18)
    folder.mkdir(parents=True, mode=0o700)
    upload = Upload(folder, About(owner, model, filename[:200], 0, "", Format()))
    try:
        digest = hashlib.sha256()
        with upload.path.open("wb") as file:
            while piece := stream.read(PIECE):
                upload.about.size += len(piece)
                if upload.about.size > limit:
                    raise InvalidRequest(too_large(limit))
                digest.update(piece)
                file.write(piece)
        upload.about.digest = digest.hexdigest()
        upload.save()
    except OSError:
        upload.forget()
        raise InvalidRequest("There is no room on this server to keep the file.") from None
    except BaseException:
        upload.forget()
        raise
    return upload


def too_large(limit: int) -> str:
    """The sentence for a file of more than ``limit`` bytes."""
    return f"A file may have {size(limit)} at most. Cut it into several."


def size(count: int) -> str:
    """So many bytes, in words."""
    return f"{count / 2**20:,.0f} MB" if count >= 2**20 else f"{count:,} bytes"


def find(root: Path, token: str, owner: str, model: str) -> Upload:
    """The kept file with this name; NotFound when it is gone, or not the owner's."""
    gone = NotFound("This file is not here any more. Choose it again.")
    if not re.fullmatch(r"[A-Za-z0-9_-]{24}", token):
        raise gone
    try:
        found = json.loads((root / token / "about.json").read_text())
        form = Format(**found.pop("form"))
        settings = found.pop("settings")
        about = About(**found, form=form, settings=settings and Settings.from_json(settings))
    except (OSError, ValueError, TypeError, KeyError):
        raise gone from None
    if (about.owner, about.model) != (owner, model):
        raise gone
    return Upload(root / token, about)


def sweep(root: Path, now: dt.datetime | None = None) -> None:
    """Delete what was kept for longer than `LIFE`."""
    before = ((now or dt.datetime.now(dt.UTC)) - LIFE).timestamp()
    for folder in root.iterdir() if root.is_dir() else ():
        try:
            is_old = folder.stat().st_mtime < before
        except OSError:
            continue
        if is_old:
            shutil.rmtree(folder, ignore_errors=True)
