from dataclasses import replace
from math import inf
from pathlib import Path

import pytest
import torch

from stemwise.errors import CheckpointError
from stemwise.models import build
from stemwise.train.objective import build_objective
from stemwise.train.state import Standing, TrainState
from stemwise.train.step import step
from test_train_step import ALONE, make, parts, weights
from training import TRUNK, tiny_run


def test_the_average_is_exponential_and_takes_batch_norm_along(tmp_path: Path) -> None:
    state = TrainState.fresh(tiny_run(tmp_path))
    state.step = 10_000
    bias = state.network.get_parameter("output.bias")
    mean = state.network.get_buffer("encoder.0.1.running_mean")
    with torch.no_grad():
        for value in (bias, mean):
            value.fill_(0.0)
        state.average.load_state_dict(state.network.state_dict())
        bias += 1
        mean += 2
    for _ in range(3):
        state.update_average(0.9)
    average = state.average.get_parameter("output.bias")
    assert average.tolist() == pytest.approx([1 - 0.9**3] * len(bias))
    average = state.average.get_buffer("encoder.0.1.running_mean")
    assert average.tolist() == pytest.approx([2 * (1 - 0.9**3)] * len(mean))


def test_an_average_of_zero_is_the_weights_themselves(tmp_path: Path) -> None:
    config = tiny_run(tmp_path, optimizer={"average": 0})
    state = TrainState.fresh(config)
    make(config, parts(config, state, 1), state)
    weights, means = state.network.state_dict(), state.average.state_dict()
    assert all(torch.equal(means[name], value) for name, value in weights.items())


@pytest.mark.parametrize(("architecture", "kind", "precision"), [
    ("trunk_unet", "adamw", "float32"), ("unet", "adam", "float16"), ("blstm", "sgd", "float32"),
    ("trunk_unet", "adadelta", "bfloat16"), ("bandsplit", "adamw", "bfloat16"),
])  # fmt: skip
def test_what_is_saved_is_loaded_and_goes_on_alike(
    tmp_path: Path, architecture: str, kind: str, precision: str
) -> None:
    config = tiny_run(tmp_path, architecture, optimizer={"kind": kind})
    state = TrainState.fresh(config, precision=precision)
    examples = parts(config, state, 1)

    def go_on(state: TrainState) -> None:
        objective = build_objective(state.network, config, precision=precision)
        step(state, objective, examples, config, ALONE)

    go_on(state)
    state.standing = Standing(3.25, 2, 1)
    state.save(tmp_path / "state.safetensors")
    loaded = TrainState.load(tmp_path / "state.safetensors", config, precision=precision)
    assert (loaded.step, loaded.standing) == (1, Standing(3.25, 2, 1))
    assert loaded.scaler.get_scale() == state.scaler.get_scale()
    for one in (state, loaded):
        go_on(one)
    for name, value in weights(state).items():
        assert torch.equal(value, loaded.network.get_parameter(name)), name
        assert torch.equal(state.average.get_parameter(name), loaded.average.get_parameter(name)), name


def test_a_state_of_another_network_is_refused(tmp_path: Path) -> None:
    config = tiny_run(tmp_path)
    path = tmp_path / "state.safetensors"
    TrainState.fresh(config).save(path)
    other = replace(config, model=replace(config.model, network=replace(TRUNK, n_filters=(4, 6, 9))))
    with pytest.raises(CheckpointError, match="no state of a run with this network"):
        TrainState.load(path, other)
    with pytest.raises(CheckpointError, match="there is no file"):
        TrainState.load(tmp_path / "gone.safetensors", config)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="damaged or cut short"):
        TrainState.load(path, config)


def test_first_weights_come_from_the_seed_alone(tmp_path: Path) -> None:
    config = tiny_run(tmp_path, "unet")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = (weights(TrainState.fresh(c)) for c in (config, config, replace(config, seed=1)))
    assert torch.equal(torch.rand(3), expected)  # the global generator is as it was
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["stems.0.encoder.0.weight"], other["stems.0.encoder.0.weight"])


def test_spleeters_network_starts_he_uniform(tmp_path: Path) -> None:
    config = tiny_run(tmp_path, "unet")
    network = TrainState.fresh(config).network
    for name, fan_in in (("encoder.1", 25 * 2), ("decoder.1", 25 * 4)):  # of a deconvolution: its outputs
        weight = network.get_parameter(f"stems.0.{name}.weight")
        limit = (6 / fan_in) ** 0.5
        assert 0.9 * limit < weight.abs().max().item() <= limit
        assert weight.std().item() == pytest.approx(limit / 3**0.5, rel=0.2)
        assert network.get_parameter(f"stems.0.{name}.bias").abs().max() == 0
    one, two = (network.get_parameter(f"stems.{stem}.encoder.0.weight") for stem in (0, 1))
    assert not torch.equal(one, two)
    trunk = tiny_run(tmp_path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        plain = build(trunk.model)
    fresh = TrainState.fresh(trunk).network
    assert torch.equal(fresh.get_parameter("output.weight"), plain.get_parameter("output.weight"))


def test_standing_counts_what_has_brought_nothing() -> None:
    standing = Standing()
    assert standing.best == -inf
    seen = []
    for sdr in (1.0, 0.5, 1.0, 0.0, 0.0, 2.0, 1.0, 1.0):
        standing = standing.after(sdr, 2)
        seen.append((standing.best, standing.stale, standing.halvings))
    assert seen == [
        (1, 0, 0), (1, 1, 0), (1, 2, 1), (1, 3, 1), (1, 4, 2), (2, 0, 2), (2, 1, 2), (2, 2, 3),
    ]  # fmt: skip
    assert Standing(1, 1, 0).after(0, None) == Standing(1, 2, 0)
