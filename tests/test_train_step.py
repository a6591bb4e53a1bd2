from dataclasses import replace
from math import cos, pi
from pathlib import Path
from typing import Any

import pytest
import torch

from stemwise.data.dataset import Batch
from stemwise.errors import NonFiniteError
from stemwise.train.config import TrainConfig
from stemwise.train.distributed import Processes
from stemwise.train.loader import Example
from stemwise.train.objective import build_objective
from stemwise.train.state import TrainState
from stemwise.train.step import learning_rate, step
from training import tiny_run

ALONE = Processes(0, 1, torch.device("cpu"))


def parts(config: TrainConfig, state: TrainState, n: int, seed: int = 0) -> list[Example]:
    """n passes of different noise."""
    rng = torch.Generator().manual_seed(seed)
    objective = build_objective(state.network, config, precision="float32")
    made = []
    for _ in range(n):
        sources = 0.1 * torch.randn(2, 2, 2, config.excerpt_samples, generator=rng)
        batch = Batch(sources=sources, known=torch.ones(2, 2), mixture=sources.sum(dim=1))
        made.append(Example(*objective.prepare(batch, rng), batch.known))
    return made


def make(config: TrainConfig, examples: list[Example], state: TrainState | None = None) -> TrainState:
    state = state or TrainState.fresh(config)
    step(state, build_objective(state.network, config, precision="float32"), examples, config, ALONE)
    return state


def weights(state: TrainState) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in state.network.named_parameters()}


def joined(examples: list[Example]) -> Example:
    fields = ("mixture", "targets", "known")
    return Example(*(torch.cat([getattr(e, name) for e in examples]) for name in fields))


@pytest.mark.parametrize("architecture", ["trunk_unet", "bandsplit", "unet", "blstm"])
def test_accumulated_passes_equal_one_batch_where_batch_norm_is_inert(
    tmp_path: Path, architecture: str
) -> None:
    config = tiny_run(tmp_path, architecture, batch_norm="inert")
    examples = parts(config, TrainState.fresh(config), 2)
    apart, together = make(config, examples), make(config, [joined(examples)])
    for name, value in apart.network.named_parameters():
        # Adam's first step is about the learning rate for any gradient, so compare gradients, not weights
        gradient = together.network.get_parameter(name).grad
        torch.testing.assert_close(value.grad, gradient, rtol=1e-3, atol=1e-6)


def test_live_batch_norm_sees_each_pass_by_itself(tmp_path: Path) -> None:
    config = tiny_run(tmp_path, batch_norm="live")
    examples = parts(config, TrainState.fresh(config), 2)
    apart, together = make(config, examples), make(config, [joined(examples)])
    gradients = [state.network.get_parameter("encoder.0.0.weight").grad for state in (apart, together)]
    assert not torch.allclose(*gradients, rtol=1e-3, atol=1e-6)


def test_inert_batch_norm_learns_its_scale_and_leaves_its_statistics(tmp_path: Path) -> None:
    for kind, stays in (("inert", True), ("live", False)):
        config = tiny_run(tmp_path, batch_norm=kind)
        state = make(config, parts(config, TrainState.fresh(config), 1))
        norm = state.network.get_submodule("encoder.0.1")
        assert torch.equal(norm.running_mean, torch.zeros(4)) == stays  # type: ignore[arg-type]
        assert torch.equal(norm.running_var, torch.ones(4)) == stays  # type: ignore[arg-type]
        assert not torch.equal(norm.weight, torch.ones(4))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["adamw", "adam", "sgd", "adadelta"])
def test_every_optimizer_makes_the_loss_smaller(tmp_path: Path, kind: str) -> None:
    rates = {"sgd": 0.1, "adadelta": 1.0}
    config = tiny_run(
        tmp_path,
        optimizer={"kind": kind, "learning_rate": rates.get(kind, 3e-3)},
        schedule={"kind": "constant", "warmup_steps": 0},
    )
    state = TrainState.fresh(config)
    examples = parts(config, state, 1)
    objective = build_objective(state.network, config, precision="float32")
    losses = [step(state, objective, examples, config, ALONE) for _ in range(12)]
    assert losses[-1] < losses[0] - 0.01


def test_a_large_gradient_is_scaled_down(tmp_path: Path) -> None:
    sgd = {"kind": "sgd", "learning_rate": 1.0, "weight_decay": 0}
    schedule = {"kind": "constant", "warmup_steps": 0}
    for limit, length in ((1e-3, 1e-3), (0, None)):
        config = tiny_run(tmp_path, optimizer={**sgd, "max_gradient": limit}, schedule=schedule)
        state = TrainState.fresh(config)
        before = weights(state)
        make(config, parts(config, state, 1), state)
        moved = torch.stack([(v - before[n]).square().sum() for n, v in weights(state).items()]).sum().sqrt()
        assert moved.item() == pytest.approx(length, rel=1e-3) if length else moved.item() > 0.01


