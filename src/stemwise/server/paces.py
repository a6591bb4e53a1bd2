"""How long songs take on this machine: each model is tried out once, then the songs themselves tell."""

import json
import os
import platform
import statistics
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stemwise import __version__
from stemwise.worker import SHORT_S, ModelInfo, Pace

SONGS = 20  # of each model, the last ones, that tell its pace


@dataclass(slots=True)
class _Known:
    """Of one model: how large it was, its trial, and seconds for each second of the last songs."""

    bytes: int
    trial: Pace | None = None
    songs: list[float] = field(default_factory=list)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> "_Known":
        return cls(**found | {"trial": found["trial"] and Pace(**found["trial"])})

    @property
    def pace(self) -> Pace | None:
        if not self.songs:
            return self.trial
        return Pace(self.trial.per_song_s if self.trial else 0.0, statistics.median(self.songs))


class Paces:
    """Kept in a file, for this machine and version only; any thread may ask.

    Args:
        path: of the file; what cannot be read there is forgotten.
        threads: of each worker, on which it depends as well.
    """

    def __init__(self, path: Path, threads: int | None) -> None:
        self._path, self._lock = path, threading.Lock()
        self._here = {
            "version": __version__,
            "machine": [platform.node(), platform.machine(), os.cpu_count(), threads],
        }
        self._known = _read(path, self._here)
        self._hopeless: set[str] = set()

    def of(self, model: ModelInfo) -> Pace | None:
        """None if nobody knows."""
        with self._lock:
            return self._about(model).pace

    def untried(self, models: Iterable[ModelInfo]) -> ModelInfo | None:
        """The first of those installed that is to be tried out."""
        with self._lock:
            for model in models:
                is_tried = model.name in self._hopeless or self._about(model).trial is not None
                if model.installed and not is_tried:
                    return model
        return None

    def note_trial(self, model: ModelInfo, pace: Pace | None) -> None:
        """What came of trying a model out; None if it failed, as it would again."""
        with self._lock:
            if pace is None:
                self._hopeless.add(model.name)
            else:
                known = self._known[model.name] = self._about(model)
                known.trial = pace
                self._write()

    def note_song(self, model: ModelInfo, duration_s: float, wall_s: float) -> None:
        """How long a song took; a short one tells nothing."""
        with self._lock:
            known = self._about(model)
            start_s = known.trial.per_song_s if known.trial else 0.0
            if duration_s < SHORT_S or wall_s <= start_s:
                return
            self._known[model.name] = known
            known.songs.append((wall_s - start_s) / duration_s)
            del known.songs[:-SONGS]
            self._write()

    def _about(self, model: ModelInfo) -> _Known:
        """What is known of a model; nothing, if it is another one now of that name."""
        known = self._known.get(model.name)
        return known if known is not None and known.bytes == model.bytes else _Known(model.bytes)

    def _write(self) -> None:
        models = {name: asdict(known) for name, known in self._known.items()}
        part = self._path.with_suffix(".part")
        with suppress(OSError):  # a full disk, of which the songs tell
            part.write_text(json.dumps(self._here | {"models": models}, indent=1), "utf-8")
            part.replace(self._path)


def _read(path: Path, here: dict[str, Any]) -> dict[str, _Known]:
    try:
        found = json.loads(path.read_text("utf-8"))
        if any(found[key] != value for key, value in here.items()):
            return {}
        return {name: _Known.from_json(known) for name, known in found["models"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
