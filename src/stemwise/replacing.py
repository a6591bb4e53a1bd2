"""Files that are there whole or not at all, whatever happens while they are written."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


def temporary_beside(path: Path) -> Path:
    """A new name in the folder of `path` for what takes its place when it is whole.

    It begins with as much of the name as fits, and ends in `.part` (`stemwise.worker.remove_parts`).
    """
    short = os.fsdecode(os.fsencode(path.name)[:200])  # file systems allow 255 bytes
    return path.with_name(f".{short}.{secrets.token_hex(4)}.part")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` when the block ends well, and vanishes when it does not.

    Raises:
        OSError: if it cannot be written; it names `path`.
    """
    temporary = temporary_beside(path)
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno and error.filename in (None, str(temporary)):  # a name that nobody has asked for
            error.filename = str(path)
        raise
    finally:
        with suppress(OSError):  # where it has its name by now, or was never made
            temporary.unlink()
