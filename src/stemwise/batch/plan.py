"""What a run will take, before it is begun: songs, time, memory and disk, from headers and a short trial."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stemwise.batch import storage
from stemwise.batch.enlist import row_bytes
from stemwise.batch.headers import Header
from stemwise.batch.machine import free_bytes
from stemwise.batch.trial import Speed
from stemwise.errors import ConfigError
from stemwise.journal import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run will take.

    Attributes:
        n_songs: to be done.
        n_unreadable: of these, whose headers cannot be read.
        audio_s: of all of them.
        output_bytes: that their stems will fill.
        free_bytes: that are free there; None for storage that does not say.
        guessed_bytes: of `output_bytes`, for songs in storage, whose lengths are guessed from their sizes.
    """

    n_songs: int
    n_unreadable: int
    audio_s: float
    longest_s: float
    output_bytes: float
    free_bytes: int | None
    guessed_bytes: float = 0.0

    def wall_s(self, speed: Speed, n_workers: int) -> float:
        """How long a run will take."""
        readable = self.n_songs - self.n_unreadable
        work_s = readable * speed.pace.per_song_s + self.audio_s * speed.pace.per_audio_s
        last_s = speed.pace.wall_s(self.longest_s)  # one worker may end on its own
        return speed.start_s + max(work_s / n_workers, last_s)

    def check_room(self) -> str | None:
        """Refuse what the disk cannot hold; what it may not hold, by a guess, is told.

        Raises:
            ConfigError: with what is needed and what is free.
        """
        if self.free_bytes is None or self.output_bytes <= self.free_bytes:
            return None
        free = f"{self.free_bytes / 1e9:.1f} GB are free"
        if self.output_bytes - self.guessed_bytes <= self.free_bytes:
            return f"the stems may need {self.output_bytes / 1e9:.1f} GB, by the songs' sizes; {free}"
        raise ConfigError(
            f"the stems need {self.output_bytes / 1e9:.1f} GB, {free}:"
            " choose another output folder, or a smaller codec (-c flac, mp3 or opus)"
        )


def make_plan(todo: Sequence[Row], root: str) -> Plan:
    """What is known from the journal and the headers alone."""
    headers = [Header(**row.details["header"]) for row in todo]
    return Plan(
        n_songs=len(todo),
        n_unreadable=sum(header.error is not None for header in headers),
        audio_s=sum(header.duration_s for header in headers),
        longest_s=max((header.duration_s for header in headers), default=0.0),
        output_bytes=sum(map(row_bytes, todo)),
        guessed_bytes=sum(row_bytes(row) for row in todo if storage.is_remote(row.source)),
        free_bytes=None if storage.is_remote(root) else free_bytes(Path(root)),
    )
