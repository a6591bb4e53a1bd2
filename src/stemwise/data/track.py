"""One song: which file holds each of its stems, reading them, and what they add up to.

A song may lack stems. Where bass and other could not be told apart, `bass_and_other` stands for both: such a
song serves against vocals and drums only. What is silent is not what is unknown: `Track.files` says which
stems are known.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stemwise.audio import AudioReader
from stemwise.errors import ConfigError

UNSPLIT = "bass_and_other"
MIXTURE = "mixture"
ACCOMPANIMENT = "accompaniment"
SUBSETS = ("train", "valid", "test")
# stems that stand for several, and what each of them is sure not to hold
NOT_WITHIN = {
    ACCOMPANIMENT: {"vocals"},
    UNSPLIT: {"vocals", "drums"},
    "other": {"vocals", "drums", "bass"},
}


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


class Terms(NamedTuple):
    """A sound made of others, by their names: of these that are added, less those that are taken off."""

    added: tuple[str, ...]
    taken: tuple[str, ...] = ()


def summands(stems: Iterable[str]) -> list[str]:
    """The stems that add up to the mixture: of an accompaniment and its parts, whichever is whole."""
    stems = list(stems)
    parts = [stem for stem in stems if stem != ACCOMPANIMENT]
    if ACCOMPANIMENT not in stems or is_whole(parts):
        return parts
    return [stem for stem in stems if stem in ("vocals", ACCOMPANIMENT)]


def is_whole(stems: Collection[str]) -> bool:
    """Whether they are all that stands behind a voice, going by their names."""
    named = set(stems)
    return ACCOMPANIMENT in named or {"drums", "bass", "other"} <= named or {"drums", UNSPLIT} <= named


def accompaniment(sounds: Collection[str], stems: Collection[str]) -> Terms | None:
    """What accompanies `stems` in a song that has no file of it; None if nobody knows.

    It is the sum of the other stems, as museval has it; but where the song's stems are not the whole of its
    own mixture, that mixture less `stems`.

    Args:
        sounds: what the song has: stems, and "mixture" if it brings its own.
        stems: what else is told apart; if nothing is, it is the vocals that are accompanied.
    """
    apart = set(stems) - {ACCOMPANIMENT} or {"vocals"}
    if MIXTURE not in sounds or is_whole(sounds):
        return Terms(tuple(name for name in sounds if name not in (*apart, MIXTURE)))
    taken = tuple(name for name in sounds if name in apart)
    return Terms((MIXTURE,), taken) if len(taken) == len(apart) else None


def rest(sounds: Collection[str], stems: Collection[str]) -> Terms | None:
    """What a song holds beside `stems`; None if one of them that it lacks may be hidden there.

    Args:
        sounds: what the song has: stems, and "mixture" if it brings its own.
        stems: what is told apart. An accompaniment is all the rest, so nothing is left beside it but the
            vocals that it alone accompanies.
    """
    own = [name for name in sounds if name != MIXTURE]
    if ACCOMPANIMENT in stems:
        return Terms(("vocals",) if set(stems) == {ACCOMPANIMENT} and "vocals" in own else ())
    summed, missing = summands(own), set(stems) - set(own)
    told = {*stems, UNSPLIT} if {"bass", "other"} <= set(stems) else set(stems)
    left = tuple(stem for stem in summed if stem not in told)
    may_hide = any(missing - NOT_WITHIN[stem] for stem in left if stem in NOT_WITHIN)
    if may_hide or (MIXTURE in sounds and missing):
        return None
    if MIXTURE in sounds and not ("vocals" in own and is_whole(own)):
        return Terms((MIXTURE,), tuple(stems))
    return Terms(left, tuple(stem for stem in stems if stem in own and stem not in summed))
