"""Real runs that are killed, interrupted, doubled and filled up; tens of seconds."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from audio_files import write_long_song, write_wav
from conftest import song
from random_models import stemwise_like
from stemwise.batch.verify import find_faults
from stemwise.checkpoint import save_model
from stemwise.journal import Journal, Row

ROOT = Path(__file__).parents[1]
PATIENCE_S = 240.0
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    save_model(stemwise_like(), path)
    return str(path)


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    (tmp_path / "music").mkdir()
    for n in range(6):
        write_wav(tmp_path / "music" / f"{n}.wav", song(40_000, seed=n))
    return tmp_path / "music"


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(songs: Path, tmp_path: Path, model: str) -> Iterator[Start]:
    """Begin a run of the songs."""
    begun = []

    def run(
        *options: object, output: Path = tmp_path / "out", inputs: Path = songs
    ) -> "subprocess.Popen[str]":
        command = [
            sys.executable,
            "-m",
            "stemwise",
            "batch",
            "run",
            inputs,
            "-o",
            output,
            "-p",
            model,
            *options,
        ]
        process = subprocess.Popen(
            [*map(str, command), "--threads", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        begun.append(process)
        return process

    yield run
    for process in begun:
        process.kill()
        process.communicate()


def rows(output: Path) -> list[Row]:
    if not (output / "batch.sqlite").exists():
        return []
    with Journal(output / "batch.sqlite") as journal:
        return journal.rows("batch")


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


def check_whole(output: Path) -> None:
    """Every song is done, once, its stems are as the journal says, and nothing else is there."""
    found = rows(output)
    assert {(row.state, row.attempts) for row in found} == {("done", 1)}
    assert list(find_faults(found, str(output))) == []
    assert list(output.rglob("*.part")) == list(output.rglob(".*.worker")) == []


def children(pid: int) -> list[int]:
    """Worker processes: those that were spawned, and not the one that watches resources."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    found = [child for thread in threads for child in thread.read_text().split()]
    return [int(child) for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def test_kills_lose_nothing_and_double_nothing(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from kills import run_killed

    result = run_killed(8, 3, 0, model, tmp_path)
    assert sum(result["kills"].values()) >= 1
    assert result["faults"] == []
    wanted = dict.fromkeys(("lost", "twice", "half_written", "different", "left_over", "exit_status"), 0)
    assert result | wanted == result


def test_two_runs_share_the_songs(start: Start, tmp_path: Path, songs: Path) -> None:
    write_long_song(songs / "0.wav", minutes=5)  # or the first run might do all before the second has begun
    runs = [start("-w", "1") for _ in range(2)]
    told = [run.communicate(timeout=PATIENCE_S) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], told
    check_whole(tmp_path / "out")
    assert sum(out.count("] ") for out, _ in told) == 6
    assert len({row.worker for row in rows(tmp_path / "out")}) == 2


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so_and_leaves_nothing_half_written(
    start: Start, tmp_path: Path, songs: Path, which: signal.Signals
) -> None:
    output = tmp_path / "out"
    write_long_song(songs / "0.wav", minutes=12)
    run = start("-w", "2")
    wait_until(lambda: any(output.glob("0/.*.part")))
    run.send_signal(which)
    _, err = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 130
    assert err.splitlines()[-1] == "interrupted: no half-written file is left behind"
    assert err.splitlines()[-2].endswith(" to do; the same command goes on")
    assert "Traceback" not in err
    assert not (output / "0").exists() or list((output / "0").iterdir()) == []
    assert {row.state for row in rows(output)} <= {"queued", "done"}
    assert start("-w", "2").wait(PATIENCE_S) == 0
    check_whole(output)


@pytest.mark.skipif(sys.platform != "linux", reason="finds the worker in /proc")
def test_a_song_whose_worker_is_killed_is_done_by_another(start: Start, tmp_path: Path, songs: Path) -> None:
    output = tmp_path / "out"
    write_long_song(songs / "0.wav", minutes=12)
    run = start("-w", "1")
    wait_until(lambda: any(output.glob("0/.*.part")))
    (worker,) = children(run.pid)
    os.kill(worker, signal.SIGKILL)
    _, err = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, err
    assert "ended by SIGKILL: the system may have run out of memory (again in 5 s)" in err
    assert [row.attempts for row in rows(output)] == [2, 1, 1, 1, 1, 1]
    assert list(output.rglob("*.part")) == []


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts a small disk")
def test_a_full_disk_stops_the_run_and_room_lets_it_go_on(start: Start, tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(output)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets nobody mount a disk")
    try:
        run = start("-w", "2")
        _, err = run.communicate(timeout=PATIENCE_S)
        assert run.returncode == 2
        assert "the stems need" in err
        # Enough for the plan, not for what somebody else writes while the workers start: two songs find room.
        subprocess.run(["mount", "-o", "remount,size=6m", str(output)], check=True)
        run = start("-w", "2")
        wait_until(lambda: any(row.state == "running" for row in rows(output)))
        free = os.statvfs(output).f_bavail * os.statvfs(output).f_frsize
        (output / "ballast").write_bytes(bytes(max(0, free - 1_500_000)))
        _, err = run.communicate(timeout=PATIENCE_S)
        assert run.returncode > 0
        assert "No space left on device" in err or "disk is full" in err, err
        assert list(output.rglob("*.part")) == []
        found = rows(output)
        assert {row.state for row in found} <= {"queued", "done", "running"}
        assert list(find_faults([row for row in found if row.state == "done"], str(output))) == []
        (output / "ballast").unlink()
        assert start("-w", "2").wait(PATIENCE_S) == 0
        check_whole(output)
    finally:
        subprocess.run(["umount", str(output)], check=True)
