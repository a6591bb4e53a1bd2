"""Songs on disk whose scores are known: impulses at places of their own, so energies are levels squared."""

from pathlib import Path

import numpy as np
import soundfile

from random_models import stemwise_like
from stemwise.data.tracks import StemFile, Track
from stemwise.separate import Separator

RATE = 44100
STEMS = ("vocals", "drums", "bass", "other")


def impulses(place: int, level: float, n_samples: int = 1000) -> np.ndarray:
    """`(samples, 2)`."""
    samples = np.zeros((n_samples, 2), dtype=np.float32)
    samples[10 * place :: 100] = level
    return samples


def write_song(folder: Path, *, n_samples: int = 1000, **levels: float) -> Track:
    """One file per stem; a stem's place is its position among the arguments."""
    folder.mkdir(parents=True)
    for place, (stem, level) in enumerate(levels.items()):
        soundfile.write(folder / f"{stem}.wav", impulses(place, level, n_samples), RATE, subtype="FLOAT")
    return Track(name=folder.name, files={stem: StemFile(path=folder / f"{stem}.wav") for stem in levels})


class Oracle(Separator):
    """Gives parts of the mixture that are known beforehand, instead of what a network says."""

    def __init__(self, parts: dict[str, float]) -> None:
        self.config = stemwise_like().config
        self.stems = tuple(parts)
        self.parts = parts

    def restream(self, open_blocks, sample_rate):
        assert sample_rate == RATE
        for block in open_blocks():
            yield {stem: gain * block for stem, gain in self.parts.items()}
