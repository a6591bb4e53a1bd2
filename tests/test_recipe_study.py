"""The training-data study: what is trained, and what its tables say of scores that are known."""

import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from stemwise.evaluate import EvaluationTable, Record, Score, write_record
from training import write_songs

RECIPE = Path(__file__).parents[1] / "recipes" / "study"
SONGS = ("a", "b", "c", "d", "e", "f")


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(RECIPE))
    return importlib.import_module("study")


def write_scores(folder: Path, values: list[float]) -> None:
    """The same value in every column, one per song."""
    scores = tuple(
        Score(track=song, stem=stem, values={"csdr": value, "sir": value, "sar": value})
        for song, value in zip(SONGS, values, strict=True)
        for stem in ("vocals", "accompaniment")
    )
    write_record(Record(model="", dataset="", table=EvaluationTable(scores)), folder / "scores")


def test_the_baseline_has_all_seeds_and_every_augmentation_one_run(study: ModuleType) -> None:
    runs = study.runs({"ours": ("x", "y")}, 3)
    assert [run.seed for run in runs if run.augmentation is None] == [0, 1, 2]
    assert {run.augmentation for run in runs if run.augmentation} == {
        *("swap", "stretch", "shift", "remix", "filter", "scale", "combined")
    }
    assert all(run.songs == ("x", "y") for run in runs)


def test_several_training_sets_are_also_trained_on_alone(study: ModuleType) -> None:
    runs = {run.name: run for run in study.runs({"one": ("x",), "two": ("y", "x")}, 1)}
    assert runs["baseline-0"].songs == ("x", "y")
    assert (runs["set-one"].songs, runs["set-two"].songs) == (("x",), ("y", "x"))


def test_a_difference_within_the_spread_of_the_seeds_is_none(study: ModuleType, tmp_path: Path) -> None:
    for seed, shift in enumerate((0.0, 0.5, 1.0)):
        write_scores(tmp_path / f"baseline-{seed}", [value + shift for value in (1, 2, 3, 4, 5, 6)])
    for name in study.AUGMENTATIONS:
        write_scores(tmp_path / name, [value + 1.4 for value in (1, 2, 3, 4, 5, 6)])  # 0.9 above the mean
    write_scores(tmp_path / "swap", [value + 3 for value in (1, 2.1, 3, 4, 5, 6.1)])
    write_scores(tmp_path / "scale", [value + 3 for value in (-9, 12, 3, 4, 5, 7)])  # large, by two songs
    rows = [line for line in study.report(tmp_path, 3, ["all"], "") if line.startswith("|")]
    lines = {row.split("|")[1].strip(): row for row in rows}
    assert re.search(r"4\.00 ± 0\.50 \|$", lines["baseline, here"])
    assert lines["remix, here"].count("4.90 (none)") == 6
    assert lines["swap, here"].count("(+2.53*)") == 6
    assert lines["scale, here"].count("(+2.67)") == 6
    assert "| 5.71 | 14.82 |" in lines["Bean, paper"]


def test_one_run_from_songs_to_scores(study: ModuleType, tmp_path: Path) -> None:
    songs = write_songs(tmp_path / "songs", "one", stems=("vocals", "drums"), seconds=15, rate=22050)
    run = study.Run(name="swap", songs=(str(songs),), augmentation="swap", seed=1)
    changes = ["model.network.n_filters=[2,2,2,2,2]", "steps=1"]
    study.carry_out(run, tmp_path / "out", songs, changes, 1)
    assert set(study.scores(tmp_path / "out" / "swap", "")["I-SIR"]) == {"one"}
    before = (tmp_path / "out" / "swap" / "log.txt").read_text()
    study.carry_out(run, tmp_path / "out", songs, changes, 1)  # what is finished is not done again
    assert (tmp_path / "out" / "swap" / "log.txt").read_text() == before


def test_a_training_set_needs_a_name(tmp_path: Path) -> None:
    command = [sys.executable, str(RECIPE / "study.py"), "--train", "songs/", "--test", "x"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "'songs/' must be NAME=FOLDER" in done.stderr
