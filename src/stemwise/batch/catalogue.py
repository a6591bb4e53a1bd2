"""Which songs a catalogue has: folders, patterns, files, URLs, manifests in CSV, JSON lines or Parquet."""

import glob
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath, PurePosixPath
from posixpath import normpath
from typing import Any

from stemwise.batch import storage
from stemwise.batch.listing import READERS, Reader
from stemwise.errors import ConfigError
from stemwise.naming import find_songs, is_song

COLUMNS = ("path", "id", "offset", "duration", "model")
WILD = set("*?[")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One song of a catalogue.

    Attributes:
        id: what it goes by in the journal, and what its stems' files are named after: its path below the
            folder or pattern that was asked for, or what the manifest says.
        source: path or URL.
        folder: below the output folder, with `/`; mirrors where it was found.
        name: the file name to go by.
        offset_s: where to begin, seconds.
        duration_s: how much to separate, seconds; None for all.
        model: for this song; None for that of the batch.
        n_bytes: size of the file, if the storage has told it.
        etag: what the storage calls its content, likewise.
    """

    id: str
    source: str
    folder: str = ""
    name: str = ""
    offset_s: float | None = None
    duration_s: float | None = None
    model: str | None = None
    n_bytes: int | None = None
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The songs, each once, and what the user should know of how they were found."""

    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()


def read_catalogue(
    inputs: Sequence[str], *, output: str | Path | None = None, stems: Iterable[str] = ()
) -> Catalogue:
    """The songs that some inputs mean.

    Args:
        inputs: folders (walked to the bottom), patterns (`**` for any folders), songs, manifests (`.csv`,
            `.jsonl`, `.parquet`) or URLs.
        output: a folder or URL; where it lies below an input, nothing in it is a song.
        stems: paths or URLs of what earlier runs wrote, which is none either.

    Raises:
        ConfigError: for an input that is not there or has no song, two songs of one name, or a manifest that
            says what cannot be, with its line.
    """
    entries: list[Entry] = []
    notes: list[str] = []
    place, written = None if output is None else _location(str(output)), set(map(_location, stems))
    for text in inputs:
        found = _without_stems(text, list(_found(text, notes)), place, written, notes)
        # Of several folders, the same name may come from each.
        entries += found if len(inputs) == 1 else [_under(text, entry) for entry in found]
    _refuse_unspeakable([entry.source for entry in entries])
    seen: dict[str, Entry] = {}
    for entry in entries:
        other = seen.setdefault(entry.id, entry)
        if other is not entry and other.source != entry.source:
            raise ConfigError(
                f"{other.source} and {entry.source} both go by {entry.id!r}: name one of them otherwise, "
                f"by a manifest with a column id"
            )
        if other is not entry and other != entry:
            raise ConfigError(f"{entry.source} is there twice, cut differently: give each an id of its own")
    if not seen:
        raise ConfigError(f"{' '.join(inputs)} has no songs")
    return Catalogue(tuple(seen.values()), tuple(notes))


def _refuse_unspeakable(sources: Sequence[str]) -> None:
    """Journal, manifest and CSV are UTF-8: a path that is not could not be told from others there."""
    paths = (source if storage.is_remote(source) else os.path.abspath(source) for source in sources)
    names = [path for path in paths if not _is_text(path)]
    if names:
        name = os.fsencode(names[0]).decode("utf-8", "backslashreplace")
        others = f" (and {len(names) - 1} more)" if names[1:] else ""
        raise ConfigError(f"{name}{others}: a path must be UTF-8 text: rename it")


def _without_stems(
    text: str, found: list[Entry], output: PurePath | None, stems: Collection[PurePath], notes: list[str]
) -> list[Entry]:
    """What a folder or pattern has found, without what this catalogue has put there."""
    if not found or not _is_searched(text, found[0]) or not (output or stems):
        return found
    root = _location(found[0].source.removesuffix(found[0].id))
    if output is not None and root in output.parents:
        found = [entry for entry in found if output not in _location(entry.source).parents]
    songs = [entry for entry in found if _location(entry.source) not in stems] if stems else found
    if not songs:
        raise ConfigError(f"{text} has no songs but the stems of earlier runs")
    if songs != found:
        notes.append(f"{text}: stems of earlier runs are left out: {len(found) - len(songs)}")
    return songs


def _is_searched(text: str, entry: Entry) -> bool:
    """Whether an entry was not named itself, by itself or in a manifest."""
    return entry.source != text and _reader(text) is None


def _location(text: str) -> PurePath:
    return PurePosixPath(text) if storage.is_remote(text) else Path(os.path.realpath(text))


