"""Folders of songs: one folder per song with one file per stem, or one `.stem.mp4` per song.

    songs/                         musdb18/                          musdb18hq/
    ├── one song/                  ├── train/                        ├── train/
    │   ├── vocals.flac            │   ├── A - B.stem.mp4            │   └── A - B/{mixture,vocals,…}.wav
    │   ├── drums.mp3              │   └── …                         └── test/…
    │   └── mixture.wav            └── test/…
    └── another song/…

Songs may also lie in folders `train`, `valid` and `test`: these are their subsets. MUSDB18's validation songs
lie in `train` and are told by their names.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from stemwise.data import musdb
from stemwise.data.track import MIXTURE, SUBSETS, UNSPLIT, StemFile, Track
from stemwise.errors import ConfigError
from stemwise.naming import AUDIO_SUFFIXES


def find_songs(
    folder: Path, stems: tuple[str, ...], names: Mapping[str, str], beside: tuple[str, ...] = ()
) -> Iterator[Track]:
    """Every song in a folder and its subsets that has at least one of the stems, in the order of their names.

    Args:
        folder: see above.
        stems: which are wanted.
        beside: stems that come along from these songs; what else lies there is left alone.
        names: stem for the name of a file, where they differ: `{"Lead Vox": "vocals", "mix": "mixture"}`.
            Capital letters make no difference.

    Raises:
        ConfigError: if a stem has two files.
    """
    if {"bass", "other"} <= set(stems):  # of no use to who wants one of them
        stems = (*stems, UNSPLIT)
    elif {"bass", "other"} <= {*stems, *beside}:
        beside = (*beside, UNSPLIT)
    wanted = {stem.casefold(): stem for stem in (*beside, *stems, MIXTURE)}
    wanted |= {name.casefold(): wanted[stem] for name, stem in names.items() if stem in wanted}
    for holder in (folder, *(folder / subset for subset in SUBSETS)):
        for path in sorted(holder.iterdir()) if holder.is_dir() else ():
            if path.is_dir() and not path.name.startswith("."):
                name, files = path.name, _stem_files(path, wanted)
            elif musdb.is_stem_file(path):
                name, whole = musdb.song_name(path), musdb.stem_files(path)
                files = {stem: file for stem, file in whole.items() if stem in wanted}
            else:
                continue
            mixture = files.pop(MIXTURE, None)
            if any(stem in files for stem in stems):
                yield Track(name=name, files=files, mixture=mixture, subset=_subset(holder, name))


def file_names(folder: Path) -> list[str]:
    """How the audio files of a folder's songs are named, in small letters and without their suffixes."""
    songs = ("*", *(f"{subset}/*" for subset in SUBSETS))
    paths = (path for song in songs for path in folder.glob(f"{song}/*") if is_audio_file(path))
    return sorted({path.stem.casefold() for path in paths})


def _stem_files(song: Path, wanted: Mapping[str, str]) -> dict[str, StemFile]:
    files: dict[str, StemFile] = {}
    for path in sorted(song.iterdir()):
        stem = wanted.get(path.stem.casefold())
        if stem is None or not is_audio_file(path):
            continue
        if stem in files:
            raise ConfigError(
                f"{song} holds {files[stem].path.name} and {path.name}: {stem} must have one file"
            )
        files[stem] = StemFile(path=path)
    return files


def is_audio_file(path: Path) -> bool:
    """By its suffix; hidden files are none."""
    return path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(".") and path.is_file()


def _subset(holder: Path, name: str) -> str | None:
    if holder.name not in SUBSETS:
        return None
    return "valid" if holder.name == "train" and name in musdb.VALIDATION_SONGS else holder.name
