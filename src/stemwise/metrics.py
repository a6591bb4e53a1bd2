"""How close an estimate comes to its reference: pure functions `metric(reference, estimate)`, in dB.

Silence has no signal to compare with: where the reference is all zeros the result is NaN, whatever the
estimate, and whoever averages leaves those out (`stemwise.evaluate` does). A perfect estimate gives +inf.
An estimate of nothing gives 0 dB SDR and, having no scale to be invariant to, NaN for SI-SDR. Sums run in
float64.
"""

import torch
from torch import Tensor

from stemwise.errors import ShapeError


def sdr(reference: Tensor, estimate: Tensor) -> Tensor:
    """Signal-to-distortion ratio of a whole excerpt, all channels together ("uSDR" of the MDX challenge).

    Args:
        reference: `(..., channels, samples)`.
        estimate: of the same shape.

    Returns:
        10 log10(Σ s² / Σ (s − e)²), `(...)`, float64.

    Raises:
        ShapeError: if the shapes differ or there is no channel axis.

    Source: Mitsufuji et al., "Music Demixing Challenge 2021", Frontiers in Signal Processing 1, 2022; there
    with a small constant in both sums, here without.
    """
    reference, estimate = _checked(reference, estimate)
    signal, noise = reference.square().sum((-2, -1)), (reference - estimate).square().sum((-2, -1))
    return torch.where(signal > 0, 10 * torch.log10(signal / noise), torch.nan)


def si_sdr(reference: Tensor, estimate: Tensor) -> Tensor:
    """Scale-invariant SDR: the estimate may have any gain other than 0.

    Args:
        reference: `(..., channels, samples)`.
        estimate: of the same shape.

    Returns:
        10 log10(Σ (a s)² / Σ (a s − e)²) with a = Σ s e / Σ s², `(...)`, float64.

    Raises:
        ShapeError: if the shapes differ or there is no channel axis.

    Source: Le Roux et al., "SDR – half-baked or well done?", ICASSP 2019; the mean is not removed.
    """
    reference, estimate = _checked(reference, estimate)
    gain = (reference * estimate).sum((-2, -1), keepdim=True) / reference.square().sum((-2, -1), keepdim=True)
    target = gain * reference
    # a silent reference makes the gain, and all that follows, 0 / 0
    return 10 * torch.log10(target.square().sum((-2, -1)) / (target - estimate).square().sum((-2, -1)))


def _checked(reference: Tensor, estimate: Tensor) -> tuple[Tensor, Tensor]:
    if reference.shape != estimate.shape or reference.ndim < 2:
        raise ShapeError(
            f"reference is {tuple(reference.shape)} and estimate {tuple(estimate.shape)}: "
            "both must be the same (..., channels, samples)"
        )
    return reference.double(), estimate.double()
