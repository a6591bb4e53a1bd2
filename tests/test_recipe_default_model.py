"""The recipe of the default model: its runs can be read, and a list of trials goes from songs to a table."""

import importlib
import json
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TextIO

import pytest

from stemwise.checkpoint import read_model
from stemwise.cli import app
from stemwise.evaluate import EvaluationTable, Record, Score, write_record
from stemwise.train.compose import read_config
from stemwise.types import STEMS
from training import no_extras, write_songs  # noqa: F401

RECIPE = Path(__file__).parents[1] / "recipes" / "default_model"
LISTS = sorted(RECIPE.glob("*_trials.json"))


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(RECIPE))
    return importlib.import_module("trials")


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_every_trial_is_a_run(path: Path) -> None:
    plan = json.loads(path.read_text())
    runs = {
        name: read_config(RECIPE / plan["base"], [*plan["set"], *changes])
        for name, changes in plan["trials"].items()
    }
    if path.stem == "data_trials":  # networks are compared at equal time instead
        assert len({run.steps for run in runs.values()}) == 1, "trials are compared at equal length"


def here(command: list[str], *, check: bool, env: dict[str, str], stdout: TextIO, stderr: TextIO) -> None:
    """`subprocess.run` without the seconds that a process takes to start: the command, in this one."""
    assert command[:3] == [sys.executable, "-m", "stemwise"]
    assert check
    assert env["OMP_NUM_THREADS"] == "1"
    assert stdout is stderr
    with redirect_stdout(stdout), redirect_stderr(stderr):
        app(command[3:], standalone_mode=False)


def test_a_list_of_trials_goes_from_songs_to_a_table(
    trials: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    songs = write_songs(tmp_path / "songs", "mdb_one", stems=STEMS[:4], seconds=6, rate=44100)
    base = json.loads((RECIPE / "train.json").read_text())
    base["start"] = {}
    base["data"] = {"songs": [str(songs)], "excerpt_frames": 64, "cache": str(tmp_path / "cache")}
    base["model"]["network"] = {"n_filters": [4, 6, 8], "n_single_bins": 64, "band_width": 8, "n_mixed": 1}
    (tmp_path / "base.json").write_text(json.dumps(base))
    plan = {"base": "base.json", "set": ["batch_size=1"], "trials": {"a": ["steps=1"], "b": ["steps=2"]}}
    (tmp_path / "list.json").write_text(json.dumps(plan))
    arguments = [str(tmp_path / "list.json"), "-o", str(tmp_path), "--test", str(songs), "--threads", "1"]
    monkeypatch.setattr(sys, "argv", ["trials.py", *arguments])
    monkeypatch.setattr(trials, "subprocess", SimpleNamespace(run=here))
    trials.main()
    table = (tmp_path / "trials.md").read_text()
    assert re.search(r"^\| a \| -?\d+\.\d\d \(", table, re.MULTILINE)
    assert re.search(r"^\| b \|", table, re.MULTILINE)
    before = (tmp_path / "a" / "log.txt").read_text()
    trials.carry_out(
        tmp_path / "a", tmp_path / "base.json", songs, [], 1
    )  # what is finished is not done again
    assert (tmp_path / "a" / "log.txt").read_text() == before


def test_the_gap_is_the_mean_over_stems_of_medians(trials: ModuleType, tmp_path: Path) -> None:
    values = {"model": 2.0, "mixture": -2.0, "oracle": 6.0}
    scores = tuple(
        Score(track=song, stem=stem, method=method, values={"usdr": value})
        for song in ("mdb_one", "evr_two")
        for stem in STEMS[:4]
        for method, value in values.items()
    )
    write_record(Record(model="", dataset="", table=EvaluationTable(scores)), tmp_path / "x" / "scores")
    *_, row = trials.report(tmp_path, ["x"], "mdb_")
    assert row == "| x | " + "2.00 (50%) | " * 4 + "50.0% | 50.0% |"


def test_what_is_published_has_the_recipe_of_its_masks_and_the_credits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(RECIPE))
    publish = importlib.import_module("publish")
    shipped = publish.WEIGHTS / "4stems.safetensors"
    (tmp_path / "4stems.md").write_text((publish.WEIGHTS / "4stems.md").read_text())
    monkeypatch.setattr(publish, "WEIGHTS", tmp_path)
    publish.main(shipped)
    model = read_model(tmp_path / "4stems.safetensors")
    assert model.config == read_config(RECIPE / "train.json").model == read_model(shipped).config
    assert model.card == read_model(shipped).card, "the page was changed: publish again"
    assert "SCOTTPOID" in model.card.credits
    assert "evr_caesium" in model.card.training_tracks
    assert not any(name.isdigit() for name in model.card.training_tracks)  # anybody may call a song 00017


def test_a_trial_that_is_not_in_the_list_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, str(RECIPE / "trials.py"), str(LISTS[0]), "-o", str(tmp_path), "--test", "x"]
    done = subprocess.run([*command, "--only", "nonsense"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no trial is called nonsense" in done.stderr
