"""The study's stretch and shift: the axes of a magnitude spectrogram scaled, phases unknown.

The same transformation for the mixture and its targets: give them together, or one after the other with
generators in the same state. The waveform's stretch and shift stand in `stemwise.data.augment.vocoder`.

Source: Prétet et al. 2019 (arXiv 1906.02618); the interpolation is linear.
"""

import torch
from torch import Tensor

from stemwise.data.augment.draws import uniform
from stemwise.errors import ShapeError

LOWEST, HIGHEST = 0.7, 1.3  # factors are drawn evenly between these


def stretch(
    magnitudes: Tensor, rng: torch.Generator, *, low: float = LOWEST, high: float = HIGHEST
) -> Tensor:
    """Each example slower or faster; of what becomes longer, the middle part is kept.

    Args:
        magnitudes: `(batch, ..., bins, frames)`: a mixture and its targets in an axis between, for instance.
        rng: draws one number per example.
        low: factor of the duration, drawn evenly from this ...
        high: ... to this.

    Returns:
        As magnitudes; what becomes shorter stands between zeros: give 1 / low times the frames that are
        needed, and keep the middle ones.

    Raises:
        ShapeError: if there are fewer than three axes.
    """
    return scale_time(magnitudes, draw_factors(magnitudes, rng, low, high))


def shift(magnitudes: Tensor, rng: torch.Generator, *, low: float = LOWEST, high: float = HIGHEST) -> Tensor:
    """Each example higher or lower; 0 Hz stays, and of what becomes higher the bottom part is kept.

    Args:
        magnitudes: `(batch, ..., bins, frames)`, bins evenly spaced from 0 Hz.
        rng: draws one number per example.
        low: factor of the frequencies, drawn evenly from this ...
        high: ... to this.

    Returns:
        As magnitudes; above what becomes lower there are zeros.

    Raises:
        ShapeError: if there are fewer than three axes.
    """
    return scale_frequency(magnitudes, draw_factors(magnitudes, rng, low, high))


def scale_time(magnitudes: Tensor, factors: Tensor) -> Tensor:
    """Durations times `factors` `(batch,)`, about the middle frame."""
    middle = (magnitudes.shape[-1] - 1) / 2
    frames = torch.arange(magnitudes.shape[-1], device=magnitudes.device)
    return _interpolate(magnitudes, middle + (frames - middle) / factors[:, None], dim=-1)


def scale_frequency(magnitudes: Tensor, factors: Tensor) -> Tensor:
    """Frequencies times `factors` `(batch,)`."""
    bins = torch.arange(magnitudes.shape[-2], device=magnitudes.device)
    return _interpolate(magnitudes, bins / factors[:, None], dim=-2)


def draw_factors(
    magnitudes: Tensor, rng: torch.Generator, low: float = LOWEST, high: float = HIGHEST
) -> Tensor:
    """A factor for each example, `(batch,)`: what `stretch` and `shift` draw.

    Raises:
        ShapeError: if there are fewer than three axes.
    """
    if magnitudes.ndim < 3:
        raise ShapeError(
            f"magnitudes have shape {tuple(magnitudes.shape)}: it must be (batch, ..., bins, frames)"
        )
    return uniform(rng, (len(magnitudes),), low, high, like=magnitudes)


def _interpolate(magnitudes: Tensor, positions: Tensor, *, dim: int) -> Tensor:
    """Values at `positions` `(batch, places)` along bins (-2) or frames (-1); 0 beyond the last."""
    shape = [1] * magnitudes.ndim
    shape[0], shape[dim] = positions.shape
    below = positions.floor()
    nearer = (positions - below).reshape(shape)

    def take(places: Tensor) -> Tensor:
        inside = (places >= 0) & (places < magnitudes.shape[dim])
        places = places.clamp(0, magnitudes.shape[dim] - 1).long().reshape(shape)
        return magnitudes.gather(dim, places.expand(magnitudes.shape)) * inside.reshape(shape)

    return torch.lerp(take(below), take(below + 1), nearer)
