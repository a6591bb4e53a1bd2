"""Other voices, other rooms, other amplifiers: random changes to a source that keep it what it is.

Few voices and one drum kit stand for all of them in a small corpus; these changes keep a network from
learning those by heart. They are made before sources are mixed, each by itself: `(..., channels, samples)`.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from stemwise.data.augment.draws import from_db, loudness, next_power_of_two, uniform


def change_speed(source: Tensor, n_samples: int) -> Tensor:
    """The source `(channels, samples)` played faster or slower, to last `n_samples`: the pitch moves along.

    Linear interpolation: it dulls the top octave a little, which here is one more change of colour.
    """
    if source.shape[-1] == n_samples:
        return source
    changed: Tensor = F.interpolate(source[None], size=n_samples, mode="linear", align_corners=True)[0]
    return changed


def gain(source: Tensor, rng: torch.Generator, *, low_db: float, high_db: float) -> Tensor:
    """A level drawn evenly in dB from low_db to high_db, in either polarity: one for each `(..., C, N)`."""
    shape = (*source.shape[:-2], 1, 1)
    factor = from_db(uniform(rng, shape, low_db, high_db, like=source))
    return source * torch.where(uniform(rng, shape, 0, 1, like=source) < 0.5, -factor, factor)


def place(source: Tensor, rng: torch.Generator) -> Tensor:
    """Each source `(..., 2, samples)` on another side of the room.

    Left and right swapped or not; one time in six mono; one time in three off centre by at most 8 dB.
    """
    swapped, mono, moved = (
        uniform(rng, (*source.shape[:-2], 1, 1), 0, 1, like=source) < p for p in (1 / 2, 1 / 6, 1 / 3)
    )
    factor = from_db(uniform(rng, (*source.shape[:-2], 1, 1), -4, 4, like=source))
    same = torch.eye(2, device=source.device, dtype=source.dtype)
    matrix = torch.where(mono, 0.5, torch.where(swapped, same.flip(0), same))
    balance = torch.cat([factor, 1 / factor], dim=-2)
    return torch.where(moved, balance, 1) * matrix @ source


def tilt(source: Tensor, rng: torch.Generator) -> Tensor:
    """A gentle slope of each spectrum `(..., channels, samples)`: at most 9.5 dB from 0 Hz to Nyquist."""
    slope = uniform(rng, (*source.shape[:-2], 1, 1), -0.5, 0.5, like=source)
    tilted = source / (1 + slope.abs())
    tilted[..., 1:].addcmul_(source[..., :-1], slope / (1 + slope.abs()), value=-1)
    return tilted


def drive(source: Tensor, rng: torch.Generator) -> Tensor:
    """One source `(..., channels, samples)` overdriven as by an amplifier; its loudness stays."""
    level = loudness(source)
    amplification = uniform(rng, level.shape, math.log(0.3), math.log(6), like=source).exp()
    driven = (source * (amplification / level)).tanh_()
    return driven.mul_(level / loudness(driven))


def reverb(source: Tensor, rng: torch.Generator, *, sample_rate: int) -> Tensor:
    """A room of noise around each `(..., channels, samples)`.

    It dies away by 60 dB in 0.2 to 1.2 s, 6 to 20 dB below the source. Nothing is computed that a GPU would
    have to be waited for.
    """
    one = (*source.shape[:-2], 1, 1)
    decay_samples = uniform(rng, one, 0.2, 1.2, like=source) * sample_rate
    longest = math.ceil(1.2 * sample_rate)
    at = torch.arange(longest, device=source.device)
    envelope = torch.where(at < decay_samples, from_db(-60 * at / decay_samples), 0)
    drawn = torch.randn((*source.shape[:-1], longest), generator=rng, device=rng.device)
    response = drawn.to(source) * envelope / envelope.norm(dim=-1, keepdim=True)
    level = from_db(uniform(rng, one, -20, -6, like=source))
    n_fft = next_power_of_two(source.shape[-1] + longest)
    wet = torch.fft.irfft(torch.fft.rfft(source, n_fft) * torch.fft.rfft(response, n_fft), n_fft)
    return torch.addcmul(source, wet[..., : source.shape[-1]], level)
