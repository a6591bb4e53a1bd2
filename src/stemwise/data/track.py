"""One song: which file holds each of its stems, and reading them.

A song may lack stems. Where bass and other could not be told apart, `bass_and_other` stands for both: such a
song serves against vocals and drums only. What is silent is not what is unknown: `Track.files` says which
stems are known.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stemwise.audio import AudioReader
from stemwise.errors import ConfigError

UNSPLIT = "bass_and_other"
MIXTURE = "mixture"
SUBSETS = ("train", "valid", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class StemFile:
    """Where a sound is: a file, or one stream or a part of it.

    Attributes:
        path: of the file.
        stream: which of its audio streams, from 0.
        start_s: where the sound begins in it, seconds.
        duration_s: how much of it belongs to the sound, seconds; None for all.
    """

    path: Path
    stream: int = 0
    start_s: float = 0.0
    duration_s: float | None = None

    def open(self, sample_rate: int | None = None) -> AudioReader:
        """A reader of exactly this sound, at its own sample rate or the one given, Hz.

        Raises:
            DecodeError: if the file cannot be opened, or has no such stream.
        """
        return AudioReader(
            self.path,
            stream=self.stream,
            offset_s=self.start_s,
            duration_s=self.duration_s,
            sample_rate=sample_rate,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """A song.

    Attributes:
        name: of the song, different from all others of its data set.
        files: the sound of every stem that it has.
        mixture: its own mixture; None if that is the sum of all stems.
        subset: part of the data set that it belongs to, "train", "valid" or "test"; None if there are none.
    """

    name: str
    files: dict[str, StemFile]
    mixture: StemFile | None = None
    subset: str | None = None


def read_stereo(file: StemFile, *, sample_rate: int) -> NDArray[np.float32]:
    """The whole sound, `(2, samples)`; mono becomes two equal channels.

    Raises:
        DecodeError: if the file holds no sound that can be read.
    """
    with file.open(sample_rate) as reader:
        empty = np.zeros((reader.n_channels, 0), dtype=np.float32)
        samples = np.concatenate([empty, *reader.blocks()], axis=1)
    return np.ascontiguousarray(np.broadcast_to(samples, (2, samples.shape[1])))


def read_sources(track: Track, *, sample_rate: int) -> dict[str, NDArray[np.float32]]:
    """Every stem of a song, `(2, samples)`, the shorter ones filled up with silence.

    Raises:
        ConfigError: if the song has no stems.
        DecodeError: for the first file that holds no sound that can be read.
    """
    if not track.files:
        raise ConfigError(f"{track.name} has no stems: there is nothing to read")
    sources = {stem: read_stereo(file, sample_rate=sample_rate) for stem, file in track.files.items()}
    longest = max(source.shape[1] for source in sources.values())
    return {
        stem: np.pad(source, ((0, 0), (0, longest - source.shape[1]))) for stem, source in sources.items()
    }


def read_mixture(track: Track, *, sample_rate: int) -> NDArray[np.float32]:
    """The song's own mixture if it has one, else the sum of its stems, `(2, samples)`.

    Raises:
        ConfigError: if the song has neither.
        DecodeError: for the first file that holds no sound that can be read.
    """
    if track.mixture is not None:
        return read_stereo(track.mixture, sample_rate=sample_rate)
    sources = read_sources(track, sample_rate=sample_rate)
    mixture: NDArray[np.float32] = np.sum([sources[stem] for stem in summands(sources)], axis=0)
    return mixture


def summands(stems: Iterable[str]) -> list[str]:
    """The stems that add up to the mixture: an accompaniment does not count beside parts of it."""
    stems = list(stems)
    if set(stems) <= {"vocals", "accompaniment"}:
        return stems
    return [stem for stem in stems if stem != "accompaniment"]
