"""Training throughput: seconds of audio that the shipped recipe's network learns from in a second.

Runs the loop itself (examples, loss, gradient, step) on songs of noise, and says how fast the steps go
after the first ones, with the examples prepared beside them and, for comparison, by themselves. Nothing is
validated or saved meanwhile. Prints a table and appends every run to a file of JSON lines.

Usage: python benchmarks/training.py [--steps 30] [--precision float32 bfloat16] [--batch-size 8]
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from measure import REPOSITORY, append_json_lines, machine, table, warn_if_busy
from stemwise.train.compose import read_config
from stemwise.train.config import TrainConfig
from stemwise.train.distributed import processes
from stemwise.train.loader import examples
from stemwise.train.objective import build_objective
from stemwise.train.sources import load_sources
from stemwise.train.state import TrainState
from stemwise.train.step import step

RECIPE = REPOSITORY / "recipes" / "4stems" / "train.json"
OUTPUT = REPOSITORY / "benchmarks" / "results" / "training.jsonl"
WARM_UP_STEPS = 5
CALIBRATION = 30  # times real time: what two cores were to reach


def write_songs(folder: Path, stems: Sequence[str], *, sample_rate: int, seconds: int = 30) -> None:
    """Noise: how fast a network learns does not depend on what it hears."""
    rng = np.random.default_rng(0)
    for song in range(4):
        (folder / str(song)).mkdir(parents=True)
        for stem in stems:
            sound = 0.1 * rng.standard_normal((seconds * sample_rate, 2)).astype(np.float32)
            soundfile.write(folder / str(song) / f"{stem}.wav", sound, sample_rate)


def recipe(folder: Path, precision: str, batch_size: int, steps: int) -> TrainConfig:
    """The shipped run on these songs; its single phrases are left out."""
    changes = [f'data.songs=["{folder / "songs"}"]', "data.singles={}", "data.validation=[]", "data.mix={}"]
    changes += [f"data.cache={folder / 'cache'}", f"hardware.precision={precision}", f"steps={steps}"]
    return replace(read_config(RECIPE, changes), batch_size=batch_size)


def measure(config: TrainConfig, precision: str) -> dict[str, Any]:
    """Seconds of audio a second: of the whole loop, of learning alone, of preparing alone.

    `per_core` is the whole loop's audio over the processor time of all threads: on a machine that does other
    things too it says what the others leave out.
    """
    with processes("auto") as process:
        sources = load_sources(config).excerpts
        state = TrainState.fresh(config, process.device, precision=precision)
        objective = build_objective(state.network, config, precision=precision)
        audio_s = config.batch_size * config.excerpt_samples / config.model.sample_rate
        kept = []
        for number, parts in enumerate(examples(sources, config, objective, process, first_step=0)):
            if number == WARM_UP_STEPS:
                start, start_cpu = time.perf_counter(), time.process_time()
            step(state, objective, parts, config, process)
            kept = [*kept, parts][:3]
        done_s = (config.steps - WARM_UP_STEPS) * audio_s
        whole, per_core = (
            done_s / (time.perf_counter() - start),
            done_s / (time.process_time() - start_cpu),
        )
        n = max(3, config.steps // 3)
        start = time.perf_counter()
        for _ in islice(examples(sources, config, objective, process, first_step=0), n):
            pass
        preparing = n * audio_s / (time.perf_counter() - start)
        start = time.perf_counter()
        for number in range(n):
            step(state, objective, kept[number % len(kept)], config, process)
        learning = n * audio_s / (time.perf_counter() - start)
        speeds = {"whole": whole, "per_core": per_core, "learning": learning, "preparing": preparing}
        return {**speeds, "device": process.device.type}


def main() -> None:
    """Measure every precision asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=30, help="the first five do not count")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--precision", nargs="+", default=["float32", "bfloat16"])
    options = parser.parse_args()
    warn_if_busy()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = recipe(folder, "float32", 1, WARM_UP_STEPS + 1)
        write_songs(folder / "songs", first.model.stems, sample_rate=first.model.sample_rate)
        for precision in options.precision:
            config = recipe(folder, precision, options.batch_size, WARM_UP_STEPS + options.steps)
            speeds = measure(config, precision)
            threads = torch.get_num_threads()
            record = {"precision": precision, "batch_size": options.batch_size, "threads": threads}
            append_json_lines(OUTPUT, [{"machine": machine(), **record, **speeds}])
            keys = "whole", "per_core", "learning", "preparing"
            rows.append([precision, *(f"{speeds[key]:.1f}" for key in keys)])
    print(table(["audio s per s", "the loop", "per core", "learning alone", "preparing alone"], rows))
    print(f"calibration: {CALIBRATION} times real time on two cores")


if __name__ == "__main__":
    main()
