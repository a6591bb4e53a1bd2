"""One song from where it lies to where its stems belong: the same on this machine and on any other.

Nothing here knows the journal. An input is fetched, hashed and separated; the stems are hashed, and are on
disk, folders and all, or in storage, before the outcome says so.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stemwise.batch import storage
from stemwise.batch.settings import TASK_KEYS
from stemwise.errors import StemwiseError
from stemwise.journal import Row
from stemwise.worker import Crashed, Done, Failed, Progress, Task, Worker, remove_parts

if TYPE_CHECKING:
    from stemwise.hub.transfer import ByteProgress

POLL_S = 0.2
TOLD_ELSEWHERE = ("source", "stems", "picture", "skipped", "error", "exit_code")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A song to be done.

    Attributes:
        task: for the worker; `source` and `paths` are where the song and its stems belong, URLs or paths. The
            device is the executor's choice.
        root: the output folder; what lies between it and a stem is synced too.
        limit_s: how long it may be separated; None for as long as it needs.
        scratch: folder for what is fetched and what is to be sent; None for the system's.
    """

    task: Task
    root: str
    limit_s: float | None = None
    scratch: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a song; `error` is None if all is well.

    Attributes:
        id: of the job.
        outputs: stem → `{"path", "sha256", "bytes"}`, paths as the job has them.
        input_sha256: of the input's bytes.
        stamp: `{"bytes", "mtime_ns"}` of an input that is a file here, `{"bytes", "etag"}` in storage, to
            see later whether it has changed.
        report: `files.SongReport` as a dictionary.
        timings: seconds of `fetch`, `wait` (for a worker), `separate`, `hash` and `publish`.
        error: one line.
        exit_code: that the command would return for it.
        passing: whether it may succeed later.
        crashed: whether a worker died of it, or with it.
    """

    id: str
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    input_sha256: str | None = None
    stamp: Mapping[str, Any] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    exit_code: int = 0
    passing: bool = False
    crashed: bool = False


def job_of(row: Row, root: str, precision: Mapping[str, str], *, limit_s: float | None = None) -> Job:
    """The job of a row.

    Args:
        row: of the journal; its `details["paths"]` say where each stem goes.
        root: the output folder or URL, below which they lie.
        precision: of a model by name, what `auto` came to.
        limit_s: see `Job`.
    """
    given = {key: row.parameters[key] for key in TASK_KEYS}
    stems, asked = given.pop("stems"), row.parameters["precision"]
    task = Task(
        id=row.id,
        source=row.source,
        paths={stem: locate(root, path) for stem, path in row.details["paths"].items()},
        stems=None if stems is None else tuple(stems),
        precision=precision.get(given["model"], asked) if asked == "auto" else asked,
        **given,
    )
    return Job(task=task, root=root, limit_s=limit_s)


def locate(root: str, path: str) -> str:
    """Where a path below an output folder or URL is."""
    return f"{root.rstrip('/')}/{path}" if storage.is_remote(root) else str(Path(root) / path)


class Stopped(StemwiseError):
    """Whoever asked for the song does not want it any more."""


class _Refused(StemwiseError):
    """The worker's answer to a song that it could not separate."""

    def __init__(self, message: str, exit_code: int, passing: bool, crashed: bool = False) -> None:
        super().__init__(message)
        self.exit_code, self.passing, self.crashed = exit_code, passing, crashed


Tell = Callable[[Progress], None]


