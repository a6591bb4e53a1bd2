"""Which songs are meant, and which file each stem goes to: decided for a whole batch before any work.

Pure path logic: looks at folders, opens and writes nothing. No two inputs ever share an output path, also
on file systems that ignore case, trailing dots or the composition of accents.
"""

import os
import re
import stat
import string
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from stemwise.errors import ConfigError

PICTURE = "picture"  # a name beside the stems' that stands for the picture of the song; always .png
DEFAULT_TEMPLATE = "{filename}/{stem}.{codec}"
# What is taken for a song when a folder is walked; a file that is named is tried whatever its suffix.
_SUFFIXES = (
    "3gp aac ac3 aif aifc aiff alac ape au caf flac m4a m4b mka mkv mov mp2 mp3 mp4 mpc"
    " oga ogg opus tta w64 wav weba webm wma wmv wv"
)
AUDIO_SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())
LONGEST_NAME = 255  # bytes, on nearly every file system
_PLACEHOLDERS = {"filename", "foldername", "stem", "instrument", "codec"}
_REFUSED = re.compile(r'[<>:"/\\|?*\x00-\x1f]')  # by Windows, exFAT or SMB shares
_UNSPEAKABLE = re.compile("[\x7f\ud800-\udfff]")  # songs that have such a name keep it
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Song:
    """An input, and the folder below the output folder that mirrors where it was found.

    Attributes:
        path: the file; of a stream, the name to go by.
        folder: relative; empty for a file that was named itself.
        stream: an open binary file to read instead, such as standard input.
    """

    path: Path
    folder: Path = Path()
    stream: BinaryIO | None = None


def find_songs(
    inputs: Iterable[Path],
    *,
    recursive: bool = False,
    output: Path | None = None,
    left_out: list[str] | None = None,
) -> list[Song]:
    """The songs that a list of files and folders means, in order, each once.

    Args:
        inputs: files, taken as they are, and folders, of which the audio files are taken in sorted order.
        recursive: walk folders below folders too.
        output: a folder that is not walked into if it lies below an input (stems are no songs).
        left_out: told of folders below others that cannot be read, or are links, which are not followed.

    Raises:
        ConfigError: for a folder without any audio file, or one that cannot be read while nobody is told. (A
            file that does not exist, or a link to nowhere, is found out when it is opened: it costs itself,
            not the batch.)
    """
    songs: dict[Path, Song] = {}
    for path in inputs:
        if not os.path.isdir(path):  # False, where Path's own would raise, for what cannot be looked at
            songs.setdefault(_real(path), Song(path))
            continue
        try:
            found = sorted(_files_below(path, left_out) if recursive else path.iterdir())
        except OSError as error:
            where = error.filename or path
            raise ConfigError(f"folder {where} cannot be read: {error.strerror}") from error
        found = [file for file in found if is_song(file)]
        if output is not None and _real(path) in _real(output).parents:
            found = [file for file in found if _real(output) not in _real(file).parents]
        if not found:
            hint = "" if recursive else " (folders below it are walked with --recursive)"
            raise ConfigError(f"{path} has no audio file{hint}")
        for file in found:
            songs.setdefault(_real(file), Song(file, file.parent.relative_to(path)))
    return list(songs.values())


def _files_below(folder: Path, left_out: list[str] | None) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        if left_out is None or error.filename == str(folder):
            raise error
        left_out.append(f"{error.filename} cannot be read ({error.strerror}): its songs are left out")

    for place, folders, files in os.walk(folder, onerror=unreadable):
        yield from (Path(place, name) for name in files)
        links = [Path(place, name) for name in folders if os.path.islink(os.path.join(place, name))]
        if left_out is not None:
            left_out += [f"{link} is a link to a folder: its songs are left out" for link in links]


def is_song(file: Path) -> bool:
    """Whether a file in a folder is taken for one: by its name, unless it is seen to be no file."""
    if file.suffix.lower() not in AUDIO_SUFFIXES or file.name.startswith("."):
        return False
    try:
        return stat.S_ISREG(file.stat().st_mode)
    except OSError:
        return True  # found out when it is opened


