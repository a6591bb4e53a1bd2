"""What is sung, and what solo instruments play: phrases of a few motifs, tied to chords and scale."""

from collections.abc import Sequence

import numpy as np
from form import Form, Section
from harmony import Chord
from notes import Note

# Lengths of notes in beats; negative: a rest. Four beats each.
RHYTHMS = (
    (1, 1, 1, 1), (0.5, 0.5, 1, 1, 1), (1.5, 0.5, 1, 1), (0.5, 0.5, 0.5, 0.5, 1, 1), (2, 1, 1), (4,),
    (0.75, 0.75, 0.5, 1, 1), (1, 0.5, 0.5, 2), (0.5,) * 8, (-0.5, 0.5, 0.5, 0.5, 1, 1), (3, 1), (-1, 1, 1, 1),
    (0.5, 1, 0.5, 0.5, 1, 0.5), (1.5, 1.5, 1), (-0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1), (0.25, 0.25, 0.5, 1, 2),
    (2, 2), (-2, 0.5, 0.5, 1), (0.75, 0.25, 1, 0.75, 0.25, 1), (1, -1, 1, -1), (0.5, 0.5, 0.5, 1.5, 1),
)  # fmt: skip
RAP_RHYTHMS = (
    (0.25,) * 16, (0.5, 0.25, 0.25) * 4, (0.25, 0.25, 0.5) * 4, (0.5,) * 8, (1 / 3,) * 12,
    (0.25, 0.25, 0.25, 0.25, 0.5, 0.5) * 2, (-0.5, 0.25, 0.25, 0.5, 0.5, 0.25, 0.25, 0.5, 0.5, 0.5),
)  # fmt: skip
BREATH_S = 0.12
LONGEST_BREATH_S = 8.0
STEPS = (-4, -3, -2, -2, -1, -1, -1, 0, 0, 1, 1, 1, 2, 2, 3, 4)


def sung_phrases(form: Form, centre: float, is_rap: bool, rng: np.random.Generator) -> list[list[Note]]:
    """The phrases of the lead voice, with pauses between them.

    Args:
        form: the song.
        centre: the pitch around which they lie, within an octave.
        is_rap: many short notes of nearly one pitch.
        rng: of all choices.
    """
    motifs = [_motif(is_rap, rng) for _ in range(int(rng.integers(3, 6)))]
    phrases = []
    for section in form.sections:
        if not section.has_vocals:
            continue
        density = rng.uniform(0.85, 1)
        lift = 3 if section.kind == "chorus" and rng.random() < 0.6 else 0
        order = rng.integers(len(motifs), size=4)
        for bar in range(section.n_bars):
            if rng.random() > density:
                continue
            start = section.start + bar * form.beats_per_bar
            motif = motifs[order[bar % len(order)]]
            notes = _sung(motif, start, form, section.chords, centre + lift, is_rap, rng)
            if phrases and notes and notes[0].start - phrases[-1][-1].end < BREATH_S:
                if notes[-1].end - phrases[-1][0].start < LONGEST_BREATH_S:
                    phrases[-1] += notes
                    continue
                notes = notes[1:]  # a breath is taken where the first note was
            if notes:
                phrases.append(notes)
    return phrases


def solo(form: Form, section: Section, centre: float, density: float, rng: np.random.Generator) -> list[Note]:
    """A line for an instrument over a section: `density` is the share of bars that it plays in."""
    motifs = [_motif(False, rng) for _ in range(3)]
    notes: list[Note] = []
    for bar in range(section.n_bars):
        if rng.random() < density:
            motif = motifs[int(rng.integers(len(motifs)))]
            start = section.start + bar * form.beats_per_bar
            notes += _sung(motif, start, form, section.chords, centre, False, rng)
    return notes


def chord_at(chords: Sequence[Chord], beat: float) -> Chord:
    return next((chord for chord in chords if chord.start <= beat < chord.end), chords[-1])


Motif = list[
    tuple[float, int]
]  # length in beats (a rest if negative), steps of the scale from the note before


def _motif(is_rap: bool, rng: np.random.Generator) -> Motif:
    table = RAP_RHYTHMS if is_rap else RHYTHMS
    rhythm = table[int(rng.integers(len(table)))]
    return [(float(length), 0 if is_rap else int(rng.choice(STEPS))) for length in rhythm]


def _sung(
    motif: Motif,
    start: float,
    form: Form,
    chords: Sequence[Chord],
    centre: float,
    is_rap: bool,
    rng: np.random.Generator,
) -> list[Note]:
    """A motif as notes: chord tones on the beat, the scale between; within a bar."""
    scale = [(form.tonic + step) % 12 for step in form.scale]
    pitch, beat, notes = centre + float(rng.normal(0, 2)), start, []
    for length, step in motif:
        end = min(beat + abs(length), start + form.beats_per_bar)
        if length > 0 and end > beat and rng.random() < 0.96:
            pitch = min(max(pitch + 1.7 * step, centre - 8), centre + 9)
            on_beat = (beat - start) % 1 == 0 and not is_rap
            pool = chord_at(chords, beat).pitch_classes if on_beat and rng.random() < 0.8 else scale
            pitch = float(_nearest(pitch, pool))
            if is_rap:
                pitch = float(round(centre + rng.normal(0, 1.5)))
            begin, stop = form.seconds(beat), form.seconds(end)
            held = begin + (stop - begin) * rng.uniform(0.78, 0.99)
            notes.append(Note(begin, held, int(pitch), int(rng.integers(70, 112))))
        beat = end
    return notes


def _nearest(pitch: float, pool: Sequence[int]) -> int:
    return min(range(int(pitch) - 7, int(pitch) + 8), key=lambda p: (p % 12 not in pool, abs(p - pitch)))
