"""Energy ratios of a whole excerpt, in dB. Sums run in float64.

Silence has no signal to compare with: where the reference is all zeros the result is NaN, whatever the
estimate, and whoever averages leaves those out (`stemwise.evaluate` does). A perfect estimate gives +inf.
An estimate of nothing gives 0 dB SDR and, having no scale to be invariant to, NaN for the others.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from stemwise.errors import ShapeError

PIECE_SAMPLES = 1 << 20  # of all stems at a time: no copy of a whole song in float64


class SIRatios(NamedTuple):
    """The two parts of SI-SDR, in dB, each float64 `(estimates,)`."""

    si_sir: Tensor
    si_sar: Tensor


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


def si_ratios(references: Tensor, estimates: Tensor) -> SIRatios:
    """What SI-SDR is made of: the interference of other stems, and artefacts that come from nowhere.

    Of an estimate, the part along its own reference is the target; what else the references explain, each
    with one gain, is interference; the rest is artefacts. Distortion is the sum of the two:
    10^(−SDR/10) = 10^(−SIR/10) + 10^(−SAR/10), all scale-invariant.

    Args:
        references: `(stems, channels, samples)`; a silent one explains nothing.
        estimates: `(estimates, channels, samples)` of the first of these stems, in the same order; the
            references that are left over can only interfere.

    Raises:
        ShapeError: if the shapes do not fit.

    Source: Le Roux et al., "SDR – half-baked or well done?", ICASSP 2019, section 2.
    """
    check_stacked(references, estimates)
    n_stems, n_estimates = len(references), len(estimates)
    products = torch.zeros(n_stems + n_estimates, n_stems + n_estimates, dtype=torch.float64)
    for pieces in zip(references.split(PIECE_SAMPLES, -1), estimates.split(PIECE_SAMPLES, -1), strict=True):
        signals = torch.cat(pieces).flatten(1).double()
        products += (signals @ signals.T).cpu()
    gram, along = products[:n_stems, :n_stems], products[:n_stems, n_stems:]
    explained = (along * (torch.linalg.pinv(gram, hermitian=True) @ along)).sum(dim=0)
    target = along.diagonal().square() / gram.diagonal()[:n_estimates]
    artefacts = products.diagonal()[n_stems:] - explained
    # rounding may make less than nothing of nothing
    noises = (explained - target).clamp(min=0), artefacts.clamp(min=0)
    return SIRatios(*(10 * torch.log10(target / noise) for noise in noises))


def check_stacked(references: Tensor, estimates: Tensor) -> None:
    """See that there is a reference for every estimate, and something to hear.

    Raises:
        ShapeError: if not.
    """
    shapes = f"references are {tuple(references.shape)} and estimates {tuple(estimates.shape)}"
    if references.ndim != 3 or estimates.ndim != 3 or references.shape[1:] != estimates.shape[1:]:
        raise ShapeError(
            f"{shapes}: both must be (stems, channels, samples) with the same channels and samples"
        )
    if not 1 <= len(estimates) <= len(references) or not references[0].numel():
        raise ShapeError(
            f"{shapes}: there must be an estimate, a reference for each of them, and at least one sample"
        )


def _checked(reference: Tensor, estimate: Tensor) -> tuple[Tensor, Tensor]:
    if reference.shape != estimate.shape or reference.ndim < 2:
        raise ShapeError(
            f"reference is {tuple(reference.shape)} and estimate {tuple(estimate.shape)}: "
            "both must be the same (..., channels, samples)"
        )
    return reference.double(), estimate.double()
