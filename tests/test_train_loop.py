import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from stemwise.checkpoint import read_model, read_tensors
from stemwise.cli import app
from stemwise.errors import CheckpointError, ConfigError, NonFiniteError
from stemwise.models import ModelConfig, TrunkUNetConfig
from stemwise.stft import STFTConfig
from stemwise.train import loop
from stemwise.train.config import DataConfig, TrainConfig
from stemwise.train.loop import schedule, train
from stemwise.train.sources import load_excerpts
from stemwise.train.state import TrainState

STEMS = ("vocals", "drums")
RATE = 8000


@pytest.fixture(autouse=True)
def one_thread(two_threads: None) -> None:
    """These networks are so small that two threads mostly wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    """Two stems that a network can tell apart in a few steps: a low tone and noise."""
    rng = np.random.default_rng(0)
    for song in ("one", "two", "held"):
        folder = tmp_path / "songs" / song
        folder.mkdir(parents=True)
        tone = 0.3 * np.sin(2 * np.pi * rng.uniform(200, 400) * np.arange(RATE) / RATE)
        soundfile.write(folder / "vocals.wav", np.stack([tone, tone], axis=1), RATE)
        soundfile.write(folder / "drums.wav", rng.uniform(-0.2, 0.2, (RATE, 2)), RATE)
    return TrainConfig(
        model=ModelConfig(
            architecture="trunk_unet",
            network=TrunkUNetConfig(n_filters=(4, 6, 8), n_single_bins=64, band_width=8, n_mixed=1),
            stems=STEMS,
            sample_rate=RATE,
            stft=STFTConfig(n_fft=256, hop_length=64),
            n_bins=128,
        ),
        data=DataConfig(
            songs=(str(tmp_path / "songs"),),
            validation=("held",),
            excerpt_frames=16,
            cache=str(tmp_path / "cache"),
        ),
        steps=4,
        batch_size=2,
        warmup_steps=2,
        precision="float32",
    )


def same(a: Path, b: Path) -> bool:
    first, second = read_tensors(a), read_tensors(b)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def stop_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of that step."""
    true_step = loop.step

    def step(state: TrainState, *rest: Any) -> float:
        if state.step + 1 == steps:
            os.kill(os.getpid(), signal.SIGINT)
        return true_step(state, *rest)

    monkeypatch.setattr(loop, "step", step)


def test_an_interrupted_run_resumes_to_the_very_same_weights(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    train(config, tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_after(2, patch)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "parts")
    assert TrainState.load(tmp_path / "parts" / loop.STATE, config).step == 2
    assert not (tmp_path / "parts" / loop.MODEL).exists()
    train(config, tmp_path / "parts", resume=True)
    assert same(tmp_path / "whole" / loop.STATE, tmp_path / "parts" / loop.STATE)
    assert same(tmp_path / "whole" / loop.MODEL, tmp_path / "parts" / loop.MODEL)
    assert signal.getsignal(signal.SIGINT) is handler


def test_another_seed_is_another_run(config: TrainConfig, tmp_path: Path) -> None:
    train(config, tmp_path / "a")
    train(replace(config, seed=1), tmp_path / "b")
    assert not same(tmp_path / "a" / loop.MODEL, tmp_path / "b" / loop.MODEL)


def test_a_run_is_not_written_over(config: TrainConfig, tmp_path: Path) -> None:
    train(config, tmp_path / "run")
    before = (tmp_path / "run" / loop.STATE).read_bytes()
    with pytest.raises(ConfigError, match="resume it, or choose another folder"):
        train(config, tmp_path / "run")
    assert (tmp_path / "run" / loop.STATE).read_bytes() == before


def test_training_learns_what_can_be_learnt(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOG_STEPS", 10)
    monkeypatch.setattr(loop, "VALIDATION_STEPS", 40)
    lines: list[dict[str, Any]] = []
    path = train(replace(config, steps=40, average=0.8), tmp_path / "run", report=lines.append)
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < losses[0] - 0.1
    validation = lines[-1]
    assert validation["step"] == 40
    assert min(validation["vocals_db"], validation["drums_db"]) > 3
    logged = [json.loads(line) for line in (tmp_path / "run" / loop.LOG).read_text().splitlines()]
    assert [{key: value for key, value in line.items() if key != "time"} for line in logged] == lines
    model = read_model(path)
    assert model.config == config.model
    state = TrainState.load(tmp_path / "run" / loop.STATE, config)
    for name, parameter in model.network.named_parameters():
        assert torch.equal(parameter, state.average.get_parameter(name))


def test_bfloat16_is_used_when_asked_for(config: TrainConfig) -> None:
    data, _ = load_excerpts(config)
    losses = set()
    for precision in ("float32", "bfloat16"):
        state = TrainState.fresh(config)
        run = replace(config, precision=precision)  # type: ignore[arg-type]
        losses.add(loop.step(state, loop.prepare(data, run, state.network, 0), run))
    assert len(losses) == 2
    assert max(losses) - min(losses) < 0.02


def test_a_loss_that_is_not_finite_stops_the_run_before_it_reaches_the_weights(config: TrainConfig) -> None:
    state = TrainState.fresh(config)
    before = {name: value.clone() for name, value in state.network.named_parameters()}
    bad = torch.full((2, 2, 72, 16), torch.nan)
    with pytest.raises(NonFiniteError, match="the loss of step 0 is nan"):
        loop.step(state, (bad.abs(), bad[:, None].expand(2, 2, 2, 72, 16), torch.ones(2, 2)), config)
    assert all(torch.equal(value, before[name]) for name, value in state.network.named_parameters())


def test_the_learning_rate_rises_and_falls(config: TrainConfig) -> None:
    config = replace(config, steps=1000, warmup_steps=100)
    assert schedule(0, config) == pytest.approx(0.01)
    assert schedule(99, config) == pytest.approx(0.98, abs=0.01)
    assert schedule(550, config) == pytest.approx(0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * 0.55)))
    assert schedule(999, config) == pytest.approx(0.01, abs=1e-4)


