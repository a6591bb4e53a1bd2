"""How fast examples are prepared, alone and on one thread, as they are beside the network.

Every kind of example that training knows is timed on the same songs: mixed anew as for the shipped model,
plain, and plain with each augmentation of waveforms. Songs are decoded before the clock starts.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch

from material import SAMPLE_RATE, blocks
from measure import append_json_lines, machine, table, warn_if_busy
from stemwise.data.augment import AUGMENTATIONS
from stemwise.data.cache import Cache, Samples
from stemwise.data.dataset import Excerpts, MixConfig, step_rng
from stemwise.data.tracks import find_tracks

STEMS = ("vocals", "drums", "bass", "other")
EXCERPT_SAMPLES = 4096 + 127 * 1024  # 3.04 s: what the shipped model was trained on
BATCH_SIZE = 8
APPETITE = 13.3  # excerpts per second that two cores learn from: one step of 8 in 0.6 s
RECIPE = {  # the shipped model's
    "pool_shares": {"vocals": 0.55},
    "drive_shares": {"vocals": 0.15, "drums": 0.1, "bass": 0.35, "other": 0.45},
}
RESULTS = Path(__file__).parent / "results" / "loader.jsonl"

Songs = dict[str, dict[str, Samples]]


def made_songs(folder: Path, *, n_songs: int = 4, seconds: int = 60) -> Songs:
    """Songs of tones and bursts, mapped from disk as a cache is."""
    songs: Songs = {}
    for number in range(n_songs):
        songs[str(number)] = {}
        for s, stem in enumerate(STEMS):
            whole = np.concatenate(list(blocks(seconds, n_different=10 + s + number))).T.astype(np.float16)
            np.save(folder / f"{number}_{stem}.npy", whole)
            songs[str(number)][stem] = np.load(folder / f"{number}_{stem}.npy", mmap_mode="r")
    return songs


def read_songs(source: Path, folder: Path) -> Songs:
    cache = Cache(folder, sample_rate=SAMPLE_RATE)
    tracks = find_tracks(source, STEMS)
    return {
        track.name: dict(zip(track.files, cache.load(list(track.files.values())), strict=True))
        for track in tracks
    }


def excerpts_per_s(data: Excerpts, n_batches: int) -> tuple[float, float]:
    """By the clock and by the processor's time; the medians over batches, one before them to warm up."""
    data.batch(BATCH_SIZE, step_rng(0))
    wall_s, cpu_s = [], []
    for step in range(n_batches):
        start, cpu_start = time.perf_counter(), time.process_time()
        data.batch(BATCH_SIZE, step_rng(step))
        wall_s.append(time.perf_counter() - start)
        cpu_s.append(time.process_time() - cpu_start)
    return BATCH_SIZE / median(wall_s), BATCH_SIZE / median(cpu_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--songs", type=Path, help="a data set to draw from, instead of made-up songs")
    parser.add_argument("--batches", type=int, default=10, help="of 8 excerpts, for each kind")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warn_if_busy()
    waveform = [name for name, chosen in AUGMENTATIONS.items() if chosen.domain == "waveform"]
    kinds: dict[str, dict[str, object]] = {
        "mixed anew, as the shipped model": RECIPE,
        "plain": {"plain": True},
        **{f"plain, {name}": {"plain": True, "augmentations": (name,)} for name in waveform},
    }
    with tempfile.TemporaryDirectory() as folder:
        songs = read_songs(arguments.songs, Path(folder)) if arguments.songs else made_songs(Path(folder))
        singles = {"vocals": [song["vocals"] for song in songs.values() if "vocals" in song]}
        records = []
        for kind, options in kinds.items():
            config = MixConfig(excerpt_samples=EXCERPT_SAMPLES, sample_rate=SAMPLE_RATE, **options)
            data = Excerpts(songs, singles, stems=STEMS, config=config)
            rate, cpu_rate = excerpts_per_s(data, arguments.batches)
            records.append({"kind": kind, "excerpts_per_s": rate, "excerpts_per_cpu_s": cpu_rate})
    append_json_lines(RESULTS, [{**record, **machine()} for record in records])
    rows = []
    for record in records:
        rate, cpu_rate = record["excerpts_per_s"], record["excerpts_per_cpu_s"]
        audio_s = rate * EXCERPT_SAMPLES / SAMPLE_RATE
        rows.append(
            [record["kind"], f"{rate:.0f}", f"{audio_s:.0f}", f"{rate / APPETITE:.1f}×", f"{cpu_rate:.0f}"]
        )
    header = [
        "examples",
        "excerpts/s",
        "audio s/s",
        "what the trainer takes",
        "excerpts per processor second",
    ]
    print(table(header, rows))


if __name__ == "__main__":
    main()
