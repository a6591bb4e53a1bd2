"""Keys, chords and their progressions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
}

QUALITIES = {
    "": (0, 4, 7),
    "m": (0, 3, 7),
    "5": (0, 7),
    "dim": (0, 3, 6),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "6": (0, 4, 7, 9),
    "m6": (0, 3, 7, 9),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "m7": (0, 3, 7, 10),
    "m7b5": (0, 3, 6, 10),
    "9": (0, 4, 7, 10, 14),
    "maj9": (0, 4, 7, 11, 14),
    "m9": (0, 3, 7, 10, 14),
    "13": (0, 4, 10, 14, 21),
    "7#9": (0, 4, 7, 10, 15),
}

# Semitones of the root above the tonic, and the quality: one chord a bar, or half of one.
MAJOR_PROGRESSIONS = (
    "0 7 9m 5", "9m 5 0 7", "0 5 7 5", "0 9m 5 7", "0 4m 5 7", "2m 7 0 9m", "0 7 5 5", "0 9m 2m 7",
    "5 7 4m 9m", "0 2m 5 0", "0 10 5 0", "0 5", "0 5 9m 7", "5 0 7 9m", "0 0 5 5", "0 7 2m 5",
    "0 4m 9m 5", "0 3 5 0", "9m 7 5 7", "0 7/ 9m 4m 5 0 5 7", "0 0 0 0 5 5 0 0 7 5 0 7",
)  # fmt: skip
MINOR_PROGRESSIONS = (
    "0m 8 3 10", "0m 10 8 10", "0m 5m 8 7", "0m 8 10 0m", "0m 3 10 5m", "0m 0m 5m 5m", "0m 10 8 7",
    "0m 8 5m 10", "8 10 0m 0m", "0m 5m", "0m 1", "0m 5 0m 5", "0m 3 5 8", "0m 7m 8 10", "5m 0m 8 7",
    "0m", "0m 10", "0m 8", "0m 10 5m 0m", "0m 2dim 7 0m", "0m 0m 0m 0m 5m 5m 0m 0m 8 7 0m 7",
)  # fmt: skip
POWER_PROGRESSIONS = (
    "05 85 105 05", "05 35 55 05", "05 15 05 105", "05 05 35 105", "05 75 85 55", "05 105 85 75",
    "05 65 55 35", "05", "05 05 85 105",
)  # fmt: skip
JAZZ_PROGRESSIONS = (
    "2m7 7 0maj7 0maj7", "0maj7 97#9 2m7 713", "4m7 97 2m7 7", "0maj9 5maj7 4m7 97", "0m7 5m7 2m7b5 7",
    "07 57 07 07 57 57 07 07 713 57 07 77#9", "0m9 59 0m9 59", "0maj7 2m7 4m7 5maj7", "5maj7 4m7 2m9 0maj7",
    "0m7 10maj7 8maj7 77#9", "2m9 713", "0m9 8maj7 2m7b5 77#9",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chord:
    """A chord over a stretch of time.

    Attributes:
        start: in beats.
        end: in beats.
        root: pitch class, 0 is C.
        intervals: of its tones above the root, in semitones.
    """

    start: float
    end: float
    root: int
    intervals: tuple[int, ...]

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        return tuple((self.root + interval) % 12 for interval in self.intervals)


def progression(text: str, tonic: int) -> list[tuple[int, tuple[int, ...]]]:
    """Roots and intervals of a progression written as above, in the key of `tonic`."""
    chords = []
    for word in text.replace("/", "").split():
        # Roots have one digit, or are 10 or 11: a word like "105" is the tenth with a fifth.
        n_digits = 2 if word[:2] in ("10", "11") else 1
        chords.append(((tonic + int(word[:n_digits])) % 12, QUALITIES[word[n_digits:]]))
    return chords


def draw_progression(style: str, is_minor: bool, rng: np.random.Generator) -> str:
    """One of the usual progressions of a style, sometimes with richer chords."""
    if style == "metal" or (style == "rock" and rng.random() < 0.35):
        return str(rng.choice(POWER_PROGRESSIONS))
    if style == "jazz" or (style in ("soul", "funk", "hiphop", "latin") and rng.random() < 0.4):
        return str(rng.choice(JAZZ_PROGRESSIONS))
    text = str(rng.choice(MINOR_PROGRESSIONS if is_minor else MAJOR_PROGRESSIONS))
    if rng.random() < 0.3:
        text = " ".join(_enriched(word, rng) for word in text.split())
    return text


def _enriched(word: str, rng: np.random.Generator) -> str:
    """A triad with a seventh, a ninth or a suspension, half of the time."""
    if rng.random() < 0.5 or not word.removesuffix("m").isdigit():
        return word
    if word.endswith("m"):
        return word + str(rng.choice(["7", "9"]))
    return word + str(rng.choice(["maj7", "sus2", "sus4", "6"]))


def lay_out(
    chords: Sequence[tuple[int, tuple[int, ...]]], start: float, n_beats: float, each: float
) -> list[Chord]:
    """Chords one after the other, `each` beats long, over and over for `n_beats` from `start` on."""
    laid = []
    for index in range(int(np.ceil(n_beats / each))):
        root, intervals = chords[index % len(chords)]
        begin = start + index * each
        laid.append(Chord(begin, min(begin + each, start + n_beats), root, intervals))
    return laid


def voicing(chord: Chord, near: float, n_voices: int) -> list[int]:
    """Pitches of a chord around the pitch `near`: its tones, the root first, in the closest octaves."""
    pitches = []
    for index in range(n_voices):
        tone = chord.root + chord.intervals[index % len(chord.intervals)]
        octave = round((near + 12 * (index // len(chord.intervals)) - tone) / 12)
        pitches.append(tone + 12 * octave)
    return sorted(set(pitches))
