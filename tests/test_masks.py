from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stemwise.errors import ShapeError
from stemwise.masks import apply_mask, extend_mask, ratio_masks, wiener_filter, wiener_statistics
from tolerances import FLOAT_ROUNDING


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.sampled_from([1.0, 2.0, 0.7]), st.sampled_from([0.0, 1e-8, 1.0, 1e4]))
def test_masks_sum_to_one_even_in_silence(n_stems: int, exponent: float, level: float) -> None:
    estimates = level * torch.rand(n_stems, 2, 5, 7, generator=torch.Generator().manual_seed(n_stems))
    estimates[..., 3] = 0
    masks = ratio_masks(estimates, exponent=exponent)
    assert (masks >= 0).all()
    torch.testing.assert_close(masks.sum(dim=0), torch.ones(2, 5, 7), atol=FLOAT_ROUNDING, rtol=0)
    torch.testing.assert_close(masks[..., 3], torch.full((n_stems, 2, 5), 1 / n_stems))


def test_mask_is_the_share_of_the_power() -> None:
    estimates = torch.tensor([3.0, 4.0]).reshape(2, 1, 1, 1)
    torch.testing.assert_close(ratio_masks(estimates).flatten(), torch.tensor([9 / 25, 16 / 25]))
    torch.testing.assert_close(ratio_masks(estimates, exponent=1.0).flatten(), torch.tensor([3 / 7, 4 / 7]))


def test_masks_leave_the_estimates_alone(rng: torch.Generator) -> None:
    estimates = torch.rand(2, 2, 3, 4, generator=rng)
    before = estimates.clone()
    ratio_masks(estimates)
    assert torch.equal(estimates, before)


def test_masks_need_a_stem_axis() -> None:
    with pytest.raises(ShapeError, match="3 axes"):
        ratio_masks(torch.zeros(2, 3, 4))


def test_extension_is_zero_or_the_mean_of_the_frame(rng: torch.Generator) -> None:
    mask = torch.rand(2, 6, 3, generator=rng)
    assert torch.equal(extend_mask(mask, 9, "zeros")[:, 6:], torch.zeros(2, 3, 3))
    averaged = extend_mask(mask, 9, "average")
    assert torch.equal(averaged[:, :6], mask)
    torch.testing.assert_close(averaged[:, 8], mask.mean(dim=1))
    with pytest.raises(ShapeError, match="6 bins"):
        extend_mask(mask, 5, "zeros")


@pytest.mark.parametrize("extension", ["zeros", "average"])
def test_applying_a_mask_is_multiplying_by_it(
    extension: Literal["zeros", "average"], rng: torch.Generator
) -> None:
    spectrum = torch.randn(2, 7, 9, generator=rng, dtype=torch.complex64).transpose(-1, -2)
    mask = torch.rand(2, 6, 7, generator=rng)
    expected = spectrum * extend_mask(mask, 9, extension)
    torch.testing.assert_close(apply_mask(spectrum, mask, extension), expected)


def test_wiener_statistics_of_the_parts_add_up_to_those_of_the_whole(rng: torch.Generator) -> None:
    spectrum = torch.randn(2, 9, 20, generator=rng, dtype=torch.complex64)
    estimates = torch.rand(3, 2, 7, 20, generator=rng)
    whole = wiener_statistics(spectrum, estimates)
    parts = wiener_statistics(spectrum[..., :13], estimates[..., :13]) + wiener_statistics(
        spectrum[..., 13:], estimates[..., 13:]
    )
    torch.testing.assert_close(parts.covariance, whole.covariance, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(parts.power, whole.power, atol=1e-5, rtol=1e-5)
    assert parts.peak == whole.peak


def test_wiener_filter_follows_the_textbook_formula(rng: torch.Generator) -> None:
    """y_k = v_k R_k (Σ_j v_j R_j + √ε I)⁻¹ x, solved by linear algebra in double precision."""
    spectrum = torch.randn(2, 5, 8, generator=rng, dtype=torch.complex128)
    estimates = torch.rand(3, 2, 4, 8, generator=rng, dtype=torch.float64) + 0.1
    statistics = wiener_statistics(spectrum, estimates)
    filtered = wiener_filter(spectrum, estimates, statistics)
    first = estimates / estimates.sum(dim=0) * spectrum[:, :4]
    power = first.abs().square().mean(dim=1)
    outer = torch.einsum("scft,sdft->sfcd", first, first.conj())
    spatial = outer / power.sum(dim=-1)[..., None, None]
    for f, t in [(0, 0), (3, 7), (2, 4)]:
        mix = sum(power[k, f, t] * spatial[k, f] for k in range(3)) + (1.1920929e-07**0.5) * torch.eye(2)
        expected = torch.stack(
            [power[k, f, t] * spatial[k, f] @ torch.linalg.solve(mix, spectrum[:, f, t]) for k in range(3)]
        )
        torch.testing.assert_close(filtered[:, :, f, t], expected, atol=1e-4, rtol=1e-4)
    assert torch.equal(filtered[:, :, 4], torch.zeros(3, 2, 8, dtype=torch.complex128))
