"""The parent's side: one process, started when needed, killed at any time, with nothing half-written left."""

import multiprocessing
import os
import signal
from collections.abc import Iterable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from stemwise.worker.child import serve
from stemwise.worker.messages import Crashed, Failed, Message, Progress, Request, Task, Trial

JOIN_S = 5.0  # for a process that has closed its end of the pipe, or was killed, to be gone


class Worker:
    """One process, started by the first request.

    Args:
        threads: that the network may use; None for torch's own choice.
    """

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads
        self.task: Task | None = None
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None

    @property
    def pid(self) -> int | None:
        """Of the process, if there is one."""
        return self._process.pid if self._process is not None else None

    @property
    def connection(self) -> Connection | None:
        """To wait for with `multiprocessing.connection.wait`; another one after a crash or `cancel`."""
        return self._connection

    def submit(self, task: Task) -> None:
        """Begin with a task; `poll` tells of it. There must be none under way.

        Raises:
            OSError: as all requests, if the system refuses to start a process; another one may be made later.
        """
        assert self.task is None, "one task at a time"
        self._send(task)
        self.task = task

    def ask_models(self, names: Sequence[str] = ()) -> None:
        """Ask for all published and imported models, or for those named; `poll` answers with `Models`.

        A name that is no model is answered with `Failed`. There must be no task under way.
        """
        assert self.task is None, "one task at a time"
        self._send(tuple(names))

    def try_out(self, trial: Trial) -> None:
        """Measure a model's pace; `poll` answers with `Measured`. There must be no task under way."""
        assert self.task is None, "one task at a time"
        self._send(trial)

    def give_way(self) -> None:
        """Have a trial end as soon as the network's present chunk is done; it is answered all the same."""
        if self._connection is not None:
            with suppress(OSError):
                self._connection.send(None)

    def poll(self, timeout_s: float = 0.0) -> Message | None:
        """The next message, waiting for it at most that long; None if there is none."""
        if self._connection is None:
            return None
        try:
            if not self._connection.poll(timeout_s):
                return None
            message: Message = self._connection.recv()
        except (EOFError, OSError):
            return self._crashed()
        if isinstance(message, Failed) and message.unforeseen:
            self.cancel()  # after some errors of CUDA, nothing succeeds in that process
        elif not isinstance(message, Progress):
            self.task = None
        return message

    def cancel(self) -> None:
        """Kill the process, whatever it does, and remove its half-written files."""
        if self._process is not None:
            self._process.kill()
            self._reap()

    def close(self) -> None:
        """Stop at once; the same as `cancel`, for the end."""
        self.cancel()

    def _send(self, request: Request) -> None:
        if self._connection is None or self._connection.poll():  # an idle one says nothing: it has ended
            self.cancel()
            self._start()
        assert self._connection is not None
        with suppress(OSError):  # it has died this moment, and `poll` will say so
            self._connection.send(request)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        connection, theirs = context.Pipe()
        process = context.Process(
            target=serve, args=(theirs, self.threads), name="stemwise worker", daemon=True
        )
        try:
            process.start()
        except BaseException:
            connection.close()
            raise
        finally:
            theirs.close()
        self._process, self._connection = process, connection

    def _crashed(self) -> Crashed:
        assert self._process is not None
        self._process.join(JOIN_S)
        task, reason = self.task, _ending(self._process.exitcode)
        self._process.kill()
        self._reap()
        return Crashed(task.id if task else "", reason)

    def _reap(self) -> None:
        """Forget a dead process and remove what it left behind."""
        process, connection, task = self._process, self._connection, self.task
        self._process = self._connection = self.task = None
        if process is not None and connection is not None:
            process.join(JOIN_S)
            connection.close()
        if task is not None:
            remove_parts(task.paths.values())


def _ending(exitcode: int | None) -> str:
    if exitcode is None or exitcode >= 0:
        return f"the worker process ended by itself (exit status {exitcode})"
    name = signal.Signals(-exitcode).name
    hint = ": the system may have run out of memory" if name == "SIGKILL" else ""
    return f"the worker process was ended by {name}{hint}"


def remove_parts(paths: Iterable[str]) -> None:
    """Remove what `AudioWriter` leaves of these files if its process is killed."""
    for path in map(Path, paths):
        start = os.fsencode(f".{path.name}")[:201]
        with suppress(FileNotFoundError):
            for name in os.listdir(os.fsencode(path.parent)):
                if name.startswith(start) and name.endswith(b".part"):
                    Path(os.fsdecode(os.path.join(os.fsencode(path.parent), name))).unlink(missing_ok=True)
