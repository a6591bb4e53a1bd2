import json
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from random_models import random_model
from stemwise.checkpoint import read_model, read_tensors, save_model
from stemwise.errors import CheckpointError, ConfigError, NonFiniteError
from stemwise.train import loop
from stemwise.train.config import TrainConfig
from stemwise.train.folder import RunFolder
from stemwise.train.loop import train
from stemwise.train.sources import load_sources
from stemwise.train.state import TrainState
from training import no_extras, tiny_run, write_songs  # noqa: F401


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    return tiny_run(tmp_path)


def same(a: Path, b: Path) -> bool:
    first, second = read_tensors(a), read_tensors(b)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def lines(folder: Path, *keys: str) -> list[Any]:
    """Of the metrics, the lines with the first key: these values of each."""
    metrics = RunFolder(folder).read_metrics()
    return [[line[key] for key in ("step", *keys)] for line in metrics if keys[0] in line]


def at_step(number: int, act: Any, patch: pytest.MonkeyPatch) -> None:
    """Do something in the middle of that step."""
    true_step = loop.step

    def step(state: TrainState, *rest: Any, **options: Any) -> Any:
        if state.step + 1 == number:
            act()
        return true_step(state, *rest, **options)

    patch.setattr(loop, "step", step)


def stop_at(number: int, patch: pytest.MonkeyPatch, signal_number: int = signal.SIGINT) -> None:
    at_step(number, lambda: os.kill(os.getpid(), signal_number), patch)


def scores_in_turn(patch: pytest.MonkeyPatch, *values: float) -> None:
    """What the validations of the run find, one after the other."""
    found = iter(values)
    patch.setattr(loop, "scores", lambda *_: {"sdr": next(found)})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("architecture", "changes"), [
    ("trunk_unet", {"optimizer": {"accumulation": 2}, "data": {"augmentations": ["swap", "filter"]}}),
    ("unet", {"data": {"augmentations": ["combined"]}, "hardware": {"loader_threads": 2}}),
])  # fmt: skip
def test_a_run_stopped_at_any_step_resumes_to_the_very_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str, changes: Any, number: int
) -> None:
    config = tiny_run(tmp_path, architecture, **changes)
    handler = signal.getsignal(number)
    train(config, tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_at(2, patch, number)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "parts")
    assert TrainState.load(tmp_path / "parts" / "state.safetensors", config).step == 2
    train(config, tmp_path / "parts", resume=True)
    for name in ("state.safetensors", "model.safetensors", "last.safetensors"):
        assert same(tmp_path / "whole" / name, tmp_path / "parts" / name)
    for key in ("sdr", "loss"):
        assert lines(tmp_path / "parts", key) == lines(tmp_path / "whole", key)
    assert signal.getsignal(number) is handler


def test_at_the_deadline_a_run_is_saved_and_resumes_to_the_very_same_bits(
    config: TrainConfig, tmp_path: Path
) -> None:
    train(config, tmp_path / "whole", deadline=time.monotonic() + 3600)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "parts", deadline=time.monotonic())
    assert TrainState.load(tmp_path / "parts" / "state.safetensors", config).step == 1
    train(config, tmp_path / "parts", resume=True)
    assert same(tmp_path / "whole" / "state.safetensors", tmp_path / "parts" / "state.safetensors")


def test_a_run_learns_from_the_sources_it_is_given(config: TrainConfig, tmp_path: Path) -> None:
    sources = load_sources(config)
    nowhere = replace(config, data=replace(config.data, songs=("nowhere",), validation=()))
    train(nowhere, tmp_path / "given", sources=sources)
    train(config, tmp_path / "found")
    assert same(tmp_path / "given" / "state.safetensors", tmp_path / "found" / "state.safetensors")


