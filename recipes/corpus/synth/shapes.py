"""What a note of a synthesizer does over time, and to its harmonics."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
MIDDLE_C = 261.63  # Hz, where key tracking has no effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Attack, decay to a level that is held, release. Times in seconds."""

    attack: float = 0.004
    decay: float = 0.3
    sustain: float = 0.8
    release: float = 0.08

    def curve(self, times: Floats, held: float) -> Floats:
        """Gains at `times` after the onset of a note whose key is held for `held` seconds."""
        rise = np.minimum(times / self.attack, 1)
        fall = self.sustain + (1 - self.sustain) * np.exp(-np.maximum(times - self.attack, 0) / self.decay)
        end = np.exp(-4 * np.maximum(times - held, 0) / self.release)
        fade = np.clip((held + self.release - times) / (0.2 * self.release), 0, 1)
        return (rise * fall * end * fade).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Oscillation:
    """A slow oscillation: rate in Hz, its shape, its start in cycles."""

    rate: float = 5.0
    shape: str = "sine"  # or "triangle", "square", "ramp"
    start: float = 0.0

    def values(self, times: Floats) -> Floats:
        """-1 to 1 at `times`, seconds of the song: notes do not restart it."""
        cycle = (times * self.rate + self.start) % 1
        if self.shape == "sine":
            return np.sin(2 * np.pi * cycle)
        if self.shape == "triangle":
            return 4 * np.abs(cycle - 0.5) - 1
        if self.shape == "ramp":
            return 1 - 2 * cycle
        return np.tanh(8 * np.sin(2 * np.pi * cycle))  # a square whose edges do not click


PLAIN, FIVE_HERTZ = Envelope(), Oscillation()


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Low-pass of a voice, with its own envelope and oscillation.

    Attributes:
        cutoff: Hz at middle C, rest position.
        tracking: octaves per octave of the keyboard, 0 to 1.
        depth: octaves by which the envelope opens it.
        decay: seconds of that envelope.
        resonance: 0 to 0.95.
        poles: 2 or 4.
        wobble: octaves of `oscillation`.
    """

    cutoff: float = 2000.0
    tracking: float = 0.5
    depth: float = 1.0
    decay: float = 0.2
    resonance: float = 0.2
    poles: int = 4
    wobble: float = 0.0
    oscillation: Oscillation = Oscillation(rate=0.2)

    def response(self, frequencies: Floats, times: Floats, start: float, velocity: float) -> Floats:
        """Complex response, `(times, harmonics)`, at the harmonics' `frequencies`.

        Source: the transfer functions of the analogue transistor ladder and of the state-variable filter.
        """
        octaves = self.depth * velocity * np.exp(-times / self.decay)
        octaves = octaves + self.wobble * self.oscillation.values(times + start)
        cutoff = self.cutoff * (frequencies[0] / MIDDLE_C) ** self.tracking * np.exp2(octaves)
        s = (1j * frequencies / np.clip(cutoff, 25, 18_000)[:, None]).astype(np.complex64)
        if self.poles == 2:
            return 1 / (1 + s * (1.4 - 1.38 * self.resonance) + s * s)
        feedback = 4 * self.resonance
        ladder = (1 + s) ** 2
        return (1 + 0.5 * feedback) / (ladder * ladder + feedback)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vowels:
    """Resonances that move between two vowels: growl and talk-box.

    Attributes:
        first: formants of one vowel in Hz.
        second: formants of the other.
        width: bandwidth relative to the formant.
        oscillation: of the way between them.
    """

    first: tuple[float, ...]
    second: tuple[float, ...]
    width: float = 0.15
    oscillation: Oscillation = Oscillation(rate=2.0)

    def response(self, frequencies: Floats, times: Floats, start: float) -> Floats:
        """Gains, `(times, harmonics)`."""
        way = 0.5 + 0.5 * self.oscillation.values(times + start)[:, None]
        gains = np.full((len(times), len(frequencies)), 0.04, np.float32)
        for one, other in zip(self.first, self.second, strict=True):
            centre = one * (other / one) ** way
            gains += np.exp(-(((frequencies - centre) / (self.width * centre)) ** 2))
        return gains
