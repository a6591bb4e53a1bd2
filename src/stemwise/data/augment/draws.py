"""What every change needs: random numbers, one per example or one per stem, and the measures of levels.

Random numbers are drawn on the generator's device and then moved, so that a seed means the same wherever the
sources are.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from stemwise.errors import ShapeError


def uniform(rng: torch.Generator, shape: tuple[int, ...], low: float, high: float, *, like: Tensor) -> Tensor:
    """Even between low and high, on the device and in the type of `like`."""
    drawn = torch.rand(shape, generator=rng, device=rng.device, dtype=torch.float32)
    return (low + (high - low) * drawn).to(device=like.device, dtype=like.dtype)


def per_example(rng: torch.Generator, sources: Tensor, low: float, high: float) -> Tensor:
    """One number for each example, `(batch, 1, 1, 1)`.

    Raises:
        ShapeError: if sources are not `(batch, stems, channels, samples)`.
    """
    return uniform(rng, (_batch_axes(sources)[0], 1, 1, 1), low, high, like=sources)


def per_stem(rng: torch.Generator, sources: Tensor, low: float, high: float) -> Tensor:
    """One number for each stem of each example, `(batch, stems, 1, 1)`.

    Raises:
        ShapeError: if sources are not `(batch, stems, channels, samples)`.
    """
    return uniform(rng, (*_batch_axes(sources), 1, 1), low, high, like=sources)


def from_db(level: Tensor) -> Tensor:
    """The amplitude factor of a level in dB."""
    return 10 ** (level / 20)


def loudness(sound: Tensor) -> Tensor:
    """Root mean square over channels and samples, `(..., 1, 1)`; a little above 0 in silence."""
    return sound.square().mean(dim=(-2, -1), keepdim=True).sqrt() + 1e-6


def next_power_of_two(n: int) -> int:
    """The length of a fast transform of at least n samples."""
    return 1 << (n - 1).bit_length()


def sometimes(change: Callable[[Tensor], Tensor], sources: Tensor, rng: torch.Generator, p: float) -> Tensor:
    """The change made to each example with probability p; where it is not made, it costs nothing."""
    chosen = (per_example(rng, sources, 0, 1).flatten() < p).nonzero().flatten()
    return sources if not len(chosen) else sources.index_copy(0, chosen, change(sources[chosen]))


def _batch_axes(sources: Tensor) -> tuple[int, int]:
    if sources.ndim != 4:
        raise ShapeError(
            f"sources have shape {tuple(sources.shape)}: it must be (batch, stems, channels, samples)"
        )
    return sources.shape[0], sources.shape[1]
