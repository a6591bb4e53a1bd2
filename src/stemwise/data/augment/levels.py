"""How loud each stem is and on which side: changes that are a factor per stem or example."""

import torch
from torch import Tensor

from stemwise.data.augment.draws import from_db, per_example, per_stem


def swap(sources: Tensor, rng: torch.Generator, *, p: float = 0.5) -> Tensor:
    """Left and right change places, in all stems of an example alike.

    Args:
        sources: `(batch, stems, channels, samples)`.
        rng: draws one number per example.
        p: probability, per example.

    Source: Prétet et al. 2019 (arXiv 1906.02618), "swap".
    """
    return torch.where(per_example(rng, sources, 0, 1) < p, sources.flip(-2), sources)


def remix(sources: Tensor, rng: torch.Generator, *, low_db: float = -9.0, high_db: float = 9.0) -> Tensor:
    """The stems of one song at other levels: a gain for each, even in dB.

    Args:
        sources: `(batch, stems, channels, samples)`.
        rng: draws one number per stem.
        low_db: lowest gain, dB.
        high_db: highest gain, dB.

    Source: Prétet et al. 2019 (arXiv 1906.02618), "remix".
    """
    return sources * from_db(per_stem(rng, sources, low_db, high_db))


def scale(sources: Tensor, rng: torch.Generator, *, low_db: float = -10.0, high_db: float = 10.0) -> Tensor:
    """The whole example louder or softer: one gain for all its stems, even in dB.

    Args:
        sources: `(batch, stems, channels, samples)`.
        rng: draws one number per example.
        low_db: lowest gain, dB.
        high_db: highest gain, dB.

    Source: Prétet et al. 2019 (arXiv 1906.02618), "scale".
    """
    return sources * from_db(per_example(rng, sources, low_db, high_db))


def polarity(sources: Tensor, rng: torch.Generator, *, p_stem: float = 0.5) -> Tensor:
    """Stems turned upside down: inaudible alone, another sum with the others.

    Args:
        sources: `(batch, stems, channels, samples)`.
        rng: draws one number per stem.
        p_stem: probability, per stem.
    """
    return torch.where(per_stem(rng, sources, 0, 1) < p_stem, -sources, sources)


def drop(sources: Tensor, rng: torch.Generator, *, p_stem: float = 0.1) -> Tensor:
    """Stems left out; an example that would lose all of them keeps all.

    Args:
        sources: `(batch, stems, channels, samples)`.
        rng: draws one number per stem.
        p_stem: probability, per stem. Default: Luo and Yu 2023 (Band-split RNN, arXiv 2209.15174).
    """
    kept = per_stem(rng, sources, 0, 1) >= p_stem
    return sources * (kept | ~kept.any(dim=1, keepdim=True))
