"""Catalogues without a network: an executor that writes a few bytes instead of separating."""

import hashlib
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from stemwise.batch.catalogue import read_catalogue
from stemwise.batch.enlist import Examined, enlist, examine, stems_of
from stemwise.batch.local import Event
from stemwise.batch.policy import Policy
from stemwise.batch.run import Driver
from stemwise.batch.settings import ModelFacts, Settings
from stemwise.batch.song import Job, Outcome, stamp_of
from stemwise.journal import Journal, Row
from stemwise.worker import Progress

FACTS = ModelFacts(
    name="stemwise:4stems",
    stems=("vocals", "other"),
    sha256="a" * 64,
    licence="MIT",
    device="cpu",
    n_devices=1,
    precision="float32",
    versions={"torch": "0"},
)


def write_songs(folder: Path, *names: str, seconds: float = 1.0) -> Path:
    """Silent songs, of 16-bit samples at 8 kHz."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(folder / name), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(bytes(int(16000 * seconds)))
    return folder


def examined(
    journal: Journal, folder: Path, output: Path, settings: Settings | None = None, facts: ModelFacts = FACTS
) -> Examined:
    """A folder beside a journal."""
    known = {row.id: row for row in journal.rows("batch")}
    entries = read_catalogue([str(folder)], output=output, stems=stems_of(known, str(output))).entries
    return examine(known, entries, settings or Settings(), {facts.name: facts}, str(output))


def listed(journal: Journal, folder: Path, output: Path, **options: object) -> Examined:
    """A folder in a journal."""
    found = examined(journal, folder, output, **options)  # type: ignore[arg-type]
    enlist(journal, found)
    return found


@contextmanager
def queue_of(n_songs: int, folder: Path, clock: "Clock") -> Iterator[Journal]:
    """A journal in `folder/out` with so many songs of `folder/music` that are queued."""
    (folder / "out").mkdir(exist_ok=True)
    songs = write_songs(folder / "music", *(f"{n:02}.wav" for n in range(n_songs)))
    with Journal(folder / "out" / "batch.sqlite", clock=clock) as opened:
        listed(opened, songs, folder / "out")
        yield opened


def states(journal: Journal) -> str:
    """The first letter of every song's state, in order."""
    return "".join(row.state[0] for row in journal.rows("batch"))


class FakeExecutor:
    """Ends every job at once, as `answer` says; a None answer never ends."""

    slots = 2

    def __init__(self, answer: Callable[[Job], Outcome | None] | None = None) -> None:
        self.answer = answer or written
        self.jobs: list[Job] = []
        self.events: list[Event] = []
        self.stopped = False

    def submit(self, job: Job) -> None:
        self.jobs.append(job)
        self.events.append(Progress(job.task.id, "separating", 0.5, 1.0))
        outcome = self.answer(job)
        if outcome is not None:
            self.events.append(outcome)

    def poll(self, timeout_s: float) -> list[Event]:
        events, self.events = self.events, []
        return events

    def stop(self) -> None:
        self.stopped = True


def written(job: Job) -> Outcome:
    """As if the song had been separated: stems that hold their own names."""
    outputs = {}
    for stem, path in job.task.paths.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(stem)
        digest = hashlib.sha256(stem.encode()).hexdigest()
        outputs[stem] = {"path": path, "sha256": digest, "bytes": len(stem)}
    return Outcome(
        id=job.task.id,
        outputs=outputs,
        input_sha256=hashlib.sha256(Path(job.task.source).read_bytes()).hexdigest(),
        stamp=stamp_of(job.task.source),
        report={"duration_s": 1.0, "wall_s": 0.1, "gain_db": 0.0},
        timings={"separate": 0.1},
    )


def failed(job: Job, error: str, *, passing: bool = False, exit_code: int = 3) -> Outcome:
    return Outcome(
        id=job.task.id, error=error, passing=passing, exit_code=exit_code, stamp=stamp_of(job.task.source)
    )


class Told:
    """A `Watch` that remembers."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[tuple[str, str | None]] = []
        self.waited: list[str] = []

    def begin(self, row: Row) -> None:
        self.begun.append(row.id)

    def progress(self, progress: Progress) -> None:
        assert progress.id in self.begun

    def end(self, row: Row, outcome: Outcome, retry_at: float | None) -> None:
        self.ended.append((row.id, outcome.error))

    def wait(self, reason: str) -> None:
        self.waited.append(reason)


class Clock:
    """A clock whose every look at it takes a second."""

    now = 1000.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def driver(journal: Journal, output: Path, executor: FakeExecutor | None = None, **options: object) -> Driver:
    return replace(
        Driver(
            journal=journal,
            root=str(output),
            executor=executor or FakeExecutor(),
            watch=Told(),
            presence=output,
            policy=Policy(),
        ),
        **options,  # type: ignore[arg-type]
    )
