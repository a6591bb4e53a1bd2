"""What the families of sounds have in common: random settings by kind."""

from typing import Any

import numpy as np

from synth import waves
from synth.harmonic import Pitch
from synth.shapes import Envelope, Oscillation

Settings = dict[str, Any]
VOWELS = ((730, 1090, 2440), (530, 1840, 2480), (390, 1990, 2550), (570, 840, 2410), (300, 870, 2240))  # Hz
DRAWBARS = ((8, 8, 8, 0, 0, 0, 0, 0, 0), (8, 8, 8, 8, 8, 8, 8, 8, 8), (8, 0, 8, 0, 0, 0, 0, 0, 8))
DRAWBARS += ((0, 0, 8, 8, 0, 8, 0, 0, 0), (8, 3, 8, 4, 3, 4, 2, 1, 2), (0, 0, 7, 6, 5, 4, 3, 2, 1))
RHYTHMS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)  # Hz of wobbles, about the beat and its fractions


def log(rng: np.random.Generator, low: float, high: float) -> float:
    """Between two limits, all octaves alike."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def maybe(rng: np.random.Generator, chance: float, low: float, high: float) -> float:
    """Between two limits, or 0."""
    return float(rng.uniform(low, high)) if rng.random() < chance else 0.0


def analogue_wave(rng: np.random.Generator) -> waves.Spectrum:
    kind = rng.integers(4)
    if kind == 0:
        return waves.pulse(rng.uniform(0.08, 0.5))
    return (waves.saw(), waves.pulse(0.5), waves.triangle())[kind - 1]


def bright_wave(rng: np.random.Generator) -> waves.Spectrum:
    return (waves.saw(), waves.pulse(rng.uniform(0.1, 0.5)), waves.random_digital(rng))[rng.integers(3)]


def plucking(rng: np.random.Generator) -> Envelope:
    return Envelope(
        attack=0.002, decay=log(rng, 0.08, 1.2), sustain=maybe(rng, 0.3, 0, 0.4), release=log(rng, 0.03, 0.4)
    )


def holding(rng: np.random.Generator) -> Envelope:
    return Envelope(
        attack=log(rng, 0.002, 0.03),
        decay=log(rng, 0.1, 0.8),
        sustain=rng.uniform(0.4, 1),
        release=log(rng, 0.02, 0.2),
    )


def swelling(rng: np.random.Generator) -> Envelope:
    return Envelope(
        attack=log(rng, 0.05, 1.2), decay=1.0, sustain=rng.uniform(0.6, 1), release=log(rng, 0.3, 2.0)
    )


def vibrato(rng: np.random.Generator, chance: float = 0.6) -> Pitch:
    return Pitch(
        glide=maybe(rng, 0.4, 0.03, 0.2),
        vibrato=maybe(rng, chance, 5, 45),
        delay=rng.uniform(0.1, 0.6),
        oscillation=Oscillation(rate=rng.uniform(4, 7)),
    )
