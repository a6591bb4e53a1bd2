import pytest
import torch
from torch import Tensor

from stemwise.losses import FLOOR, phase_sensitive_target, separation_loss


def spectra(rng: torch.Generator, *shape: int) -> Tensor:
    return torch.complex(torch.randn(shape, generator=rng), torch.randn(shape, generator=rng))


def in_bands_of_two(power: Tensor) -> Tensor:
    return power.unflatten(-2, (-1, 2)).sum(dim=-2)


def test_targets_add_up_to_the_mixture(rng: torch.Generator) -> None:
    sources = spectra(rng, 4, 2, 6, 5)
    for pool in (lambda x: x, in_bands_of_two):
        mixture, targets = phase_sensitive_target(sources, pool)
        torch.testing.assert_close(targets.sum(dim=0), mixture)
    torch.testing.assert_close(phase_sensitive_target(sources, lambda x: x)[0], sources.sum(dim=0).abs())


def test_the_squared_distance_from_the_target_is_that_of_the_waveform_up_to_a_constant(
    rng: torch.Generator,
) -> None:
    sources = spectra(rng, 3, 2, 6, 5)
    mixture, targets = phase_sensitive_target(sources, in_bands_of_two)
    excess = []
    for _ in range(2):
        mask = torch.rand(3, 2, 3, 5, generator=rng)
        error = mask.repeat_interleave(2, dim=-2) * sources.sum(dim=0) - sources
        true = in_bands_of_two(error.abs().square())
        excess.append(true - (mask * mixture - targets).square())
    torch.testing.assert_close(excess[0], excess[1])


def test_where_the_mixture_is_silent_the_target_is_zero() -> None:
    sources = torch.zeros(2, 1, 2, 2, dtype=torch.complex64)
    sources[:, 0, 0, 0] = torch.tensor([1j, -1j])  # two sources that cancel
    _, targets = phase_sensitive_target(sources, lambda x: x)
    assert torch.equal(targets, torch.zeros_like(targets))


def test_loss_does_not_depend_on_the_level(rng: torch.Generator) -> None:
    estimate, target = torch.rand(2, 3, 4, 2, 8, 5, generator=rng)
    mixture, known = target.sum(dim=1), torch.ones(3, 4)
    loud = separation_loss(100 * estimate, 100 * target, 100 * mixture, known)
    torch.testing.assert_close(separation_loss(estimate, target, mixture, known), loud)


def test_unknown_stems_do_not_count(rng: torch.Generator) -> None:
    estimate, target = torch.rand(2, 2, 4, 2, 8, 5, generator=rng)
    mixture, known = target.sum(dim=1), torch.ones(2, 4)
    known[0, 2:] = 0
    estimate.requires_grad_()
    separation_loss(estimate, target, mixture, known).backward()
    assert estimate.grad is not None
    assert estimate.grad[0, 2:].abs().max() == 0
    assert estimate.grad[0, :2].abs().min() > 0
    assert estimate.grad[1].abs().min() > 0


def test_a_known_error_has_a_known_loss() -> None:
    target = torch.ones(1, 1, 2, 4, 3)
    estimate = target * 1.5  # error of half the mixture: a quarter of its energy
    loss = separation_loss(estimate, target, target[:, 0], torch.ones(1, 1))
    expected = 0.5 + 0.1 * torch.log(torch.tensor(0.25 + FLOOR))
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)


def test_silence_has_a_finite_loss_and_gradient() -> None:
    estimate = torch.zeros(1, 2, 2, 4, 3, requires_grad=True)
    loss = separation_loss(estimate, torch.zeros(1, 2, 2, 4, 3), torch.zeros(1, 2, 4, 3), torch.ones(1, 2))
    loss.backward()
    assert loss.isfinite()
    assert estimate.grad is not None
    assert estimate.grad.isfinite().all()
