"""Separate one song into four wav stems with Spleeter 2.4.2 and with stemwise: time, memory, whole process.

The programs take turns (A B C, A B C, ...), after one warm-up each that does not count, so that a change in
the machine's mood meets them all. Both read the same mp3 and the same checkpoint of random weights
(`benchmarks/spleeter_environment.sh` makes it), write 16-bit wav, and must deliver every sample. Prints a
table of medians and appends every single run to a file of JSON lines.

A second table takes stemwise apart: how long it is until the network is called first, how fast it is later
on (the second half of a song of `--steady` seconds, decoded blocks in, waveforms out), and that for one to
five networks of Spleeter's shape.

Usage: python benchmarks/speed.py [--runs 5] [--seconds 200] [--commands ...] [--precision ...] [--steady 600]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

import numpy as np
import soundfile

from material import SAMPLE_RATE, write_mixture
from measure import (
    REPOSITORY,
    SPLEETER,
    STEMWISE,
    Cost,
    append_json_lines,
    machine,
    run_program,
    spleeter_environment,
    table,
    warn_if_busy,
)

STEMS = ("vocals", "drums", "bass", "other")
OUTPUT = REPOSITORY / "benchmarks" / "results" / "speed.jsonl"
PARTS = REPOSITORY / "benchmarks" / "parts.py"
PRECISIONS = ("float32", "auto", "bfloat16")
MODELS = ("spleeter:4stems", "stemwise:4stems")
PART_KEYS = ("start_up_s", "import_torch_s", "x_real_time")
STEMS_SECONDS = 120  # of each song for the cost of one to five stems


def contenders(commands: Sequence[str], precisions: Sequence[str]) -> dict[str, list[str]]:
    """Name the programs to compare; the song and `-o FOLDER` are appended when they run."""
    stemwise = [*STEMWISE, "separate", "-c", "wav", "--clip", "clamp"]
    chosen: dict[str, list[str]] = {}
    if "spleeter" in commands:
        chosen["spleeter"] = [str(SPLEETER / "bin" / "spleeter"), "separate", "-p", "spleeter:4stems"]
    if "stemwise" in commands:
        for precision in precisions:
            options = ["-p", "spleeter:4stems", "--precision", precision]
            chosen[f"stemwise {precision}"] = [*stemwise, *options]
    if "embedded" in commands:
        chosen["stemwise, its own model"] = [*stemwise, "-p", "stemwise:4stems"]
    return chosen


def check_stems(folder: Path, n_samples: int) -> None:
    """Refuse a run that did not do the whole job: Spleeter reports failures with exit status 0."""
    for stem in STEMS:
        path = folder / f"{stem}.wav"
        found = soundfile.info(path).frames if path.exists() else None
        if found != n_samples:
            raise SystemExit(f"{path}: {found} samples, not {n_samples}: this run does not count")


def largest_difference(folder: Path, other: Path) -> float:
    """Return the largest difference between any two samples of the same stems, 1.0 being full scale."""
    largest = 0.0
    for stem in STEMS:
        ours = soundfile.blocks(folder / f"{stem}.wav", SAMPLE_RATE, dtype="float32")
        theirs = soundfile.blocks(other / f"{stem}.wav", SAMPLE_RATE, dtype="float32")
        largest = max(largest, *(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True)))
    return largest


def compare(
    programs: Mapping[str, Sequence[str]], song: Path, runs: int, n_samples: int
) -> dict[str, list[Cost]]:
    """Run all programs in turn, one warm-up round and then `runs` rounds that count."""
    costs: dict[str, list[Cost]] = {name: [] for name in programs}
    for round_ in range(runs + 1):
        for name, command in programs.items():
            folder = song.parent / name
            log = song.parent / f"{name}.log"
            cost = run_program([*command, "-o", str(folder), str(song)], spleeter_environment(), log)
            check_stems(folder / song.stem, n_samples)
            print(f"{'warm-up' if round_ == 0 else f'run {round_}'}  {name}: {cost.wall_s:.1f} s", flush=True)
            if round_:
                costs[name].append(cost)
    return costs


def summary(costs: Mapping[str, Sequence[Cost]], seconds: int) -> str:
    """Lay out the medians, and how many times less than the first program's they are."""
    walls = {name: median(cost.wall_s for cost in runs) for name, runs in costs.items()}
    peaks = {name: median(cost.peak_rss_bytes for cost in runs) for name, runs in costs.items()}
    first = next(iter(costs))
    rows = [
        [
            name,
            f"{walls[name]:.1f}",
            f"{min(cost.wall_s for cost in runs):.1f}-{max(cost.wall_s for cost in runs):.1f}",
            f"{median(cost.cpu_s for cost in runs):.1f}",
            f"{seconds / walls[name]:.1f}",
            f"{peaks[name] / 1e9:.2f}",
            f"{walls[first] / walls[name]:.1f}",
            f"{peaks[first] / peaks[name]:.1f}",
        ]
        for name, runs in costs.items()
    ]
    header = [
        "program",
        "wall s",
        "range",
        "cpu s",
        "x real time",
        "peak GB",
        "times faster",
        "times less memory",
    ]
    return table(header, rows)


