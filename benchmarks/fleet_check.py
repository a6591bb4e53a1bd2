"""The simulation of `fleet.py` held against real runs of a small catalogue, on this machine.

A first catalogue is separated to measure what the simulation is told: how long a worker needs to start, its
seconds for a second of sound, the journal's for a transaction. Then a second one, of other songs of known
lengths, is separated and simulated. Its workers are processes (`1`, `2`), or seats on real Ray nodes of one
core each (`ray`), of which one is killed half-way (`ray-kill`) and does not come back; the simulation is told
when. Nothing is fitted to the second catalogue.

Usage: python benchmarks/fleet_check.py [--how 1 2 ray ray-kill] [--songs 24] [--seconds 45] [--repeat 1]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fleet import Fleet, Outcome, Simulation
from material import write_mixture
from measure import REPOSITORY, append_json_lines, machine, table, warn_if_busy
from stemwise.journal import Journal, Row

OUTPUT = REPOSITORY / "benchmarks" / "results" / "fleet_check.jsonl"
SPREAD = 0.35  # of the lengths: standard deviation over mean
NODE = {"num_cpus": 1, "object_store_memory": 80 << 20, "memory": 4 << 30}
N_CALIBRATION = 8


def write_songs(folder: Path, n_songs: int, mean_s: float, seed: int) -> Path:
    folder.mkdir()
    lengths = np.random.default_rng(seed).gamma(1 / SPREAD**2, mean_s * SPREAD**2, n_songs)
    for n, length in enumerate(lengths):
        write_mixture(folder / f"{n:03}.flac", max(1, round(length)))
    return folder


@contextmanager
def workers(how: str) -> Iterator[tuple[list[str], Any]]:
    """Options of the command, and the node that may be killed with its cluster."""
    if not how.startswith("ray"):
        yield ["-w", how], None
        return
    from ray.cluster_utils import Cluster

    head = {**NODE, "num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        nodes = [cluster.add_node(**NODE) for _ in range(2)]
        yield ["--ray", cluster.address], lambda: cluster.remove_node(nodes[0], allow_graceful=False)
    finally:
        cluster.shutdown()


def ended(output: Path) -> list[Row]:
    if not (output / "batch.sqlite").exists():
        return []
    with Journal(output / "batch.sqlite") as journal:
        return sorted(journal.rows("batch", ["done"]), key=lambda row: row.ended or 0)


def run(
    songs: Path, options: Sequence[str], kill: Any = None, after: int = 0
) -> tuple[list[Row], dict[str, Any], float]:
    """One run: its songs, its summary, and when the node was killed (seconds since 1970)."""
    output = songs.with_name(f"{songs.name}_stems")
    command = [sys.executable, "-m", "stemwise", "batch", "run", str(songs), "-o", str(output)]
    command += ["--precision", "float32", "--threads", "1", "-c", "flac", *options]
    killed = float("inf")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    while kill is not None and process.poll() is None:
        if len(ended(output)) >= after:
            killed = time.time()
            kill()
            break
        time.sleep(0.1)
    if process.wait() != 0:
        raise SystemExit(f"{' '.join(command)} failed")
    return ended(output), json.loads((output / "manifest.json").read_text())["runs"][-1]["summary"], killed


def begin_of(rows: Sequence[Row]) -> float:
    return min(row.started or 0.0 for row in rows)


def calibrated(rows: Sequence[Row], summary: dict[str, Any], n_seats: int) -> dict[str, float]:
    """What the simulation is told."""
    begin = begin_of(rows)
    first, others = rows[:n_seats], rows[n_seats:]
    starts = [
        (row.ended or 0.0) - begin - sum(row.details["timings"][key] for key in ("hash", "publish"))
        - row.details["report"]["wall_s"]
        for row in first
    ]  # fmt: skip
    audio_s = sum(row.details["report"]["duration_s"] for row in others)
    return {
        "start_s": sum(starts) / n_seats,
        "compute_per_s": sum(row.details["timings"]["separate"] for row in others) / audio_s,
        "journal_s": summary["journal_s"] / len(rows) / 2,
    }


def simulated(
    measured: dict[str, float], rows: Sequence[Row], n_seats: int, killed_s: float, ahead: int
) -> Outcome:
    fleet = Fleet(
        n_seats=n_seats, n_songs=len(rows), seats_per_node=1, ahead=ahead, node_back_s=1e9, **measured
    )
    simulation = Simulation(fleet)
    in_order = sorted(rows, key=lambda row: row.id)
    simulation.lengths = [row.details["report"]["duration_s"] for row in in_order]
    if killed_s < float("inf"):
        simulation.events.append((killed_s, -1, lambda: simulation._lose_node(0)))
        simulation.events.sort(key=lambda event: event[:2])
    return simulation.run()


def compare(how: str, n_songs: int, mean_s: float, folder: Path, seed: int) -> dict[str, Any]:
    n_seats = int(how) if how.isdecimal() else 2
    with workers(how) as (options, kill):
        first = write_songs(folder / "calibration", N_CALIBRATION, mean_s, seed + 1000)
        second = write_songs(folder / "songs", n_songs, mean_s, seed)
        rows, summary, _ = run(first, options)
        measured = calibrated(rows, summary, n_seats)
        rows, _, killed = run(second, options, kill if how == "ray-kill" else None, n_songs // 3)
    assert len(rows) == n_songs
    begin = begin_of(rows)
    wall_s = max(row.ended or 0.0 for row in rows) - begin
    out = simulated(measured, rows, n_seats, killed - begin, ahead=int(how.startswith("ray")))
    return {
        "how": how,
        **measured,
        "songs": n_songs,
        "audio_s": sum(row.details["report"]["duration_s"] for row in rows),
        "killed_s": None if killed == float("inf") else killed - begin,
        "measured_s": wall_s,
        "simulated_s": out.wall_s,
        "ratio": out.wall_s / wall_s,
    }


def main() -> None:
    """Run, print, keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--how", nargs="+", default=["1", "2", "ray", "ray-kill"])
    parser.add_argument("--songs", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=45.0, help="mean length of a song")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warn_if_busy()
    results = []
    for seed in range(arguments.seed, arguments.seed + arguments.repeat):
        for how in arguments.how:
            with tempfile.TemporaryDirectory() as name:
                results.append(compare(how, arguments.songs, arguments.seconds, Path(name), seed))
    append_json_lines(OUTPUT, [{**result, **machine()} for result in results])
    keys = ["start_s", "compute_per_s", "journal_s", "killed_s", "measured_s", "simulated_s", "ratio"]
    lines = [
        [one["how"], *("" if one[key] is None else f"{one[key]:.4g}" for key in keys)] for one in results
    ]
    print(table(["workers", *keys], lines))


if __name__ == "__main__":
    main()