def output_paths(
    songs: Sequence[Song],
    stems: Sequence[str],
    output: Path,
    *,
    codec: str,
    template: str = DEFAULT_TEMPLATE,
    portable: bool = True,
) -> list[dict[str, Path]]:
    """The file of every stem of every song.

    Songs that would share a file are told apart by their suffix (`a.mp3`, `a.wav`), then by their folder's
    name too (`x_01.mp3`, `y_01.mp3`).

    Args:
        songs: as found.
        stems: names; `PICTURE` may be among them.
        output: folder below which everything lies, unless the template is absolute.
        codec: for `{codec}`.
        template: with `{filename}`, `{foldername}`, `{stem}` (or Spleeter's `{instrument}`), `{codec}`.
        portable: replace what some file system refuses in a name (`:`, `?`, trailing dots) by `_`.

    Raises:
        ConfigError: for an unknown placeholder, for stems of one song in one file, for songs that cannot be
            told apart, for a name that is too long, and where an input would be overwritten.
    """
    _check_template(template)

    def paths(song: Song, filename: str) -> dict[str, Path]:
        clean = portable_name if portable else _no_way_up
        names = {
            "filename": clean(filename),
            "foldername": clean(_real(song.path).parent.name),
            "codec": codec,
        }
        folder = output.joinpath(*map(clean, song.folder.parts))
        files = {stem: folder / template.format(**names, stem=stem, instrument=stem) for stem in stems}
        return {stem: path.with_suffix(".png") if stem == PICTURE else path for stem, path in files.items()}

    plan = [paths(song, song.path.stem) for song in songs]
    if plan and len({_key(path) for path in plan[0].values()}) < len(stems):
        raise ConfigError(
            f"template is {template!r}: stems of one song would share a file; it needs {{stem}}"
        )
    for distinct in (_with_suffix, _with_folder):
        clashes = _clashes(plan)
        plan = [paths(song, distinct(song)) if n in clashes else plan[n] for n, song in enumerate(songs)]
    clashes = _clashes(plan)
    if clashes:
        one, other, *_ = (songs[n].path for n in sorted(clashes))
        raise ConfigError(
            f"{one} and {other} would be written to the same files: separate them into different folders"
        )
    _check_files(songs, plan)
    return plan


def _check_files(songs: Sequence[Song], plan: Sequence[Mapping[str, Path]]) -> None:
    """Refuse what would only fail, or destroy an input, after all the work."""
    inputs = {_key(_real(song.path)): song.path for song in songs if song.stream is None}
    for path in (path for paths in plan for path in paths.values()):
        overwritten = inputs.get(_key(_real(path)))
        if overwritten is not None:
            raise ConfigError(f"{overwritten} would be overwritten by a stem: choose another output folder")
        if any(len(os.fsencode(part)) > LONGEST_NAME for part in path.parts):
            raise ConfigError(f"{path.name[:40]}…: a name on its path is longer than {LONGEST_NAME} bytes")


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _with_suffix(song: Song) -> str:
    return song.path.name


def _with_folder(song: Song) -> str:
    return f"{_real(song.path).parent.name}_{song.path.name}"


def _check_template(template: str) -> None:
    try:
        fields = [field[1:] for field in string.Formatter().parse(template) if field[1] is not None]
    except ValueError as error:
        raise ConfigError(f"template is {template!r}: {error}") from error
    if any(name not in _PLACEHOLDERS or form or conversion for name, form, conversion in fields):
        known = ", ".join(f"{{{name}}}" for name in sorted(_PLACEHOLDERS))
        raise ConfigError(f"template is {template!r}: it may hold {known}")


def portable_name(name: str) -> str:
    """A name that every file system takes, like this one."""
    name = _REFUSED.sub("_", name)
    name = name.rstrip(". ") or "_"
    return f"_{name}" if _RESERVED.fullmatch(name) else name


def can_name_a_file(name: object) -> bool:
    """Whether a stem can be called so: a text that every file system takes for a name in any folder."""
    return (
        isinstance(name, str)
        and name not in ("", ".", "..")
        and not _REFUSED.search(name)
        and not _UNSPEAKABLE.search(name)
    )


def _no_way_up(name: str) -> str:
    return "_" if name in (".", "..") else name


def _key(path: Path) -> str:
    """Equal for paths that some file system takes for the same."""
    return "/".join(unicodedata.normalize("NFC", part).casefold().rstrip(". ") for part in path.parts)


def _clashes(plan: Sequence[Mapping[str, Path]]) -> set[int]:
    owners: dict[str, int] = {}
    clashes: set[int] = set()
    for index, paths in enumerate(plan):
        for path in paths.values():
            owner = owners.setdefault(_key(path), index)
            if owner != index:
                clashes |= {owner, index}
    return clashes
