"""The builder around the songs: what is resumed, what is reported, what a failure leaves behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pedalboard")
pytest.importorskip("pysfizz")
import render
import report
import song
import sung
from library import Missing, ingredients

SCRIPT = Path(render.__file__)


def part(stem: str, instrument: str, ingredient: str) -> dict[str, Any]:
    return {"stem": stem, "instrument": instrument, "ingredient": ingredient, "ingredients": [ingredient]}


def make_one(number: int, *, seed: int, duration_s: float) -> song.Song:
    rng = np.random.default_rng([seed, number])
    stems = {stem: rng.uniform(-0.2, 0.2, (2, 4410)).astype(np.float32) for stem in song.STEMS}
    manifest = {
        "number": number,
        "duration_s": 0.1,
        "style": "rock",
        "groove": "a.mid" if number == 0 else "",
        "parts": [part("bass", "growlybass/clean", "growlybass"), part("bass", "swagbass/dry", "swagbass")],
    }
    return song.Song(stems=stems, manifest=manifest)


def test_a_song_is_written_whole_over_what_was_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "make_song", make_one)
    leftover = tmp_path / ".00003.partial"
    leftover.mkdir()
    (leftover / "rubbish.flac").write_bytes(b"x")
    assert render.render_song(tmp_path, 3, seed=1) == pytest.approx(0.1)
    names = sorted(path.name for path in (tmp_path / "00003").iterdir())
    assert names == ["bass.flac", "drums.flac", "manifest.json", "other.flac", "vocals.flac"]
    assert not leftover.exists()


def test_a_failing_song_is_told_and_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> song.Song:
        raise Missing("growlybass is not there")

    monkeypatch.setattr(render, "make_song", fail)
    seconds, fault = render.attempt(tmp_path, 0, 1)
    assert seconds == 0
    assert "growlybass is not there" in fault
    assert list(tmp_path.iterdir()) == []


def attempt_or_die(folder: Path, number: int, seed: int) -> tuple[float, str]:
    """Stands for a song: number 1 kills its process once, number 3 always."""
    once = folder / "died"
    if number == 3 or (number == 1 and not once.exists()):
        once.touch()
        os.kill(os.getpid(), signal.SIGSEGV)
    return float(number), ""


def test_a_process_that_crashes_costs_its_own_song_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "attempt", attempt_or_die)
    done = {number: (seconds, fault) for number, seconds, fault in render.finished(tmp_path, range(5), 1, 1)}
    assert sorted(done) == list(range(5))
    assert {n: seconds for n, (seconds, fault) in done.items() if not fault} == {0: 0, 1: 1, 2: 2, 4: 4}
    assert done[3] == (0.0, "its process died 3 times")


def test_credits_name_every_ingredient_and_counts_are_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "make_song", make_one)
    for number in range(3):
        render.render_song(tmp_path, number, seed=1)
    report.write_credits(tmp_path)
    credits = (tmp_path / "CREDITS.md").read_text()
    for name in ("growlybass", "swagbass", "groove"):
        assert ingredients()[name].credit in credits
    text = report.write_report(tmp_path)
    assert text.startswith("# The corpus\n\n3 compositions, 0.00 hours. Styles: rock 3.")
    assert "| bass | 2 | 2 | growlybass/clean 50% | growlybass 50% |" in text


@pytest.mark.parametrize(
    ("voices", "way"),
    [
        ([("lead", "real phrases", "strudel-vocals"), ("backing", "n", "kumi")], "singers"),
        ([("lead", "", "kumi"), ("double", "octave", "yuki")], "banks"),
        ([("lead", "", "kumi"), ("backing", "ad libs", "strudel-vocals")], ""),
        ([("lead", "growled", "merry-orks")], ""),
        ([("spoken", "rap", "flite")], ""),
        ([], ""),
    ],
)
def test_songs_are_told_apart_by_who_sings(voices: list[tuple[str, str, str]], way: str) -> None:
    parts = [{"stem": "other", "role": "keys", "manner": "", "ingredient": "keys"}]
    parts += [{"stem": "vocals", "role": r, "manner": m, "ingredient": i} for r, m, i in voices]
    assert sung.sung_by({"parts": parts}) == way


def test_streams_of_different_purposes_are_independent_and_repeatable() -> None:
    draws = [song.stream(1, 2, purpose).random(4).tolist() for purpose in ("play", "play", "sing")]
    assert draws[0] == draws[1] != draws[2]


def test_notes_move_by_octaves_into_the_range_of_a_sound() -> None:
    class Narrow:
        name, ingredient, low, high = "narrow", "own", 40, 47

    notes = [song.Note(0, 1, pitch, 90) for pitch in (28, 40, 61, 51)]
    assert [note.pitch for note in song.within(notes, Narrow())] == [
        40,
        40,
    ]


@pytest.mark.parametrize(
    ("role", "name", "treated"),
    [
        ("guitar", "fluid-r3/Nylon String Guitar", "acoustic guitar"),
        ("guitar", "steel-guitar/acoustic", "acoustic guitar"),
        ("guitar", "fluid-r3/Distortion Guitar", "guitar"),
        ("mallet", "fluid-r3/Steel Drums", "mallet"),
    ],
)
def test_only_electric_guitars_are_amplified(role: str, name: str, treated: str) -> None:
    assert song.treatment(role, name) == treated


def test_without_a_library_one_line_says_what_to_set(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "STEMWISE_LIBRARY"}
    command = [sys.executable, str(SCRIPT), str(tmp_path / "out"), "--songs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2
    assert "set STEMWISE_LIBRARY" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("text", "numbers"), [("3", range(3)), ("10:12", range(10, 12))])
def test_songs_are_counted_or_given_as_a_range(text: str, numbers: range) -> None:
    assert render.numbers_of(text) == numbers


def test_every_ingredient_has_what_credits_need() -> None:
    listed = json.loads((SCRIPT.parent / "ingredients.json").read_text())
    for name, item in listed.items():
        assert item["licence"], name
        assert item["credit"], name
        assert set(item["stems"]) <= set(song.STEMS), name
