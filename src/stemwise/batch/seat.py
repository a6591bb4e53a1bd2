"""A seat for songs on a node of a cluster: `cluster` makes actors of it, and this is all that runs there."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from stemwise import __version__
from stemwise.batch import storage
from stemwise.batch.song import Job, Outcome, Stopped, separate_song
from stemwise.worker import Progress, Worker

TURN_S = 0.1


class Seat:
    """What runs on a node: one worker process, and a thread for every song that it has or fetches ahead.

    Args:
        threads: of the network.
        device: for it, see `Separator`.
    """

    def __init__(self, threads: int, device: str) -> None:
        self._worker, self._device = Worker(threads), device
        self._turn = threading.Lock()
        self._stopped = threading.Event()
        self._unwanted: set[str] = set()
        self._progress: dict[str, Progress] = {}

    def look(self, root: str) -> tuple[str, str, bool]:
        """The node's name, its stemwise, and whether it sees the output folder."""
        return socket.gethostname(), __version__, storage.is_remote(root) or os.path.isdir(root)

    def separate(self, job: Job) -> Outcome | None:
        """Do a song; None if it was taken back before its turn came."""

        def tell(progress: Progress) -> None:
            self._progress[job.task.id] = progress

        try:
            outcome = separate_song(
                job, lambda: self._borrow(job.task.id), tell=tell, is_stopped=self._stopped.is_set
            )
        except Stopped:
            return None
        finally:
            self._progress.pop(job.task.id, None)
            self._unwanted.discard(job.task.id)
        return replace(outcome, report={**outcome.report, "host": socket.gethostname()})

    def progress(self) -> list[Progress]:
        """How far each of its songs is."""
        return list(self._progress.values())

    def take_back(self, id: str) -> None:
        """Give a song up that is not being separated yet."""
        self._unwanted.add(id)

    def stop(self) -> None:
        """Give up everything; nothing half-written is left when this returns."""
        self._stopped.set()
        with self._turn:
            self._worker.close()

    @contextmanager
    def _borrow(self, id: str) -> Iterator[tuple[Worker, str]]:
        while not self._turn.acquire(timeout=TURN_S):
            if id in self._unwanted or self._stopped.is_set():
                raise Stopped
        try:
            if self._stopped.is_set():
                raise Stopped
            yield self._worker, self._device
        finally:
            self._turn.release()
