"""One song with a worker that only plays one."""

import hashlib
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import fsspec
import pytest

from batches import FACTS, write_songs
from stemwise.batch import cluster, local, seat, song, storage
from stemwise.batch.catalogue import Entry
from stemwise.batch.enlist import new_rows
from stemwise.batch.local import LocalExecutor
from stemwise.batch.settings import Settings
from stemwise.batch.song import Job, Outcome, Stopped, job_of, separate_song
from stemwise.worker import Crashed, Done, Failed, Message, Progress, Task


class FakeWorker:
    """Writes what it is asked for, unless it has another answer."""

    def __init__(
        self, threads: int | None = None, *, answer: Message | None = None, takes_s: float = 0.0
    ) -> None:
        self.answer, self.takes_s = answer, takes_s
        self.task: Task | None = None
        self.cancelled = False

    def submit(self, task: Task) -> None:
        self.task, self.until = task, time.monotonic() + self.takes_s

    def poll(self, timeout_s: float) -> Message | None:
        assert self.task is not None
        if time.monotonic() < self.until:
            time.sleep(0.01)
            return Progress(self.task.id, "separating", 1.0, 2.0)
        if self.answer is not None:
            return self.answer
        for stem, path in self.task.paths.items():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(stem)
        return Done(self.task.id, {"source": "x", "duration_s": 1.0, "error": None})

    def cancel(self) -> None:
        self.cancelled = True

    close = cancel


@pytest.fixture
def job(tmp_path: Path) -> Job:
    source = write_songs(tmp_path / "music", "a.wav") / "a.wav"
    paths = {stem: str(tmp_path / "out" / "deep" / f"{stem}.wav") for stem in ("vocals", "other")}
    return Job(task=Task(id="a", source=str(source), paths=paths), root=str(tmp_path / "out"))


def outcome(job: Job, worker: FakeWorker, **options: object) -> Outcome:
    @contextmanager
    def borrow() -> Iterator[tuple[FakeWorker, str]]:
        yield worker, "cuda:7"

    return separate_song(job, borrow, tell=lambda progress: None, **options)  # type: ignore[arg-type]


def test_auto_means_what_this_machine_found_and_nothing_else_does(job: Job) -> None:
    entry, settings = Entry(id="a", source="a.wav", name="a.wav"), Settings(stems=("vocals",))
    for asked, wanted in (("auto", "bfloat16"), ("float32", "float32")):
        chosen = replace(settings, precision=asked)
        (row,) = new_rows([entry], chosen, {FACTS.name: FACTS}, "s3://bucket/out/")
        made = job_of(row, "s3://bucket/out/", {FACTS.name: "bfloat16"}, limit_s=5.0)
        assert (made.task.precision, made.task.stems, made.limit_s) == (wanted, ("vocals",), 5.0)
        assert made.task.paths == {stem: f"s3://bucket/out/a/{stem}.wav" for stem in FACTS.stems}
        assert job_of(row, "out", {}).task.precision == asked


def test_nothing_that_may_run_elsewhere_knows_the_journal() -> None:
    for module in (song, seat, local, cluster):
        assert "Journal" not in vars(module), f"{module.__name__}: the driver alone writes the journal"


