"""Whether the stems of a catalogue are still what the journal says: every byte is read again."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from stemwise.batch import storage
from stemwise.batch.song import locate
from stemwise.errors import StemwiseError
from stemwise.journal import Row

READERS = 4  # threads


@dataclass(frozen=True, slots=True)
class Fault:
    """A stem that is not as it was: `missing`, `changed`, or why it cannot be read."""

    id: str
    stem: str
    path: str
    what: str


def find_faults(
    rows: Iterable[Row], root: str, *, done: Callable[[int], None] = lambda n_bytes: None
) -> Iterator[Fault]:
    """Hash the stems of some songs.

    Args:
        rows: that are done.
        root: the output folder or URL.
        done: called with the bytes of each stem after it was read.
    """
    stems = ((row.id, stem, found) for row in rows for stem, found in row.outputs.items())
    with ThreadPoolExecutor(READERS) as pool:
        for (id, stem, found), what in pool.map(lambda one: (one, _fault(one[2], root)), stems):
            if what is not None:
                yield Fault(id, stem, found["path"], what)
            done(found["bytes"])


def _fault(found: dict[str, object], root: str) -> str | None:
    location = locate(root, str(found["path"]))
    try:
        if storage.size(location) is None:
            return "missing"
        return None if storage.sha256(location) == found["sha256"] else "changed"
    except (OSError, StemwiseError) as error:
        return str(error)
