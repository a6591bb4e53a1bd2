"""What training makes small: pure functions that give a number per excerpt and stem, `(batch, stems)`.

`in_all` joins them to the one number that is differentiated. It is a plain mean over excerpts, so the
gradient of a batch is the mean of the gradients of its parts, wherever these are computed.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from stemwise.stft import STFTConfig, stft

# of the mixture's energy: below -30 dB an error counts no more, and silence has a finite logarithm
FLOOR = 1e-3
RESOLUTIONS = (4096, 2048, 1024, 512, 256)  # samples: see `multi_resolution`


def phase_sensitive_target(
    mixture: Tensor, sources: Tensor, pool: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """The mixture's magnitude in bands, and of each source the part that lies along the mixture.

    A mask cannot change the phase, so the best that it can do in a bin is that part: in one bin |X| and
    Re(S X*) / |X|, for a source S and the mixture X; in a band of bins, the root of the summed energy and the
    summed Re(S X*) over that root. The squared distance from it is, up to a constant, the squared error of
    the separated waveform. If the sources add up to the mixture, the targets do too.

    Args:
        mixture: complex spectra, `(..., channels, bins, frames)`.
        sources: complex spectra, `(..., channels, bins, frames)`; the mixture's axes are spread over theirs.
        pool: sums the bins of every band, `(..., bins, frames)` to `(..., bands, frames)`.

    Returns:
        Mixture `(..., channels, bands, frames)`, >= 0; targets `(..., channels, bands, frames)`, of either
        sign, 0 where the mixture is 0.

    Source: Erdogan et al., "Phase-sensitive and recognition-boosted speech separation using deep recurrent
    neural networks", ICASSP 2015.
    """
    conjugate = mixture.conj()
    magnitude = pool((mixture * conjugate).real).sqrt()
    return magnitude, pool((sources * conjugate).real) / magnitude.clamp(min=1e-9)


def relative_error(estimate: Tensor, target: Tensor, mixture: Tensor) -> Tensor:
    """The error's sum, and a tenth of the logarithm of its energy, both relative to the mixture.

    Loud and soft excerpts count alike. The first hears quiet bands, the second is what SDR measures.

    Args:
        estimate: `(batch, stems, channels, bands, frames)`.
        target: of the same shape.
        mixture: magnitude, `(batch, channels, bands, frames)`.
    """
    error = estimate - target
    amplitude = error.abs().sum(dim=(2, 3, 4)) / (mixture.sum(dim=(1, 2, 3))[:, None] + 1e-6)
    energy = error.square().sum(dim=(2, 3, 4)) / (mixture.square().sum(dim=(1, 2, 3))[:, None] + 1e-6)
    return amplitude + 0.1 * torch.log(energy + FLOOR)


def l1(error: Tensor) -> Tensor:
    """Mean absolute error; of magnitudes, this is Spleeter's loss. `(batch, stems, ...)`."""
    return error.abs().flatten(2).mean(dim=2)


def mse(error: Tensor) -> Tensor:
    """Mean squared error. `(batch, stems, ...)`."""
    return error.square().flatten(2).mean(dim=2)


def multi_resolution(error: Tensor) -> Tensor:
    """Mean absolute error of the samples, and of complex spectra with long and short windows.

    A spectrum's mean is divided by the root of its window's energy, so that all resolutions count alike. A
    window longer than the excerpt is left out.

    Args:
        error: of waveforms, `(batch, stems, channels, samples)`; all that is summed is linear in it.

    Source: Lu et al., "Music source separation with band-split RoPE transformer", arXiv 2309.02612, with
    their five windows; they step by 147 samples, here it is a quarter of a window.
    """
    loss = l1(error)
    for n_fft in RESOLUTIONS:
        if error.shape[-1] >= n_fft:
            spectrum = stft(error, STFTConfig(n_fft=n_fft, hop_length=n_fft // 4))
            loss = loss + l1(spectrum) / (3 * n_fft / 8) ** 0.5  # Σ w² of a Hann window
    return loss


def in_all(losses: Tensor, known: Tensor, weights: Tensor) -> Tensor:
    """Sum over the stems, by their weights, and mean over the excerpts; what is unknown counts 0.

    Args:
        losses: `(batch, stems)`.
        known: `(batch, stems)`, 1 where the target is true, 0 where it is unknown.
        weights: `(stems,)`.
    """
    return (losses * known * weights).sum(dim=1).mean()
