"""Several at once over one file of SQLite."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stemwise.journal import Journal, Row


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Of one song."""
    with Journal(tmp_path / "journal.sqlite") as opened:
        opened.add([Row(id="a", queue="q", source="a.mp3", parameters={"model": "m"})])
        yield opened


def test_a_song_that_runs_is_not_made_otherwise(journal: Journal) -> None:
    running = journal.claim("w", "q")
    other = Row(id="a", queue="q", source="a.mp3", parameters={"model": "n"})
    assert journal.add([other]) == 0
    assert journal.get("a") == running
    journal.release("w")
    assert journal.add([other]) == 1
