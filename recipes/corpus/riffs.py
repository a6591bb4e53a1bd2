"""Recorded guitars: stretches of the guitar tracks of four songs, whose tempo and key become the song's."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import soundfile
from library import folder, is_present
from notes import SAMPLE_RATE, Audio
from scipy.signal import resample_poly

INGREDIENT = "sectoid"
# Beats per minute as the songs' MIDI files say, tonic and scale as heard. The recordings begin on a bar.
SONGS = {
    "Escape from chaosland": (135.0, 0, "minor"),
    "Feelings": (95.0, 2, "major"),
    "Metal madness": (150.0, 7, "minor"),
    "War of freedom": (140.0, 6, "minor"),
}
SHARES = {"metal": 0.35, "rock": 0.25, "electronic": 0.04}  # of a style's songs
FARTHEST = 4  # semitones that a recording is moved, its tempo with it
FADE_S = 2.0  # at the end
LATEST = 0.6  # of a recording: where it may begin to be used


@dataclass(frozen=True, slots=True, kw_only=True)
class Riff:
    """A stretch of a recorded guitar.

    Attributes:
        name: of the song that it comes from.
        first_bar: where it begins.
        semitones: by which it is moved, like a tape that runs faster.
    """

    name: str
    first_bar: int
    semitones: int

    @property
    def ratio(self) -> Fraction:
        """How much faster it runs, as near as small numbers come."""
        return Fraction(2 ** (self.semitones / 12)).limit_denominator(128)

    @property
    def tempo(self) -> float:
        return SONGS[self.name][0] * float(self.ratio)

    @property
    def tonic(self) -> int:
        return (SONGS[self.name][1] + self.semitones) % 12

    @property
    def scale(self) -> str:
        return SONGS[self.name][2]

    def play(self, n_samples: int) -> Audio:
        """The recording from its bar on, silence where it ends, `(2, n_samples)`."""
        first = round(self.first_bar * 240 / SONGS[self.name][0] * SAMPLE_RATE)
        n_read = int(n_samples * self.ratio) + 1
        path = folder(INGREDIENT) / self.name / "guitar.ogg"
        audio, _ = soundfile.read(path, n_read, first, dtype="float32", always_2d=True)
        moved = resample_poly(audio.T, self.ratio.denominator, self.ratio.numerator, axis=1)[:, :n_samples]
        fade = min(round(FADE_S * SAMPLE_RATE), moved.shape[1])
        moved[:, moved.shape[1] - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
        return np.pad(moved, ((0, 0), (0, n_samples - moved.shape[1]))).astype(np.float32)


def draw_riff(style: str, rng: np.random.Generator) -> Riff | None:
    """One for some of the songs, if there are recordings."""
    if rng.random() >= SHARES.get(style, 0.0) or not is_present(INGREDIENT):
        return None
    name = str(rng.choice(list(SONGS)))
    seconds = soundfile.info(folder(INGREDIENT) / name / "guitar.ogg").duration
    n_bars = int(LATEST * seconds * SONGS[name][0] / 240)
    semitones = int(rng.integers(-FARTHEST, FARTHEST + 1))
    return Riff(name=name, first_bar=int(rng.integers(1, n_bars)), semitones=semitones)
