"""Which processes of this machine are still at work: each holds the lock of a file beside the journal.

The system frees the lock of a process that dies, however it dies, so its songs need not wait until it has
been silent for long enough.
"""

import os
import secrets
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stemwise.journal import Journal
from stemwise.lock import locked

SUFFIX = ".worker"
STALE_S = 90.0  # without a beat, a worker that this machine knows nothing of is taken for dead


@contextmanager
def present(folder: Path) -> Iterator[str]:
    """A name of one's own, and the lock that says that its owner lives."""
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    path = folder / f".{name}{SUFFIX}"
    with locked(path):
        try:
            yield name
        finally:
            path.unlink(missing_ok=True)


def take_over(journal: Journal, queue: str, folder: Path) -> int:
    """Queue again what the dead have, and say how many songs these were."""
    released = sum(map(journal.release, dead_among(journal.workers(queue), folder)))
    return released + journal.recover(queue, journal.clock() - STALE_S)


def dead_among(names: Iterable[str], folder: Path) -> Iterator[str]:
    """Those whose owner is known to be dead; of one that left no file here, nothing is known."""
    for name in names:
        path = folder / f".{name}{SUFFIX}"
        if path.exists() and _is_free(path):
            yield name
            path.unlink(missing_ok=True)


def _is_free(path: Path) -> bool:
    try:
        with locked(path, wait=False):
            return True
    except BlockingIOError:
        return False
