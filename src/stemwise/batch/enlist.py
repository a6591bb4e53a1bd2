"""A catalogue into its journal: what is missing, or was made otherwise, is queued; all else stays."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from stemwise.batch import storage
from stemwise.batch.catalogue import Entry
from stemwise.batch.headers import Header, read_headers, stem_bytes
from stemwise.batch.settings import ModelFacts, Settings, check_template
from stemwise.batch.song import locate, stamp_of
from stemwise.errors import ConfigError
from stemwise.journal import Journal, Row, State
from stemwise.naming import Song, output_paths
from stemwise.outputs import OutputFormat

QUEUE = "batch"
ENDED: tuple[State, ...] = ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Examined:
    """A catalogue beside its journal, which is not touched yet.

    Attributes:
        rows: of all its songs; those that are new or have other parameters hold their header.
        new: ids of these, and of those whose stems have gone and whose model lies elsewhere now.
        again: those of the others whose stems have gone, or whose input has changed.
        waiting: rows of the journal that have not ended, of this catalogue or an earlier one.
        n_done: songs that are done and stay so.
        n_failed: songs that have failed and stay so.
    """

    rows: list[Row]
    new: set[str]
    again: list[Row]
    waiting: list[Row]
    n_done: int
    n_failed: int

    @property
    def todo(self) -> list[Row]:
        """What a run has to do."""
        return [*(row for row in self.rows if row.id in self.new), *self.again, *self.waiting]


def examine(
    known: Mapping[str, Row],
    entries: Sequence[Entry],
    settings: Settings,
    facts: Mapping[str, ModelFacts],
    root: str,
    *,
    read: Callable[[], None] = lambda: None,
) -> Examined:
    """Find out what a catalogue asks for that is not done.

    Args:
        known: rows of the journal by their ids.
        entries: the songs.
        settings: what is to be made of them.
        facts: of every model that is used.
        root: the output folder or URL.
        read: called after each song.

    Raises:
        ConfigError: where songs would share files, with one another or with songs of an earlier run, or a
            song that waits would be made with other weights than it waits for.
    """
    asked = {row.id: row for row in new_rows(entries, settings, facts, root)}
    rows = {id: _as_named(row, known.get(id)) for id, row in asked.items()}
    changed = [
        entry
        for entry in entries
        if entry.id not in known or known[entry.id].parameters != rows[entry.id].parameters
    ]
    new = {entry.id for entry in changed}
    _refuse_taken([rows[entry.id] for entry in changed], [row for row in known.values() if row.id not in new])
    waiting = [row for row in known.values() if row.id not in new and row.state not in ENDED]
    _refuse_other_weights(waiting, facts)
    for entry, header in read_headers(
        changed, offset_s=settings.offset_s, duration_s=settings.duration_s, done=read
    ):
        row = rows[entry.id]
        details = {**row.details, "header": asdict(header)}
        if entry.id in known:  # what it was made into may lie there still, and is no song
            details["earlier"] = sorted(_written(known[entry.id]))
        rows[entry.id] = replace(row, details=details)
    stamps = {entry.id: {"bytes": entry.n_bytes, "etag": entry.etag} for entry in entries}
    ended = [row for row in known.values() if row.id in rows and row.id not in new and row.state in ENDED]
    again = [row for row in ended if _is_stale(row, rows[row.id].source, stamps[row.id], root)]
    gone = {row.id for row in again}
    moved = [row for row in again if asked[row.id].parameters != row.parameters]
    rows |= {row.id: _moved(row, asked[row.id]) for row in moved}
    new |= {row.id for row in moved}
    return Examined(
        rows=list(rows.values()),
        new=new,
        again=[row for row in again if row.id not in new],
        waiting=waiting,
        n_done=sum(row.state == "done" and row.id not in gone for row in ended),
        n_failed=sum(row.state == "failed" and row.id not in gone for row in ended),
    )


def _as_named(row: Row, old: Row | None) -> Row:
    """A row as the journal has it if it asks for the same, of a model that is in another folder now."""
    if old is None or old.state == "queued" or _unplaced(old) != _unplaced(row):
        return row
    return replace(row, parameters=old.parameters)


def _moved(old: Row, asked: Row) -> Row:
    """A row whose stems must be made anew, as the journal has it, but by the model where it is now."""
    details = {key: old.details[key] for key in ("header", "paths")} | {"earlier": sorted(_written(old))}
    return replace(asked, details=details)


def _unplaced(row: Row) -> dict[str, Any]:
    """Equal weights need not be equal models, such as Spleeter's of 11 and of 16 kHz: the name counts."""
    return {**row.parameters, "model": PurePath(row.parameters["model"]).name}


def stems_of(known: Mapping[str, Row], root: str) -> list[str]:
    """Where stems of a journal's songs are, or were, or may be soon."""
    return [locate(root, path) for row in known.values() for path in _written(row)]


