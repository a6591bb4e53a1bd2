"""From estimated magnitudes to masks: ratio masks, their extension above the network's bandwidth, and
the multichannel Wiener filter.

Nothing here knows a network or a file. Sources: deezer/spleeter 2.4.2, `spleeter/model/__init__.py`;
norbert 0.2.1 (Liutkus & Stöter), `wiener` with one iteration, after Duong, Vincent & Gribonval,
"Under-determined reverberant audio source separation using a full-rank spatial covariance model",
IEEE TASLP 18(7), 2010. Both agree to float rounding (docs/numerics.md#masks).
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from stemwise.errors import ShapeError

MASK_EPS = 1e-10  # QUIRK(spleeter): shared out among the stems, so that silence is too
WIENER_EPS = float(torch.finfo(torch.float32).eps)  # norbert's choice for complex64


def ratio_masks(estimates: Tensor, *, exponent: float = 2.0) -> Tensor:
    """Share each time-frequency bin among the stems in proportion to their magnitudes to a power.

    The masks are non-negative and sum to 1 over the stems in every bin, also where all magnitudes are 0
    (then each stem gets 1 / stems).

    Args:
        estimates: magnitudes, `(..., stems, channels, bins, frames)`, >= 0.
        exponent: 1 = amplitude ratio, 2 = power (Wiener-like) ratio.

    Returns:
        Masks of the same shape and dtype.

    Raises:
        ShapeError: if there is no stem axis.

    Source: Spleeter's `_build_masks`: (ŝ^p + ε/S) / (Σ ŝ^p + ε).
    """
    if estimates.ndim < 4:
        raise ShapeError(
            f"estimates have {estimates.ndim} axes: they need (..., stems, channels, bins, frames)"
        )
    powers = estimates.clone() if exponent == 1 else estimates.pow(exponent)
    total = powers.sum(dim=-4, keepdim=True).add_(MASK_EPS)
    return powers.add_(MASK_EPS / estimates.shape[-4]).div_(total)


def extend_mask(mask: Tensor, n_bins: int, extension: Literal["zeros", "average"]) -> Tensor:
    """Continue a mask above the network's bandwidth.

    Args:
        mask: `(..., bins, frames)`.
        n_bins: bins of the result, at least those of `mask`.
        extension: `zeros`, or `average`: the mean of the mask over its bins, frame by frame.

    Returns:
        `(..., n_bins, frames)`.

    Source: Spleeter's `_extend_mask`.
    """
    missing = n_bins - mask.shape[-2]
    if missing < 0:
        raise ShapeError(f"mask has {mask.shape[-2]} bins: it cannot be extended to {n_bins}")
    above = (
        mask.mean(dim=-2, keepdim=True)
        if extension == "average"
        else mask.new_zeros(*mask.shape[:-2], 1, mask.shape[-1])
    )
    return torch.cat([mask, above.expand(*mask.shape[:-2], missing, mask.shape[-1])], dim=-2)


def apply_mask(spectrum: Tensor, mask: Tensor, extension: Literal["zeros", "average"]) -> Tensor:
    """`spectrum * extend_mask(mask)`, without multiplying zeros.

    Args:
        spectrum: complex `(..., bins, frames)`.
        mask: `(..., lowest bins, frames)`.
        extension: see `extend_mask`.
    """
    if extension != "zeros":
        mask = extend_mask(mask, spectrum.shape[-2], extension)
    masked, n_bins = torch.empty_like(spectrum), mask.shape[-2]
    torch.mul(spectrum[..., :n_bins, :], mask, out=masked[..., :n_bins, :])
    masked[..., n_bins:, :] = 0
    return masked


@dataclass(frozen=True, slots=True)
class WienerStatistics:
    """What the Wiener filter must know of the whole recording before it can filter any of it.

    Attributes:
        covariance: Σ_t y yᴴ of each stem's first estimate, complex `(stems, channels, channels, bins)`.
        power: Σ_t of the channels' mean |y|², `(stems, bins)`.
        peak: largest |mixture| of any bin.
    """

    covariance: Tensor
    power: Tensor
    peak: float

    def __add__(self, other: "WienerStatistics") -> "WienerStatistics":
        return WienerStatistics(
            self.covariance + other.covariance, self.power + other.power, max(self.peak, other.peak)
        )


def _first_estimate(spectrum: Tensor, estimates: Tensor) -> Tensor:
    # QUIRK(spleeter): the amplitude ratio, whatever the model's exponent; nothing above its bandwidth
    ratios = estimates / (WIENER_EPS + estimates.sum(dim=0))
    return ratios * spectrum[..., : estimates.shape[-2], :]


def wiener_statistics(spectrum: Tensor, estimates: Tensor) -> WienerStatistics:
    """Statistics of some frames; those of the whole recording are the sum over all its frames.

    Args:
        spectrum: of the mixture, complex `(channels, bins, frames)`.
        estimates: magnitudes, `(stems, channels, lowest bins, frames)`.
    """
    first = _first_estimate(spectrum, estimates)
    covariance = torch.einsum("scft,sdft->scdf", first, first.conj()).cpu()
    power = first.abs().square().mean(dim=1).sum(dim=-1).cpu()  # Apple's GPUs have no double precision
    return WienerStatistics(covariance.to(torch.complex128), power.double(), float(spectrum.abs().max()))


def wiener_filter(spectrum: Tensor, estimates: Tensor, statistics: WienerStatistics) -> Tensor:
    """One step of the multichannel Wiener filter: every stem's spectrum from the mixture's.

    Args:
        spectrum: of the mixture, complex `(2, bins, frames)`.
        estimates: magnitudes, `(stems, 2, lowest bins, frames)`.
        statistics: of the whole recording.

    Returns:
        Complex `(stems, 2, bins, frames)`; zero above the lowest bins.

    Source: norbert 0.2.1, `expectation_maximization` with `iterations=1`.
    """
    scale = max(1.0, statistics.peak / 10)
    spatial = statistics.covariance / scale**2 / (WIENER_EPS + statistics.power / scale**2)[:, None, None]
    spatial = spatial.to(spectrum.device, spectrum.dtype)  # R: (stems, channels, channels, bins)
    power = (_first_estimate(spectrum, estimates) / scale).abs().square().mean(dim=1)  # (stems, bins, frames)
    mix = torch.einsum("sft,scdf->cdft", power.to(spectrum.dtype), spatial)
    mix[0, 0] += math.sqrt(WIENER_EPS)
    mix[1, 1] += math.sqrt(WIENER_EPS)
    determinant = mix[0, 0] * mix[1, 1] - mix[0, 1] * mix[1, 0]
    left, right = spectrum[:, : estimates.shape[-2]]
    whitened = (
        torch.stack([mix[1, 1] * left - mix[0, 1] * right, mix[0, 0] * right - mix[1, 0] * left])
        / determinant
    )
    filtered = power[:, None] * torch.einsum("scdf,dft->scft", spatial, whitened)
    above = spectrum.shape[-2] - estimates.shape[-2]
    return torch.nn.functional.pad(filtered, (0, 0, 0, above))
