"""Render songs with separate stems, to train separators on.

    STEMWISE_LIBRARY=ingredients python recipes/corpus/render.py corpus --songs 360

Each song is a folder, `corpus/00017/`, with `vocals.flac`, `drums.flac`, `bass.flac`, `other.flac` and how
it was made, `manifest.json`. What is there already is not made again, so the command may be stopped and given
again, or given with more songs. In the end, `CREDITS.md` names whatever was used, and `REPORT.md` counts it.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import soundfile
from library import Missing, library
from notes import SAMPLE_RATE
from report import write_credits, write_report
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from song import make_song, stream

SHORTEST_S, LONGEST_S = 45, 75
SONGS_PER_WORKER = 60  # then new processes: sample libraries leave much behind in memory
DEATHS = 3  # of its process, and a song has failed


def render_song(folder: Path, number: int, seed: int) -> float:
    """One song into its folder, whole or not at all.

    Returns:
        Its length in seconds.
    """
    duration_s = float(stream(seed, number, "duration").uniform(SHORTEST_S, LONGEST_S))
    song = make_song(number, seed=seed, duration_s=duration_s)
    partial = folder / f".{number:05}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for stem, audio in song.stems.items():
        soundfile.write(partial / f"{stem}.flac", audio.T, SAMPLE_RATE, subtype="PCM_16")
    (partial / "manifest.json").write_text(json.dumps(song.manifest, indent=1) + "\n", encoding="utf-8")
    partial.rename(folder / f"{number:05}")
    return float(song.manifest["duration_s"])


def attempt(folder: Path, number: int, seed: int) -> tuple[float, str]:
    """The worker: the length of a song, or why there is none."""
    try:
        return render_song(folder, number, seed), ""
    except Exception:  # one song must not end the batch
        return 0.0, traceback.format_exc()


def render_songs(folder: Path, numbers: Sequence[int], seed: int, jobs: int) -> int:
    """All songs that are not there yet.

    Returns:
        How many failed; `failed.log` in the folder says why.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [number for number in numbers if not (folder / f"{number:05}" / "manifest.json").exists()]
    failures: dict[int, str] = {}
    started, rendered_s = time.monotonic(), 0.0
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[speed]:.1f} hours of songs an hour"),
    )
    with Progress(*columns) as progress:
        task = progress.add_task("songs", total=len(missing), speed=0.0)
        n_batch = jobs * SONGS_PER_WORKER
        for batch in (missing[first : first + n_batch] for first in range(0, len(missing), n_batch)):
            for number, seconds, fault in finished(folder, batch, seed, jobs):
                rendered_s += seconds
                if fault:
                    failures[number] = fault
                progress.update(task, advance=1, speed=rendered_s / (time.monotonic() - started))
    log = "\n".join(f"song {number}\n{fault}" for number, fault in sorted(failures.items()))
    (folder / "failed.log").write_text(log, encoding="utf-8")
    return len(failures)


def finished(folder: Path, numbers: Sequence[int], seed: int, jobs: int) -> Iterator[tuple[int, float, str]]:
    """Songs as they get ready: number, length in seconds, why there is none. Its processes end with it.

    The tools are not ours, and can crash: what was under way then is done again, by new processes.
    """
    deaths: Counter[int] = Counter()
    left = dict.fromkeys(numbers)
    while left:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            numbers_by_future = {pool.submit(attempt, folder, number, seed): number for number in left}
            try:
                for future in as_completed(numbers_by_future):
                    number = numbers_by_future[future]
                    result = future.result()
                    del left[number]
                    yield number, *result
            except BrokenProcessPool:
                # Songs are begun in their order: those that were under way are the first that are left.
                deaths.update(list(left)[:jobs])
            finally:
                pool.shutdown(cancel_futures=True)  # when stopped, only what is under way is finished
        for number in [number for number in left if deaths[number] == DEATHS]:
            del left[number]
            yield number, 0.0, f"its process died {DEATHS} times"


def numbers_of(text: str) -> range:
    """`360` is 0 to 359; `100:200` is 100 to 199."""
    first, colon, last = text.partition(":")
    try:
        return range(int(first), int(last)) if colon else range(int(first))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number of songs, or FIRST:END") from None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output", type=Path, help="the folder of the songs")
    parser.add_argument("--songs", type=numbers_of, required=True, help="how many, or FIRST:END")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="songs at a time")
    given = parser.parse_args()
    try:
        library()
    except Missing as error:
        parser.error(str(error))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        n_failed = render_songs(given.output, given.songs, given.seed, given.jobs)
    except KeyboardInterrupt:
        print("stopped: give the command again to go on", file=sys.stderr)
        return 130
    write_credits(given.output)
    print(write_report(given.output))
    if n_failed:
        print(f"{n_failed} songs failed: see {given.output / 'failed.log'}", file=sys.stderr)
    return int(n_failed > 0)


if __name__ == "__main__":
    sys.exit(main())