def test_a_run_that_died_resumes_from_the_last_state_as_if_it_had_not(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut in step 4, after a state of step 3: what was logged since then is made again."""
    config = replace(config, saving=replace(config.saving, every_s=0.0))
    train(config, tmp_path / "whole")

    def die() -> None:
        run = RunFolder(tmp_path / "parts")
        run.log({"step": 4, "loss": 1e9})
        with run.metrics.open("a") as file:
            file.write('{"step": 4, "lo')  # a line cut in two
        raise MemoryError

    with monkeypatch.context() as patch:
        at_step(4, die, patch)
        with pytest.raises(MemoryError):
            train(config, tmp_path / "parts")
    train(config, tmp_path / "parts", resume=True)
    for name in ("state.safetensors", "model.safetensors"):
        assert same(tmp_path / "whole" / name, tmp_path / "parts" / name)
    for key in ("sdr", "loss"):
        assert lines(tmp_path / "parts", key) == lines(tmp_path / "whole", key)
    sessions = json.loads((tmp_path / "parts" / "environment.json").read_text())
    assert [session["from_step"] for session in sessions] == [0, 3]


def test_another_seed_is_another_run(config: TrainConfig, tmp_path: Path) -> None:
    train(config, tmp_path / "a")
    train(replace(config, seed=1), tmp_path / "b")
    assert not same(tmp_path / "a" / "model.safetensors", tmp_path / "b" / "model.safetensors")


def test_a_run_is_not_written_over(config: TrainConfig, tmp_path: Path) -> None:
    train(config, tmp_path / "run")
    before = (tmp_path / "run" / "state.safetensors").read_bytes()
    with pytest.raises(ConfigError, match="resume it, or choose another folder"):
        train(config, tmp_path / "run")
    assert (tmp_path / "run" / "state.safetensors").read_bytes() == before


def test_a_model_is_not_written_over(config: TrainConfig, tmp_path: Path) -> None:
    """Such as the one that the run starts from."""
    model = tmp_path / "mine" / "model.safetensors"
    model.parent.mkdir()
    save_model(random_model(config.model), model)
    before = model.read_bytes()
    further = replace(config, start=replace(config.start, model=str(model)))
    with pytest.raises(ConfigError, match=r"mine holds model\.safetensors of a run: resume it, or choose"):
        train(further, model.parent)
    assert model.read_bytes() == before


def test_training_learns_what_can_be_learnt(tmp_path: Path) -> None:
    config = tiny_run(
        tmp_path, steps=40, optimizer={"average": 0.8}, validation={"every_steps": 40, "excerpts": 4}
    )
    seen: list[Any] = []
    path = train(config, tmp_path / "run", report=seen.append)
    losses = [line["loss"] for line in seen if "loss" in line]
    assert len(losses) == 4
    assert losses[-1] < losses[0] - 0.1
    assert seen[-1]["step"] == 40
    assert min(seen[-1]["sdr_vocals"], seen[-1]["sdr_drums"]) > 1
    logged = RunFolder(tmp_path / "run").read_metrics()
    assert [{key: value for key, value in line.items() if key != "time"} for line in logged] == seen
    written = json.loads((tmp_path / "run" / "config.json").read_text())
    assert TrainConfig.from_dict(written) == config
    model = read_model(path)
    assert model.config == config.model
    assert model.card.training_tracks == ("one", "two")
    state = TrainState.load(tmp_path / "run" / "state.safetensors", config)
    for name, parameter in model.network.named_parameters():
        assert torch.equal(parameter, state.average.get_parameter(name))


def test_the_best_model_is_kept_and_the_last_beside_it(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(config, steps=6, saving=replace(config.saving, keep_every_steps=2))
    scores_in_turn(monkeypatch, 1.0, 3.0, 2.0)
    run = tmp_path / "run"
    assert train(config, run) == run / "model.safetensors"
    kept = [run / "kept" / f"step-000000{n}.safetensors" for n in (2, 4, 6)]
    assert sorted((run / "kept").iterdir()) == kept
    assert same(run / "model.safetensors", kept[1])
    assert same(run / "last.safetensors", kept[2])
    assert not same(kept[1], kept[2])


def test_validation_that_brings_nothing_better_ends_the_run(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(config, steps=100, validation=replace(config.validation, every_steps=1, patience=2))
    scores_in_turn(monkeypatch, 1.0, 3.0, 2.0, 3.0)
    train(config, tmp_path / "run")
    assert TrainState.load(tmp_path / "run" / "state.safetensors", config).step == 4
    train(config, tmp_path / "run", resume=True)  # is over at once
    assert TrainState.load(tmp_path / "run" / "state.safetensors", config).step == 4


def test_a_plateau_halves_the_learning_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_run(
        tmp_path,
        steps=5,
        schedule={"kind": "plateau", "warmup_steps": 0, "plateau_patience": 1},
        validation={"every_steps": 1, "excerpts": 1},
    )
    monkeypatch.setattr(loop, "LOG_STEPS", 1)
    scores_in_turn(monkeypatch, 1.0, 1.0, 2.0, 0.0, 0.0)
    train(config, tmp_path / "run")
    rates = [rate / config.optimizer.learning_rate for _, rate in lines(tmp_path / "run", "learning_rate")]
    assert rates == pytest.approx([1, 1, 0.5, 0.5, 0.25])


def test_listening_needs_songs_to_listen_to(tmp_path: Path) -> None:
    for change in ({"validation": {"patience": 1}}, {"schedule": {"kind": "plateau"}}):
        config = tiny_run(tmp_path, data={"validation": []}, **change)
        with pytest.raises(ConfigError, match="need songs to listen to"):
            train(config, tmp_path / "run")


def test_without_songs_to_listen_to_the_model_is_the_newest(tmp_path: Path) -> None:
    config = tiny_run(tmp_path, data={"validation": []})
    train(config, tmp_path / "run")
    assert same(tmp_path / "run" / "model.safetensors", tmp_path / "run" / "last.safetensors")
    assert lines(tmp_path / "run", "loss")[-1][0] == 4


def test_so_it_is_where_no_stem_is_heard_in_them(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "scores", lambda *_: {})
    assert train(config, tmp_path / "run").exists()
    assert same(tmp_path / "run" / "model.safetensors", tmp_path / "run" / "last.safetensors")


def test_a_loss_that_is_not_finite_leaves_the_last_state(config: TrainConfig, tmp_path: Path) -> None:
    config = replace(
        config,
        steps=200,
        optimizer=replace(config.optimizer, kind="sgd", learning_rate=1e38, max_gradient=0.0),
        saving=replace(config.saving, every_s=0.0),
    )
    with pytest.raises(NonFiniteError, match="the learning rate may be too high"):
        train(config, tmp_path / "run")
    step = TrainState.load(tmp_path / "run" / "state.safetensors", config).step
    assert 1 <= step < 200


def test_weights_that_are_not_finite_leave_the_last_state(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_step = loop.step

    def step(state: TrainState, *rest: Any) -> float:
        loss = true_step(state, *rest)
        if state.step == 3:
            next(state.average.parameters()).data.fill_(torch.nan)
        return loss

    monkeypatch.setattr(loop, "step", step)
    with pytest.raises(CheckpointError, match="has NaN"):
        train(replace(config, saving=replace(config.saving, every_s=0.0)), tmp_path / "run")
    assert TrainState.load(tmp_path / "run" / "state.safetensors", config).step == 2


def test_a_better_model_is_kept_together_with_its_state(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a worse one would take its place after a power cut."""

    def die() -> None:
        raise MemoryError

    scores_in_turn(monkeypatch, 1.0)
    at_step(3, die, monkeypatch)
    with pytest.raises(MemoryError):
        train(config, tmp_path / "run")
    state = TrainState.load(tmp_path / "run" / "state.safetensors", config)
    assert (state.step, state.standing.best) == (2, 1.0)


def test_a_run_goes_on_in_another_thread_than_the_first(config: TrainConfig, tmp_path: Path) -> None:
    """Where Python has no signals."""
    done: list[Path] = []
    thread = threading.Thread(target=lambda: done.append(train(config, tmp_path / "run")))
    thread.start()
    thread.join()
    assert done == [tmp_path / "run" / "model.safetensors"]


def test_speed_is_counted_over_all_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_run(tmp_path, optimizer={"accumulation": 3})
    clock = iter(range(1000))
    monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(clock)))
    train(config, tmp_path / "run")
    ((_, excerpts, audio),) = lines(tmp_path / "run", "excerpts_per_s", "audio_s_per_s")
    assert audio == pytest.approx(excerpts * config.excerpt_samples / 8000, rel=1e-4)
    assert (4 * 3 * 2 / excerpts) == pytest.approx(round(4 * 3 * 2 / excerpts), rel=1e-4)  # whole ticks


def test_data_that_cannot_be_are_refused(tmp_path: Path) -> None:
    write_songs(tmp_path / "songs", "one", "held")
    (tmp_path / "nothing").mkdir()
    pool = {"mix": {"pool_shares": {"vocals": 0.5}}}
    for change, message in (
        ({"validation": ["gone"]}, r"validation names \['gone'\]: the songs are \['held', 'one'\]"),
        ({"songs": [str(tmp_path / "songs")] * 2}, "two songs are named"),
        ({"songs": [str(tmp_path / "missing")]}, "missing"),
        ({"singles": {"vocals": str(tmp_path / "missing")}, **pool}, "missing is no folder"),
        ({"singles": {"vocals": str(tmp_path / "nothing")}, **pool}, "holds no audio files"),
    ):
        with pytest.raises(ConfigError, match=message):
            train(tiny_run(tmp_path, data=change), tmp_path / "run")
        assert not (tmp_path / "run" / "state.safetensors").exists()
