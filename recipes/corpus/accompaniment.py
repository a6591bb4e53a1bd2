"""What bass and chord instruments play over the chords of a section."""

from collections.abc import Callable, Sequence

import numpy as np
from form import Form, Section
from harmony import Chord, voicing
from melody import solo
from notes import Note

Line = list[tuple[float, float, int, int]]  # beat, beats long, pitch, velocity
LOWEST_BASS = 28  # E1

# Syncopated starts within four beats, for riffs and grooves of chords.
FIGURES = (
    (0, 1.5, 2, 3.5), (0, 0.75, 1.5, 2.5, 3), (0, 1.5, 3), (0, 0.5, 1.5, 2, 3), (0.5, 1.5, 2.5, 3.5),
    (0, 2.5), (0, 0.75, 1.5, 2, 2.75, 3.5), (1, 3), (0, 1, 1.5, 2.5, 3.5), (0, 1.75, 2.5),
    (0.5, 1, 2.5, 3), (0, 0.25, 1.5, 2.75),
)  # fmt: skip


def bass_line(
    manner: str, form: Form, section: Section, kicks: Sequence[float], rng: np.random.Generator
) -> Line:
    """The bass of a section.

    Args:
        manner: a key of `BASS_LINES`.
        form: the song.
        section: where.
        kicks: beats on which the bass drum is hit, for lines that follow it.
        rng: of all choices.
    """
    figure = FIGURES[int(rng.integers(len(FIGURES)))]
    line: Line = []
    for chord in section.chords:
        root = LOWEST_BASS + (chord.root - LOWEST_BASS) % 12
        line += BASS_LINES[manner](chord, root, figure, kicks, rng)
    ghosts = rng.random() * 0.15
    varied = []
    for beat, length, pitch, velocity in line:
        if rng.random() < ghosts:
            pitch += int(rng.choice([12, 7, -5]) if pitch - 5 >= LOWEST_BASS else 12)
        varied.append((beat, length, pitch, int(np.clip(velocity + rng.normal(0, 7), 25, 127))))
    return varied


def _repeated(each: float, length: float) -> Callable[..., Line]:
    def line(chord: Chord, root: int, *_: object) -> Line:
        beats = np.arange(chord.start, chord.end - 1e-6, each)
        return [(float(b), each * length, root, 100 if b % 1 == 0 else 86) for b in beats]

    return line


def _offbeat(chord: Chord, root: int, *_: object) -> Line:
    return [(float(b) + 0.5, 0.4, root, 100) for b in np.arange(chord.start, chord.end - 0.5)]


def _octaves(chord: Chord, root: int, *_: object) -> Line:
    beats = np.arange(chord.start, chord.end - 1e-6, 0.5)
    return [(float(b), 0.4, root + (12 if b % 1 else 0), 100) for b in beats]


def _with_kick(chord: Chord, root: int, _: object, kicks: Sequence[float], rng: np.random.Generator) -> Line:
    starts = [beat for beat in kicks if chord.start <= beat < chord.end] or [chord.start]
    return _until_next(starts, chord.end, root, share=float(rng.uniform(0.5, 1)))


def _sustained(chord: Chord, root: int, *_: object) -> Line:
    return [(chord.start, (chord.end - chord.start) * 0.97, root, 96)]


def _riff(chord: Chord, root: int, figure: Sequence[float], _: object, rng: np.random.Generator) -> Line:
    tones = (0, 0, 0, 7, 12, 10 if 3 in chord.intervals else 5, -5 if root - 5 >= LOWEST_BASS else 7)
    starts = [chord.start + f for f in figure if chord.start + f < chord.end] or [chord.start]
    line = _until_next(starts, chord.end, root, share=float(rng.uniform(0.4, 0.95)))
    return [
        (b, n, root + (0 if k == 0 else tones[int(b * 4) % len(tones)]), v)
        for k, (b, n, _, v) in enumerate(line)
    ]


def _fifths(chord: Chord, root: int, *_: object) -> Line:
    beats = np.arange(chord.start, chord.end - 1e-6, 2)
    return [(float(b), 1.6, root + (7 if k % 2 else 0), 95) for k, b in enumerate(beats)]


def _tumbao(chord: Chord, root: int, *_: object) -> Line:
    starts = [
        b + f for b in np.arange(chord.start, chord.end - 1e-6, 4) for f in (0, 1.5, 3) if b + f < chord.end
    ]
    return [(float(b), 0.9, root + (7 if k % 3 == 1 else 0), 95) for k, b in enumerate(starts)]


def _walking(chord: Chord, root: int, _: object, __: object, rng: np.random.Generator) -> Line:
    tones = [root + 12 * (root < 33) + interval for interval in chord.intervals if interval < 12]
    line: Line = []
    for index, beat in enumerate(np.arange(chord.start, chord.end - 1e-6)):
        pitch = tones[0] if index == 0 else int(rng.choice(tones)) + int(rng.choice([0, 0, 0, 1, -1, 2, -2]))
        line.append((float(beat), 0.92, pitch, 92))
    return line


def _until_next(starts: Sequence[float], end: float, pitch: int, *, share: float) -> Line:
    ends = [*starts[1:], end]
    return [(float(a), max(0.1, (b - a) * share), pitch, 98) for a, b in zip(starts, ends, strict=True)]


BASS_LINES: dict[str, Callable[..., Line]] = {
    "quarters": _repeated(1, 0.9),
    "eighths": _repeated(0.5, 0.85),
    "sixteenths": _repeated(0.25, 0.8),
    "offbeat": _offbeat,
    "octaves": _octaves,
    "kick": _with_kick,
    "sustained": _sustained,
    "riff": _riff,
    "fifths": _fifths,
    "tumbao": _tumbao,
    "walking": _walking,
}

