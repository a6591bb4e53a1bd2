"""Songs as a loader sees them: what each stem is the sum of, pieces of it, and which song comes next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from stemwise.data.cache import Samples
from stemwise.data.track import ACCOMPANIMENT, MIXTURE, UNSPLIT, Terms, accompaniment, rest, summands

REST = "/rest"  # what a song holds beside the wanted stems; no file can be named so


@dataclass(frozen=True, slots=True)
class Parts:
    """What a source is made of: the sum of these sounds, less those that are taken off; at least one."""

    added: tuple[Samples, ...]
    taken: tuple[Samples, ...] = ()


def parts_of(song: Mapping[str, Samples], stems: tuple[str, ...]) -> dict[str, Parts]:
    """The stems that a song has of those that are wanted, and what else is heard in its mixture.

    That is `REST`, and bass and other in one. A song's own mixture stands under "mixture"; so does the sum of
    all of its stems where a wanted one that is missing may be a part of another.
    """
    wanted = (*stems, MIXTURE, UNSPLIT) if {"bass", "other"} <= set(stems) else (*stems, MIXTURE)
    made: dict[str, Terms | None] = {stem: Terms((stem,)) for stem in wanted if stem in song}
    if ACCOMPANIMENT in stems:
        made.setdefault(ACCOMPANIMENT, accompaniment(song, stems))
    made[REST] = rest(song, stems)
    if made[REST] is None:
        made.setdefault(MIXTURE, Terms(tuple(summands(song))))
    return {
        name: Parts(tuple(song[term] for term in terms.added), tuple(song[term] for term in terms.taken))
        for name, terms in made.items()
        if terms is not None and terms.added
    }


def cut(parts: Parts, start: int, n_samples: int) -> Tensor:
    """The source's `n_samples` from `start`, zeros after the end, float32 `(2, n_samples)`."""
    first, *others = (_piece(samples, start, n_samples) for samples in parts.added)
    for other in others:
        first += other
    for samples in parts.taken:
        first -= _piece(samples, start, n_samples)
    return first


def length(parts: Parts) -> int:
    """Samples."""
    return max(int(samples.shape[1]) for samples in (*parts.added, *parts.taken))


class Lot:
    """Names of songs to draw from, some oftener than others."""

    def __init__(self, names: Sequence[str], weights: Mapping[str, float]) -> None:
        """Weights are for the beginnings of names; what has none weighs 1."""
        self.names = names
        self.weights = torch.ones(len(names))
        for prefix, weight in weights.items():
            self.weights[[i for i, name in enumerate(names) if name.startswith(prefix)]] = weight

    def draw(self, rng: torch.Generator) -> str:
        return self.names[int(torch.multinomial(self.weights, 1, generator=rng))]


def _piece(samples: Samples, start: int, n_samples: int) -> Tensor:
    # copied before it is converted: torch does that ten times as fast as numpy
    piece = torch.from_numpy(np.array(samples[:, start : start + n_samples])).float()
    return piece if piece.shape[1] == n_samples else F.pad(piece, (0, n_samples - piece.shape[1]))
