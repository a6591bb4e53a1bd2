"""What an estimate has too much of, and too little: bleedless and fullness, from 0 to 100.

The decibels of two mel spectrograms are compared bin by bin. Where the estimate is louder, something bled
into it; where it is softer, something is missing. They depend on the level, as SDR does.

Source: ZFTurbo/Music-Source-Separation-Training, `utils/metrics.py:bleed_full`; filters as librosa's
`filters.mel`, after Slaney's Auditory Toolbox, Technical Report 1998-010.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from stemwise.errors import ShapeError

N_FFT, HOP_LENGTH = 4096, 1024
N_BANDS = 512
RANGE_DB = 80.0  # below the loudest band of a signal all is the same
SMALLEST = 1e-10  # magnitude: -200 dB
PIECE_FRAMES = 512
# Slaney's mel scale: linear below 1 kHz, logarithmic above, where 27 mel are a factor of 6.4
MEL_PER_HZ, CORNER_HZ, MEL_PER_LOG = 3 / 200, 1000.0, 27 / math.log(6.4)
CORNER_MEL = MEL_PER_HZ * CORNER_HZ


class Bleeding(NamedTuple):
    """Each from 0 to 100 (nothing bled in; nothing is missing), float64 scalars."""

    bleedless: Tensor
    fullness: Tensor


def bleeding(reference: Tensor, estimate: Tensor, *, sample_rate: int) -> Bleeding:
    """Bleedless and fullness of a whole excerpt.

    Args:
        reference: `(channels, samples)`.
        estimate: of the same shape.
        sample_rate: Hz; the published figures are at 44100.

    Returns:
        100 / (1 + mean excess in dB), over the bins that have any, and likewise of what lacks; NaN for a
        silent reference.

    Raises:
        ShapeError: if the shapes differ, or there is no sample.
    """
    if reference.shape != estimate.shape or reference.ndim != 2 or not reference.numel():
        raise ShapeError(
            f"reference is {tuple(reference.shape)} and estimate {tuple(estimate.shape)}: "
            "both must be the same (channels, samples), with at least one sample"
        )
    filters = mel_filters(sample_rate).to(reference.device)
    difference = (_band_levels_db(estimate, filters) - _band_levels_db(reference, filters)).double()
    heard = reference.any()
    return Bleeding(*(_score(sign * difference).where(heard, torch.nan) for sign in (1, -1)))


def mel_filters(sample_rate: int) -> Tensor:
    """Triangles of equal area, evenly spaced in mel from 0 Hz to half the sample rate, `(bands, bins)`."""
    highest = _mel(sample_rate / 2)
    mels = torch.linspace(0, highest, N_BANDS + 2, dtype=torch.float64)
    edges = torch.where(
        mels < CORNER_MEL, mels / MEL_PER_HZ, CORNER_HZ * torch.exp((mels - CORNER_MEL) / MEL_PER_LOG)
    )[:, None]
    hz = torch.linspace(0, sample_rate / 2, N_FFT // 2 + 1, dtype=torch.float64)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = torch.minimum((hz - low) / (centre - low), (high - hz) / (high - centre)).clamp(min=0)
    return (triangles * 2 / (high - low)).float()


def _mel(hz: float) -> float:
    return MEL_PER_HZ * hz if hz < CORNER_HZ else CORNER_MEL + MEL_PER_LOG * math.log(hz / CORNER_HZ)


def _band_levels_db(waveform: Tensor, filters: Tensor) -> Tensor:
    """`(channels, bands, frames)`, cut off `RANGE_DB` below the loudest."""
    window = torch.hann_window(N_FFT, device=waveform.device)
    padded = torch.nn.functional.pad(waveform.float(), (N_FFT // 2, N_FFT // 2))
    frames = padded.unfold(-1, N_FFT, HOP_LENGTH)
    levels = torch.cat(
        [
            20 * torch.log10((filters @ torch.fft.rfft(piece * window).abs().mT).clamp(min=SMALLEST))
            for piece in frames.split(PIECE_FRAMES, dim=-2)
        ],
        dim=-1,
    )
    return levels.clamp(min=levels.max() - RANGE_DB)


def _score(difference: Tensor) -> Tensor:
    positive = difference[difference > 0]
    return 100 / (1 + positive.sum() / max(len(positive), 1))
