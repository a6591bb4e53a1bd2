import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from random_models import random_model
from stemwise.checkpoint import read_model, save_model
from stemwise.cli import app
from stemwise.cli import train as cli
from stemwise.errors import ConfigError
from stemwise.train import loop
from stemwise.train.config import TrainConfig
from stemwise.train.state import TrainState
from training import no_extras, tiny_model, tiny_run, write_songs  # noqa: F401


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


def written(place: Path, **changes: Any) -> tuple[Path, TrainConfig]:
    config = tiny_run(place, **changes)
    path = place / "run.json"
    path.write_text(json.dumps(config.to_dict()))
    return path, config


def test_a_run_is_made_changed_and_gone_on_with(tmp_path: Path) -> None:
    path, config = written(tmp_path)
    run = tmp_path / "run"
    first = invoke(path, "-o", run, "--set", "steps=2")
    assert first.exit_code == 0, first.output
    assert f"The model is {run / 'model.safetensors'}" in first.output
    assert "step 2/2" in first.output
    assert "SDR" in first.output
    again = invoke("--resume", "-o", run, "--set", "steps=4")
    assert again.exit_code == 0, again.output
    assert TrainState.load(run / "state.safetensors", config).step == 4
    assert json.loads((run / "config.json").read_text())["steps"] == 4
    quiet = invoke(path, "-o", tmp_path / "quiet", "-q")
    assert quiet.output.count("\n") == 1


def test_songs_alone_are_enough(tmp_path: Path) -> None:
    """From a model, with other stems: as a person with a folder of stems starts."""
    write_songs(tmp_path / "songs", "one", "two", "three")
    save_model(random_model(tiny_model(stems=("vocals", "other"))), tmp_path / "base.safetensors")
    few = ("--set", "steps=2", "--set", "batch_size=1", "--set", f"data.cache={tmp_path / 'cache'}")
    result = invoke(
        tmp_path / "songs", "-o", tmp_path / "run", "--from", tmp_path / "base.safetensors", *few,
        "--stems", "vocals,drums", "--set", "data.excerpt_frames=16",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert read_model(tmp_path / "run" / "model.safetensors").config.stems == ("vocals", "drums")
    again = invoke(tmp_path / "songs", "-o", tmp_path / "run", "--resume", "--set", "steps=3")
    assert again.exit_code == 0, again.output
    assert json.loads((tmp_path / "run" / "config.json").read_text())["start"]["frozen_steps"] == 100
    other = invoke(tmp_path / "other songs", "-o", tmp_path / "run", "--resume")
    assert f"run is a run on {tmp_path / 'songs'}, not on {tmp_path / 'other songs'}: " in str(
        other.exception
    )


def test_a_table_of_songs_is_gone_on_with_as_its_run_is_described(tmp_path: Path) -> None:
    write_songs(tmp_path, "one", stems=("vocals", "drums", "mixture"))
    table = tmp_path / "songs.csv"
    table.write_text("mix_path,vocals_path,drums_path\none/mixture.wav,one/vocals.wav,one/drums.wav\n")
    save_model(random_model(tiny_model()), tmp_path / "base.safetensors")
    few = ("--set", "batch_size=1", "--set", f"data.cache={tmp_path / 'cache'}")
    start = ("--from", tmp_path / "base.safetensors")
    result = invoke(table, "-o", tmp_path / "run", *start, *few, "--set", "steps=1", "--set", "seed=7")
    assert result.exit_code == 0, result.output
    before = json.loads((tmp_path / "run" / "config.json").read_text())
    again = invoke(table, "-o", tmp_path / "run", "--resume", "--set", "steps=2")
    assert again.exit_code == 0, again.output
    assert json.loads((tmp_path / "run" / "config.json").read_text()) == {**before, "steps": 2}
    refused = invoke(table, "-o", tmp_path / "run", "--resume", *start)
    assert "--from and --stems cannot change the run that is resumed" in str(refused.exception)


def test_after_ctrl_c_it_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = written(tmp_path)
    true_step = loop.step

    def step(*arguments: Any) -> float:
        os.kill(os.getpid(), signal.SIGINT)
        return true_step(*arguments)

    monkeypatch.setattr(loop, "step", step)
    result = invoke(path, "-o", tmp_path / "a run")
    assert result.exit_code == 130
    assert f"stemwise train --resume -o '{tmp_path / 'a run'}'\n" in result.output


def test_after_ctrl_c_a_run_of_spleeters_goes_on_with_the_same_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its configuration is read again, so what was changed of it must be said again."""

    def stop(*_: object, **__: object) -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "state.safetensors").touch()
        raise KeyboardInterrupt

    described = tiny_run(tmp_path), tmp_path / "run", ()
    monkeypatch.setattr("stemwise.train.spleeter.spleeter_config", lambda *_: described)
    monkeypatch.setattr(loop, "train", stop)
    result = invoke("-p", "x.json", "-d", "data", "--set", "steps=9", "--set", "batch_size=2")
    assert result.exit_code == 130
    expected = f"stemwise train --resume -p x.json -d data -o {tmp_path / 'run'}"
    assert f"{expected} --set steps=9 --set batch_size=2\n" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "what to train on is missing"),
        (["--resume", "-o", "nowhere"], "nowhere/config.json is no training configuration"),
        (["-p", "x.json", "songs"], "-p describes a whole run"),
        (["songs", "-d", "data"], "-d goes with -p: the songs are named by themselves"),
        (["run.json", "--from", "none"], "--from and --stems go with songs"),
        (["nowhere"], "nowhere is no training configuration, nor a folder of songs: there is nothing"),
    ],
)
def test_what_cannot_be_is_refused(arguments: list[str], message: str) -> None:
    result = invoke(*arguments)
    assert isinstance(result.exception, ConfigError)
    assert message in str(result.exception)


def test_other_processes_than_the_first_are_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "IS_FIRST", False)
    path, _ = written(tmp_path)
    result = invoke(path, "-o", tmp_path / "run")
    assert (result.exit_code, result.output) == (0, "")


def test_the_line_tells_loss_score_and_speed() -> None:
    line = {
        "step": 3,
        "loss": 0.5,
        "sdr": 1.25,
        "sdr_vocals": 2.0,
        "excerpts_per_s": 3.21,
        "audio_s_per_s": 9.6,
    }
    expected = "loss 0.5000  SDR 1.25 dB (vocals 2.0)  3.2 excerpts/s  10× real time"
    assert cli._summary(line) == expected
