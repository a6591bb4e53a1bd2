"""Part of a wav or flac file, found without decoding what lies before it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from stemwise.audio.frames import Block
from stemwise.errors import DecodeError


class RegionReader:
    """A file of known format, such as a stem that we wrote; `AudioReader` is for all others.

    Attributes:
        sample_rate: Hz.
        n_channels: of the blocks.
        n_samples: of the whole file.

    Raises:
        DecodeError: if it is no such file.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = soundfile.SoundFile(path)
        except (soundfile.LibsndfileError, OSError) as error:
            raise DecodeError(f"{path}: cannot be read: {error}") from error
        self.sample_rate, self.n_channels = self._file.samplerate, self._file.channels
        self.n_samples = self._file.frames

    def __enter__(self) -> "RegionReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def blocks(self, start: int = 0, stop: int | None = None, size: int = 1 << 17) -> Iterator[Block]:
        """Samples `start` to `stop` (None for the end), float32 `(channels, samples)`, `size` at a time."""
        stop = self.n_samples if stop is None else min(stop, self.n_samples)
        self._file.seek(min(start, stop))
        for position in range(start, stop, size):
            samples = self._file.read(min(size, stop - position), dtype="float32", always_2d=True)
            yield np.ascontiguousarray(samples.T)  # soundfile has (samples, channels)
