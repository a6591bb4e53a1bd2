"""Random changes to a source that keep it what it is: pure functions of a source and random numbers.

Sources are float32 `(channels, samples)`, two channels. Few voices and one drum kit stand for all of them
in a small corpus; these changes are what keeps a network from learning those by heart.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def change_speed(source: Tensor, n_samples: int) -> Tensor:
    """The source played faster or slower, so that it lasts `n_samples`: pitch and formants move along.

    Linear interpolation: it dulls the top octave a little, which here is one more change of colour.
    """
    changed: Tensor = F.interpolate(source[None], size=n_samples, mode="linear", align_corners=True)[0]
    return changed


def gain(source: Tensor, rng: np.random.Generator, *, low_db: float, high_db: float) -> Tensor:
    """A level change drawn evenly from low_db to high_db, either polarity."""
    return source * float(10 ** (rng.uniform(low_db, high_db) / 20) * rng.choice((-1.0, 1.0)))


def tilt(source: Tensor, rng: np.random.Generator) -> Tensor:
    """A gentle slope of the spectrum, up or down, at most 9.5 dB between 0 Hz and the Nyquist frequency."""
    slope = float(rng.uniform(-0.5, 0.5))
    delayed = F.pad(source[:, :-1], (1, 0))
    return torch.add(source, delayed, alpha=-slope) / (1 + abs(slope))


def reverb(source: Tensor, rng: np.random.Generator) -> Tensor:
    """A room of noise that dies away by 60 dB in 0.2 to 1.2 s at 44.1 kHz, 6 to 20 dB below the source."""
    decay_samples = int(rng.uniform(8_000, 52_000))
    n_fft = 2 ** (source.shape[1] + decay_samples).bit_length()
    envelope = 10 ** (-3 * torch.arange(decay_samples) / decay_samples)
    noise = torch.from_numpy(rng.standard_normal((2, decay_samples), dtype=np.float32))
    response = noise * envelope / envelope.square().sum().sqrt()
    wet = torch.fft.irfft(torch.fft.rfft(source, n_fft) * torch.fft.rfft(response, n_fft), n_fft)
    level = float(10 ** (rng.uniform(-20, -6) / 20))
    return torch.add(source, wet[:, : source.shape[1]], alpha=level)


def drive(source: Tensor, rng: np.random.Generator) -> Tensor:
    """Overdriven as by an amplifier, from just so to heavily; the loudness stays."""
    level = source.square().mean().sqrt() + 1e-6
    driven = torch.tanh(source * (float(np.exp(rng.uniform(np.log(0.3), np.log(6)))) / level))
    return driven * (level / (driven.square().mean().sqrt() + 1e-6))


def place(source: Tensor, rng: np.random.Generator) -> Tensor:
    """Left and right swapped or not; one time in six mono; one in three off centre by at most 8 dB."""
    if rng.random() < 0.5:
        source = source.flip(0)
    if rng.random() < 1 / 6:
        source = source.mean(dim=0, keepdim=True).expand_as(source)
    if rng.random() < 1 / 3:
        factor = float(10 ** (rng.uniform(-4, 4) / 20))
        source = source * torch.tensor([[factor], [1 / factor]])
    return source
