"""When each stem is heard, and beside which others."""

import torch
from torch import Tensor

from stemwise.data.augment.draws import per_stem


def delay(sources: Tensor, rng: torch.Generator, *, sample_rate: int, max_s: float = 1.0) -> Tensor:
    """Each stem earlier or later than the others; silence comes in where it has moved away.

    Args:
        sources: `(batch, stems, channels, samples)`.
        rng: draws one number per stem.
        sample_rate: Hz.
        max_s: largest move, seconds. Default: Défossez et al. 2019 (Demucs, arXiv 1911.13254).
    """
    moves = per_stem(rng, sources, -max_s, max_s) * sample_rate
    n_samples = sources.shape[-1]
    positions = torch.arange(n_samples, device=sources.device) - moves.round().long()
    inside = (positions >= 0) & (positions < n_samples)
    moved = sources.gather(-1, positions.clamp(0, max(n_samples - 1, 0)).expand(sources.shape))
    return moved * inside


def cross_song(sources: Tensor, rng: torch.Generator) -> Tensor:
    """Stems dealt out anew among the examples of a batch: the drums of one song with the voice of another.

    Args:
        sources: `(batch, stems, channels, samples)`; each stem stays the stem it is.
        rng: draws one number per stem.

    Source: Uhlich et al. 2017, "Improving music source separation based on deep neural networks through
    data augmentation and network blending".
    """
    order = per_stem(rng, sources, 0, 1)[..., 0, 0].argsort(dim=0)
    return sources[order, torch.arange(sources.shape[1], device=sources.device)]