def test_the_average_is_exponential_and_takes_batch_norm_along(config: TrainConfig) -> None:
    state = TrainState.fresh(config)
    state.step = 10_000
    bias, mean = state.network.output.bias, state.network.encoder[0][1].running_mean
    with torch.no_grad():
        for value in (bias, mean):
            value.fill_(0.0)
        state.average.load_state_dict(state.network.state_dict())
        bias += 1
        mean += 2
    for _ in range(3):
        state.update_average(0.9)
    assert state.average.output.bias.tolist() == pytest.approx([1 - 0.9**3] * len(bias))
    assert state.average.encoder[0][1].running_mean.tolist() == pytest.approx([2 * (1 - 0.9**3)] * len(mean))


def test_held_out_songs_are_not_trained_on(config: TrainConfig) -> None:
    training, validation = load_excerpts(config)
    assert set(training.songs) == {"one", "two"}
    assert validation is not None
    assert set(validation.songs) == {"held"}


def test_data_that_cannot_be_are_refused(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"validation names \['gone'\]"):
        load_excerpts(replace(config, data=replace(config.data, validation=("gone",))))
    with pytest.raises(ConfigError, match="two songs are named 'held'"):
        load_excerpts(replace(config, data=replace(config.data, songs=config.data.songs * 2)))
    (tmp_path / "nothing").mkdir()
    data = replace(config.data, singles={"vocals": str(tmp_path / "nothing")}, pool_shares={"vocals": 0.5})
    with pytest.raises(ConfigError, match="nothing to draw 'vocals' from"):
        load_excerpts(replace(config, data=data))


def test_a_state_of_another_network_is_refused(config: TrainConfig, tmp_path: Path) -> None:
    TrainState.fresh(config).save(tmp_path / "state.safetensors")
    other = replace(
        config.model, network=TrunkUNetConfig(n_filters=(4, 6, 9), n_single_bins=64, band_width=8, n_mixed=1)
    )
    with pytest.raises(CheckpointError, match="no state of a run with this network"):
        TrainState.load(tmp_path / "state.safetensors", replace(config, model=other))
    with pytest.raises(CheckpointError, match="there is no file"):
        TrainState.load(tmp_path / "gone.safetensors", config)


def test_the_command_trains_and_resumes(config: TrainConfig, tmp_path: Path) -> None:
    path, run = tmp_path / "train.json", tmp_path / "run"
    path.write_text(json.dumps(config.to_dict()))
    first = CliRunner().invoke(app, ["train", str(path), "-o", str(run), "--set", "steps=2"])
    assert first.exit_code == 0, first.output
    assert f"The model is {run / 'model.safetensors'}" in first.output.replace("\n", "")
    again = CliRunner().invoke(app, ["train", str(path), "-o", str(run), "--resume"])
    assert again.exit_code == 0, again.output
    assert TrainState.load(run / loop.STATE, config).step == 4
    assert json.loads((run / loop.CONFIG).read_text())["steps"] == 4
