"""What is known of songs that are not here to be read."""

from dataclasses import replace
from pathlib import Path

import pytest

from batches import FACTS
from stemwise.batch.catalogue import Entry
from stemwise.batch.enlist import Examined, examine
from stemwise.batch.plan import make_plan
from stemwise.batch.settings import Settings
from stemwise.batch.trial import can_be_tried
from stemwise.cli.batch_view import print_plan
from stemwise.errors import ConfigError

MINUTE_BYTES = {"wav": 10_584_000, "flac": 6_400_000, "mp3": 960_000, "M4A": 960_000}


def in_storage(root: Path | str) -> Examined:
    """A minute of each."""
    entries = [
        Entry(id=f"a.{suffix}", name=f"a.{suffix}", source=f"s3://b/a.{suffix}", n_bytes=n_bytes)
        for suffix, n_bytes in MINUTE_BYTES.items()
    ]
    return examine({}, entries, Settings(), {FACTS.name: FACTS}, str(root))


def test_lengths_are_guessed_by_suffix(tmp_path: Path) -> None:
    rows = in_storage(tmp_path).rows
    assert [row.details["header"]["duration_s"] for row in rows] == pytest.approx([60.0] * 4, rel=0.02)


def test_a_guess_that_does_not_fit_is_told_and_refuses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stemwise.batch.plan.free_bytes", lambda folder: 1_000_000)
    todo = in_storage(tmp_path).todo
    doubt = make_plan(todo, str(tmp_path)).check_room()
    assert doubt == "the stems may need 0.1 GB, by the songs' sizes; 0.0 GB are free"
    here = [replace(row, source=str(tmp_path / "a.wav")) for row in todo]
    with pytest.raises(ConfigError, match=r"^the stems need 0\.1 GB, 0\.0 GB are free: choose"):
        make_plan(here, str(tmp_path)).check_room()


def test_a_plan_of_songs_in_storage_tells_all_but_the_time(capsys: pytest.CaptureFixture[str]) -> None:
    found = in_storage("s3://b/stems")
    assert can_be_tried(found.todo) == []
    print_plan(found, make_plan(found.todo, "s3://b/stems"), None, ["cpu"], 1, {"m": "float32"})
    assert capsys.readouterr().out.splitlines() == [
        "to do         4 songs, 4 min of audio",
        "workers       1 × cpu with 1 thread, float32",
        "time          unknown: no song that can be read lies on this machine, to be tried",
        "lengths       guessed from their sizes, of songs in storage",
        "disk          84.8 MB",
    ]
