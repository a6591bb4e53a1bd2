"""Several at once over one file of SQLite."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stemwise.errors import JournalError
from stemwise.journal import Journal, Row


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Of one song."""
    with Journal(tmp_path / "journal.sqlite") as opened:
        opened.add([Row(id="a", queue="q", source="a.mp3", parameters={"model": "m"})])
        yield opened


def test_who_reads_does_not_wait_for_who_writes(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["stemwise.journal.engine"], "BUSY_S", 0.1)
    with (
        Journal(tmp_path / "journal.sqlite") as other,
        closing(sqlite3.connect(tmp_path / "journal.sqlite")) as writer,
    ):
        writer.execute("BEGIN IMMEDIATE")
        assert other.get("a") == journal.get("a")
        assert other.counts("q")["queued"] == 1
        assert [row.id for row in other.rows("q")] == ["a"]
        with pytest.raises(JournalError, match="is locked"):
            other.claim("w", "q")


def test_a_song_that_runs_is_not_made_otherwise(journal: Journal) -> None:
    running = journal.claim("w", "q")
    other = Row(id="a", queue="q", source="a.mp3", parameters={"model": "n"})
    assert journal.add([other]) == 0
    assert journal.get("a") == running
    journal.release("w")
    assert journal.add([other]) == 1
