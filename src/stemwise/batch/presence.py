"""Which processes of this machine are still at work: each holds the lock of a file beside the journal.

The system frees the lock of a process that dies, however it dies, so its songs need not wait until it has
been silent for long enough; and who holds it lives, however silent: stopped by Ctrl-Z, or asleep with the
machine. Other machines' locks say nothing, as many shared file systems keep locks to each machine.
"""

import os
import secrets
import socket
from collections.abc import Iterator
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
    path = _path(name, folder)
    with locked(path):
        try:
            yield name
        finally:
            path.unlink(missing_ok=True)


def take_over(journal: Journal, queue: str, folder: Path) -> int:
    """Queue again what the dead have, and say how many songs these were."""
    names = [name for name in journal.workers(queue) if _path(name, folder).exists() and _is_of_here(name)]
    dead = {name for name in names if _is_free(_path(name, folder))}
    released = sum(map(journal.release, dead))
    for name in dead:
        _path(name, folder).unlink(missing_ok=True)
    return released + journal.recover(queue, journal.clock() - STALE_S, alive=set(names) - dead)


def _path(name: str, folder: Path) -> Path:
    return folder / f".{name}{SUFFIX}"


def _is_of_here(name: str) -> bool:
    return name.rsplit("-", 2)[0] == socket.gethostname()


def _is_free(path: Path) -> bool:
    try:
        with locked(path, wait=False):
            return True
    except BlockingIOError:
        return False
