"""Spleeter's table of training data: a row per song, a column per file.

    mix_path,vocals_path,drums_path,duration
    train/a/mixture.wav,train/a/vocals.wav,train/a/drums.wav,181.5

Source: deezer/spleeter 2.4.2, spleeter/dataset.py: columns `mix_path`, `<instrument>_path` and `duration` in
seconds; paths are relative to the folder that `spleeter train` is given as `--data`.
"""

from collections.abc import Mapping
from pathlib import Path

from stemwise.data.tables import read_table
from stemwise.data.track import StemFile, Track
from stemwise.errors import ConfigError


def read_csv(
    table: Path, stems: tuple[str, ...], *, root: Path | None = None, names: Mapping[str, str] = {}
) -> list[Track]:
    """The songs of a table that have any of the stems, in its order.

    A song is named by its mixture's file, or by the folder of it where that is called mix or mixture.

    Args:
        table: the `.csv` file.
        stems: which are wanted; a row may leave some empty.
        root: folder that the paths are relative to; None for the table's own.
        names: stem for the name of a column (without `_path`), where they differ.

    Raises:
        ConfigError: if the file is no such table, lacks the columns of all stems, names a file that is not
            there, or two of one stem.
    """
    rows = read_table(table)
    columns = {name: name for name in stems} | {name: stem for name, stem in names.items() if stem in stems}
    header = set(rows[0]) if rows else set()
    columns = {f"{name}_path": stem for name, stem in columns.items() if f"{name}_path" in header}
    if "mix_path" not in header or not columns:
        wanted = ", ".join(f"{stem}_path" for stem in stems)
        raise ConfigError(
            f"{table} must have a column mix_path and some of {wanted}: it has {sorted(header)}"
        )
    tracks = []
    for number, row in enumerate(rows, start=2):
        files = dict[str, StemFile]()
        for column, stem in columns.items():
            if row[column] and stem in files:
                raise ConfigError(f"{table}, line {number}: {stem} has two files: it must have one")
            if row[column]:
                files[stem] = _file(table, number, column, row, root or table.parent)
        mixture = _file(table, number, "mix_path", row, root or table.parent)
        is_generic = mixture.path.stem.casefold() in ("mix", "mixture")
        name = mixture.path.parent.name if is_generic else mixture.path.stem
        if files:
            tracks.append(Track(name=name, files=files, mixture=mixture))
    return tracks


def _file(table: Path, number: int, column: str, row: Mapping[str, str], root: Path) -> StemFile:
    path = root / row[column]
    if not path.is_file():
        raise ConfigError(f"{table}, line {number}: {column} is {row[column]!r}, which is no file in {root}")
    try:
        duration_s = float(row["duration"]) if row.get("duration") else None
    except ValueError:
        raise ConfigError(
            f"{table}, line {number}: duration is {row['duration']!r}: it must be seconds"
        ) from None
    return StemFile(path=path, duration_s=duration_s)
