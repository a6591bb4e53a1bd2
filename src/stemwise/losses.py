"""What training makes small. Everything is measured in bands, on the mixture's own phase.

A mask cannot change the phase, so the best that it can do in a bin is the part of the source that lies
along the mixture: the phase-sensitive target. The squared distance from it is, up to a constant, the
squared error of the separated waveform.

Source: Erdogan et al., "Phase-sensitive and recognition-boosted speech separation using deep recurrent
neural networks", ICASSP 2015.
"""

from collections.abc import Callable

import torch
from torch import Tensor

FLOOR = (
    1e-3  # of the mixture's energy: below -30 dB an error counts no more, and silence has a finite logarithm
)


def phase_sensitive_target(sources: Tensor, pool: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """The mixture's magnitude in bands, and of each source the part that lies along the mixture.

    In one bin that is |X| and Re(S X*) / |X|, for a source S and the mixture X, the sum of all sources; in a
    band of bins, the root of the summed energy and the summed Re(S X*) over that root. Over all stems the
    targets add up to the mixture.

    Args:
        sources: complex spectra of one example, `(stems, channels, bins, frames)`.
        pool: sums the bins of every band, `(..., bins, frames)` to `(..., bands, frames)`.

    Returns:
        Mixture `(channels, bands, frames)`, >= 0; targets `(stems, channels, bands, frames)`, of either sign,
        0 where the mixture is 0.
    """
    mixture = sources.sum(dim=0)
    conjugate = mixture.conj()
    magnitude = pool((mixture * conjugate).real).sqrt()
    return magnitude, pool((sources * conjugate).real) / magnitude.clamp(min=1e-9)


def separation_loss(estimate: Tensor, target: Tensor, mixture: Tensor, known: Tensor) -> Tensor:
    """Mean over the known stems of the relative error: its sum, and a tenth of the logarithm of its energy.

    Both are relative to the mixture of the same excerpt, so loud and soft excerpts count alike. The first
    hears quiet bands, the second is what SDR measures.

    Args:
        estimate: `(batch, stems, channels, bands, frames)`.
        target: of the same shape.
        mixture: magnitude, `(batch, channels, bands, frames)`.
        known: `(batch, stems)`, 1 where the target is true, 0 where it is unknown.

    Returns:
        A scalar.
    """
    error = estimate - target
    amplitude = error.abs().sum(dim=(2, 3, 4)) / (mixture.sum(dim=(1, 2, 3))[:, None] + 1e-6)
    energy = error.square().sum(dim=(2, 3, 4)) / (mixture.square().sum(dim=(1, 2, 3))[:, None] + 1e-6)
    per_stem = amplitude + 0.1 * torch.log(energy + FLOOR)
    return (per_stem * known).sum() / known.sum()