def _is_text(name: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" or char == "\0" for char in name)


def _found(text: str, notes: list[str]) -> Iterator[Entry]:
    path, reader = Path(text), _reader(text)
    if reader is not None and storage.is_remote(text):
        yield from _fetched_manifest(text, reader, notes)
    elif reader is not None:
        yield from _manifest(path, reader, notes)
    elif storage.is_remote(text):
        for song in storage.find_songs(text):
            found = _entry(song.url, song.folder, storage.file_name(song.url))
            yield replace(found, n_bytes=song.n_bytes, etag=song.etag)
    elif path.is_dir():
        for local in find_songs([path], recursive=True, left_out=notes):
            yield _entry(str(local.path), local.folder.as_posix().removeprefix("."), local.path.name)
    elif path.exists() or not set(text) & WILD:
        yield Entry(id=path.as_posix(), source=text, name=path.name)
    else:
        yield from _matching(text)


def _matching(pattern: str) -> Iterator[Entry]:
    parts = PurePosixPath(pattern).parts
    fixed = Path(*parts[: next(n for n, part in enumerate(parts) if set(part) & WILD)])
    songs = [path for path in map(Path, sorted(glob.glob(pattern, recursive=True))) if is_song(path)]
    if not songs:
        raise ConfigError(f"pattern {pattern!r} matches no audio file")
    for path in songs:
        folder = Path(os.path.relpath(path, fixed)).parent.as_posix().removeprefix(".")
        yield _entry(str(path), folder, path.name)


def _entry(source: str, folder: str, name: str) -> Entry:
    return Entry(id=f"{folder}/{name}" if folder else name, source=source, folder=folder, name=name)


def _under(text: str, entry: Entry) -> Entry:
    """An entry of one of several inputs: it goes by its whole path as it was given."""
    if entry.id == entry.source or not Path(text).is_dir():
        return entry
    root = PurePosixPath(Path(text).name)
    return replace(entry, id=str(root / entry.id), folder=str(root / entry.folder))


def _reader(text: str) -> Reader | None:
    return READERS.get(PurePosixPath(storage.file_name(text)).suffix.lower())


def _fetched_manifest(url: str, read: Reader, notes: list[str]) -> Iterator[Entry]:
    """What a manifest in storage names, as seen from its folder there."""
    scheme, _, place = url.rpartition("/")[0].partition("://")
    with tempfile.TemporaryDirectory(prefix="stemwise-") as folder:
        path, told = storage.fetch(url, Path(folder)), list[str]()
        try:
            entries = list(_manifest(path, read, told))
        except ConfigError as error:
            raise ConfigError(str(error).replace(str(path), url)) from error
    notes += [note.replace(str(path), url) for note in told]
    for entry in entries:
        below = entry.source.removeprefix(f"{folder}/")
        is_below = below != entry.source
        yield replace(entry, source=f"{scheme}://{normpath(f'{place}/{below}')}") if is_below else entry


def _manifest(path: Path, read: Reader, notes: list[str]) -> Iterator[Entry]:
    unknown: dict[str, None] = {}
    try:
        for line, row in read(path):
            given = {key: value for key, value in row.items() if key in COLUMNS and value not in (None, "")}
            unknown |= dict.fromkeys(str(key) for key in row if key not in COLUMNS)
            if "path" not in given:
                raise ConfigError(f"{path}, line {line}: has no path (columns: {', '.join(map(str, row))})")
            yield _row(path, line, given)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    if unknown:
        notes.append(f"{path}: columns that mean nothing here: {', '.join(unknown)}")


def _row(path: Path, line: int, given: Mapping[str, Any]) -> Entry:
    source = str(given["path"])
    for key in ("path", "id"):
        if not _is_text(str(given.get(key, ""))):
            raise ConfigError(
                f"{path}, line {line}: {key} is {given[key]!r}: it must be UTF-8 text without NUL"
            )
    if not storage.is_remote(source):
        source = str(path.parent / source)
    suffix = PurePosixPath(storage.file_name(source)).suffix
    id = str(given.get("id", given["path"]))
    name = PurePosixPath(id)
    if name.is_absolute() or ".." in name.parts or storage.is_remote(id):
        name = PurePosixPath(storage.file_name(source))
    folder = name.parent.as_posix().removeprefix(".")
    return Entry(
        id=id,
        source=source,
        folder=folder,
        name=name.name + suffix if "id" in given else name.name,
        offset_s=_seconds(path, line, given, "offset", least=0.0),
        duration_s=_seconds(path, line, given, "duration", least=1e-3),
        model=str(given["model"]) if "model" in given else None,
    )


def _seconds(path: Path, line: int, given: Mapping[str, Any], key: str, *, least: float) -> float | None:
    if key not in given:
        return None
    try:
        seconds = float(given[key])
    except (TypeError, ValueError):
        seconds = -1.0
    if not least <= seconds < float("inf"):
        wanted = "0 or more" if least == 0 else "more than 0"
        raise ConfigError(f"{path}, line {line}: {key} is {given[key]!r}: it must be seconds, {wanted}")
    return seconds
