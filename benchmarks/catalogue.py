"""Throughput of `stemwise batch run`: songs an hour, idle workers, the journal's share, the plan's accuracy.

A catalogue of equal songs is separated by each number of workers and threads. The steady state begins when
each worker has done its first song (it has loaded PyTorch and the model by then) and ends with the first
worker that finds no more; in it, `busy` is the share of the workers' time that they decode, compute and
encode. `of the limit` compares the steady state with what the processor seconds of decoding, separating and
encoding a song, each measured alone on one thread (`parts.py alone`), would allow on all cores. `--plan` asks
`stemwise batch plan` first.

Usage: python benchmarks/catalogue.py [--songs 24] [--seconds 60] [--workers 2x1 1x2] [--precision float32]
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import soundfile

from material import write_mixture
from measure import REPOSITORY, append_json_lines, machine, table, warn_if_busy
from stemwise.journal import Journal

OUTPUT = REPOSITORY / "benchmarks" / "results" / "catalogue.jsonl"


def command(songs: Path, output: Path, how: str, precision: str, kind: str) -> list[str]:
    workers, threads = how.split("x")
    return [
        *(sys.executable, "-m", "stemwise", "batch", kind, str(songs), "-o", str(output)),
        *("-w", workers, "--threads", threads, "--precision", precision),
    ]


def measure(songs: Path, how: str, precision: str, folder: Path) -> dict[str, Any]:
    """One run, from its command to its end, and what its journal says."""
    output = folder / f"stems_{how}_{precision}"
    begin = time.monotonic()
    subprocess.run(command(songs, output, how, precision, "run"), check=True, capture_output=True)
    wall_s = time.monotonic() - begin
    with Journal(output / "batch.sqlite") as journal:
        rows = sorted(journal.rows("batch", ["done"]), key=lambda row: row.ended or 0)
    summary = json.loads((output / "manifest.json").read_text())["runs"][-1]["summary"]
    n_workers = int(how.split("x")[0])
    first, last = rows[n_workers - 1].ended or 0, rows[-n_workers].ended or 0
    steady = [row for row in rows if first < (row.ended or 0) <= last]
    spent_s = sum(row.details["report"]["wall_s"] for row in steady)
    audio_s = sum(row.details["report"]["duration_s"] for row in steady)
    return {
        "how": how,
        "precision": precision,
        "songs": len(rows),
        "wall_s": wall_s,
        "steady_s": last - first,
        "steady_songs": len(steady),
        "real_time": audio_s / (last - first),
        "four_minute_songs_an_hour": audio_s / (last - first) * 3600 / 240,
        "busy": spent_s / (n_workers * (last - first)),
        "journal_share": summary["journal_s"] / summary["wall_s"],
        "run_s": summary["wall_s"],
    }


def limit_of(song: Path, precision: str) -> float:
    """How many times real time the cores allow, going by what a song costs alone."""
    script = REPOSITORY / "benchmarks" / "parts.py"
    asked = [sys.executable, str(script), "alone", "stemwise:4stems", precision, str(song)]
    costs = json.loads(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)
    seconds = soundfile.info(song).duration
    return len(os.sched_getaffinity(0)) * seconds / sum(costs.values())


def planned_s(songs: Path, how: str, precision: str, folder: Path) -> float:
    """Seconds that the plan tells."""
    asked = command(songs, folder / "nowhere", how, precision, "plan")
    told = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    number, unit = re.search(r"^time +([\d.]+) (s|min|h)", told, re.MULTILINE).groups()  # type: ignore[union-attr]
    return float(number) * {"s": 1, "min": 60, "h": 3600}[unit]


def main() -> None:
    """Run, print, keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--songs", type=int, default=24)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--workers", nargs="+", default=["2x1", "1x2"], metavar="WORKERSxTHREADS")
    parser.add_argument("--precision", nargs="+", default=["float32"])
    parser.add_argument("--plan", action="store_true")
    parser.add_argument("--material", type=Path, help="songs that are there, or are to be kept there")
    arguments = parser.parse_args()
    warn_if_busy()
    results = []
    with tempfile.TemporaryDirectory() as name:
        songs = arguments.material or Path(name) / "songs"
        if not songs.exists():
            songs.mkdir()
            for n in range(arguments.songs):
                write_mixture(songs / f"{n:03}.flac", arguments.seconds)
        for precision in arguments.precision:
            limit = limit_of(sorted(songs.iterdir())[0], precision)
            for how in arguments.workers:
                plan_s = planned_s(songs, how, precision, Path(name)) if arguments.plan else None
                result = measure(songs, how, precision, Path(name))
                results.append({**result, "limit": limit, "plan_s": plan_s})
    append_json_lines(OUTPUT, [{**result, **machine()} for result in results])
    rows = [
        [
            f"{one['how']} {one['precision']}",
            f"{one['real_time']:.1f}",
            f"{one['four_minute_songs_an_hour']:.0f}",
            f"{one['busy']:.3f}",
            f"{one['real_time'] / one['limit']:.1%}",
            f"{100 * one['journal_share']:.2f} %",
            f"{one['run_s']:.1f}",
            "" if one["plan_s"] is None else f"{one['plan_s']:.0f}",
        ]
        for one in results
    ]
    head = [
        "workers",
        "× real time",
        "4-min songs an hour",
        "busy",
        "of the limit",
        "journal",
        "run, s",
        "plan, s",
    ]
    print(table(head, rows))


if __name__ == "__main__":
    main()
