"""Two further voices: frequency modulation, and pads made of noise bands around harmonics."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from notes import SAMPLE_RATE
from numpy.random import Generator
from scipy import fft

from synth.harmonic import STILL, Pitch
from synth.shapes import PLAIN, Envelope, Floats

BANDWIDTH = 16_000.0  # Hz, that modulation may reach (Carson's rule)
LOOP = 1 << 17  # samples of a pad's loop, 3 s


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A modulating oscillator.

    Attributes:
        ratio: of its frequency to the carrier's.
        index: of modulation at full velocity, radians.
        decay: seconds until the index has fallen to its rest.
        rest: share of the index that stays.
    """

    ratio: float
    index: float
    decay: float
    rest: float = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Modulated:
    """Frequency modulation: one carrier, some modulators side by side.

    Source: Chowning, "The synthesis of complex audio spectra by means of frequency modulation", 1973.
    """

    operators: tuple[Operator, ...]
    envelope: Envelope = PLAIN
    pitch: Pitch = STILL
    spread: float = 0.0  # cents between left and right

    def note(
        self, pitch: float, held: float, velocity: float, start: float, interval: float, rng: Generator
    ) -> Floats:
        """One note, `(2, samples)`; see `Tone.note`."""
        n = max(2, int((held + self.envelope.release) * SAMPLE_RATE))
        hertz = 440 * 2 ** ((pitch - 69) / 12)
        cycles = self.pitch.cycles(hertz, interval, n)
        times = np.arange(n, dtype=np.float32) / SAMPLE_RATE
        modulation = np.zeros(n, np.float32)
        for operator in self.operators:
            most = max(0.0, BANDWIDTH / (operator.ratio * hertz) - 1)
            index = min(operator.index * (0.3 + 0.7 * velocity), most)
            course = operator.rest + (1 - operator.rest) * np.exp(-times / operator.decay)
            modulation += index * course * turning(cycles * operator.ratio)
        sides = []
        for cents in (-self.spread / 2, self.spread / 2) if self.spread else (0.0,):
            sides.append(turning(cycles * 2 ** (cents / 1200), modulation))
        return np.stack([sides[0], sides[-1]]) * (0.7 * self.envelope.curve(times, held))


def turning(cycles: Floats, ahead: Floats | float = 0.0) -> Floats:
    """The sine of a phase in cycles, ahead by so many radians."""
    return np.sin((2 * np.pi * (cycles - np.floor(cycles))).astype(np.float32) + ahead)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choir:
    """A pad whose harmonics are bands of noise, as an ensemble of many players has them.

    Attributes:
        slope: exponent of the fall of the harmonics.
        bandwidth: cents of the first harmonic's band.
        growth: exponent of the bands' growth with the harmonic, about 1.
        even: gain of the even harmonics.
        formants: Hz, () for none.
        width: share of what differs between left and right, 0 to 1.
        envelope: of the note.
        seed: of the phases.

    Source: Nasca, the PADsynth algorithm of ZynAddSubFX (as published by its author).
    """

    slope: float
    bandwidth: float
    growth: float
    even: float
    formants: tuple[float, ...]
    width: float
    envelope: Envelope
    seed: int

    def note(
        self, pitch: float, held: float, velocity: float, start: float, interval: float, rng: Generator
    ) -> Floats:
        """One note, `(2, samples)`; see `Tone.note`."""
        n = max(2, int((held + self.envelope.release) * SAMPLE_RATE))
        loop = _loop(self, int(pitch))
        times = np.arange(n, dtype=np.float32) / SAMPLE_RATE
        middle, *sides = (np.take(loop, np.arange(n) + rng.integers(LOOP), mode="wrap") for _ in range(3))
        sound = self.width * np.stack(sides) + np.float32(1 - self.width) * middle
        return sound * (self.envelope.curve(times, held) * (0.3 + 0.7 * velocity))


@lru_cache(maxsize=32)
def _loop(choir: Choir, pitch: int) -> Floats:
    """A loop of `LOOP` samples of that pitch, rms 0.2."""
    rng = np.random.default_rng((choir.seed, pitch))
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    width = SAMPLE_RATE / LOOP
    amplitudes = np.zeros(LOOP // 2 + 1, np.float32)
    for k in range(1, int(min(17_000 / hertz, 90)) + 1):
        centre = hertz * k
        band = max(0.6, (2 ** (choir.bandwidth / 1200) - 1) * hertz * k**choir.growth / width)
        first, last = int(max(1, centre / width - 4 * band)), int(centre / width + 4 * band) + 2
        bins = np.arange(first, min(last, len(amplitudes)))
        level = k**-choir.slope * (1.0 if k % 2 else choir.even) / np.sqrt(band)
        for formant in choir.formants:
            level *= 0.4 + 1.5 * np.exp(-(((centre - formant) / (0.35 * formant)) ** 2))
        amplitudes[bins] += level * np.exp(-0.5 * ((bins - centre / width) / band) ** 2)
    phases = np.exp(2j * np.pi * rng.uniform(size=len(amplitudes)))
    loop = fft.irfft((amplitudes * phases).astype(np.complex64))
    return (0.2 * loop / np.sqrt(np.mean(loop**2))).astype(np.float32)
