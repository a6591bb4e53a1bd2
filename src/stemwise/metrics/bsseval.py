"""BSS Eval v4, window by window, as museval 0.4 computes it; with every transform only as long as it must be.

The estimate is projected onto all references, each delayed by 0 to 511 samples: what the projection explains
is source, spatial distortion and interference, the rest artefacts. The filters of the projection are those
of the whole excerpt; a window of the references is filtered as if silence surrounded it, and what rings on
after its end counts.

museval transforms the whole song once per pair of channels. Here correlations of 512 lags are summed up over
blocks, all estimates share one factorisation, and energies are taken from spectra (Parseval's theorem). All
sums run in float64; beyond the signals 0.6 GB are used for four stereo stems, whatever their length.

Sources: Vincent et al., "First stereo audio source separation evaluation campaign", ICA 2007 (the ratios of
images); Stöter, Liutkus & Ito, "The 2018 Signal Separation Evaluation Campaign", LVA/ICA 2018 (v4);
museval 0.4.1, `museval/metrics.py:bss_eval`, with which it agrees (docs/numerics.md#bss-eval).
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from stemwise.errors import ShapeError
from stemwise.metrics.ratios import check_stacked

FILTER_LENGTH = 512  # taps, one per delay
BLOCK_LENGTH = 8192  # samples of a block of correlations, of which FILTER_LENGTH - 1 are history
RIDGE = 1e-13  # of the loudest reference's energy: -130 dB, far below the rounding of 16 bits


class BSSEval(NamedTuple):
    """Ratios in dB, each float64 `(estimates, windows)`; NaN where a window holds silence."""

    sdr: Tensor
    isr: Tensor
    sir: Tensor
    sar: Tensor


def bss_eval(references: Tensor, estimates: Tensor, *, window_samples: int) -> BSSEval:
    """Source to distortion, to spatial distortion, to interference and to artefacts, in windows side by side.

    The references must sound in every band, if only by the rounding of 16 bits: filters for a band without
    sound are noise, museval's too, and what they do to a window's edges is heard. Equal channels do no harm.

    Args:
        references: `(stems, channels, samples)`.
        estimates: `(estimates, channels, samples)` of the first of these stems, in the same order; the
            references that are left over can only interfere.
        window_samples: a second, as is the custom. An unfinished last window is left out; what is shorter
            than a window is one window.

    Returns:
        NaN in every window in which a stem with an estimate, or an estimate, is silent.

    Raises:
        ShapeError: if the shapes do not fit.
    """
    sdr = window_sdr(references, estimates, window_samples=window_samples)
    ratios = torch.full((3, *sdr.shape), torch.nan, dtype=torch.float64, device=sdr.device)
    if sdr.isnan().all():
        return BSSEval(sdr, *ratios)
    n_fft = fft_length(min(window_samples, references.shape[-1]) + FILTER_LENGTH - 1)
    taps, own_taps = _distortion_filters(references, estimates)
    filters, own_filters = torch.fft.rfft(taps, n_fft), torch.fft.rfft(own_taps, n_fft)
    for index, window in enumerate(windows(references.shape[-1], window_samples)):
        if not sdr[0, index].isnan():
            sources, mixed = (torch.fft.rfft(x[..., window].double(), n_fft) for x in (references, estimates))
            ratios[..., index] = _projection_ratios(sources, mixed, filters, own_filters)
    return BSSEval(sdr, *ratios)


def window_sdr(references: Tensor, estimates: Tensor, *, window_samples: int) -> Tensor:
    """The SDR of `bss_eval` alone, `(estimates, windows)`: no filter takes part in it.

    Raises:
        ShapeError: if the shapes do not fit.
    """
    check_stacked(references, estimates)
    if window_samples < 1:
        raise ShapeError(f"window_samples is {window_samples}: a window has at least one sample")
    references = references[: len(estimates)]
    columns = []
    for window in windows(references.shape[-1], window_samples):
        reference, estimate = references[..., window], estimates[..., window]
        # QUIRK(museval): silent is what has channels that cancel in every sample, and one silent stem
        # or estimate leaves all of them without a ratio.
        is_heard = all(bool(x.sum(dim=1).any(dim=-1).all()) for x in (reference, estimate))
        signal = reference.flatten(1).double()
        noise = signal - estimate.flatten(1)
        column = _decibels(torch.linalg.vecdot(signal, signal), torch.linalg.vecdot(noise, noise))
        columns.append(column if is_heard else torch.full_like(column, torch.nan))
    return torch.stack(columns, dim=1)


def windows(n_samples: int, window_samples: int) -> Iterator[slice]:
    """The whole windows of an excerpt; all of it if it is no longer than one."""
    for start in range(0, max(n_samples - window_samples, 0) + 1, window_samples):
        yield slice(start, min(start + window_samples, n_samples))


def fft_length(n_samples: int) -> int:
    """The next even length with no prime factor above 5, which transforms fast."""
    length = n_samples + n_samples % 2
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 2


def _distortion_filters(references: Tensor, estimates: Tensor) -> tuple[Tensor, Tensor]:
    """Taps that project each estimate onto all references, and onto its own alone.

    Returns:
        `(references, channels, estimates, channels, taps)` and `(channels, estimates, channels, taps)`; the
        first channels are those of the references.
    """
    n_stems, n_channels, _ = references.shape
    n_estimates = len(estimates)
    gram, products = _correlations(references.flatten(0, 1), estimates.flatten(0, 1))
    taps = _solve(gram, products).unflatten(0, (n_stems, n_channels)).unflatten(2, (n_estimates, n_channels))
    own = [slice(j * n_channels, (j + 1) * n_channels) for j in range(n_estimates)]
    own_taps = torch.stack([_solve(gram[rows, rows], products[rows, rows]) for rows in own], dim=1)
    return taps, own_taps


def _correlations(references: Tensor, estimates: Tensor) -> tuple[Tensor, Tensor]:
    """Σ_t r(t − k) x(t) of every reference r with every reference and estimate x, for every delay k.

    Args:
        references: `(references, samples)`.
        estimates: `(estimates, samples)`.

    Returns:
        `(references, references, taps)` and `(references, estimates, taps)`.
    """
    n_references, n_samples = references.shape
    n_signals, history = n_references + len(estimates), FILTER_LENGTH - 1
    n_fft = min(BLOCK_LENGTH, fft_length(n_samples + history))
    cross = references.new_zeros(n_references, n_signals, n_fft // 2 + 1, dtype=torch.complex128)
    for start in range(0, n_samples, n_fft - history):
        before, end = min(start, history), start + n_fft - history
        delayed = references.new_zeros(n_references, n_fft, dtype=torch.float64)
        present = references.new_zeros(n_signals, n_fft, dtype=torch.float64)
        past_and_present = references[:, start - before : end]
        delayed[:, history - before :][:, : past_and_present.shape[-1]] = past_and_present
        present[:n_references, history:] = delayed[:, history:]
        present[n_references:, history:][:, : n_samples - start] = estimates[:, start:end]
        cross.addcmul_(torch.fft.rfft(delayed).conj_physical_()[:, None], torch.fft.rfft(present)[None])
    lags: Tensor = torch.fft.irfft(cross, n_fft)[..., :FILTER_LENGTH]
    return lags[:, :n_references], lags[:, n_references:]


def _solve(gram: Tensor, products: Tensor) -> Tensor:
    """The taps `(references, estimates, taps)` whose normal equations these correlations are."""
    n_references, n_estimates, n_taps = products.shape
    # Σ r_i(t − a) r_j(t − b) depends on a − b alone: where that is positive r_i is the delayed one, else r_j
    both_signs = torch.cat([gram.transpose(0, 1)[..., 1:].flip(-1), gram], dim=-1)
    delays = torch.arange(n_taps, device=gram.device)
    matrix = both_signs[..., delays[:, None] - delays + n_taps - 1]
    matrix = matrix.transpose(1, 2).reshape(n_references * n_taps, -1)
    matrix.diagonal().add_(torch.finfo(torch.float64).eps)  # QUIRK(museval): helps a silent reference alone
    wanted = products.transpose(1, 2).reshape(n_references * n_taps, n_estimates)
    # not by Cholesky's factor, which breaks down before the matrix is singular
    taps, is_singular = torch.linalg.solve_ex(matrix, wanted)
    if is_singular:  # channels are equal, and share their taps in any way
        matrix.diagonal().add_(RIDGE * matrix.diagonal().max())
        taps = torch.linalg.solve(matrix, wanted)
    solved: Tensor = taps.unflatten(0, (n_references, n_taps)).transpose(1, 2)
    return solved


def _projection_ratios(references: Tensor, estimates: Tensor, filters: Tensor, own_filters: Tensor) -> Tensor:
    """ISR, SIR and SAR of one window, `(3, estimates)`, from spectra `(..., bins)` of signals and taps."""
    paired = references[: len(estimates)]
    explained, own = torch.zeros_like(estimates), torch.zeros_like(estimates)
    for channel in range(estimates.shape[1]):
        for reference, taps in zip(references, filters, strict=True):
            explained.addcmul_(taps[channel], reference[channel])
        own.addcmul_(own_filters[channel], paired[:, channel, None])
    pairs = (paired, own - paired), (own, explained - own), (explained, estimates - explained)
    return torch.stack([_decibels(_energy(signal), _energy(noise)) for signal, noise in pairs])


def _energy(spectrum: Tensor) -> Tensor:
    """Up to a factor, from `(..., channels, bins)`: all bins but 0 Hz and Nyquist stand for two."""
    parts = torch.view_as_real(spectrum).flatten(-2)
    once = spectrum[..., 0].abs().square() + spectrum[..., -1].abs().square()
    energy: Tensor = (2 * torch.linalg.vecdot(parts, parts) - once).sum(dim=-1)
    return energy


def _decibels(signal: Tensor, noise: Tensor) -> Tensor:
    return 10 * torch.log10(signal / noise)
