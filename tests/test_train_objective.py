from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stemwise.data.augment import axis
from stemwise.data.dataset import Batch
from stemwise.losses import l1, mse
from stemwise.models import build
from stemwise.stft import istft, stft
from stemwise.train.config import TrainConfig
from stemwise.train.objective import Objective, build_objective
from training import tiny_run


def batch(config: TrainConfig, rng: torch.Generator) -> Batch:
    shape = 2, len(config.model.stems), 2, config.excerpt_samples
    sources = 0.1 * torch.randn(shape, generator=rng)
    return Batch(sources=sources, known=torch.ones(shape[:2]), mixture=sources.sum(dim=1))


def objective(config: TrainConfig, network: nn.Module | None = None) -> Objective:
    return build_objective(network or build(config.model), config, precision="float32")


class Oracle(nn.Module):
    """A network that knows the answer: magnitudes of the stems, whatever it is given."""

    def __init__(self, estimates: Tensor) -> None:
        super().__init__()
        self.estimates = estimates

    def forward(self, magnitude: Tensor) -> Tensor:
        return self.estimates


KINDS = [
    ("trunk_unet", "bands"),
    ("bandsplit", "bands"),
    *[
        (architecture, kind)
        for architecture in ("trunk_unet", "bandsplit", "unet", "blstm")
        for kind in ("magnitude_l1", "waveform_l1", "waveform_mse", "multi_resolution")
    ],
]


@pytest.mark.parametrize(("architecture", "kind"), KINDS)
def test_every_loss_reaches_every_weight_of_every_network(
    tmp_path: Path, rng: torch.Generator, architecture: str, kind: str
) -> None:
    config = tiny_run(tmp_path, architecture, loss={"kind": kind})
    trained = objective(config).train()
    loss = trained(*trained.prepare(batch(config, rng), rng))
    assert loss.shape == (2, 2)
    loss.sum().backward()
    for name, parameter in trained.network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("kind", ["bands", "magnitude_l1", "waveform_l1"])
def test_examples_are_the_same_one_by_one_and_all_at_once(
    tmp_path: Path, rng: torch.Generator, kind: str
) -> None:
    config = tiny_run(tmp_path, loss={"kind": kind})
    learnt, heard = objective(config), batch(config, rng)
    mixture, targets = learnt.prepare(heard, rng)  # on a processor: one by one
    at_once = learnt.transformed(heard.mixture, heard.sources)
    torch.testing.assert_close(at_once[0], mixture)
    torch.testing.assert_close(at_once[1], targets)


def test_losses_of_magnitudes_are_of_the_lowest_bins_of_the_transform(
    tmp_path: Path, rng: torch.Generator
) -> None:
    config = tiny_run(tmp_path, "unet")
    heard = batch(config, rng)
    mixture, targets = objective(config).prepare(heard, rng)
    torch.testing.assert_close(mixture, stft(heard.mixture, config.model.stft)[..., :128, :].abs())
    torch.testing.assert_close(targets, stft(heard.sources, config.model.stft)[..., :128, :].abs())
    estimates = torch.rand(targets.shape, generator=rng)
    losses = objective(config, Oracle(estimates))(mixture, targets)
    torch.testing.assert_close(losses, (estimates - targets).abs().mean(dim=(2, 3, 4)))


@pytest.mark.parametrize(("kind", "function"), [("waveform_l1", l1), ("waveform_mse", mse)])
def test_losses_of_waveforms_are_of_what_the_network_hears(
    tmp_path: Path, rng: torch.Generator, kind: str, function: Any
) -> None:
    """An estimate with the mixture's phase, transformed back, against the band-limited source."""
    config = tiny_run(tmp_path, "unet", loss={"kind": kind})
    transform = config.model.stft
    heard = batch(config, rng)
    spectrum = stft(heard.mixture, transform)[:, None, :, :128]
    estimates = torch.rand(2, 2, 2, 128, spectrum.shape[-1], generator=rng)
    prepared = objective(config).prepare(heard, rng)
    losses = objective(config, Oracle(estimates))(*prepared)

    def back(lowest: Tensor) -> Tensor:
        return istft(nn.functional.pad(lowest, (0, 0, 0, 1)), transform)

    error = back(estimates * spectrum / spectrum.abs()) - back(stft(heard.sources, transform)[..., :128, :])
    torch.testing.assert_close(losses, function(error))


def test_a_perfect_estimate_has_no_loss(tmp_path: Path, rng: torch.Generator) -> None:
    """One source alone, so that its phase is the mixture's."""
    for kind in ("magnitude_l1", "waveform_l1", "waveform_mse", "multi_resolution"):
        config = tiny_run(tmp_path, "unet", loss={"kind": kind})
        alone = batch(config, rng)
        alone.sources[:, 1] = 0
        heard = Batch(sources=alone.sources, known=alone.known, mixture=alone.sources[:, 0])
        truth = stft(alone.sources, config.model.stft)[..., :128, :].abs()
        prepared = objective(config).prepare(heard, rng)
        assert objective(config, Oracle(truth))(*prepared).max() < 1e-5
        assert objective(config, Oracle(0.9 * truth))(*prepared)[:, 0].min() > 1e-5


def test_the_mixture_is_the_batchs_own(tmp_path: Path, rng: torch.Generator) -> None:
    for architecture in ("trunk_unet", "unet"):
        config = tiny_run(tmp_path, architecture)
        heard = batch(config, rng)
        own = Batch(sources=heard.sources, known=heard.known, mixture=2 * heard.mixture)
        first, second = (objective(config).prepare(b, rng)[0] for b in (heard, own))
        torch.testing.assert_close(second, 2 * first)


def test_augmentations_of_magnitudes_change_mixture_and_targets_alike(
    tmp_path: Path, rng: torch.Generator
) -> None:
    plain = tiny_run(tmp_path, "unet")
    config = tiny_run(tmp_path, "unet", data={"augmentations": ["swap", "shift"]})
    heard = batch(config, rng)
    mixture, targets = objective(plain).prepare(heard, rng)
    state = rng.get_state()
    changed_mixture, changed_targets = objective(config).prepare(heard, rng)
    assert not torch.equal(mixture, changed_mixture)
    together = torch.cat([mixture[:, None], targets], dim=1)
    expected = axis.shift(together, torch.Generator().set_state(state))
    torch.testing.assert_close(torch.cat([changed_mixture[:, None], changed_targets], dim=1), expected)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_reduced_precision_is_used_and_is_close(tmp_path: Path, rng: torch.Generator, precision: str) -> None:
    for architecture in ("trunk_unet", "unet"):
        config = tiny_run(tmp_path, architecture)
        network = build(config.model)
        exact, reduced = (build_objective(network, config, precision=p) for p in ("float32", precision))
        prepared = exact.prepare(batch(config, rng), rng)
        assert not torch.equal(exact(*prepared), reduced(*prepared))
        torch.testing.assert_close(exact(*prepared), reduced(*prepared), rtol=0.05, atol=0.02)
