"""Real processes, a tiny network."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import popen_spawn_posix
from multiprocessing.connection import wait
from pathlib import Path

import pytest
import torch

from audio_files import files_below, read_wav, write_long_song, write_wav
from conftest import song
from random_models import stemwise_like
from stemwise.audio import AudioWriter
from stemwise.checkpoint import save_model
from stemwise.errors import CheckpointError
from stemwise.hub import load_model, store
from stemwise.separate import Separator
from stemwise.worker import (
    Crashed,
    Done,
    Failed,
    Measured,
    Message,
    Models,
    Pace,
    Progress,
    Task,
    Trial,
    Worker,
    child,
    process,
)

STEMS = ("vocals", "drums", "bass", "other")
PATIENCE_S = 60.0  # for a process to start on a machine that has other things to do


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    save_model(stemwise_like(), path)
    return str(path)


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker(threads=1)
    yield worker
    worker.close()


@pytest.fixture
def task(model: str, tmp_path: Path) -> Task:
    source = write_wav(tmp_path / "song.wav", song(30_000))
    paths = {stem: str(tmp_path / "out" / f"{stem}.wav") for stem in STEMS}
    return Task(id="one", source=str(source), paths=paths, model=model, precision="float32")


@pytest.fixture
def long_task(task: Task, tmp_path: Path) -> Task:
    """Long enough to be interrupted, however small the network."""
    return replace(task, id="long", source=str(write_long_song(tmp_path / "long.wav", minutes=20)))


def ended(worker: Worker) -> Message:
    """The message that ends a task; what comes before it is progress."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        message = worker.poll(1.0)
        if message is not None and not isinstance(message, Progress):
            return message
    raise AssertionError("the worker says nothing")


