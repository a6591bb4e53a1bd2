"""Score a song of four minutes and four stems with museval 0.4 and with stemwise: time, memory, agreement.

The programs take turns, after one warm-up each that does not count: museval, stemwise's BSS Eval (SDR, ISR,
SIR, SAR), and its SDR alone, each in a process of its own with the same number of threads. What is timed is
the call that scores; reading the signals is not. Prints a table of medians, the largest difference from
museval, and appends every run to a file of JSON lines.

Needs museval in an environment of its own: benchmarks/museval_environment.sh

Usage: python benchmarks/metrics.py [--runs 3] [--seconds 240] [--threads 2]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from material import SAMPLE_RATE, second
from measure import REPOSITORY, append_json_lines, machine, run_program, table, warn_if_busy

OUTPUT = REPOSITORY / "benchmarks" / "results" / "metrics.jsonl"
MUSEVAL_PYTHON = REPOSITORY / "benchmarks" / ".museval" / "bin" / "python"
N_STEMS = 4
STEMWISE = {"stemwise": "bss_eval", "stemwise, SDR alone": "window_sdr"}
FULL_SCALE = 32768  # of 16 bits


def write_signals(path: Path, n_seconds: int) -> None:
    """Write references and estimates, `(stems, 2, samples)`, as files of 16 bits would hold them.

    An estimate is its reference, something of the others, and noise.
    """
    rng = np.random.default_rng(0)
    shape = (N_STEMS, 2, n_seconds * SAMPLE_RATE)
    references, estimates = np.empty(shape, np.float32), np.empty(shape, np.float32)
    leaks = (rng.uniform(0, 0.3, (N_STEMS, N_STEMS)) + np.eye(N_STEMS)).astype(np.float32)
    for index in range(n_seconds):
        here = slice(index * SAMPLE_RATE, (index + 1) * SAMPLE_RATE)
        sources = np.stack([second(index, seed).T for seed in range(N_STEMS)])
        noise = rng.normal(0, 0.01, sources.shape).astype(np.float32)
        references[..., here] = np.round(sources * FULL_SCALE) / FULL_SCALE
        mixed = np.einsum("es,scn->ecn", leaks, sources) + noise
        estimates[..., here] = np.round(mixed * FULL_SCALE) / FULL_SCALE
    np.savez(path, references=references, estimates=estimates)


def score(function: str, signals: Path, scores: Path) -> None:
    """Do what is timed, with stemwise; runs in a process of its own."""
    import torch

    from stemwise import metrics

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    loaded = np.load(signals)
    references, estimates = (torch.from_numpy(loaded[name]) for name in ("references", "estimates"))
    start = time.perf_counter()
    found = getattr(metrics, function)(references, estimates, window_samples=SAMPLE_RATE)
    seconds = time.perf_counter() - start
    ratios = found if isinstance(found, tuple) else (found,)
    named = dict(zip(("SDR", "ISR", "SIR", "SAR"), (ratio.tolist() for ratio in ratios), strict=False))
    scores.write_text(json.dumps({**named, "seconds": seconds}))


def contenders(museval_python: Path) -> dict[str, list[str]]:
    """Name the programs; the signals and the file for the scores are appended when they run."""
    programs = {"museval 0.4": [str(museval_python), str(REPOSITORY / "tools" / "run_museval.py")]}
    for name, function in STEMWISE.items():
        programs[name] = [sys.executable, __file__, "--score", function]
    return programs


def largest_difference(scores: dict[str, Any], reference: dict[str, Any]) -> float:
    """Return the largest difference in dB of any finite window; infinite if NaN stands elsewhere."""
    differences = []
    for name in ("SDR", "ISR", "SIR", "SAR"):
        ours, theirs = np.array(scores[name]), np.array(reference[name])
        if not np.array_equal(np.isnan(ours), np.isnan(theirs)):
            return float("inf")
        differences.append(np.abs(ours - theirs)[np.isfinite(theirs)].max())
    return float(max(differences))


def compare(
    programs: dict[str, list[str]], folder: Path, runs: int, threads: int
) -> tuple[list[dict[str, Any]], float]:
    """Run all programs in turn, one warm-up round and then `runs` rounds that count."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads))}
    records, last = [], {}
    for round_ in range(runs + 1):
        for name, command in programs.items():
            scores = folder / "scores.json"
            cost = run_program(
                [*command, str(folder / "signals.npz"), str(scores)], environment, folder / "log"
            )
            last[name] = json.loads(scores.read_text())
            print(
                f"{f'run {round_}' if round_ else 'warm-up'}  {name}: {last[name]['seconds']:.2f} s",
                flush=True,
            )
            if round_:
                found = {"seconds": last[name]["seconds"], **asdict(cost)}
                records.append({"program": name, "run": round_, "threads": threads, **found})
    return records, largest_difference(last["stemwise"], last["museval 0.4"])


def summary(records: Sequence[dict[str, Any]]) -> str:
    """Lay out the medians, and how many times less than the first program's they are."""
    names = list(dict.fromkeys(record["program"] for record in records))
    times = {name: [r["seconds"] for r in records if r["program"] == name] for name in names}
    peaks = {name: median(r["peak_rss_bytes"] for r in records if r["program"] == name) for name in names}
    rows = [
        [
            name,
            f"{median(times[name]):.2f}",
            f"{min(times[name]):.2f}-{max(times[name]):.2f}",
            f"{median(times[names[0]]) / median(times[name]):.0f}",
            f"{peaks[name] / 1e9:.2f}",
        ]
        for name in names
    ]
    return table(["program", "seconds", "range", "times faster", "peak GB"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--runs", type=int, default=3, help="rounds that count, after one warm-up (default 3)"
    )
    parser.add_argument("--seconds", type=int, default=240, help="length of the song (default 240)")
    parser.add_argument("--threads", type=int, default=2, help="of every program (default 2)")
    parser.add_argument("--museval-python", type=Path, default=MUSEVAL_PYTHON, help="Python that has museval")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="file of JSON lines to append to")
    options = parser.parse_args()
    if not options.museval_python.exists():
        parser.error(f"{options.museval_python} is missing: run benchmarks/museval_environment.sh first")
    warn_if_busy()
    with tempfile.TemporaryDirectory() as folder:
        # in a process of its own: no program's peak memory can read below that of the one that starts it
        written = [
            sys.executable,
            __file__,
            "--write",
            str(Path(folder) / "signals.npz"),
            str(options.seconds),
        ]
        subprocess.run(written, check=True)
        programs = contenders(options.museval_python)
        records, difference = compare(programs, Path(folder), options.runs, options.threads)
    print("\n" + summary(records))
    print(f"\nlargest difference from museval: {difference:.1e} dB")
    shared = {"benchmark": "metrics", "time": time.strftime("%FT%TZ", time.gmtime()), "machine": machine()}
    shared |= {"seconds_of_audio": options.seconds, "largest_difference_db": difference}
    append_json_lines(options.output, [{**shared, **record} for record in records])
    print(f"{len(records)} runs appended to {options.output}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--score"]:
        score(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    elif sys.argv[1:2] == ["--write"]:
        write_signals(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
