"""Tempo without pitch, and pitch without tempo: a phase vocoder that treats all stems of a song alike.

Each frame of the output is a frame of the input with its phases turned, so that it fits to the frame before.
How far they are turned is found on the mixture alone: the stems still sum to it, and both channels keep their
places. The bins around a spectral peak are turned by one angle, that of the peak.

Sources: M. Puckette 1995, "Phase-locked vocoder" (phases from two input frames one output hop apart);
J. Laroche and M. Dolson 1999, "Improved phase vocoder time-scale modification of audio", identity phase
locking.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from stemwise.data.augment.draws import per_example, sometimes

FRAME_S = 0.06  # rounded down to a power of two samples: 2048 at 44.1 kHz
OVERLAP = 4  # frames over each sample
PEAK_REACH = 2  # a peak is as large as the bins up to this far from it


def tempo(
    sources: Tensor,
    rng: torch.Generator,
    *,
    sample_rate: int,
    low: float = 0.88,
    high: float = 1.12,
    p: float = 0.2,
) -> Tensor:
    """Slower or faster, at the same pitch; the middle stays in the middle.

    Args:
        sources: `(batch, stems, channels, samples)`. What becomes shorter has silence on both sides.
        rng: draws two numbers per example.
        sample_rate: Hz.
        low: factor of the duration, drawn evenly from this ...
        high: ... to this. Default: the range of Rouard et al. 2023 (HT-Demucs, arXiv 2211.08553), as is p.
        p: probability, per example.
    """

    def change(chosen: Tensor) -> Tensor:
        factors = per_example(rng, chosen, low, high).flatten()
        return time_stretch(chosen, factors, sample_rate=sample_rate)

    return sometimes(change, sources, rng, p)


def pitch(
    sources: Tensor,
    rng: torch.Generator,
    *,
    sample_rate: int,
    low: float = -3.0,
    high: float = 3.0,
    p: float = 0.2,
) -> Tensor:
    """Higher or lower, at the same tempo.

    Args:
        sources: `(batch, stems, channels, samples)`.
        rng: draws two numbers per example.
        sample_rate: Hz.
        low: semitones, drawn evenly from this ...
        high: ... to this.
        p: probability, per example.
    """

    def change(chosen: Tensor) -> Tensor:
        factors = 2 ** (per_example(rng, chosen, low, high).flatten() / 12)
        return pitch_shift(chosen, factors, sample_rate=sample_rate)

    return sometimes(change, sources, rng, p)


def pitch_shift(sources: Tensor, factors: Tensor, *, sample_rate: int) -> Tensor:
    """All frequencies times a factor, one for each example: stretched, then played faster.

    Args:
        sources: `(batch, stems, channels, samples)`.
        factors: `(batch,)`, > 0; rounded so that the stretched length is a whole number of samples.
        sample_rate: Hz.

    Returns:
        As sources.
    """
    n_samples, shifted = sources.shape[-1], []
    for example, factor in zip(sources, factors.tolist(), strict=True):
        length = max(1, round(n_samples * factor))
        exact = factors.new_tensor([length / n_samples])
        stretched = time_stretch(example[None], exact, length, sample_rate=sample_rate)[0]
        # a spectrum of another length: band-limited interpolation of what is taken to be periodic
        spectrum = torch.fft.rfft(stretched)
        shifted.append(torch.fft.irfft(spectrum, n_samples) * (n_samples / length))
    return torch.stack(shifted)


def time_stretch(
    sources: Tensor, factors: Tensor, n_samples: int | None = None, *, sample_rate: int
) -> Tensor:
    """The duration times a factor, one for each example; the middle of the input in the middle of the output.

    Args:
        sources: `(batch, stems, channels, samples)`.
        factors: `(batch,)`, > 0.
        n_samples: of the output, the input's if None; what is longer is cut off on both sides, what is
            shorter gets silence there.
        sample_rate: Hz.

    Returns:
        `(batch, stems, channels, n_samples)`. At a factor of 1 the input itself, but for rounding.
    """
    n_samples = sources.shape[-1] if n_samples is None else n_samples
    n_fft = 1 << max(3, int(FRAME_S * sample_rate).bit_length() - 1)
    hop = n_fft // OVERLAP
    n_frames = math.ceil((n_samples + n_fft - hop) / hop)
    # of the output, frame j covers [j·hop − (n_fft − hop), …) : every sample is covered OVERLAP times
    middles = torch.arange(n_frames) * hop + hop - n_fft / 2
    positions = (middles - n_samples / 2) / factors.cpu().double()[:, None] + sources.shape[-1] / 2
    starts = (positions - n_fft / 2).round().long()
    window = torch.hann_window(n_fft, device=sources.device, dtype=sources.dtype)
    spectra = torch.fft.rfft(_frames(sources, starts, n_fft) * window)
    mixture = spectra.sum(dim=2)
    before = torch.fft.rfft(_frames(sources.sum(dim=1, keepdim=True), starts - hop, n_fft) * window)
    turned = spectra * _turns(mixture, before[:, :, 0])[:, :, None, None]
    frames = torch.fft.irfft(turned, n_fft) * (window / (0.375 * OVERLAP))  # Σ of the squared windows
    return _overlap_add(frames, hop)[..., n_fft - hop :][..., :n_samples]


def _frames(sound: Tensor, starts: Tensor, n_fft: int) -> Tensor:
    """`(batch, frames, stems, channels, n_fft)`, from `starts` `(batch, frames)` on; zeros outside."""
    left = max(0, -int(starts.min()))
    right = max(0, int(starts.max()) + n_fft - sound.shape[-1])
    padded: Tensor = F.pad(sound, (left, right)).unfold(-1, n_fft, 1)
    examples = torch.arange(len(sound), device=sound.device)[:, None]
    return padded[examples, :, :, (starts + left).to(sound.device)]


def _turns(mixture: Tensor, before: Tensor) -> Tensor:
    """How to turn the phases: complex numbers of absolute value 1, `(batch, frames, bins)`.

    The output's phase is to grow from frame to frame as the input's does in one hop of the output, that is
    from `before` to `mixture`; what the input has already grown from its own last frame counts.

    Args:
        mixture: spectra of the frames, `(batch, frames, channels, bins)`.
        before: spectra one hop of the output earlier.
    """
    step = (mixture[:, :-1] * before[:, 1:].conj()).sum(dim=2)
    step = torch.where(step == 0, 1, step / step.abs().clamp(min=1e-30))
    peaks = _nearest_peaks(mixture.abs().square().sum(dim=2))
    turns = [torch.ones_like(step[:, 0])]
    for j in range(step.shape[1]):
        turn = (turns[-1] * step[:, j]).gather(-1, peaks[:, j + 1])
        turns.append(turn / turn.abs())
    return torch.stack(turns, dim=1)


def _nearest_peaks(power: Tensor) -> Tensor:
    """For each bin the number of the peak nearest to it, `(batch, frames, bins)`."""
    width = 2 * PEAK_REACH + 1
    highest = F.max_pool1d(power, width, stride=1, padding=PEAK_REACH)
    bins = torch.arange(power.shape[-1], device=power.device).expand(power.shape)
    is_peak = power == highest
    below = torch.where(is_peak, bins, -(10**6)).cummax(dim=-1).values
    above = torch.where(is_peak, bins, 10**6).flip(-1).cummin(dim=-1).values.flip(-1)
    return torch.where(bins - below <= above - bins, below, above)


def _overlap_add(frames: Tensor, hop: int) -> Tensor:
    """From `(batch, frames, stems, channels, n_fft)` to `(batch, stems, channels, samples)`."""
    parts = frames.permute(0, 2, 3, 1, 4).unflatten(-1, (OVERLAP, hop))
    n_frames = parts.shape[3]
    whole: Tensor = parts.new_zeros(*parts.shape[:3], n_frames + OVERLAP - 1, hop)
    for shift in range(OVERLAP):
        whole[..., shift : shift + n_frames, :] += parts[..., shift, :]
    return whole.flatten(-2)
