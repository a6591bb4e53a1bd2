"""Data sets of songs with separate stems, of every kind that is known: one way to find them and to read them.

a folder per song, a file per stem      stemwise.data.folders       SONGS/song/vocals.flac
MUSDB18                                 stemwise.data.musdb         MUSDB18/train/song.stem.mp4
MUSDB18-HQ                              stemwise.data.folders       MUSDB18-HQ/train/song/vocals.wav
Spleeter's table of files               stemwise.data.spleeter_csv  train.csv
pairs of mixture and instrumental       stemwise.data.catalogue     makes a folder per song of them
single files of one stem                stemwise.data.singles       VOCALS/phrase.wav
"""

from collections.abc import Mapping
from pathlib import Path

from stemwise.data.folders import find_songs, is_audio_file
from stemwise.data.spleeter_csv import read_csv
from stemwise.data.track import (
    SUBSETS,
    UNSPLIT,
    StemFile,
    Track,
    read_mixture,
    read_sources,
    read_stereo,
)
from stemwise.errors import ConfigError

__all__ = [
    "SUBSETS",
    "UNSPLIT",
    "StemFile",
    "Track",
    "find_tracks",
    "read_mixture",
    "read_sources",
    "read_stereo",
]


def find_tracks(
    source: Path,
    stems: tuple[str, ...],
    *,
    subset: str | None = None,
    names: Mapping[str, str] = {},
    beside: tuple[str, ...] = (),
) -> list[Track]:
    """The songs of a data set that have at least one of the stems; its kind is recognised.

    Args:
        source: folder of songs, or Spleeter's `.csv` file with paths relative to its own folder.
        stems: which are wanted.
        subset: "train", "valid" or "test": only the songs of this part; None for all.
        names: stem for the name of a file (or column) where they differ: `{"Lead Vox": "vocals"}`.
        beside: stems that come along where one of `stems` is there; not from a `.csv` file, whose songs all
            have their own mixture.

    Returns:
        Songs of different names, in an order that depends on names only.

    Raises:
        ConfigError: if there is none, a stem has two files, two songs have one name, or a folder cannot be
            read.
    """
    if subset is not None and subset not in SUBSETS:
        raise ConfigError(f"subset is {subset!r}: it must be one of {', '.join(SUBSETS)}")
    if source.suffix.lower() == ".csv":
        tracks = read_csv(source, stems, names=names)
    elif source.is_dir():
        try:
            tracks = list(find_songs(source, stems, names, beside))
        except OSError as error:
            raise ConfigError(f"{error.filename or source} cannot be read: {error.strerror}") from error
    else:
        raise ConfigError(f"{source} is no folder: it must hold a folder per song")
    if not tracks:
        others = sorted({path.stem for path in source.glob("*/*") if is_audio_file(path)})
        hint = f"; those there are named {', '.join(others[:8])}" if others else ""
        raise ConfigError(
            f"{source} holds no songs: it must hold folders with files named {', '.join(stems)}{hint}"
        )
    _check_names(source, tracks)
    chosen = [track for track in tracks if subset is None or track.subset == subset]
    if not chosen:
        raise ConfigError(
            f"{source} has no songs of the subset {subset!r}: it must have a folder of that name"
        )
    return chosen


def _check_names(source: Path, tracks: list[Track]) -> None:
    seen: set[str] = set()
    for track in tracks:
        if track.name in seen:
            raise ConfigError(f"{source} has two songs named {track.name!r}: names must differ")
        seen.add(track.name)
