"""Songs: their rows in the journal, their folders on disk, and how they look from outside.

    <data>/
    ├── journal.sqlite, lock, paces.json
    ├── incoming/            uploads on their way, and what is being made for somebody who waits
    ├── trials/              noise that models are tried out on
    └── songs/<id>/          input; vocals.wav …; vocals.peaks …

Ids are made here. No name that somebody sent is ever the name of a file.
"""

import math
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemwise.errors import StemwiseError
from stemwise.journal import Journal, Row, State
from stemwise.naming import portable_name
from stemwise.server.settings import Settings
from stemwise.worker import Pace

QUEUE = "studio"
QUEUED: tuple[State, ...] = ("queued",)
RUNNING: tuple[State, ...] = ("running",)
WAITING = QUEUED + RUNNING
MAX_TITLE = 200


class QueueFull(StemwiseError):
    """Too many songs wait."""


class DiskFull(StemwiseError):
    """What is kept takes as much of the disk as it may."""


@dataclass(frozen=True, slots=True)
class Live:
    """How far a running song is; not worth a transaction."""

    progress: float = 0.0
    stage: str | None = None
    eta_s: float | None = None


class Library:
    """All songs of one server."""

    def __init__(self, settings: Settings, journal: Journal) -> None:
        self.settings, self.journal = settings, journal
        self.songs, self.incoming, self.trials = (
            settings.data / name for name in ("songs", "incoming", "trials")
        )
        self.live: dict[str, Live] = {}
        self.pace_of: Callable[[str], Pace | None] = lambda model: None  # as `Jobs` knows it
        self._coming: dict[Path, int] = {}  # bytes that uploads on their way may have
        self._room = threading.Lock()  # from a look at what is left, or at how a song is, to what follows

    def open(self) -> None:
        """Make the folders, and forget what never became a song.

        A folder with stems stays, even if this journal does not know it: another one may.
        """
        for folder in (self.incoming, self.trials):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in (self.songs, self.incoming, self.trials):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in self.songs.iterdir():
            if self.journal.get(folder.name) is None and not any(folder.glob("*.wav")):
                shutil.rmtree(folder, ignore_errors=True)
            for part in folder.glob(".*.part"):  # of a server that was killed
                part.unlink()

    def temporary(self) -> Path:
        """A new name among what is on its way."""
        return self.incoming / secrets.token_hex(8)

    def input(self, row: Row) -> Path:
        """The song itself: where it lies, or as it was uploaded."""
        return Path(row.source) if row.source else self.songs / row.id / "input"

    def stem(self, id: str, stem: str) -> Path:
        return self.songs / id / f"{portable_name(stem)}.wav"

    def check_room(self, n_bytes: int = 0) -> int:
        """Bytes that may still be kept, beside the stems of songs that wait and uploads on their way.

        Raises:
            QueueFull, DiskFull: if the queue is as long as it may be, or there is no room for so many.
        """
        limits, waiting = self.settings.limits, self.journal.rows(QUEUE, WAITING)
        if len(waiting) >= limits.queue:
            raise QueueFull(f"{limits.queue} songs are waiting already: try again when some are done")
        room = min(limits.disk_bytes - _size(self.settings.data), shutil.disk_usage(self.songs).free)
        for row in waiting:
            written = _size(self.songs / row.id) - _size_of(self.songs / row.id / "input")
            room -= max(0, stems_bytes(row.details) - written)
        for path, promised in list(self._coming.items()):
            room -= max(0, promised - _size_of(path))
        if room <= n_bytes:
            taken = "used up, with what songs that wait will need" if waiting else "used up"
            raise DiskFull(f"the studio's disk space is {taken}: delete songs that are no longer needed")
        return room

    def expect(self, path: Path, n_bytes: int) -> int:
        """Keep room for an upload until it has `arrived`; returns how many bytes it may have.

        Raises:
            QueueFull, DiskFull: if there is none.
        """
        with self._room:
            self._coming[path] = promised = min(n_bytes, self.check_room())
        return promised

    def arrived(self, path: Path) -> None:
        self._coming.pop(path, None)

    def add(self, title: str, model: str, two_stems: str | None, details: dict[str, Any], song: Path) -> Row:
        """Queue a song: an upload, which is moved to its place, or a file that stays where it is.

        Raises:
            QueueFull, DiskFull: if there is no room for its stems.
        """
        with self._room:
            self.check_room(stems_bytes(details))
            return self._add(title, model, two_stems, details, song)

    def _add(self, title: str, model: str, two_stems: str | None, details: dict[str, Any], song: Path) -> Row:
        id = secrets.token_hex(8)
        (self.songs / id).mkdir()
        is_upload = song.parent == self.incoming
        if is_upload:
            song.rename(self.songs / id / "input")
        clean = "".join(c if c.isprintable() else " " for c in title).strip()[:MAX_TITLE]
        row = Row(
            id=id,
            queue=QUEUE,
            source="" if is_upload else str(song),
            title=clean or "untitled",
            parameters={"model": model, "two_stems": two_stems},
            details=details,
        )
        self.journal.add([row])
        return self.journal.get(id) or row

    def add_again(self, row: Row) -> None:
        """Queue a song anew that failed or was cancelled.

        Raises:
            QueueFull, DiskFull: if there is no room for its stems.
        """
        with self._room:
            self.check_room(stems_bytes(row.details))
            self.journal.requeue(QUEUE, states=("failed", "cancelled"), ids=[row.id])

    def get(self, id: str) -> Row | None:
        row = self.journal.get(id)
        return row if row is not None and row.queue == QUEUE else None

    def remove(self, id: str) -> None:
        """Forget a song that nobody is working on, and all its files."""
        self.journal.delete(id)
        self.live.pop(id, None)
        doomed = self.temporary()  # which the next server removes if this one dies meanwhile
        with suppress(FileNotFoundError):
            (self.songs / id).rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)

    def remove_stems(self, id: str) -> None:
        """What came of a song that nobody wants any more, but for its input."""
        for path in (self.songs / id).glob("*"):
            if path.name != "input":
                path.unlink(missing_ok=True)

    def clean_up(self) -> list[str]:
        """Remove what is older than it may be; returns the ids of songs that are gone."""
        limits, now = self.settings.limits, time.time()
        for row in self.journal.rows(QUEUE, ("failed", "cancelled")):
            if row.ended is not None and row.ended < now - limits.kept_s:
                with self._as_it_is(row) as is_so:
                    if is_so:
                        (self.songs / row.id / "input").unlink(missing_ok=True)
        if limits.stems_kept_s is None:
            return []
        gone = []
        for row in self.journal.rows(QUEUE, ("done", "failed", "cancelled")):
            if row.ended is not None and row.ended < now - limits.stems_kept_s:
                with self._as_it_is(row) as is_so:
                    if is_so:
                        self.remove(row.id)
                        gone.append(row.id)
        return gone

    @contextmanager
    def _as_it_is(self, row: Row) -> Iterator[bool]:
        """Whether a song that has ended is still what it was; nobody tries it again meanwhile."""
        with self._room:
            now = self.journal.get(row.id)
            yield now is not None and (now.state, now.ended) == (row.state, row.ended)

    def view(self, row: Row, position: int | None = None, eta_s: float | None = None) -> dict[str, Any]:
        """A song as `schemas.Song` has it."""
        details, is_running = row.details, row.state == "running"
        live = self.live.get(row.id, Live()) if is_running else Live(progress=float(row.state == "done"))
        known = ("duration_s", "sample_rate", "n_channels", "n_samples", "wall_s")
        return {
            "id": row.id,
            "title": row.title,
            "model": row.parameters["model"],
            "stems": details.get("stems", []),
            "state": row.state,
            "progress": live.progress,
            "stage": live.stage,
            "eta_s": live.eta_s if is_running else eta_s,
            "position": position,
            "error": row.error if row.state == "failed" else None,
            "created": row.created,
            "started": row.started if row.state != "queued" else None,
            "ended": row.ended if row.state not in WAITING else None,
            "notes": details.get("notes", []),
            "model_licence": details.get("licence"),
        } | {name: details.get(name) for name in known}

    def views(self, rows: list[Row]) -> list[dict[str, Any]]:
        """Songs with their places in the queue."""
        waits = self._waits() if any(row.state == "queued" for row in rows) else {}
        return [self.view(row, *waits.get(row.id, ())) for row in rows]

    def waiting(self) -> list[dict[str, Any]]:
        """All songs that are queued or running."""
        return self.views(self.journal.rows(QUEUE, WAITING))

    def _waits(self) -> dict[str, tuple[int, float | None]]:
        """Of each queued song its place, and the seconds until it is done if all before it are known."""
        waiting = self.journal.rows(QUEUE, WAITING)
        left_s = sum(self._left_s(row) for row in waiting if row.state == "running")
        waits: dict[str, tuple[int, float | None]] = {}
        for row in waiting:
            if row.state == "queued":
                left_s += self._left_s(row)
                eta_s = None if math.isnan(left_s) else left_s / self.settings.n_workers
                waits[row.id] = len(waits) + 1, eta_s
        return waits

    def _left_s(self, row: Row) -> float:
        """Seconds that a song still takes; NaN if nobody knows."""
        live, pace = self.live.get(row.id), self.pace_of(row.parameters["model"])
        if live is not None and live.eta_s is not None:
            return live.eta_s
        duration_s = row.details.get("duration_s")
        return math.nan if pace is None or duration_s is None else pace.wall_s(duration_s)


def stems_bytes(details: Mapping[str, Any]) -> int:
    """What a song's stems take on the disk; 0 if its length is not known."""
    n_samples: int = details.get("sample_rate", 0) * int(details.get("duration_s") or 0)
    n_bytes: int = 2 * details.get("n_channels", 0) * n_samples * len(details["stems"])
    return n_bytes


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _size(folder: Path) -> int:
    """Bytes of all files below a folder; files that vanish meanwhile count nothing."""
    return sum(_sizes(folder))


def _sizes(folder: Path) -> Iterator[int]:
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                yield os.stat(os.path.join(place, name), follow_symlinks=False).st_size
            except FileNotFoundError:
                continue
