"""How fast this machine is: the beginnings of some songs, separated as a run would."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stemwise.batch import storage
from stemwise.batch.enlist import row_bytes
from stemwise.batch.local import LocalExecutor
from stemwise.batch.machine import largest_child_bytes
from stemwise.batch.song import Outcome, job_of
from stemwise.errors import StemwiseError
from stemwise.journal import Row
from stemwise.worker import LONG_S, SHORT_S, WARM_S, Pace


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast this machine is, with all workers at work.

    Attributes:
        start_s: until the workers are ready.
        pace: of each worker.
        stem_share: bytes written for each byte that was expected.
        worker_bytes: memory of one worker, at its peak.
    """

    start_s: float
    pace: Pace
    stem_share: float
    worker_bytes: int


def measure_speed(
    todo: Sequence[Row],
    devices: Sequence[str],
    threads: int,
    precision: Mapping[str, str],
    *,
    step: Callable[[], None] = lambda: None,
) -> Speed:
    """Separate the beginnings of some songs: a moment to warm up, then a short piece and a long one.

    Args:
        todo: the rows to be done, one of which can be tried at least.
        devices: see `LocalExecutor`.
        threads: likewise.
        precision: of each model.
        step: called three times, after each part.

    Raises:
        StemwiseError: if none of them can be separated.
    """
    rows = _typical(can_be_tried(todo), len(devices))
    executor = LocalExecutor(devices, threads=threads)
    try:
        with tempfile.TemporaryDirectory(prefix="stemwise-plan-") as scratch:
            warm, short, long = (
                _part(executor, rows, audio_s, Path(scratch), precision, step)
                for audio_s in (WARM_S, SHORT_S, LONG_S)
            )
    finally:
        executor.stop()
    return Speed(
        start_s=warm.wall_s,
        pace=Pace.between((short.audio_s, short.wall_s), (long.audio_s, long.wall_s)),
        stem_share=long.stem_share,
        worker_bytes=largest_child_bytes(),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """Seconds of audio in each worker, of the clock until all were done, and the share of bytes written."""

    audio_s: float
    wall_s: float
    stem_share: float


def _part(
    executor: LocalExecutor,
    rows: Sequence[Row],
    audio_s: float,
    scratch: Path,
    precision: Mapping[str, str],
    step: Callable[[], None],
) -> _Part:
    begin = time.monotonic()
    for n, row in enumerate(rows):
        row = replace(row, id=str(n), parameters={**row.parameters, "duration_s": audio_s})
        executor.submit(job_of(row, str(scratch / str(n)), precision))
    outcomes: list[Outcome] = []
    while len(outcomes) < len(rows):
        outcomes += [event for event in executor.poll(1.0) if isinstance(event, Outcome)]
    wall_s = time.monotonic() - begin
    step()
    good = [outcome for outcome in outcomes if outcome.error is None]
    if not good:
        raise StemwiseError(f"the trial failed: {outcomes[0].error}")
    expected = sum(row_bytes(_cut(rows[int(one.id)], one.report["duration_s"])) for one in good)
    written = sum(found["bytes"] for one in good for found in one.outputs.values())
    lengths_s = sum(one.report["duration_s"] for one in good)
    return _Part(lengths_s / len(good), wall_s, written / expected)


def _cut(row: Row, audio_s: float) -> Row:
    """A row whose song is only so long."""
    return replace(row, details={**row.details, "header": {**row.details["header"], "duration_s": audio_s}})


def can_be_tried(todo: Sequence[Row]) -> list[Row]:
    """Those that lie on this machine and can be read."""
    return [
        row for row in todo if row.details["header"]["error"] is None and not storage.is_remote(row.source)
    ]


def _typical(readable: list[Row], n: int) -> list[Row]:
    """Songs of middle length, one for each worker; some twice if there are not enough."""
    readable.sort(key=lambda row: row.details["header"]["duration_s"])
    first = max(0, (len(readable) - n) // 2)
    chosen = readable[first : first + n]
    return [chosen[index % len(chosen)] for index in range(n)]
