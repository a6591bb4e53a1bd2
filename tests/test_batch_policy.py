"""When a run gives up, on a song or on all of them."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from batches import Clock, FakeExecutor, driver, failed, listed, write_songs, written
from stemwise.batch.local import Event
from stemwise.batch.policy import Policy
from stemwise.batch.song import Job, Outcome
from stemwise.journal import Journal

DENIED = os.strerror(errno.EACCES)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def journal(tmp_path: Path, output: Path) -> Iterator[Journal]:
    """Of thirty songs that are queued."""
    songs = write_songs(tmp_path / "music", *(f"{n:02}.wav" for n in range(30)))
    with Journal(output / "batch.sqlite", clock=Clock()) as opened:
        listed(opened, songs, output)
        yield opened


def states(journal: Journal) -> str:
    return "".join(row.state[0] for row in journal.rows("batch"))


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (f"folder {{id}} cannot be made: {DENIED}", 3),
        ("{source} does not exist", 7),
        ("{source}: access is refused (Forbidden, request {id}): keys are read from AWS_ACCESS_KEY_ID", 7),
        ("took longer than the time limit of 1 s", 1),
    ],
)
def test_what_fails_all_songs_alike_stops_the_run(
    journal: Journal, output: Path, error: str, exit_code: int
) -> None:
    def answer(job: Job) -> Outcome:
        told = error.format(id=job.task.id, source=job.task.source)
        return written(job) if job.task.id == "02.wav" else failed(job, told, exit_code=exit_code)

    executor = FakeExecutor(answer)
    executor.slots = 1
    summary = driver(journal, output, executor).run()
    assert summary.stopped is not None
    assert summary.stopped.startswith("20 failures in a row for the same reason: ")
    assert summary.stopped.endswith("to try them again: stemwise batch retry OUTPUT --failed)")
    assert states(journal) == "ffd" + "f" * 20 + "q" * 7
    driver(journal, output, executor).run()
    assert "q" not in states(journal)


def test_bad_files_stop_nothing_however_many(journal: Journal, output: Path) -> None:
    summary = driver(journal, output, FakeExecutor(lambda job: failed(job, "x: it is empty"))).run()
    assert (summary.n_failed, summary.stopped) == (30, None)


def test_songs_that_crash_their_workers_have_failed_in_the_end(journal: Journal, output: Path) -> None:
    def answer(job: Job) -> Outcome:
        if job.task.id < "27":
            return written(job)
        return Outcome(id=job.task.id, error="ended by SIGSEGV", exit_code=1, passing=True, crashed=True)

    summary = driver(journal, output, FakeExecutor(answer)).run()
    assert (summary.n_done, summary.n_failed, summary.stopped) == (27, 3, None)
    last = journal.get("29.wav")
    assert last is not None
    assert (last.state, last.attempts, last.error) == ("failed", 4, "ended by SIGSEGV")
    journal.requeue("batch", ids=["28.wav"])
    assert driver(journal, output, FakeExecutor(answer)).run().n_failed == 1


def test_workers_that_crash_with_every_song_are_held_against_none(journal: Journal, output: Path) -> None:
    executor = FakeExecutor(
        lambda job: Outcome(id=job.task.id, error="ended by SIGKILL", passing=True, crashed=True)
    )
    summary = driver(journal, output, executor, policy=Policy(streak=5)).run()
    assert summary.stopped is not None
    assert states(journal) == "q" * 30
    assert {row.attempts for row in journal.rows("batch")} == {0}


def test_a_song_that_is_done_does_not_undo_a_stop(journal: Journal, output: Path) -> None:
    def answer(job: Job) -> Outcome:
        full = os.strerror(errno.ENOSPC)
        return failed(job, f"x: {full}", passing=True) if job.task.id == "00.wav" else written(job)

    class Both(FakeExecutor):
        def poll(self, timeout_s: float) -> list[Event]:
            return super().poll(timeout_s) if len(self.jobs) > 1 else []

    summary = driver(journal, output, Both(answer)).run()
    assert summary.stopped is not None
    assert summary.stopped.startswith("there is no space left: ")
    assert states(journal) == "qd" + "q" * 28
