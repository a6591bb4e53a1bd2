"""Songs with separate stems on disk: a folder per song, one file per stem, any format.

A song may lack stems. Where bass and other could not be told apart, the file `bass_and_other` stands for
both: such a song serves against vocals and drums only. What is silent is not what is unknown: `Track.files`
says which stems are known.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stemwise.audio import AudioReader
from stemwise.errors import ConfigError

UNSPLIT = "bass_and_other"
Samples = NDArray[np.float16]  # (2, samples): half the memory; its error is 66 dB and more below the signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """A song: its name, and the file of every stem that it has."""

    name: str
    files: dict[str, Path]


def find_tracks(folder: Path, stems: tuple[str, ...]) -> list[Track]:
    """Every folder directly in `folder` that holds at least one of the stems, in the order of their names.

    Raises:
        ConfigError: if there is none, or a stem has two files.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder: it must hold a folder per song")
    tracks = []
    for song in sorted(path for path in folder.iterdir() if path.is_dir()):
        files: dict[str, Path] = {}
        for path in sorted(song.iterdir()):
            if path.stem not in (*stems, UNSPLIT):
                continue
            if path.stem in files:
                raise ConfigError(
                    f"{song} holds {files[path.stem].name} and {path.name}: a stem must have one file"
                )
            files[path.stem] = path
        if files:
            tracks.append(Track(name=song.name, files=files))
    if not tracks:
        raise ConfigError(
            f"{folder} holds no songs: it must hold folders with files named {', '.join(stems)}"
        )
    return tracks


def read_stereo(path: Path, *, sample_rate: int) -> NDArray[np.float32]:
    """The whole file, `(2, samples)`; mono becomes two equal channels.

    Raises:
        DecodeError: if the file holds no sound that can be read.
    """
    with AudioReader(path, sample_rate=sample_rate) as reader:
        empty = np.zeros((reader.n_channels, 0), dtype=np.float32)
        samples = np.concatenate([empty, *reader.blocks()], axis=1)
    return np.broadcast_to(samples, (2, samples.shape[1]))


def read_sources(track: Track, *, sample_rate: int) -> dict[str, NDArray[np.float32]]:
    """Every stem of a song, `(2, samples)`, the shorter ones filled up with silence."""
    sources = {stem: read_stereo(path, sample_rate=sample_rate) for stem, path in track.files.items()}
    longest = max(source.shape[1] for source in sources.values())
    return {
        stem: np.pad(source, ((0, 0), (0, longest - source.shape[1]))) for stem, source in sources.items()
    }


def decode_all(paths: list[Path], *, sample_rate: int, cache: Path) -> list[Samples]:
    """Each file as `read_stereo` gives it, in half precision; read-only, mapped from disk.

    Args:
        paths: the files; several are decoded at a time.
        sample_rate: Hz.
        cache: folder that keeps what is decoded, so that a file is decoded once.

    Raises:
        DecodeError: for the first file that holds no sound that can be read.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda path: _decode(path, sample_rate, cache), paths))


def _decode(path: Path, sample_rate: int, cache: Path) -> Samples:
    status = path.stat()
    identity = f"{path.resolve()} {status.st_size} {status.st_mtime_ns} {sample_rate}"
    cached = cache / f"{sha256(identity.encode()).hexdigest()[:24]}.npy"
    if not cached.exists():
        part = cached.with_suffix(".part.npy")
        np.save(part, read_stereo(path, sample_rate=sample_rate).astype(np.float16))
        part.replace(cached)
    samples: Samples = np.load(cached, mmap_mode="r")
    return samples
