"""A rotating loudspeaker (Leslie): the horn turns above, the drum below, two microphones listen."""

from dataclasses import dataclass

import numpy as np
from notes import SAMPLE_RATE
from scipy import signal

from synth.shapes import Floats

CROSSOVER = 800  # Hz between drum and horn


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotor:
    """The loudspeaker's turning.

    Attributes:
        rate: of the horn in Hz, 0.7 slow, 6.5 fast; the drum is a little slower.
        depth: of its beats, 0 to 1.
        angle: between the microphones in turns, 0 to 0.5.
    """

    rate: float
    depth: float
    angle: float

    def turn(self, sound: Floats) -> Floats:
        """Send the middle of `sound`, `(2, samples)`, through it."""
        middle = sound.mean(axis=0)
        sos = signal.butter(2, CROSSOVER, fs=SAMPLE_RATE, output="sos").astype(np.float32)
        low = signal.sosfilt(sos, middle)
        high = middle - low
        t = np.arange(len(middle), dtype=np.float32) / SAMPLE_RATE
        sides = []
        for angle in (0.0, self.angle):
            horn = np.sin(2 * np.pi * (self.rate * t + angle))
            drum = np.sin(2 * np.pi * (0.86 * self.rate * t - angle))
            place = np.arange(len(high)) - (1 + horn) * np.float32(0.0004 * SAMPLE_RATE)
            left = np.maximum(place.astype(np.int64), 0)
            part = np.clip(place - left, 0, 1).astype(np.float32)
            moved = high[left] * (1 - part) + high[np.minimum(left + 1, len(high) - 1)] * part
            far = self.depth * (0.5 + 0.5 * horn), 0.4 * self.depth * (0.5 + 0.5 * drum)
            sides.append(moved * (1 - far[0]) + low * (1 - far[1]))
        return np.stack(sides).astype(np.float32)
