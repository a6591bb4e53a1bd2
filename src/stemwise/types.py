"""Words that several layers share: stem names, and the shape of a progress callback."""

from typing import Protocol

# MUSDB18's spelling. The order of a model's stems is that of its configuration, never of this list.
STEMS = ("vocals", "drums", "bass", "other", "piano", "accompaniment")


class Progress(Protocol):
    """Called with what is being done, the seconds of audio done so far, and the total if it is known."""

    def __call__(self, stage: str, done_s: float, total_s: float | None) -> None: ...
