"""What has come of a catalogue, from its journal: sums, speeds, failures by reason, a CSV of all songs."""

import codecs
import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stemwise.batch.manifest import utc
from stemwise.journal import Row
from stemwise.replacing import replacing

RECENT_S = 900.0  # over which the speed of now is told
CSV_COLUMNS = (
    "id", "state", "source", "attempts", "error", "worker", "model_sha256", "input_sha256", "duration_s",
    "fetch_s", "wait_s", "separate_s", "hash_s", "publish_s", "gain_db", "started", "ended", "model",
    "output_bytes",
)  # fmt: skip
_OF_ROW = CSV_COLUMNS[:8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Of all songs of a journal.

    Attributes:
        states: songs of each state.
        done_s: audio of the songs that are done, seconds.
        left_s: audio of those that are queued or running.
        output_bytes: of the stems that are there.
        songs_per_hour: lately, or when something was last done; None if nothing was.
        audio_per_s: seconds of audio in a second, likewise.
    """

    states: dict[str, int]
    done_s: float
    left_s: float
    output_bytes: int
    songs_per_hour: float | None
    audio_per_s: float | None

    @property
    def remaining_s(self) -> float | None:
        """How long the rest takes at this speed."""
        return self.left_s / self.audio_per_s if self.audio_per_s else None


def total(rows: Sequence[Row]) -> Totals:
    """Sum up a journal."""
    done = [row for row in rows if row.state == "done"]
    waiting = [row for row in rows if row.state in ("queued", "running")]
    last = max((row.ended or 0.0 for row in done), default=0.0)
    recent = [row for row in done if (row.ended or 0.0) > last - RECENT_S]
    span_s = last - min((row.started or last for row in recent), default=last)
    return Totals(
        states=dict(Counter(row.state for row in rows)),
        done_s=sum(map(duration_s, done)),
        left_s=sum(map(duration_s, waiting)),
        output_bytes=sum(map(_output_bytes, done)),
        songs_per_hour=3600 * len(recent) / span_s if span_s > 0 else None,
        audio_per_s=sum(map(duration_s, recent)) / span_s if span_s > 0 else None,
    )


def duration_s(row: Row) -> float:
    """Of what was or will be separated, seconds, as well as it is known."""
    known = row.details.get("report") or row.details.get("header") or {}
    return float(known.get("duration_s", 0.0))


def failures(rows: Iterable[Row]) -> list[tuple[str, list[Row]]]:
    """Songs that have failed, by the reason without their own names, the most frequent first."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row.state == "failed":
            found.setdefault(reason(row), []).append(row)
    return sorted(found.items(), key=lambda item: -len(item[1]))


def reason(row: Row) -> str:
    """Why a song has failed, without its name."""
    return (row.error or "").removeprefix(f"{row.source}: ")


def write_csv(rows: Iterable[Row], path: Path) -> None:
    """A line per song; the file is there whole or not at all."""
    with replacing(path) as file:
        writer = csv.DictWriter(codecs.getwriter("utf-8")(file), CSV_COLUMNS)
        writer.writeheader()
        for row in rows:
            timings = row.details.get("timings", {})
            writer.writerow(
                {
                    "duration_s": f"{duration_s(row):.3f}",
                    "gain_db": row.details.get("report", {}).get("gain_db"),
                    "started": utc(row.started) if row.started else None,
                    "ended": utc(row.ended) if row.ended else None,
                    "model": row.parameters.get("model"),
                    "output_bytes": _output_bytes(row),
                    **{name: getattr(row, name) for name in _OF_ROW},
                    **{f"{stage}_s": round(seconds, 3) for stage, seconds in timings.items()},
                }
            )


def _output_bytes(row: Row) -> int:
    return sum(found["bytes"] for found in row.outputs.values())
