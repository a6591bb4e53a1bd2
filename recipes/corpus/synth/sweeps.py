"""Risers, falls, impacts and swells: noise and tones that a producer strews between the parts of a song."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from notes import SAMPLE_RATE, Note
from scipy import signal

from synth.shapes import Floats

WINDOW = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Noise through a moving band-pass, with a tone beside it; an impact is a short one that falls.

    Attributes:
        first: Hz at the beginning.
        last: Hz at the end.
        width: octaves of the band.
        tone: share of the gliding tone, 0 to 1.
        swell: exponent of the loudness: > 0 grows, < 0 dies away.
    """

    first: float
    last: float
    width: float
    tone: float
    swell: float

    def play(self, notes: Sequence[Note], n_samples: int, rng: np.random.Generator) -> Floats:
        """Each note is one sweep over its length, `(2, n_samples)`; its pitch does not matter."""
        sound = np.zeros((2, n_samples), np.float32)
        for note in notes:
            first = int(note.start * SAMPLE_RATE)
            n = min(n_samples - first, int((note.end - note.start) * SAMPLE_RATE))
            if first >= 0 and n > WINDOW:
                sound[:, first : first + n] += self._sweep(n, rng) * (note.velocity / 127)
        return sound

    def _sweep(self, n: int, rng: np.random.Generator) -> Floats:
        way = np.linspace(0, 1, n, dtype=np.float32)
        centre = self.first * (self.last / self.first) ** way
        noise = rng.standard_normal((2, n), dtype=np.float32)
        f, _, spectrum = signal.stft(noise, SAMPLE_RATE, nperseg=WINDOW)
        at = np.interp(np.arange(spectrum.shape[-1]) * WINDOW / 2, np.arange(n), centre)
        away = np.log2(np.maximum(f, 20)[:, None] / at) / self.width
        _, noise = signal.istft(spectrum * np.exp(-(away**2)), SAMPLE_RATE)
        noise = noise[:, :n] / (np.abs(noise).max() + 1e-9)
        tone = np.sin(2 * np.pi * np.cumsum(np.minimum(centre / 4, 4000), dtype=np.float64) / SAMPLE_RATE)
        loudness = way**self.swell if self.swell > 0 else np.exp(4 * self.swell * way)
        edge = np.minimum(1, np.minimum(np.arange(n), n - np.arange(n)) / 300)
        return (((1 - self.tone) * noise + 0.4 * self.tone * tone) * loudness * edge).astype(np.float32)


def draw_sweep(rng: np.random.Generator) -> tuple[str, Sweep]:
    """A kind of effect and its settings."""
    low, high = rng.uniform(80, 600), rng.uniform(3000, 12_000)
    width, tone = rng.uniform(0.3, 2.5), rng.choice((0, rng.uniform(0.1, 0.8)))
    kind = str(rng.choice(("riser", "fall", "impact", "swell")))
    ends, swell = {
        "riser": ((low, high), rng.uniform(0.8, 3)),
        "fall": ((high, low), -rng.uniform(0.4, 1)),
        "impact": ((low, rng.uniform(40, 80)), -rng.uniform(1, 2.5)),
        "swell": ((high / 2, high), rng.uniform(1, 4)),
    }[kind]
    return kind, Sweep(first=ends[0], last=ends[1], width=width, tone=float(tone), swell=swell)
