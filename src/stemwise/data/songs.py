"""Songs as a loader sees them: what each stem is the sum of, pieces of it, and which song comes next."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from stemwise.data.cache import Samples
from stemwise.data.track import MIXTURE, UNSPLIT

ACCOMPANIMENT = "accompaniment"  # where a song has no such stem: all of its stems but the voice

Parts: TypeAlias = tuple[Samples, ...]  # what a source is the sum of


def parts_of(song: Mapping[str, Samples], stems: tuple[str, ...]) -> dict[str, Parts]:
    """The stems that a song has of those that are wanted; also its own mixture, and bass and other in one."""
    wanted = (*stems, MIXTURE, UNSPLIT) if {"bass", "other"} <= set(stems) else (*stems, MIXTURE)
    parts: dict[str, Parts] = {stem: (song[stem],) for stem in wanted if stem in song}
    behind = tuple(samples for stem, samples in song.items() if stem not in ("vocals", MIXTURE))
    if ACCOMPANIMENT in stems and behind:
        parts.setdefault(ACCOMPANIMENT, behind)
    return parts


def cut(parts: Parts, start: int, n_samples: int) -> Tensor:
    """The sum's `n_samples` from `start`, zeros after the end, float32 `(2, n_samples)`."""
    first, *others = (_piece(samples, start, n_samples) for samples in parts)
    for other in others:
        first += other
    return first


def length(parts: Parts) -> int:
    """Samples."""
    return max(int(samples.shape[1]) for samples in parts)


class Lot:
    """Names of songs to draw from, some oftener than others."""

    def __init__(self, names: Sequence[str], weights: Mapping[str, float]) -> None:
        """Weights are for the beginnings of names; what has none weighs 1."""
        self.names = names
        self._weights = torch.ones(len(names))
        for prefix, weight in weights.items():
            self._weights[[i for i, name in enumerate(names) if name.startswith(prefix)]] = weight

    def draw(self, rng: torch.Generator) -> str:
        return self.names[int(torch.multinomial(self._weights, 1, generator=rng))]


def _piece(samples: Samples, start: int, n_samples: int) -> Tensor:
    # copied before it is converted: torch does that ten times as fast as numpy
    piece = torch.from_numpy(np.array(samples[:, start : start + n_samples])).float()
    return piece if piece.shape[1] == n_samples else F.pad(piece, (0, n_samples - piece.shape[1]))
