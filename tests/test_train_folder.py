import json
import subprocess
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from stemwise.errors import ConfigError
from stemwise.train import board, folder
from stemwise.train.folder import RunFolder, environment
from stemwise.train.loop import train
from training import tiny_run

CPU = torch.device("cpu")


def git(place: Path, *command: str) -> None:
    who = ("-c", "user.name=n", "-c", "user.email=e")
    subprocess.run(("git", *who, *command), cwd=place, check=True, capture_output=True)


def test_the_recipe_is_known_by_its_commit_and_whether_anything_differs(tmp_path: Path) -> None:
    recipe = tmp_path / "recipes" / "run.json"
    recipe.parent.mkdir()
    recipe.write_text("{}")
    assert environment(recipe, 1, CPU, "float32")["recipe"] is None
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    state = environment(recipe, 1, CPU, "float32")["recipe"]
    assert (state["file"], state["is_tracked"], state["changed"]) == ("recipes/run.json", True, False)
    assert len(state["commit"]) == 40
    recipe.write_text('{"steps": 1}')
    assert environment(recipe, 1, CPU, "float32")["recipe"]["changed"]
    other = tmp_path / "mine.json"
    assert not environment(other, 1, CPU, "float32")["recipe"]["is_tracked"]


def test_a_run_with_another_optimizer_does_not_go_on(tmp_path: Path) -> None:
    config = tiny_run(tmp_path, steps=1)
    train(config, tmp_path / "run")
    for kind in ("adam", "sgd", "adadelta"):
        other = replace(config, steps=2, optimizer=replace(config.optimizer, kind=kind))
        message = rf"optimizer.kind is '{kind}': a run that is resumed keeps its own, 'adamw' in .*run"
        with pytest.raises(ConfigError, match=message):
            train(other, tmp_path / "run", resume=True)
    (tmp_path / "run" / "config.json").unlink()
    train(replace(config, steps=2), tmp_path / "run", resume=True)


def test_the_environment_names_versions_and_no_paths(tmp_path: Path) -> None:
    facts = environment(tmp_path / "run.json", 2, CPU, "bfloat16")
    assert facts["versions"]["torch"] == torch.__version__
    assert (facts["processes"], facts["precision"], facts["device"]) == (2, "bfloat16", "cpu")
    text = json.dumps(facts)
    assert str(tmp_path) not in text
    assert str(Path.home()) not in text or str(Path.home()) == "/"


def test_metrics_after_the_step_that_is_gone_on_from_are_dropped(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    config = tiny_run(tmp_path)
    run.begin(config, {}, step=0)
    for step in (10, 20, 30):
        run.log({"step": step, "loss": 1.0})
    run.begin(config, {}, step=20)
    assert [line["step"] for line in run.read_metrics()] == [10, 20]
    run.begin(config, {}, step=0)
    assert run.read_metrics() == []


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="tensorboard is not installed")
def test_tensorboard_shows_losses_scores_sounds_and_pictures(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tiny_run(tmp_path), tmp_path / "run")
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert {"training/loss", "validation/sdr", "validation/sdr_vocals"} <= set(tags["scalars"])
    assert [event.step for event in events.Scalars("validation/sdr")] == [2, 4]
    shown = {"held/mixture", "held/vocals", "held/drums"}
    assert set(tags["audio"]) == set(tags["images"]) == shown
    picture = events.Images("held/mixture")[0]
    assert (picture.height, picture.width) == (128, 16)
    assert events.Audio("held/vocals")[0].sample_rate == 8000


def test_without_tensorboard_and_matplotlib_a_run_is_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (board, folder):
        monkeypatch.setattr(module, "find_spec", lambda _: None)
    train(tiny_run(tmp_path), tmp_path / "run")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {
        "config.json", "environment.json", "metrics.jsonl",
        "state.safetensors", "model.safetensors", "last.safetensors",
    }  # fmt: skip
