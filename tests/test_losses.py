import pytest
import torch
from torch import Tensor

from stemwise.losses import (
    FLOOR,
    in_all,
    l1,
    mse,
    multi_resolution,
    phase_sensitive_target,
    relative_error,
)


def spectra(rng: torch.Generator, *shape: int) -> Tensor:
    return torch.complex(torch.randn(shape, generator=rng), torch.randn(shape, generator=rng))


def in_bands_of_two(power: Tensor) -> Tensor:
    return power.unflatten(-2, (-1, 2)).sum(dim=-2)


def test_targets_add_up_to_the_mixture(rng: torch.Generator) -> None:
    sources = spectra(rng, 4, 2, 6, 5)
    for pool in (lambda x: x, in_bands_of_two):
        mixture, targets = phase_sensitive_target(sources.sum(dim=0), sources, pool)
        torch.testing.assert_close(targets.sum(dim=0), mixture)
    magnitude, _ = phase_sensitive_target(sources.sum(dim=0), sources, lambda x: x)
    torch.testing.assert_close(magnitude, sources.sum(dim=0).abs())


def test_a_mixture_of_its_own_is_what_targets_lie_along(rng: torch.Generator) -> None:
    mixture, sources = spectra(rng, 2, 6, 5), spectra(rng, 3, 2, 6, 5)
    magnitude, targets = phase_sensitive_target(mixture, sources, lambda x: x)
    torch.testing.assert_close(magnitude, mixture.abs())
    torch.testing.assert_close(targets, (sources * (mixture / mixture.abs()).conj()).real)


def test_the_squared_distance_from_the_target_is_that_of_the_waveform_up_to_a_constant(
    rng: torch.Generator,
) -> None:
    sources = spectra(rng, 3, 2, 6, 5)
    mixture, targets = phase_sensitive_target(sources.sum(dim=0), sources, in_bands_of_two)
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
    _, targets = phase_sensitive_target(sources.sum(dim=0), sources, lambda x: x)
    assert torch.equal(targets, torch.zeros_like(targets))


def test_the_relative_error_does_not_depend_on_the_level(rng: torch.Generator) -> None:
    estimate, target = torch.rand(2, 3, 4, 2, 8, 5, generator=rng)
    mixture = target.sum(dim=1)
    loud = relative_error(100 * estimate, 100 * target, 100 * mixture)
    torch.testing.assert_close(relative_error(estimate, target, mixture), loud)


def test_a_known_error_has_a_known_loss() -> None:
    target = torch.ones(1, 1, 2, 4, 3)
    estimate = target * 1.5  # error of half the mixture: a quarter of its energy
    expected = 0.5 + 0.1 * torch.log(torch.tensor(0.25 + FLOOR))
    assert relative_error(estimate, target, target[:, 0]).item() == pytest.approx(expected.item(), abs=1e-5)
    error = torch.tensor([[[1.0, -1.0, 2.0]], [[0.0, 0.0, 0.0]]])
    assert l1(error).flatten().tolist() == pytest.approx([4 / 3, 0])
    assert mse(error).flatten().tolist() == pytest.approx([2, 0])


def test_silence_has_a_finite_loss_and_gradient() -> None:
    estimate = torch.zeros(1, 2, 2, 4, 3, requires_grad=True)
    loss = relative_error(estimate, torch.zeros(1, 2, 2, 4, 3), torch.zeros(1, 2, 4, 3))
    loss.sum().backward()
    assert loss.isfinite().all()
    assert estimate.grad is not None
    assert estimate.grad.isfinite().all()


def test_all_resolutions_count_alike_and_long_windows_are_left_out(rng: torch.Generator) -> None:
    """White noise of level σ has |spectrum| of σ √(Σw²) √(π/4) on average, whatever the window."""
    error = 0.1 * torch.randn(1, 1, 2, 3 * 8192, generator=rng)
    per_resolution = 0.1 * (torch.pi / 4) ** 0.5
    assert (multi_resolution(error) - l1(error)).item() == pytest.approx(5 * per_resolution, rel=0.01)
    short = error[..., :1023]
    assert (multi_resolution(short) - l1(short)).item() == pytest.approx(2 * per_resolution, rel=0.05)
    torch.testing.assert_close(multi_resolution(3 * error), 3 * multi_resolution(error))


def test_resolutions_hear_what_samples_do_not(rng: torch.Generator) -> None:
    """The same absolute samples, in phase or not: L1 of samples is blind to it, spectra are not."""
    tone = torch.ones(1, 1, 1, 4096)
    clicks = tone * torch.randn(4096, generator=rng).sign()
    torch.testing.assert_close(l1(tone), l1(clicks))
    assert multi_resolution(tone).item() < 0.5 * multi_resolution(clicks).item()


def test_the_mean_is_over_excerpts_so_that_parts_of_a_batch_add_up(rng: torch.Generator) -> None:
    losses, weights = torch.rand(4, 3, generator=rng), torch.tensor([0.5, 1.0, 2.0])
    known = torch.tensor([[1.0, 1, 0], [1, 1, 1], [0, 1, 1], [1, 1, 1]])
    whole = in_all(losses, known, weights)
    halves = [in_all(losses[part], known[part], weights) for part in (slice(2), slice(2, 4))]
    torch.testing.assert_close(whole, (halves[0] + halves[1]) / 2)
    assert in_all(losses, torch.ones(4, 3), torch.ones(3)).item() == pytest.approx(losses.sum().item() / 4)


def test_unknown_stems_do_not_count(rng: torch.Generator) -> None:
    losses = torch.rand(2, 4, generator=rng, requires_grad=True)
    known = torch.ones(2, 4)
    known[0, 2:] = 0
    in_all(losses, known, torch.full((4,), 0.25)).backward()
    assert losses.grad is not None
    assert losses.grad[0, 2:].abs().max() == 0
    assert losses.grad[0, :2].min() == losses.grad[1].min() > 0