def under_way(worker: Worker, folder: Path) -> None:
    """Wait until stems are being written."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if isinstance(worker.poll(1.0), Progress) and list(folder.glob(".*.part")):
            return
    raise AssertionError("the worker does not begin")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_stems_are_those_of_the_separator(worker: Worker, task: Task, model: str) -> None:
    worker.submit(task)
    done = ended(worker)
    assert isinstance(done, Done)
    assert done.id == "one"
    assert done.report["duration_s"] == 30_000 / 44100
    assert done.report["licence"] == "none"
    mixture, rate = read_wav(Path(task.source))
    expected = Separator(load_model(model), precision="float32").separate(mixture, rate)
    for stem in STEMS:
        written, _ = read_wav(Path(done.report["stems"][stem]))
        torch.testing.assert_close(written, expected[stem], atol=2e-5, rtol=0)


def test_says_how_far_it_is_and_not_too_often(worker: Worker, long_task: Task) -> None:
    begin = time.monotonic()
    worker.submit(replace(long_task, duration_s=20.0))
    seen: list[Progress] = []
    while isinstance(message := worker.poll(PATIENCE_S), Progress):
        seen.append(message)
    assert isinstance(message, Done)
    assert seen[0].id == "long"
    assert {(p.stage, p.total) for p in seen} == {("separating", 20.0)}
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    assert len(seen) <= 1 + (time.monotonic() - begin) / 0.25


def test_one_process_for_many_songs_and_one_model(worker: Worker, task: Task, tmp_path: Path) -> None:
    own = tmp_path / "own.safetensors"
    own.write_bytes(Path(task.model).read_bytes())
    worker.submit(replace(task, model=str(own)))
    assert isinstance(ended(worker), Done)
    pid = worker.pid
    own.unlink()  # what is loaded is not loaded again, with these options or others
    worker.submit(replace(task, model=str(own), codec="flac"))
    assert isinstance(ended(worker), Done)
    two = {stem: task.paths["vocals"] + stem for stem in ("vocals", "accompaniment")}
    worker.submit(replace(task, model=str(own), two_stems="vocals", paths=two))
    assert isinstance(ended(worker), Done)
    assert worker.pid == pid


@pytest.mark.parametrize(
    ("changed", "exit_code", "passing", "words"),
    [
        ({"source": "nothing.wav"}, 3, False, "nothing.wav"),
        ({"codec": "mp5"}, 2, False, "mp5"),
        ({"model": "nothing:at-all"}, 4, False, "nothing:at-all"),
        ({"paths": {"kazoo": "kazoo.wav"}}, 2, False, "the model gives vocals, drums, bass, other"),
        ({"paths": dict.fromkeys(STEMS, "/dev/full/x.wav")}, 3, False, "cannot be made"),
    ],
)
def test_a_song_that_fails_costs_itself(  # type: ignore[no-untyped-def]
    worker: Worker, task: Task, changed, exit_code: int, passing: bool, words: str
) -> None:
    worker.submit(replace(task, **changed))
    failed = ended(worker)
    assert isinstance(failed, Failed)
    assert (failed.id, failed.exit_code, failed.passing) == ("one", exit_code, passing)
    assert words in failed.message
    worker.submit(task)
    assert isinstance(ended(worker), Done)


def test_a_killed_process_says_so_leaves_nothing_and_is_replaced(
    worker: Worker, long_task: Task, task: Task, tmp_path: Path
) -> None:
    worker.submit(long_task)
    under_way(worker, tmp_path / "out")
    pid = worker.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    crashed = ended(worker)
    assert isinstance(crashed, Crashed)
    assert crashed.id == "long"
    assert "SIGKILL" in crashed.reason
    assert files_below(tmp_path / "out") == []
    worker.submit(task)
    assert isinstance(ended(worker), Done)
    assert worker.pid != pid


def test_a_process_that_cannot_be_started_costs_one_request(
    worker: Worker, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    worker.cancel()
    with monkeypatch.context() as patch:
        patch.setattr(popen_spawn_posix.Popen, "__init__", refuse)
        with pytest.raises(OSError, match="Resource temporarily unavailable"):
            worker.submit(task)
    worker.cancel()
    assert worker.poll() is None
    worker.submit(task)
    assert isinstance(ended(worker), Done)


def test_who_cannot_clean_up_after_a_process_has_no_task_left(
    worker: Worker, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    worker.submit(task)
    with monkeypatch.context() as patch:
        patch.setattr(process, "remove_parts", refuse)
        with pytest.raises(PermissionError):
            worker.cancel()
    worker.submit(task)
    assert isinstance(ended(worker), Done)


def test_a_process_that_failed_in_a_way_that_nobody_foresaw_is_replaced(worker: Worker, task: Task) -> None:
    worker.submit(task)
    assert isinstance(ended(worker), Done)
    pid = worker.pid
    worker.submit(replace(task, source=None))  # type: ignore[arg-type]
    failed = ended(worker)
    assert isinstance(failed, Failed)
    assert failed.unforeseen
    worker.submit(replace(task, source="nothing.wav"))
    failed = ended(worker)
    assert isinstance(failed, Failed)
    assert not failed.unforeseen
    other = worker.pid
    worker.submit(task)
    assert isinstance(ended(worker), Done)
    assert worker.pid == other != pid


def test_what_storage_refuses_may_pass_and_a_process_that_dies_idle_is_replaced(
    worker: Worker, task: Task
) -> None:
    worker.submit(task)
    assert isinstance(ended(worker), Done)
    assert worker.pid is not None
    subprocess.run(["prlimit", f"--pid={worker.pid}", "--nofile=3"], check=True)
    worker.submit(task)
    failed = ended(worker)
    assert isinstance(failed, Failed)
    assert failed.passing
    assert "Too many open files" in failed.message
    os.kill(worker.pid, signal.SIGKILL)
    wait([worker.connection], PATIENCE_S)  # type: ignore[list-item]
    worker.submit(replace(task, id="two"))
    assert isinstance(ended(worker), Done)


def test_cancel_takes_less_than_a_second_and_leaves_nothing(
    worker: Worker, long_task: Task, task: Task, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    longest = {stem: str(out / (stem + "ä" * 110 + ".wav")) for stem in STEMS}

    def seconds() -> float:
        worker.submit(replace(long_task, paths=longest))
        under_way(worker, out)
        beside = AudioWriter(out / "mine.wav", codec="wav", sample_rate=44100, n_channels=1)
        pid, begin = worker.pid, time.monotonic()
        worker.cancel()
        took = time.monotonic() - begin
        assert pid is not None
        assert not is_alive(pid)
        assert len(files_below(out)) == 1  # somebody else's, which is being written too
        beside.discard()
        assert worker.poll() is None
        return took

    assert any(seconds() < 1 for _ in range(3))  # on a machine that has other things to do
    worker.submit(task)
    assert isinstance(ended(worker), Done)


def test_models_are_described(worker: Worker, model: str) -> None:
    worker.ask_models()
    answer = ended(worker)
    assert isinstance(answer, Models)
    infos = {info.name: info for info in answer.models}
    assert infos["stemwise:4stems"].stems == STEMS
    assert infos["stemwise:4stems"].installed
    assert infos["stemwise:2stems"].stems == ("vocals", "accompaniment")
    assert infos["stemwise:2stems"].two_stems == ()
    assert infos["spleeter:5stems"].bytes == 196_535_188
    worker.ask_models([model])
    answer = ended(worker)
    assert isinstance(answer, Models)
    assert (answer.models[0].two_stems, answer.models[0].licence) == (STEMS, "none")


def test_a_damaged_model_is_left_out_of_the_list_and_named_to_who_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(store, "imported_folder", lambda: tmp_path)
    save_model(stemwise_like(), tmp_path / "good.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(bytes(10))
    infos = child._models(())
    assert [info.name for info in infos if ":" not in info.name] == ["good"]
    assert len(infos) > 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "bad" in line
    assert "left out" in line
    with pytest.raises(CheckpointError):
        child._models(["good", "bad"])


def test_a_pace_is_found_again() -> None:
    pace = Pace(per_song_s=0.5, per_audio_s=0.1)
    assert pace.wall_s(30.0) == 3.5
    found = Pace.between((12.0, pace.wall_s(12.0)), (48.0, pace.wall_s(48.0)))
    assert (found.per_song_s, found.per_audio_s) == pytest.approx((0.5, 0.1))
    # what was disturbed, and a song too short to be cut
    assert Pace.between((16.0, 3.0), (64.0, 2.0)) == Pace(2.5, 1 / 32)
    assert Pace.between((2.0, 0.4), (2.0, 0.5)) == Pace(0.0, 0.25)


def test_a_trial_tells_a_pace_and_leaves_nothing(worker: Worker, model: str, tmp_path: Path) -> None:
    worker.try_out(Trial(model=model, folder=str(tmp_path)))
    measured = ended(worker)
    assert isinstance(measured, Measured)
    assert measured.pace is not None
    assert measured.pace.per_audio_s > 0
    assert files_below(tmp_path) == []


def test_a_trial_gives_way_at_once(worker: Worker, model: str, task: Task, tmp_path: Path) -> None:
    worker.try_out(Trial(model="stemwise:4stems", folder=str(tmp_path)))
    until = time.monotonic() + PATIENCE_S
    while not list(tmp_path.glob("trial-*/.*.part")) and time.monotonic() < until:
        assert worker.poll(0.01) is None
    pid = worker.pid
    worker.give_way()
    assert ended(worker) == Measured(None)
    assert list(tmp_path.glob("trial-*")) == []
    worker.give_way()  # as one that has just ended may be told
    worker.submit(task)
    assert isinstance(ended(worker), Done)
    assert worker.pid == pid
    worker.try_out(Trial(model="nothing:at-all", folder=str(tmp_path)))
    assert isinstance(ended(worker), Failed)


def test_the_process_dies_with_its_parent(task: Task, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # which nobody writes to: the child hangs, and hears nothing from its parent
    program = (
        "from stemwise.worker import *; import time\n"
        f"worker = Worker(threads=1); worker.submit({replace(task, source=str(tmp_path / 'pipe'))!r})\n"
        "print(worker.pid, flush=True); time.sleep(100)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert is_alive(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + PATIENCE_S / 4
    while is_alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_alive(pid)