def test_a_scaled_gradient_is_limited_by_its_true_size(tmp_path: Path) -> None:
    config = tiny_run(
        tmp_path,
        optimizer={"kind": "sgd", "learning_rate": 1.0, "weight_decay": 0, "max_gradient": 1e-3},
        schedule={"kind": "constant", "warmup_steps": 0},
    )
    state = TrainState.fresh(config, precision="float16")
    before = weights(state)
    objective = build_objective(state.network, config, precision="float16")
    step(state, objective, parts(config, state, 1), config, ALONE)
    moved = torch.stack([(v - before[n]).square().sum() for n, v in weights(state).items()]).sum().sqrt()
    assert moved.item() == pytest.approx(1e-3, rel=1e-2)


def test_weights_of_stems_weigh_their_losses(tmp_path: Path) -> None:
    plain = tiny_run(tmp_path)
    state = TrainState.fresh(plain)
    examples = parts(plain, state, 1)
    losses = build_objective(state.network, plain, precision="float32").train()(
        examples[0].mixture, examples[0].targets
    )
    both = losses.mean(dim=0).tolist()
    for given, expected in (({}, (0.5, 0.5)), ({"vocals": 3}, (3, 0.5)), ({"vocals": 0, "drums": 1}, (0, 1))):
        config = tiny_run(tmp_path, loss={"weights": given})
        fresh = TrainState.fresh(config)
        objective = build_objective(fresh.network, config, precision="float32")
        loss = step(fresh, objective, examples, config, ALONE)
        assert loss == pytest.approx(sum(w * one for w, one in zip(expected, both, strict=True)), rel=1e-4)


def test_a_loss_that_is_not_finite_stops_the_run_before_it_reaches_the_weights(tmp_path: Path) -> None:
    config = tiny_run(tmp_path)
    state = TrainState.fresh(config)
    before = weights(state)
    (good,) = parts(config, state, 1)
    bad = Example(good.mixture * torch.nan, good.targets, good.known)
    with pytest.raises(NonFiniteError, match="the loss of step 0 is nan"):
        make(config, [good, bad], state)
    assert state.step == 0
    assert all(torch.equal(value, before[name]) for name, value in weights(state).items())


def test_float16_scales_the_loss_and_skips_steps_that_overflow(tmp_path: Path) -> None:
    config = tiny_run(tmp_path, schedule={"kind": "constant", "warmup_steps": 0})
    state = TrainState.fresh(config, precision="float16")
    examples = parts(config, state, 1)
    objective = build_objective(state.network, config, precision="float16")
    first = weights(state)
    step(state, objective, examples, config, ALONE)
    assert any(not torch.equal(value, first[name]) for name, value in weights(state).items())
    state.scaler.update(2.0**127)  # no gradient survives this
    second, scale = weights(state), state.scaler.get_scale()
    step(state, objective, examples, config, ALONE)
    assert all(torch.equal(value, second[name]) for name, value in weights(state).items())
    assert state.scaler.get_scale() == scale / 2
    assert state.step == 2


def rates(config: TrainConfig, *steps: int, halvings: int = 0) -> list[float]:
    return [learning_rate(config, n, halvings) / config.optimizer.learning_rate for n in steps]


def scheduled(config: TrainConfig, **schedule: Any) -> TrainConfig:
    return replace(config, steps=1000, schedule=replace(config.schedule, **schedule))


def test_the_learning_rate_rises_and_falls(tmp_path: Path) -> None:
    config = scheduled(tiny_run(tmp_path), warmup_steps=100)
    assert rates(config, 0, 49) == pytest.approx([0.01, 0.5], rel=0.01)
    assert rates(config, 550) == pytest.approx([0.01 + 0.99 * 0.5 * (1 + cos(pi * 0.55))])
    assert rates(config, 999, 2000) == pytest.approx([0.01, 0.01], abs=1e-4)
    constant = scheduled(config, kind="constant", warmup_steps=10)
    assert rates(constant, 4, 9, 999, halvings=3) == [0.5, 1, 1]
    plateau = scheduled(config, kind="plateau", warmup_steps=10)
    assert rates(plateau, 4, 9, 999, halvings=2) == [0.125, 0.25, 0.25]


def test_without_warm_up_the_first_step_is_a_whole_one(tmp_path: Path) -> None:
    assert rates(scheduled(tiny_run(tmp_path), warmup_steps=0), 0) == [1]
