"""How a singer moves: the contours of pitch and loudness over the notes of a phrase, and the timing."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from notes import Note
from numpy.typing import NDArray
from psola import HOP

Contour = NDArray[np.float64]  # (frames,), a value every HOP


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """What a singer does with notes.

    Attributes:
        glide: the time from one pitch to the next, in seconds; 0.01 sounds like a machine's tuning.
        vibrato_depth: its amplitude in semitones when it has grown up.
        vibrato_rate: in Hz.
        vibrato_delay: after the note's start, in seconds.
        scoop: how often a phrase or a long note is reached from below, 0 to 1.
        fall: how often a phrase ends in a fall, 0 to 1.
        drift: slow deviation of the pitch, in semitones.
        looseness: deviation of the notes' starts, in seconds.
        swell: range of the slow changes of loudness, in dB.
        detune: how far all is sung beside the note, in semitones.
    """

    glide: float = 0.07
    vibrato_depth: float = 0.3
    vibrato_rate: float = 5.5
    vibrato_delay: float = 0.3
    scoop: float = 0.3
    fall: float = 0.2
    drift: float = 0.12
    looseness: float = 0.012
    swell: float = 3.0
    detune: float = 0.0


def draw_manner(rng: np.random.Generator) -> Manner:
    """A singer's habits; one in eight sings like tuned by a machine."""
    if rng.random() < 0.12:
        return Manner(
            glide=0.012, vibrato_depth=0.0, scoop=0.0, fall=0.0, drift=0.01, looseness=rng.uniform(0, 0.01)
        )
    return Manner(
        glide=rng.uniform(0.03, 0.14),
        vibrato_depth=rng.choice([0.0, rng.uniform(0.1, 0.4), rng.uniform(0.4, 0.9)], p=[0.15, 0.6, 0.25]),
        vibrato_rate=rng.uniform(4.5, 6.8),
        vibrato_delay=rng.uniform(0.12, 0.6),
        scoop=rng.uniform(0, 0.6),
        fall=rng.uniform(0, 0.4),
        drift=rng.uniform(0.05, 0.25),
        looseness=rng.uniform(0.004, 0.025),
        swell=rng.uniform(1.5, 6),
    )


def loosen(notes: Sequence[Note], manner: Manner, rng: np.random.Generator) -> list[Note]:
    """Move the notes a little in time; they stay in order, and none is shorter than 60 ms."""
    lag = rng.uniform(0, 1)
    loose: list[Note] = []
    for note in notes:
        start = max(note.start + manner.looseness * (rng.standard_normal() + lag), 0)
        if loose:
            start = max(start, loose[-1].start + 0.06)
            # What was sung in one breath still is, and nobody sings two notes at once.
            joined = note.start - notes[len(loose) - 1].end < 0.05
            loose[-1] = loose[-1]._replace(end=start if joined else min(loose[-1].end, start))
        loose.append(note._replace(start=start, end=max(note.end, start + 0.06)))
    return loose


