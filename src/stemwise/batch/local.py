"""Who does the songs: what the driver asks of any workers, and those on this machine."""

import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol

from stemwise.batch.song import Job, Outcome, Stopped, separate_song
from stemwise.worker import Progress, Worker

Event = Progress | Outcome


class Executor(Protocol):
    """Does jobs, several at once, and tells of them; it never sees the journal."""

    @property
    def slots(self) -> int:
        """How many jobs it takes at once; may change at any time."""

    def submit(self, job: Job) -> None:
        """Begin with a job; no more than `slots` are under way."""

    def poll(self, timeout_s: float) -> list[Event]:
        """What has happened since; waits for the first event at most that long."""

    def stop(self) -> None:
        """Give up what is under way, at once; nothing half-written is left."""


class LocalExecutor:
    """Worker processes on this machine.

    A thread of this process sees to every job: it waits for storage and hashes while the workers compute.

    Args:
        devices: of each process's network, see `Separator`.
        threads: of the network in each process.
        ahead: jobs beyond the workers, whose inputs are fetched or whose stems are sent meanwhile.
    """

    def __init__(self, devices: Sequence[str], *, threads: int | None = 1, ahead: int = 0) -> None:
        self.slots = len(devices) + ahead
        self._workers = [(Worker(threads), device) for device in devices]
        self._idle: queue.SimpleQueue[tuple[Worker, str]] = queue.SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._events: queue.SimpleQueue[Event | Future[Outcome]] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(self.slots, thread_name_prefix="song")

    def submit(self, job: Job) -> None:
        """See `Executor`."""
        done = self._pool.submit(
            separate_song, job, self._borrow, tell=self._events.put, is_stopped=self._stopped.is_set
        )
        done.add_done_callback(self._events.put)

    def poll(self, timeout_s: float) -> list[Event]:
        """See `Executor`."""
        events: list[Event] = []
        try:
            found = self._events.get(timeout=timeout_s)
            while True:
                events.append(found.result() if isinstance(found, Future) else found)
                found = self._events.get_nowait()
        except queue.Empty:
            return events

    def stop(self) -> None:
        """See `Executor`."""
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)
        for worker, _ in self._workers:
            worker.close()

    @contextmanager
    def _borrow(self) -> Iterator[tuple[Worker, str]]:
        while True:
            if self._stopped.is_set():
                raise Stopped
            try:
                worker = self._idle.get(timeout=0.2)
                break
            except queue.Empty:
                continue
        try:
            yield worker
        finally:
            self._idle.put(worker)
