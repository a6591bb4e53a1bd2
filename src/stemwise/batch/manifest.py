"""The run manifest: what a result was made from, with and on, so that it can be made again, and cited."""

import json
import os
import platform
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from stemwise import __version__
from stemwise.batch.enlist import QUEUE
from stemwise.batch.machine import host
from stemwise.batch.settings import ModelFacts
from stemwise.errors import ConfigError
from stemwise.journal import Journal, Row
from stemwise.lock import locked

NAME = "manifest.json"
FORMAT = 1
RANDOMNESS = "none: the same input, model, precision, device and threads give the same bytes"


def describe_run(
    id: str,
    facts: Mapping[str, ModelFacts],
    *,
    command: list[str],
    devices: list[str],
    threads: int,
    now: float,
) -> dict[str, Any]:
    """One run: program, machine, models and how they were used."""
    return {
        "id": id,
        "started": utc(now),
        "command": command,
        "versions": {
            "stemwise": __version__,
            "Python": platform.python_version(),
            **next(iter(facts.values())).versions,
        },
        "host": host(),
        "devices": devices,
        "threads_per_worker": threads,
        "seeds": RANDOMNESS,
        "models": {
            name: {
                "weights_sha256": fact.sha256,
                "licence": fact.licence,
                "stems": list(fact.stems),
                "precision": fact.precision,
            }
            for name, fact in facts.items()
        },
    }


def write_manifest(path: Path, journal: Journal, run: Mapping[str, Any]) -> None:
    """Add a run to a manifest, with every song that is done now; other processes wait for their turn.

    Raises:
        ConfigError: if there is a file that is no manifest.
    """
    with locked(path.with_name(f".{path.name}.lock")):
        runs = [one for one in read_runs(path) if one["id"] != run["id"]]
        part = path.with_name(f".{path.name}.part")
        # What is no text in an argument becomes what JSON calls it.
        with part.open("w", encoding="utf-8", errors="backslashreplace") as file:
            head = json.dumps({"format": FORMAT, "runs": [*runs, run]}, indent=1, ensure_ascii=False)
            file.write(f'{head[:-2]},\n "songs": [')
            for n, row in enumerate(journal.rows(QUEUE, ["done"])):
                file.write(f"{',' if n else ''}\n  {json.dumps(_song(row), ensure_ascii=False)}")
            file.write("\n ]\n}\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)


def read_runs(path: Path) -> list[dict[str, Any]]:
    """The runs of a manifest; none if there is no file.

    Raises:
        ConfigError: if it is no manifest.
    """
    try:
        runs: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["runs"]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is no manifest of a batch: move it away") from error
    return runs


def _song(row: Row) -> dict[str, Any]:
    report = row.details.get("report", {})
    return {
        "id": row.id,
        "source": row.source,
        "input_sha256": row.input_sha256,
        "parameters": row.parameters,
        "run": row.details.get("run"),
        "ended": utc(row.ended or 0.0),
        "duration_s": report.get("duration_s"),
        "gain_db": report.get("gain_db"),
        "outputs": row.outputs,
    }


def utc(seconds: float) -> str:
    """A time as ISO 8601 has it."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")