def smooth_noise(n_frames: int, seconds: float, rng: np.random.Generator) -> Contour:
    """Noise of variance about 1 that changes over that time, `(n_frames,)`."""
    step = max(int(seconds / HOP), 1)
    knots = rng.standard_normal(n_frames // step + 4)
    at = np.arange(n_frames) / step + 1
    k = at.astype(int)
    x = at - k
    y = 1 - x
    # The four weights of a cubic B-spline; 1.6 makes good for the variance that they take away.
    weights = (y**3 / 6, (3 * x**3 - 6 * x**2 + 4) / 6, (3 * y**3 - 6 * y**2 + 4) / 6, x**3 / 6)
    return 1.6 * sum(weight * knots[k + i - 1] for i, weight in enumerate(weights))


def pitch_contour(notes: Sequence[Note], n_frames: int, manner: Manner, rng: np.random.Generator) -> Contour:
    """The pitch of a phrase in MIDI numbers, `(n_frames,)`.

    Args:
        notes: in order, at least one, in seconds from the phrase's beginning.
        n_frames: its length.
        manner: the singer's.
        rng: draws scoops, falls, vibrato and drift.
    """
    clock = np.arange(n_frames) * HOP
    pitch = np.full(n_frames, notes[0].pitch + manner.detune)
    for before, note in pairwise(notes):
        # The glide is half done when the note starts; wide leaps take longer.
        glide = manner.glide * (1 + abs(note.pitch - before.pitch) / 12) * rng.uniform(0.7, 1.3)
        middle = note.start - 0.2 * glide
        pitch += (note.pitch - before.pitch) * _step((clock - middle) / glide)
    for index, note in enumerate(notes):
        long = note.end - note.start > 0.3
        if rng.random() < manner.scoop * (1.0 if index == 0 else 0.3 if long else 0.1):
            depth, span = rng.uniform(0.7, 3), rng.uniform(0.05, 0.18)
            since = clock - note.start
            before = _step((since + 0.15) / 0.06) if index else 1.0
            pitch -= depth * before * (1 - _step((since - span / 2) / span))
        pitch += _vibrato(note, clock, manner, rng)
    if rng.random() < manner.fall:
        span = rng.uniform(0.1, 0.3)
        pitch -= rng.uniform(1.5, 6) * np.clip((clock - notes[-1].end + span) / span, 0, 1) ** 2
    trembling = smooth_noise(n_frames, 0.35, rng) + 0.15 * smooth_noise(n_frames, 0.03, rng)
    return pitch + manner.drift * trembling


def _step(x: Contour) -> Contour:
    """From 0 to 1 around 0, smoothly, mostly within -0.5 to 0.5."""
    return 0.5 * (1 + np.tanh(2.6 * x))


def _vibrato(note: Note, clock: Contour, manner: Manner, rng: np.random.Generator) -> Contour:
    """The vibrato of a note, `(frames,)`: it starts late, grows, and changes its rate a little."""
    delay = manner.vibrato_delay * rng.uniform(0.7, 1.4)
    since = clock - note.start - delay
    grown = np.clip(since / 0.35, 0, 1) * np.clip((note.end - clock) / 0.05, 0, 1)
    if manner.vibrato_depth == 0 or not grown.any():
        return np.zeros(len(clock))
    rate = manner.vibrato_rate * rng.uniform(0.93, 1.07) * (1 + 0.05 * smooth_noise(len(clock), 0.3, rng))
    depth = manner.vibrato_depth * rng.uniform(0.6, 1.2) * (1 + 0.2 * smooth_noise(len(clock), 0.3, rng))
    return depth * grown * np.sin(2 * np.pi * np.cumsum(rate) * HOP)


def loudness_contour(
    notes: Sequence[Note], pitch: Contour, manner: Manner, rng: np.random.Generator
) -> Contour:
    """The loudness of a phrase in dB around 0, `(frames,)`: accents, swells, the pitch's share, the end."""
    clock = np.arange(len(pitch)) * HOP
    loudness = 0.25 * manner.swell * smooth_noise(len(pitch), 0.5, rng)
    loudness += 0.2 * (pitch - np.median(pitch))  # high notes are sung louder
    for note in notes:
        inside = np.clip((clock - note.start + 0.03) / 0.05, 0, 1) * np.clip(
            (note.end - clock) / 0.05 + 1, 0, 1
        )
        length = note.end - note.start
        arch = np.sin(np.pi * np.clip((clock - note.start) / length, 0, 1)) * min(length, 1)
        swell = rng.uniform(-0.5, 1) * manner.swell * arch
        loudness += inside * ((note.velocity - 90) / 12 + rng.normal(0, 0.7) + swell)
    ending = np.clip((clock - notes[-1].end + 0.25) / 0.25, 0, 1)
    return loudness - rng.uniform(3, 10) * ending
