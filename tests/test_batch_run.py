import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from batches import Clock, FakeExecutor, Told, driver, failed, queue_of, states, written
from stemwise.batch.policy import Policy
from stemwise.batch.presence import present
from stemwise.batch.song import Job, Outcome
from stemwise.errors import JournalError
from stemwise.journal import Journal


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Iterator[Journal]:
    """Of twelve songs that are queued."""
    with queue_of(12, tmp_path, clock) as opened:
        yield opened


def leftovers(output: Path) -> list[str]:
    return [path.name for path in output.iterdir() if path.name.startswith(".")]


def test_every_song_is_done_once_in_order(journal: Journal, output: Path) -> None:
    told, executor = Told(), FakeExecutor()
    summary = driver(journal, output, executor, watch=told).run()
    assert (summary.n_done, summary.n_failed, summary.audio_s, summary.stopped) == (12, 0, 12.0, None)
    assert told.begun == [f"{n:02}.wav" for n in range(12)]
    assert states(journal) == "d" * 12
    assert {row.attempts for row in journal.rows("batch")} == {1}
    assert executor.stopped
    assert leftovers(output) == []


def test_a_bad_song_is_recorded_and_the_others_are_done(journal: Journal, output: Path) -> None:
    def answer(job: Job) -> Outcome:
        return failed(job, f"{job.task.source}: no audio") if job.task.id == "03.wav" else written(job)

    summary = driver(journal, output, FakeExecutor(answer)).run()
    assert (summary.n_done, summary.n_failed, summary.stopped) == (11, 1, None)
    row = journal.get("03.wav")
    assert row is not None
    assert (row.state, row.attempts) == ("failed", 1)
    assert row.error is not None
    assert row.error.endswith("03.wav: no audio")


def test_a_folder_of_bad_songs_stops_nothing(journal: Journal, output: Path) -> None:
    summary = driver(journal, output, FakeExecutor(lambda job: failed(job, "x: it is empty"))).run()
    assert (summary.n_failed, summary.stopped) == (12, None)


def test_what_can_pass_is_tried_again_later_and_not_for_ever(
    journal: Journal, output: Path, clock: Clock
) -> None:
    tries: list[float] = []

    def answer(job: Job) -> Outcome:
        if job.task.id != "03.wav":
            return written(job)
        tries.append(clock.now)
        return failed(job, "the storage failed", passing=True)

    policy = Policy(attempts=3, backoff_s=10.0)
    summary = driver(journal, output, FakeExecutor(answer), policy=policy).run()
    assert (summary.n_done, summary.n_failed, summary.n_retried, summary.stopped) == (11, 1, 2, None)
    first, second, third = tries
    assert 10 <= second - first < 30
    assert 40 <= third - second < 60
    row = journal.get("03.wav")
    assert row is not None
    assert (row.state, row.attempts, row.error) == ("failed", 3, "the storage failed")


def test_a_failure_that_passes_is_forgotten(journal: Journal, output: Path, clock: Clock) -> None:
    seen: set[str] = set()

    def answer(job: Job) -> Outcome:
        fails = job.task.id not in seen
        seen.add(job.task.id)
        return failed(job, f"timeout {job.task.id}", passing=True) if fails else written(job)

    summary = driver(journal, output, FakeExecutor(answer), policy=Policy(backoff_s=1.0)).run()
    assert (summary.n_done, summary.n_failed, summary.n_retried) == (12, 0, 12)
    assert {row.error for row in journal.rows("batch")} == {None}


def test_one_reason_for_all_stops_the_run_and_is_held_against_nobody(
    journal: Journal, output: Path, clock: Clock
) -> None:
    executor = FakeExecutor(lambda job: failed(job, f"{job.task.id}: no route to host", passing=True))
    summary = driver(journal, output, executor, policy=Policy(streak=5)).run()
    assert summary.stopped is not None
    assert " songs in a row failed for the same reason: " in summary.stopped
    assert summary.stopped.endswith("no route to host")
    assert summary.n_failed == 0
    assert states(journal) == "q" * 12
    assert {(row.attempts, row.error) for row in journal.rows("batch")} == {(0, None)}
    assert len(executor.jobs) < 12


def test_it_waits_longer_and_longer_while_nothing_but_failures_come(
    journal: Journal, output: Path, clock: Clock
) -> None:
    times: list[float] = []

    def answer(job: Job) -> Outcome:
        times.append(clock.now)
        return failed(job, "x: no route to host", passing=True)

    policy = Policy(streak=5, backoff_s=100.0, backoff_most_s=400.0, attempts=9)
    executor = FakeExecutor(answer)
    executor.slots = 1
    driver(journal, output, executor, policy=policy).run()
    pauses = [after - before for before, after in pairwise(times[2:])]
    assert len(times) == 5
    assert pauses[0] >= 100
    assert pauses[1] >= 400


