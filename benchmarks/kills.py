"""A catalogue killed again and again, beside one that is left alone: nothing lost, nothing twice, same bytes.

Short songs are separated once without a break. Then they are separated into a second folder by a run that is
ended by SIGKILL, started again, and so on: at random instants, while stems are being encoded (their temporary
files are there), or in the very moment when the journal's log grows, which is in the middle of a commit.
After each kill, every song that the journal calls done must have the stems of the first folder, byte for
byte, and no song that was done before may have been done again.

Usage: python benchmarks/kills.py [--songs 200] [--kills 60] [--seed 0] [--model MODEL]
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import wave
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from stemwise.journal import Journal, Row

OUTPUT = Path(__file__).parent / "results" / "kills.jsonl"
HOW = ("random", "encode", "commit")
PATIENCE_S = 120.0
QUEUE = "batch"
EARLY = 0.2  # of the kills come before a run has done its first song


def write_songs(folder: Path, n_songs: int, rng: random.Random) -> None:
    """Songs of one to three seconds, no two alike."""
    folder.mkdir()
    for n in range(n_songs):
        time_s = np.arange(int(44100 * rng.uniform(1, 3))) / 44100
        tones = sum(np.sin(2 * np.pi * rng.uniform(80, 3000) * time_s) for _ in range(4))
        noise = np.random.default_rng(n).standard_normal(time_s.size)
        samples = np.stack([0.1 * tones + 0.05 * noise, 0.1 * tones - 0.05 * noise], axis=1)
        with wave.open(str(folder / f"{n:03}.wav"), "wb") as file:
            file.setparams((2, 2, 44100, 0, "NONE", ""))
            file.writeframes((samples * 30000).astype("<i2").tobytes())


def start(songs: Path, output: Path, model: str) -> "subprocess.Popen[bytes]":
    """A run of its own process group, silent."""
    command = [sys.executable, "-m", "stemwise", "batch", "run", str(songs), "-o", str(output)]
    log = (output.parent / "log").open("ab")
    with log:
        return subprocess.Popen(
            [*command, "-p", model, "-c", "flac", "-w", "2", "--threads", "1"],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def rows(output: Path) -> list[Row]:
    """Of the journal; none before there is one."""
    if not (output / "batch.sqlite").exists():
        return []
    with Journal(output / "batch.sqlite") as journal:
        return journal.rows(QUEUE)


def n_ended(output: Path) -> int:
    return sum(row.state == "done" for row in rows(output))


def is_running(output: Path) -> bool:
    return any(row.state == "running" for row in rows(output))


def wait_for(is_so: Callable[[], bool], process: "subprocess.Popen[bytes]", every_s: float = 0.0005) -> bool:
    """Whether it became so before the process ended."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and process.poll() is None:
        if is_so():
            return True
        time.sleep(every_s)
    return False


def kill_once(process: "subprocess.Popen[bytes]", output: Path, how: str, rng: random.Random) -> bool:
    """End a run in a moment of that kind; whether it was still there."""
    n_done, early = n_ended(output), rng.random() < EARLY
    if not wait_for(lambda: n_ended(output) > n_done or (early and is_running(output)), process, 0.05):
        return False
    time.sleep(rng.uniform(0, 1.0))
    there = True
    if how == "encode":
        there = wait_for(lambda: any(output.glob("*/.*.part")), process)
    elif how == "commit":
        log = output / "batch.sqlite-wal"
        before = size_of(log)
        there = wait_for(lambda: size_of(log) != before, process, 0.0)
    if process.poll() is not None:
        return False
    if rng.random() < 0.5:
        os.kill(process.pid, signal.SIGKILL)  # its workers have to notice
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return there


def size_of(path: Path) -> tuple[int, int]:
    status = path.stat() if path.exists() else None
    return (status.st_size, status.st_mtime_ns) if status else (0, 0)


def digests(folder: Path) -> dict[str, str]:
    """Of all stems below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob("*/*.flac")
    }


def wrong(found: list[Row], output: Path, wanted: dict[str, str], done: dict[str, Row]) -> list[str]:
    """What is not as it must be after a kill; takes note of what is done."""
    faults = []
    now = {row.id: row for row in found if row.state == "done"}
    for id, row in done.items():
        if id not in now:
            faults.append(f"{id}: was done and is lost")
        elif (now[id].ended, now[id].attempts) != (row.ended, row.attempts):
            faults.append(f"{id}: was done twice")
    for id, row in now.items():
        for stem in row.outputs.values() if id not in done else ():
            path = output / stem["path"]
            digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "nothing"
            if digest != wanted[stem["path"]] or digest != stem["sha256"]:
                faults.append(f"{stem['path']}: is half-written")
    done.update(now)
    return faults


def run_killed(n_songs: int, n_kills: int, seed: int, model: str, folder: Path) -> dict[str, Any]:
    """The whole test.

    Args:
        n_songs: short songs.
        n_kills: at least; the run is left alone when there were so many, or all songs are done.
        seed: of songs and instants.
        model: to separate with.
        folder: an empty one.

    Returns:
        Kills by their kind, songs, `lost`, `twice`, `half_written` and `different` (must all be 0), faults.
    """
    rng = random.Random(seed)
    write_songs(folder / "songs", n_songs, rng)
    whole = folder / "whole"
    begin = time.monotonic()
    assert start(folder / "songs", whole, model).wait() == 0, (folder / "log").read_text()
    whole_s = time.monotonic() - begin
    wanted = digests(whole)
    assert len(wanted) == 4 * n_songs

    output, kills, done, faults = folder / "killed", Counter[str](), dict[str, Row](), list[str]()
    while sum(kills.values()) < n_kills and len(done) < n_songs:
        how = HOW[sum(kills.values()) % len(HOW)]
        if kill_once(start(folder / "songs", output, model), output, how, rng):
            kills[how] += 1
        faults += wrong(rows(output), output, wanted, done)
        print(f"\r{sum(kills.values())} kills, {len(done)} of {n_songs} songs done", end="", file=sys.stderr)
    print(file=sys.stderr)
    n_at_kills = len(done)
    last = start(folder / "songs", output, model).wait()
    faults += wrong(rows(output), output, wanted, done)
    found = digests(output)
    return {
        "songs": n_songs,
        "kills": dict(kills),
        "done_when_left_alone": n_at_kills,
        "lost": sum("lost" in fault for fault in faults) + n_songs - len(done),
        "twice": sum("twice" in fault for fault in faults),
        "half_written": sum("half" in fault for fault in faults),
        "different": sum(found.get(path) != digest for path, digest in wanted.items()),
        "left_over": len(set(found) - set(wanted)) + len(list(output.rglob("*.part"))),
        "exit_status": last,
        "faults": faults,
        "whole_s": round(whole_s, 1),
    }


def main() -> None:
    """Run it, print the result and keep it."""
    from measure import append_json_lines, machine

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--songs", type=int, default=200)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="stemwise:4stems")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        result = run_killed(arguments.songs, arguments.kills, arguments.seed, arguments.model, Path(name))
    record = {**result, "seed": arguments.seed, "model": arguments.model, **machine()}
    append_json_lines(OUTPUT, [record])
    for key, value in result.items():
        print(f"{key:24}{value}")


if __name__ == "__main__":
    main()
