"""How fast the separators of the field turn a waveform into four, on the same PyTorch, beside each other.

Steady state: each in a process of its own, one warm-up, then `--seconds` of decoded audio in and four
waveforms out, in turns (A B C, A B C, ...). Weights are random: speed does not depend on them. Demucs is
`HTDemucs` with its own defaults, cut into pieces as its command does (a quarter of overlap, no shifts);
Open-Unmix is `umxl` for four targets with one pass of its Wiener filter. Prints a table of medians and
appends every run to a file of JSON lines.

Usage: python benchmarks/peers.py [--runs 3] [--seconds 60]
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from measure import REPOSITORY, append_json_lines, machine, table, warn_if_busy

OUTPUT = REPOSITORY / "benchmarks" / "results" / "peers.jsonl"
PEERS = REPOSITORY / "benchmarks" / ".peers" / "bin" / "python"  # made by peers_environment.sh
PEER = REPOSITORY / "benchmarks" / "peer.py"
WARM_UP_S = 12  # that every run begins with
CONTENDERS = (
    "stemwise, its own model",
    "stemwise, four stems of Spleeter's shape",
    "Open-Unmix (umxl), four targets",
    "Demucs 4 (HTDemucs)",
)


def summary(costs: dict[str, list[dict[str, float]]]) -> str:
    rows = []
    for name, runs in costs.items():
        speeds = [cost["x_real_time"] for cost in runs]
        peak = median(cost["peak_rss_bytes"] for cost in runs)
        spread = f"{min(speeds):.1f}-{max(speeds):.1f}"
        rows.append([name, f"{median(speeds):.1f}", spread, f"{peak / 1e9:.2f}"])
    return table(["separator", "x real time", "range", "peak GB"], rows)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3, help="rounds, each contender once (default 3)")
    parser.add_argument("--seconds", type=int, default=60, help="of audio in each run (default 60)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="file of JSON lines to append to")
    options = parser.parse_args()
    if options.runs < 1 or options.seconds < WARM_UP_S:
        parser.error(f"--runs is at least 1, --seconds at least {WARM_UP_S}")
    if not PEERS.exists():
        parser.error(f"{PEERS} is missing: run benchmarks/peers_environment.sh first")
    return options


def main() -> None:
    options = parse_options()
    warn_if_busy()
    costs: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    for number in range(1, options.runs + 1):
        for name, runs in costs.items():
            python = sys.executable if name.startswith("stemwise") else str(PEERS)
            command = [python, str(PEER), name, str(options.seconds)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            runs.append(json.loads(done.stdout.splitlines()[-1]))
            print(f"run {number}  {name}: {runs[-1]['x_real_time']:.1f} x real time", flush=True)
    print("\n" + summary(costs))
    shared = {"benchmark": "peers", "time": time.strftime("%FT%TZ", time.gmtime()), "machine": machine()}
    records = [
        {**shared, "separator": name, "seconds": options.seconds, "run": number, **cost}
        for name, runs in costs.items()
        for number, cost in enumerate(runs, 1)
    ]
    append_json_lines(options.output, records)


if __name__ == "__main__":
    main()
