"""The files of a run: `scores.json` with all that was measured, and museval's JSON, one file per song.

What museval wrote is read too, so that a run can be compared with one that other software made.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stemwise import __version__
from stemwise.errors import ConfigError
from stemwise.evaluate.scores import METRICS, MUSEVAL, WINDOW_S, Score, median_of_finite
from stemwise.evaluate.table import EvaluationTable
from stemwise.replacing import replacing

FORMAT = 1
SCORES = "scores.json"
MUSEVAL_SONGS = Path("museval") / "test"  # below it museval's own `add_eval_dir("museval")` finds them
DECIMALS = 5  # museval's


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A run: whose estimates, scored on which data set, the scores; notes are what a reader must be told."""

    model: str
    dataset: str
    table: EvaluationTable
    notes: tuple[str, ...] = ()


def to_json(record: Record) -> dict[str, Any]:
    """What the scores come to, and all of them but the single windows."""
    table = record.table
    values = {
        "format": FORMAT,
        "stemwise": __version__,
        "model": record.model,
        "dataset": record.dataset,
        "notes": list(record.notes),
        "summary": [
            {"metric": metric, "stem": stem, **asdict(summary)}
            for metric in table.metrics
            for stem in table.stems
            if (summary := table.summary(stem, metric)) is not None
        ],
        "scores": [
            {"track": score.track, "stem": score.stem, "method": score.method, **score.values}
            for score in table.scores
        ],
    }
    return {key: without_nan(value) for key, value in values.items()}


def without_nan(value: Any, *, digits: int | None = None) -> Any:
    """Numbers rounded, and null for NaN and infinity, which JSON has not; also in lists and objects.

    Scores in dB have museval's decimals; what may be tiny needs so many significant `digits` instead.
    """
    if isinstance(value, dict):
        return {key: without_nan(part, digits=digits) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(part, digits=digits) for part in value]
    if isinstance(value, float):
        rounded = round(value, DECIMALS) if digits is None else float(f"{value:.{digits}g}")
        return rounded if math.isfinite(value) else None
    return value


def write_record(record: Record, folder: Path, name: str = SCORES) -> Path:
    """Write `scores.json` into the folder, replacing it; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(to_json(record), folder / name)
    return folder / name


def write_museval(scores: Sequence[Score], folder: Path) -> Path | None:
    """Write one song's windows as museval does, NaN included, to `folder/song.json`.

    Returns:
        The path; None if not all four of museval's metrics were measured.
    """
    targets = [
        {"name": score.stem, "frames": _frames(score.windows)}
        for score in scores
        if set(score.windows) == set(MUSEVAL)
    ]
    if not targets:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{scores[0].track.replace('/', '_')}.json"
    _write({"targets": targets, "museval_version": f"stemwise {__version__}"}, path)
    return path


def read_record(path: Path) -> Record:
    """Read a folder that `stemwise evaluate -o` or museval wrote, or its `scores.json`.

    Raises:
        ConfigError: if there are no scores, or they cannot be read.
    """
    scores_file = path / SCORES if path.is_dir() else path
    if scores_file.is_file():
        return _read_scores(scores_file)
    songs = sorted(path.rglob("*.json")) if path.is_dir() else []
    if not songs:
        raise ConfigError(f"{path} holds no scores: it must be a folder that `stemwise evaluate -o` wrote")
    names = [song.stem for song in songs]
    if len(set(names)) < len(names):
        raise ConfigError(f"{path} holds two songs named alike: it must be the scores of one method")
    table = EvaluationTable(tuple(score for song in songs for score in _read_museval(song)))
    return Record(model=path.name, dataset="", table=table)


def _frames(windows: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    return [
        {
            "time": index * WINDOW_S,
            "duration": WINDOW_S,
            "metrics": {
                MUSEVAL[metric]: round(value, DECIMALS) if math.isfinite(value) else math.nan
                for metric, value in zip(MUSEVAL, row, strict=True)
            },
        }
        for index, row in enumerate(zip(*(windows[metric] for metric in MUSEVAL), strict=True))
    ]


def _read_scores(path: Path) -> Record:
    try:
        values = json.loads(path.read_text())
        if values["format"] != FORMAT:
            raise ConfigError(f"{path} has format {values['format']!r}: this stemwise reads format {FORMAT}")
        scores = tuple(
            Score(
                track=score["track"],
                stem=score["stem"],
                method=score["method"],
                values={metric: _number(score[metric]) for metric in METRICS if metric in score},
            )
            for score in values["scores"]
        )
        table = EvaluationTable(scores)
        return Record(
            model=values["model"], dataset=values["dataset"], table=table, notes=tuple(values["notes"])
        )
    except ConfigError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as scores: {type(error).__name__}: {error}") from error


def _read_museval(path: Path) -> list[Score]:
    scores = []
    try:
        for target in json.loads(path.read_text())["targets"]:
            windows = {
                metric: tuple(_number(frame["metrics"][name]) for frame in target["frames"])
                for metric, name in MUSEVAL.items()
            }
            values = {metric: median_of_finite(row) for metric, row in windows.items()}
            scores.append(Score(track=path.stem, stem=target["name"], values=values, windows=windows))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"{path} cannot be read as museval's scores: {type(error).__name__}: {error}"
        ) from error
    return scores


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _write(values: Mapping[str, Any], path: Path) -> None:
    with replacing(path) as file:
        file.write((json.dumps(values, indent=2) + "\n").encode())