def measure_parts(song: Path, precision: str, steady_s: int) -> list[dict[str, str | float]]:
    """Start-up, steady state, and cost by the number of stems: a record for each."""
    plan = [("start-up", model, str(song)) for model in MODELS]
    plan += [("steady", model, str(steady_s)) for model in MODELS]
    plan += [("stems", str(number), str(STEMS_SECONDS)) for number in range(1, 6)]
    records = []
    for part, which, what in plan:
        command = [sys.executable, str(PARTS), part, which, precision, what]
        done = subprocess.run(command, env=spleeter_environment(), capture_output=True, text=True, check=True)
        records.append({"part": part, "which": which, "precision": precision, **json.loads(done.stdout)})
        print(records[-1], flush=True)
    return records


def parts_table(records: Sequence[Mapping[str, str | float]]) -> str:
    rows = [
        [
            f"{record['part']}, {record['which']}, {record['precision']}",
            *(f"{record[key]:.2f}" if key in record else "" for key in PART_KEYS),
        ]
        for record in records
    ]
    return table(["part", *PART_KEYS], rows)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--runs", type=int, default=5, help="rounds that count, after one warm-up (default 5)"
    )
    parser.add_argument("--seconds", type=int, default=200, help="length of the song (default 200)")
    choices = ("spleeter", "stemwise", "embedded")
    parser.add_argument("--commands", nargs="+", choices=choices, default=choices, help="programs to compare")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=("float32", "auto"))
    parser.add_argument("--steady", type=int, default=600, help="seconds for the steady state; 0: no parts")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="file of JSON lines to append to")
    options = parser.parse_args()
    if options.runs < 1 or not 1 <= options.seconds <= 600:
        parser.error("--runs is at least 1; --seconds is 1 to 600, where Spleeter cuts a song off")
    if not SPLEETER.exists():
        parser.error(f"{SPLEETER} is missing: run benchmarks/spleeter_environment.sh first")
    return options


def main() -> None:
    options = parse_options()
    warn_if_busy()
    programs = contenders(options.commands, options.precision)
    with tempfile.TemporaryDirectory() as folder:
        song = Path(folder) / "song.mp3"
        write_mixture(song, options.seconds)
        costs = compare(programs, song, options.runs, options.seconds * SAMPLE_RATE)
        print("\n" + summary(costs, options.seconds))
        if {"spleeter", "stemwise float32"} <= costs.keys():
            paths = [song.parent / name / song.stem for name in ("stemwise float32", "spleeter")]
            print(f"\nlargest difference of the two programs' stems: {largest_difference(*paths):.1e}")
        parts = measure_parts(song, options.precision[0], options.steady) if options.steady else []
        if parts:
            print("\n" + parts_table(parts))
    shared = {"benchmark": "speed", "time": time.strftime("%FT%TZ", time.gmtime()), "machine": machine()}
    records = [
        {**shared, "program": name, "seconds": options.seconds, "run": number, **asdict(cost)}
        for name, runs in costs.items()
        for number, cost in enumerate(runs, 1)
    ]
    records += [{**shared, **part} for part in parts]
    append_json_lines(options.output, records)
    print(f"{len(records)} runs appended to {options.output}")


if __name__ == "__main__":
    main()