def _written(row: Row) -> set[str]:
    return {*row.details.get("paths", {}).values(), *row.details.get("earlier", ())}


def enlist(journal: Journal, examined: Examined) -> None:
    """Queue what is to be done; all else stays as it is, but for where its input lies now.

    Raises:
        ConfigError: if some of it is under way with other parameters.
    """
    wanted = {row.id: row.parameters for row in examined.rows}
    running = journal.rows(QUEUE, ["running"])
    under_way = [row.id for row in running if wanted.get(row.id, row.parameters) != row.parameters]
    if under_way:
        raise ConfigError(
            f"another run makes {under_way[0]!r}{f' and {len(under_way) - 1} more' if under_way[1:] else ''}"
            " with other options: wait until it has ended, or stop it first"
        )
    journal.add(examined.rows)
    journal.requeue(QUEUE, states=ENDED, ids=[row.id for row in examined.again])


def new_rows(
    entries: Sequence[Entry], settings: Settings, facts: Mapping[str, ModelFacts], root: str
) -> list[Row]:
    """The rows of a catalogue, with the paths of their stems below `root` in `details["paths"]`.

    Raises:
        ConfigError: where songs would share files, or an input would be overwritten.
    """
    check_template(settings.template)
    base = Path("/") / QUEUE if storage.is_remote(root) else Path(os.path.abspath(root))
    stems = list(dict.fromkeys(stem for fact in facts.values() for stem in fact.stems))
    songs = [Song(_place(entry), Path(entry.folder)) for entry in entries]
    codec = settings.output_format.codec
    rows = []
    for entry, paths in zip(
        entries, output_paths(songs, stems, base, codec=codec, template=settings.template), strict=True
    ):
        fact = facts[entry.model or settings.model]
        below = {stem: paths[stem].relative_to(base).as_posix() for stem in fact.stems}
        parameters = settings.parameters(fact, offset_s=entry.offset_s, duration_s=entry.duration_s)
        is_path = not storage.is_remote(entry.source)
        source = os.path.abspath(entry.source) if is_path else entry.source
        details = {"paths": below}
        rows.append(
            Row(
                id=entry.id,
                queue=QUEUE,
                source=source,
                title=entry.name,
                parameters=parameters,
                details=details,
            )
        )
    return rows


def _place(entry: Entry) -> Path:
    """Where `naming` shall think that a song lies: in its own folder, under the name that it goes by."""
    if storage.is_remote(entry.source):
        return Path("/", *entry.source.split("://")[1].split("/")[:-1], entry.name)
    return Path(entry.source).parent / entry.name


def _is_stale(row: Row, source: str, listed: Mapping[str, Any], root: str) -> bool:
    """Whether a song that has ended must be done anew: its stems have gone, or its input is another one."""
    old: Mapping[str, Any] = row.details.get("stamp", {})
    if storage.is_remote(source):  # and what it was is not always known
        new = {key: value for key, value in listed.items() if value is not None and key in old}
    else:
        new = stamp_of(source)
    if new and old.get("bytes") != new.get("bytes", old.get("bytes")):
        return True
    is_touched = any(old.get(key) != value for key, value in new.items())
    if is_touched and row.input_sha256 is not None and storage.sha256(source) != row.input_sha256:
        return True
    is_same = str(row.details.get("root", root)).rstrip("/") == root.rstrip("/")
    if row.state != "done" or (storage.is_remote(root) and is_same):
        return False  # asking storage for every stem would take longer than it is worth: `verify` does
    return any(storage.size(locate(root, found["path"])) != found["bytes"] for found in row.outputs.values())


def _refuse_other_weights(waiting: Sequence[Row], facts: Mapping[str, ModelFacts]) -> None:
    """The journal must not say of stems that they were made with weights which are no longer there."""
    for row in waiting:
        model = row.parameters["model"]
        if facts[model].sha256 != row.parameters["model_sha256"]:
            raise ConfigError(
                f"{row.id!r} waits for {model} with other weights than it has now: name the songs again, and"
                " they are made with these"
            )


def _refuse_taken(new: Sequence[Row], kept: Sequence[Row]) -> None:
    """Songs must not be written over stems of others, whose paths are as the journal has them."""
    taken = {path.casefold(): row.id for row in kept for path in row.details.get("paths", {}).values()}
    for row in new:
        for path in row.details["paths"].values() if taken else ():
            if path.casefold() in taken:
                raise ConfigError(
                    f"{row.source} would be written over the stems of {taken[path.casefold()]!r}, a song of"
                    " an earlier run: choose another output folder"
                )


def row_bytes(row: Row) -> float:
    """What the stems of a row will fill."""
    parts = {
        name: row.parameters[name] for name in ("codec", "bit_depth", "bitrate", "sample_rate", "stereo")
    }
    header = Header(**row.details.get("header", {}))
    return len(row.details["paths"]) * stem_bytes(header, OutputFormat(**parts))