def separate_song(
    job: Job,
    borrow: Callable[[], AbstractContextManager[tuple[Worker, str]]],
    *,
    tell: Tell,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Do one song; whatever is wrong with it, its storage or the worker is in the outcome.

    Args:
        job: the song.
        borrow: gives a worker, and the device for its network, for as long as the song is separated.
        tell: called about how far it is.
        is_stopped: asked several times a second, and for every piece that is fetched or sent; True kills the
            worker.

    Raises:
        Stopped: if it was stopped; then nothing half-written is left.
    """

    def go_on(done: int, total: int | None) -> None:
        if is_stopped():
            raise Stopped

    timings: dict[str, float] = {}
    task = job.task
    stamp: Mapping[str, Any] = stamp_of(task.source)
    try:
        with tempfile.TemporaryDirectory(prefix="stemwise-", dir=job.scratch) as scratch:
            tell(Progress(task.id, "reading", 0.0, None))
            with _timed(timings, "fetch"):
                if storage.is_remote(task.source):
                    stamp = storage.stamp(task.source)
                source = storage.fetch(task.source, Path(scratch), progress=go_on)
                digest = storage.sha256(str(source))
            local = {stem: _local(path, Path(scratch)) for stem, path in task.paths.items()}
            remove_parts(local.values())  # of whoever had this song before and was killed
            asked = time.monotonic()
            with borrow() as (worker, device), _timed(timings, "separate"):
                timings["wait"] = time.monotonic() - asked
                worker.submit(replace(task, source=str(source), paths=local, device=device))
                report = _report(worker, job, tell, is_stopped)
            tell(Progress(task.id, "writing", 0.0, None))
            with _timed(timings, "hash"):
                outputs = {stem: _hashed(path, local[stem]) for stem, path in task.paths.items()}
            with _timed(timings, "publish"):
                _publish(job, local, go_on)
    except Stopped:
        raise
    except (StemwiseError, OSError) as error:
        return replace(_failure(task, error), timings=timings, stamp=stamp)
    report = {
        key: value for key, value in report.items() if key not in ("source", "stems", "error", "exit_code")
    }
    return Outcome(
        id=task.id, outputs=outputs, input_sha256=digest, stamp=stamp, report=report, timings=timings
    )


def stamp_of(source: str) -> dict[str, int]:
    """Size and time of a file; nothing for what is elsewhere or not there."""
    try:
        status = os.stat(source)
    except OSError:
        return {}
    return {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns}


def _report(worker: Worker, job: Job, tell: Tell, is_stopped: Callable[[], bool]) -> Mapping[str, Any]:
    """Wait for a worker's answer, and not longer than may be."""
    begin = time.monotonic()
    while True:
        message = worker.poll(POLL_S)
        if is_stopped():
            worker.cancel()
            raise Stopped
        if isinstance(message, Progress):
            tell(message)
        elif isinstance(message, Done):
            return message.report
        elif isinstance(message, Failed):
            raise _Refused(message.message, message.exit_code, message.passing)
        elif isinstance(message, Crashed):
            raise _Refused(message.reason, 1, passing=True, crashed=True)
        if job.limit_s is not None and time.monotonic() - begin > job.limit_s:
            worker.cancel()
            raise _Refused(f"took longer than the time limit of {job.limit_s:g} s", 1, passing=False)


def _failure(task: Task, error: StemwiseError | OSError) -> Outcome:
    if isinstance(error, OSError):
        message = f"{error.filename or task.source}: {error.strerror or error}"
        passing = not isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError)
    else:
        message, passing = " ".join(str(error).split()), getattr(error, "passing", False)
    exit_code, crashed = getattr(error, "exit_code", 1), getattr(error, "crashed", False)
    return Outcome(id=task.id, error=message, exit_code=exit_code, passing=passing, crashed=crashed)


def _local(location: str, scratch: Path) -> str:
    """Where the worker writes what belongs to a location."""
    if not storage.is_remote(location):
        return location
    return str(scratch / "stems" / storage.file_name(location))


def _hashed(location: str, path: str) -> dict[str, Any]:
    return {"path": location, "sha256": storage.sha256(path), "bytes": Path(path).stat().st_size}


def _publish(job: Job, local: Mapping[str, str], progress: "ByteProgress") -> None:
    """Have the stems where they belong, whatever happens to the machine afterwards."""
    remote = {url: Path(local[stem]) for stem, url in job.task.paths.items() if storage.is_remote(url)}
    if remote:
        storage.publish(remote, progress=progress)
    else:
        _sync_folders(map(Path, local.values()), Path(job.root))


def _sync_folders(paths: Iterable[Path], root: Path) -> None:
    """Sync the names of some files below a folder; their bytes are synced already."""
    folders = {folder for path in paths for folder in path.parents if folder.is_relative_to(root)}
    for folder in folders if os.name == "posix" else ():
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _timed(timings: dict[str, float], name: str) -> Iterator[None]:
    begin = time.monotonic()
    yield
    timings[name] = time.monotonic() - begin