# How a role may accompany.
CHORD_MANNERS = {
    "guitar": ("strum8", "strum16", "chug", "arpeggio", "offbeat", "riff", "held", "stabs"),
    "keys": ("block", "pulse", "arpeggio", "stabs", "offbeat", "riff", "held", "broken"),
    "organ": ("held", "held", "offbeat", "stabs", "pulse"),
    "pad": ("held",),
    "strings": ("held", "held", "pulse", "line"),
    "brass": ("stabs", "line", "held"),
    "wind": ("line", "line", "held"),
    "mallet": ("arpeggio", "broken", "riff", "line"),
    "lead": ("line", "arpeggio", "riff16", "riff"),
    "fx": ("sweep",),
}
CENTRES = {
    "guitar": (45, 60),
    "keys": (50, 66),
    "organ": (52, 66),
    "pad": (50, 67),
    "strings": (52, 72),
    "brass": (56, 68),
    "wind": (62, 76),
    "mallet": (65, 80),
    "lead": (62, 80),
    "fx": (60, 61),
}


def chord_part(
    role: str, manner: str, form: Form, section: Section, centre: float, rng: np.random.Generator
) -> list[Note]:
    """What one instrument plays in a section.

    Args:
        role: a key of `CENTRES`.
        manner: one of `CHORD_MANNERS[role]`.
        form: the song.
        section: where.
        centre: pitch around which it plays.
        rng: of all choices.
    """
    if manner == "line":
        return solo(form, section, centre, float(rng.uniform(0.3, 0.9)), rng)
    if manner == "sweep":
        end = section.start + section.n_bars * form.beats_per_bar
        begin = max(section.start, end - int(rng.choice([2, 4, 8])))
        return [Note(form.seconds(begin), form.seconds(end), 60, 100)]
    figure = FIGURES[int(rng.integers(len(FIGURES)))]
    n_voices = 3 if role in ("pad", "strings", "brass") else int(rng.integers(3, 6))
    loudness, spread = rng.uniform(60, 105), rng.uniform(0.0, 0.022)
    has_low_root = rng.random() < LOW_ROOTS.get(role, 0.0)
    notes: list[Note] = []
    for chord in section.chords:
        if manner == "chug":
            pitches = [40 + (chord.root - 40) % 12 + interval for interval in (0, 7, 12)]
        else:
            pitches = voicing(chord, centre, n_voices)
            if has_low_root:
                pitches = [LOWEST_ROOT + chord.root, *pitches]
        for index, (beat, length, which) in enumerate(_hits(manner, chord, figure, len(pitches), rng)):
            begin, end = form.seconds(beat), form.seconds(beat + length)
            chosen = (
                pitches if which is None else [pitches[which % len(pitches)] + 12 * (which // len(pitches))]
            )
            strummed = chosen if index % 2 == 0 else chosen[::-1]
            for place, pitch in enumerate(strummed):
                late = place * spread + abs(rng.normal(0, 0.004))
                velocity = int(np.clip(loudness + rng.normal(0, 9) + (6 if beat % 1 == 0 else 0), 20, 127))
                notes.append(Note(begin + late, max(end, begin + late + 0.05), pitch, velocity))
    return notes


def _hits(
    manner: str, chord: Chord, figure: Sequence[float], n_pitches: int, rng: np.random.Generator
) -> list[tuple[float, float, int | None]]:
    """Beat, length, and which tone (None: all) for one chord."""
    span = chord.end - chord.start
    if manner == "held":
        return [(chord.start, span * 0.98, None)]
    if manner == "block":
        return [
            (float(b), min(1.9, chord.end - b), None) for b in np.arange(chord.start, chord.end - 1e-6, 2)
        ]
    if manner in EVEN:
        each, length, skipped = EVEN[manner]
        beats = np.arange(chord.start, chord.end - 1e-6, each)
        return [(float(b), each * length, None) for b in beats if rng.random() >= skipped]
    if manner == "offbeat":
        return [(float(b) + 0.5, 0.3, None) for b in np.arange(chord.start, chord.end - 0.5)]
    if manner in ("stabs", "riff"):
        starts = [chord.start + f for f in figure if f < span] or [chord.start]
        length = 0.3 if manner == "stabs" else 0.45
        return [(b, length, None if manner == "stabs" else int(4 * b) % (n_pitches + 1)) for b in starts]
    each = 0.25 if manner == "riff16" else 0.5
    beats = np.arange(chord.start, chord.end - 1e-6, each)
    order = [0, 2, 1, 3] if manner == "broken" else list(range(n_pitches)) + list(range(n_pitches - 2, 0, -1))
    return [(float(b), each * 1.3, order[k % len(order)]) for k, b in enumerate(beats)]


LOWEST_ROOT = 36  # C2
LOW_ROOTS = {"guitar": 0.5, "keys": 0.5, "organ": 0.3, "pad": 0.4, "strings": 0.3}  # left hands, low strings

# Of evenly repeated chords: beats between them, share of that for which they sound, share that is left out.
EVEN = {
    "pulse": (1.0, 0.6, 0.03),
    "strum8": (0.5, 1.0, 0.25),
    "strum16": (0.25, 0.9, 0.45),
    "chug": (0.5, 0.8, 0.15),
}


def timed(line: Line, form: Form, rng: np.random.Generator) -> list[Note]:
    """A line as notes, played by a person."""
    notes = []
    for beat, length, pitch, velocity in line:
        start = max(0.0, form.seconds(beat) + float(rng.normal(0, 0.004)))
        notes.append(Note(start, max(start + 0.05, form.seconds(beat + length)), pitch, velocity))
    return notes
