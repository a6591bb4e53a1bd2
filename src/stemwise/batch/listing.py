"""The lines of a manifest of songs, with their numbers: CSV, JSON lines, Parquet."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from stemwise.errors import ConfigError


def _csv(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        try:
            for row in rows:
                if any(row.pop(None, ())):  # those that are empty do no harm
                    raise ConfigError(
                        f"{path}, line {rows.line_num}: has more fields than the {len(row)} columns:"
                        ' put "quotes" around what holds a separator'
                    )
                yield rows.line_num, row
        except csv.Error as error:
            raise ConfigError(f"{path}, line {rows.line_num}: {error}") from error


def _json_lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig") as file:
        for line, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except ValueError as error:
                raise ConfigError(f"{path}, line {line}: is no JSON: {error}") from error
            if not isinstance(row, dict):
                raise ConfigError(f'{path}, line {line}: must be an object: {{"path": "song.mp3"}}')
            yield line, row


def _parquet(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise ConfigError(f"{path}: Parquet needs pyarrow: pip install 'stemwise[parquet]'") from error
    line = 0
    try:
        with parquet.ParquetFile(path) as file:
            for piece in file.iter_batches():
                for line, row in enumerate(piece.to_pylist(), line + 1):  # noqa: B020
                    yield line, row
    except ArrowException as error:
        raise ConfigError(f"{path} cannot be read as Parquet: {error}") from error


Reader = Callable[[Path], Iterable[tuple[int, Mapping[str, Any]]]]
READERS: dict[str, Reader] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
}
