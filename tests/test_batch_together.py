"""Several runs over one journal: nobody takes from another what he has, or ends it as what it is not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from batches import Clock, FakeExecutor, driver, examined, failed, listed, queue_of, states
from stemwise.batch.enlist import enlist
from stemwise.batch.local import Event
from stemwise.batch.presence import present, take_over
from stemwise.batch.settings import Settings
from stemwise.batch.song import Job, Outcome
from stemwise.errors import ConfigError
from stemwise.journal import Journal
from stemwise.outputs import OutputFormat


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Iterator[Journal]:
    """Of four songs that are queued."""
    with queue_of(4, tmp_path, clock) as opened:
        yield opened


def test_a_song_under_way_is_not_made_otherwise_meanwhile(
    journal: Journal, tmp_path: Path, output: Path
) -> None:
    flac = Settings(output_format=OutputFormat(codec="flac"))
    with present(output) as other:
        row = journal.claim(other, "batch")
        assert row is not None
        with pytest.raises(ConfigError, match=r"^another run makes '00\.wav' with other options: wait until"):
            listed(journal, tmp_path / "music", output, settings=flac)
        assert journal.get("00.wav") == row
        assert states(journal) == "r" + "q" * 3
    assert take_over(journal, "batch", output) == 0  # it said goodbye, and is not known to be dead
    journal.release(other)
    listed(journal, tmp_path / "music", output, settings=flac)
    assert {row.parameters["codec"] for row in journal.rows("batch")} == {"flac"}


def test_two_runs_that_begin_at_once_share_the_songs(journal: Journal, tmp_path: Path, output: Path) -> None:
    with Journal(tmp_path / "empty.sqlite") as before:
        found = examined(before, tmp_path / "music", output)
    with present(output) as other:
        journal.claim(other, "batch")
        enlist(journal, found)
        assert states(journal) == "rqqq"


@pytest.mark.parametrize("codec", ["wav", "flac"])
def test_a_song_that_was_taken_from_the_run_is_still_one_job(
    journal: Journal, tmp_path: Path, output: Path, clock: Clock, codec: str
) -> None:
    """As while this machine slept."""

    class Slow(FakeExecutor):
        def poll(self, timeout_s: float) -> list[Event]:
            if len(self.jobs) > 2:
                return super().poll(timeout_s)
            journal.recover("batch", clock.now + 1)
            listed(journal, tmp_path / "music", output, settings=settings)
            now = [event for event in self.events if event.id != "00.wav"]
            self.events = [event for event in self.events if event.id == "00.wav"]
            return now

    settings = Settings(output_format=OutputFormat(codec=codec))
    executor = Slow()
    driver(journal, output, executor).run()
    assert states(journal) == "d" * 4
    paths = {Path(found["path"]) for row in journal.rows("batch") for found in row.outputs.values()}
    assert {path.suffix for path in paths} == {f".{codec}"}
    assert [job.task.id for job in executor.jobs].count("00.wav") == {"wav": 1, "flac": 2}[codec]


def test_an_outcome_that_nobody_asked_for_is_no_error(journal: Journal, output: Path) -> None:
    executor = FakeExecutor()
    executor.events.append(Outcome(id="a stranger"))
    assert driver(journal, output, executor).run().n_done == 4


def test_who_is_silent_here_but_lives_keeps_its_songs(journal: Journal, output: Path, clock: Clock) -> None:
    with present(output) as stopped:
        journal.claim(stopped, "batch")
        journal.claim("elsewhere", "batch")
        clock.now += 1000
        assert take_over(journal, "batch", output) == 1
        assert states(journal) == "rqqq"


def test_locks_say_nothing_of_other_machines(
    journal: Journal, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "node-2-77-abcdabcd"
    (output / f".{other}.worker").touch()  # locked there, and not seen to be from here
    journal.claim(other, "batch")
    assert take_over(journal, "batch", output) == 0
    assert (output / f".{other}.worker").exists()
    monkeypatch.setattr("socket.gethostname", lambda: "node-2")
    assert take_over(journal, "batch", output) == 1
    assert not (output / f".{other}.worker").exists()


def test_a_failure_of_a_song_that_another_has_now_is_not_counted(journal: Journal, output: Path) -> None:
    def answer(job: Job) -> Outcome:
        journal.cancel("00.wav")
        return failed(job, "x: no audio")

    summary = driver(journal, output, FakeExecutor(answer)).run()
    assert (summary.n_failed, states(journal)) == (3, "cfff")