def test_an_outcome_holds_hashes_and_times(job: Job) -> None:
    worker = FakeWorker()
    found = outcome(job, worker)
    vocals = job.task.paths["vocals"]
    assert found.outputs["vocals"] == {
        "path": vocals,
        "sha256": hashlib.sha256(b"vocals").hexdigest(),
        "bytes": len("vocals"),
    }
    assert found.input_sha256 == hashlib.sha256(Path(job.task.source).read_bytes()).hexdigest()
    assert found.stamp["bytes"] == Path(job.task.source).stat().st_size
    assert found.report == {"duration_s": 1.0}
    assert list(found.timings) == ["fetch", "wait", "separate", "hash", "publish"]
    assert (found.error, found.exit_code) == (None, 0)
    assert worker.task is not None
    assert worker.task.device == "cuda:7"


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for names")
def test_folders_are_synced_up_to_the_output_folder(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(
        song.os, "fsync", lambda file: synced.append(song.os.readlink(f"/proc/self/fd/{file}"))
    )
    outcome(job, FakeWorker())
    assert sorted(synced) == [str(tmp_path / "out"), str(tmp_path / "out" / "deep")]


def test_what_a_killed_process_left_is_removed_first(job: Job) -> None:
    folder = Path(job.task.paths["vocals"]).parent
    folder.mkdir(parents=True)
    for name in (".vocals.wav.0123abcd.part", ".drums.wav.0123abcd.part"):
        (folder / name).touch()
    outcome(job, FakeWorker())
    assert sorted(path.name for path in folder.iterdir()) == [
        ".drums.wav.0123abcd.part",
        "other.wav",
        "vocals.wav",
    ]


@pytest.mark.parametrize(
    ("answer", "message", "exit_code", "passing"),
    [
        (Failed("a", "a.wav: no audio", 3, False), "a.wav: no audio", 3, False),
        (Failed("a", "disk: error", 1, True), "disk: error", 1, True),
        (
            Crashed("a", "the worker process was ended by SIGKILL"),
            "the worker process was ended by SIGKILL",
            1,
            True,
        ),
    ],
)
def test_what_goes_wrong_is_in_the_outcome(
    job: Job, answer: Message, message: str, exit_code: int, passing: bool
) -> None:
    found = outcome(job, FakeWorker(answer=answer))
    assert (found.error, found.exit_code, found.passing) == (message, exit_code, passing)
    assert found.stamp
    assert found.outputs == {}


def test_a_song_that_is_not_there_never_comes_back(job: Job) -> None:
    source = str(Path(job.task.source).with_name("gone.wav"))
    found = outcome(replace(job, task=replace(job.task, source=source)), FakeWorker())
    assert (found.error, found.passing) == (f"{source}: No such file or directory", False)


def test_a_song_beyond_its_time_is_given_up(job: Job) -> None:
    worker = FakeWorker(takes_s=30.0)
    found = outcome(replace(job, limit_s=0.2), worker)
    assert (found.error, found.passing) == ("took longer than the time limit of 0.2 s", False)
    assert worker.cancelled


def test_who_stops_gets_no_outcome(job: Job) -> None:
    worker = FakeWorker(takes_s=30.0)
    with pytest.raises(Stopped):
        outcome(job, worker, is_stopped=lambda: True)
    assert worker.cancelled


def test_who_stops_waits_for_no_download(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    came: list[int] = []

    class Slow:
        def info(self, path: str) -> dict[str, int]:
            return {"size": 100}

        def get_file(self, path: str, local: str, callback: fsspec.Callback) -> None:
            for n in range(100):
                Path(local).write_bytes(bytes(n + 1))
                came.append(n)
                callback.absolute_update(n)

    monkeypatch.setattr(storage, "open_client", lambda url: (Slow(), url))
    far = replace(job, task=replace(job.task, source="s3://b/a.wav"), scratch=str(tmp_path))
    with pytest.raises(Stopped):
        outcome(far, FakeWorker(), is_stopped=lambda: len(came) > 2)
    assert len(came) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["music"]


def test_who_stops_waits_for_no_upload(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    class Upload:
        def write(self, piece: bytes) -> None:
            told.append("sent")

        def close(self) -> None:
            told.append("whole")

        def discard(self) -> None:
            told.append("discarded")

    @contextmanager
    def borrow() -> Iterator[tuple[FakeWorker, str]]:
        yield FakeWorker(), "cpu"

    client = SimpleNamespace(open=lambda *_, **__: Upload())
    monkeypatch.setattr(storage, "open_client", lambda url, to_write: (client, url))
    paths = {stem: f"s3://b/{stem}.wav" for stem in job.task.paths}
    far = replace(job, task=replace(job.task, paths=paths))
    with pytest.raises(Stopped):
        separate_song(
            far,
            borrow,  # type: ignore[arg-type]
            tell=lambda progress: told.append(progress.stage),
            is_stopped=lambda: "writing" in told,
        )
    assert told[-3:] == ["writing", "sent", "discarded"]


def test_storage_gets_the_stems_and_the_scratch_folder_goes(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: dict[str, str] = {}
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(
        song.storage,
        "publish",
        lambda files, progress: sent.update({url: path.read_text() for url, path in files.items()}),
    )
    paths = {stem: f"s3://bucket/a/{stem}.wav" for stem in job.task.paths}
    found = outcome(replace(job, task=replace(job.task, paths=paths), scratch=str(scratch)), FakeWorker())
    assert sent == {url: stem for stem, url in paths.items()}
    assert found.outputs["other"]["path"] == "s3://bucket/a/other.wav"
    assert list(scratch.iterdir()) == []


def events(executor: LocalExecutor, n: int) -> list[Outcome]:
    found: list[Outcome] = []
    while len(found) < n:
        found += [event for event in executor.poll(1.0) if isinstance(event, Outcome)]
    return found


def test_workers_are_lent_to_one_song_at_a_time(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = threading.Lock()

    class Jealous(FakeWorker):
        def submit(self, task: Task) -> None:
            assert busy.acquire(blocking=False)
            super().submit(task)

        def poll(self, timeout_s: float) -> Message | None:
            message = super().poll(timeout_s)
            if isinstance(message, Done):
                busy.release()
            return message

    monkeypatch.setattr("stemwise.batch.local.Worker", lambda threads: Jealous(takes_s=0.05))
    executor = LocalExecutor(["cpu"], ahead=2)
    assert executor.slots == 3
    for n in range(6):
        paths = {"vocals": str(tmp_path / "out" / f"{n}.wav")}
        executor.submit(replace(job, task=replace(job.task, id=str(n), paths=paths)))
    assert sorted(one.id for one in events(executor, 6)) == list("012345")
    executor.stop()


def test_stopping_does_not_wait_for_songs(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemwise.batch.local.Worker", lambda threads: FakeWorker(takes_s=60.0))
    executor = LocalExecutor(["cpu"], ahead=1)
    for _ in range(4):
        executor.submit(job)
    begin = time.monotonic()
    executor.stop()
    assert time.monotonic() - begin < 10


def test_what_storage_says_of_a_song_is_kept(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    path, url = Path(job.task.source), "s3://b/a.wav"
    monkeypatch.setattr(storage, "stamp", lambda asked: {"bytes": 9, "etag": asked})
    monkeypatch.setattr(storage, "fetch", lambda asked, folder, progress: path)
    done = outcome(replace(job, task=replace(job.task, source=url)), FakeWorker())
    assert (done.error, done.stamp) == (None, {"bytes": 9, "etag": url})


def test_a_worker_that_died_of_a_song_is_told_from_storage_that_failed(job: Job) -> None:
    assert outcome(job, FakeWorker(answer=Crashed("a", "ended by SIGSEGV"))).crashed
    assert not outcome(job, FakeWorker(answer=Failed("a", "no network", 7, True))).crashed