def test_a_song_that_is_done_ends_a_streak(journal: Journal, output: Path) -> None:
    tried: list[str] = []

    def answer(job: Job) -> Outcome:
        tried.append(job.task.id)
        fails = job.task.id not in tried[:-1] and job.task.id not in ("03.wav", "07.wav")
        return failed(job, "x: timeout", passing=True) if fails else written(job)

    executor = FakeExecutor(answer)
    executor.slots = 1
    summary = driver(journal, output, executor, policy=Policy(streak=4, backoff_s=1.0)).run()
    assert (summary.n_done, summary.stopped) == (12, None)


def test_no_model_stops_the_run(journal: Journal, output: Path, clock: Clock) -> None:
    executor = FakeExecutor(lambda job: failed(job, "there is no model 'x'", exit_code=4))
    summary = driver(journal, output, executor, policy=Policy(backoff_s=1, backoff_most_s=2)).run()
    assert summary.stopped is not None
    assert summary.stopped.endswith("there is no model 'x'")
    assert states(journal) == "q" * 12


def test_no_space_stops_the_run_at_once(journal: Journal, output: Path) -> None:
    def answer(job: Job) -> Outcome:
        if job.task.id < "02":
            return written(job)
        reason = os.strerror(errno.ENOSPC)
        return failed(job, f"{job.task.paths['vocals']}: cannot be written: {reason}", passing=True)

    summary = driver(journal, output, FakeExecutor(answer)).run()
    assert summary.stopped is not None
    assert summary.stopped.startswith("there is no space left: ")
    assert states(journal) == "dd" + "q" * 10


def test_ctrl_c_gives_back_what_runs(journal: Journal, output: Path) -> None:
    def answer(job: Job) -> Outcome | None:
        if job.task.id == "05.wav":
            raise KeyboardInterrupt
        return written(job) if job.task.id < "04" else None

    executor = FakeExecutor(answer)
    with pytest.raises(KeyboardInterrupt):
        driver(journal, output, executor).run()
    assert executor.stopped
    assert states(journal) == "dddd" + "q" * 8
    assert leftovers(output) == []


def test_songs_of_a_process_that_was_killed_are_taken_at_once(journal: Journal, output: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from stemwise.journal import Journal;"
        "from stemwise.batch.presence import present\n"
        "with present(Path(sys.argv[1])) as name:\n"
        "    Journal(Path(sys.argv[1]) / 'batch.sqlite').claim(name, 'batch')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    died = subprocess.run([sys.executable, "-c", code, str(output)], check=False)
    assert died.returncode == -signal.SIGKILL
    assert states(journal) == "r" + "q" * 11
    summary = driver(journal, output).run()
    assert summary.n_done == 12
    assert leftovers(output) == []


def test_a_process_that_lives_keeps_its_songs(journal: Journal, output: Path, clock: Clock) -> None:
    told = Told()
    with present(output) as other:
        row = journal.claim(other, "batch")
        assert row is not None

        def answer(job: Job) -> Outcome:
            assert job.task.id != row.id
            return written(job)

        class Patient(FakeExecutor):
            def poll(self, timeout_s: float):  # type: ignore[no-untyped-def]
                if told.waited:
                    journal.finish(row.id, other, outputs={})
                return super().poll(timeout_s)

        summary = driver(journal, output, Patient(answer), watch=told).run()
    assert summary.n_done == 11
    assert told.waited[0] == "songs that another process has: 1"


def test_silent_workers_elsewhere_lose_their_songs(journal: Journal, output: Path, clock: Clock) -> None:
    journal.claim("elsewhere", "batch")
    clock.now += 1000
    assert driver(journal, output).run().n_done == 12


def test_a_song_that_somebody_else_took_over_is_not_counted(journal: Journal, output: Path) -> None:
    def answer(job: Job) -> Outcome:
        if job.task.id == "00.wav":
            journal.cancel("00.wav")
        return written(job)

    assert driver(journal, output, FakeExecutor(answer)).run().n_done == 11
    assert states(journal) == "c" + "d" * 11


def test_a_journal_that_fails_ends_the_run(
    journal: Journal, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> bool:
        raise JournalError("journal j: database or disk is full")

    monkeypatch.setattr(Journal, "finish", full)
    executor = FakeExecutor()
    with pytest.raises(JournalError, match="disk is full"):
        driver(journal, output, executor).run()
    assert executor.stopped
