"""Drum parts: performances of the Groove MIDI Dataset, and patterns of drum machines.

Gillick et al., "Learning to groove with inverse sequence transformations", ICML 2019 (CC BY 4.0).
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import mido
import numpy as np
from form import Form, Section
from library import folder
from notes import Note

# The dataset's electronic kit has numbers of its own for some of General MIDI's.
PITCHES = {22: 42, 26: 46, 40: 38, 50: 48, 55: 49, 52: 57, 58: 43}
KICK, SNARE, RIM, CLAP, CLOSED, OPEN, CRASH, RIDE, SHAKER, COWBELL = 36, 38, 37, 39, 42, 46, 49, 51, 70, 56
NEAREST_TEMPO = 30  # a performance may be played that many beats per minute faster or slower
STYLES = {
    "rock": ("rock", "punk", "country"),
    "pop": ("pop", "rock", "soul", "dance"),
    "electronic": ("dance", "hiphop"),
    "hiphop": ("hiphop", "neworleans", "soul"),
    "funk": ("funk", "neworleans", "gospel"),
    "jazz": ("jazz", "blues"),
    "folk": ("country", "rock", "highlife", "middleeastern"),
    "metal": ("punk", "rock"),
    "soul": ("soul", "gospel", "funk"),
    "reggae": ("reggae", "afrobeat"),
    "latin": ("latin", "afrocuban", "afrobeat", "highlife"),
}

# Sixteen steps a bar: X hard, x soft, digits the chance in tenths.
PATTERNS: dict[str, tuple[dict[int, str], ...]] = {
    "electronic": (
        {
            KICK: "X...X...X...X...",
            CLAP: "....X.......X...",
            CLOSED: "x.x.x.x.x.x.x.x.",
            OPEN: "..X...X...X...X.",
        },
        {KICK: "X...X...X...X..3", SNARE: "....X.......X...", CLOSED: "xxxxxxxxxxxxxxxx"},
        {
            KICK: "X.........X.....",
            SNARE: "....X.......X...",
            CLOSED: "x.x.x.x.x.x.x.x.",
            RIDE: "....2...2...2...",
        },
        {KICK: "X..X..X...X.....", SNARE: "....X..x.x..X...", CLOSED: "x.x.x.x.x.x.x.x."},
        {KICK: "X..3...3X.X.....", SNARE: "........X.......", CLOSED: "x.xxx.x.x.xxx.33"},
        {KICK: "X...X...X...X...", RIM: "...X..X....X..X.", SHAKER: "xxXxxxXxxxXxxxXx"},
        {
            KICK: "X.....X...X.....",
            CLAP: "....X.......X..2",
            CLOSED: "..x...x...x...x.",
            COWBELL: "3..3..3..3..3...",
        },
    ),
    "hiphop": (
        {KICK: "X......X..X.....", SNARE: "....X.......X...", CLOSED: "x.x.x.x.x.x.x.x."},
        {KICK: "X..X......X..3..", SNARE: "........X.......", CLOSED: "x.x.x.xxx.x.x5x5"},
        {
            KICK: "X.X....X.XX.....",
            SNARE: "....X.......X..3",
            CLOSED: "x.x.x.x.x.x.x.x.",
            OPEN: "..............5.",
        },
        {KICK: "X.....3...X..X..", CLAP: "....X.......X...", CLOSED: "xxx.xxx.xxx.xxxx"},
    ),
    "pop": (
        {KICK: "X...X...X...X...", SNARE: "....X.......X...", CLOSED: "x.x.x.x.x.x.x.x."},
        {KICK: "X.....X.X.......", CLAP: "....X.......X...", SHAKER: "x.xxx.xxx.xxx.xx"},
        {
            KICK: "X.....X...X...3.",
            SNARE: "....X.......X...",
            CLOSED: "x.x.x.x.x.x.x.x.",
            OPEN: "..............3.",
        },
        {KICK: "X..X..X.....X...", SNARE: "...X..X....X..X.", CLOSED: "x.x.x.x.x.x.x.x."},
    ),
    "reggae": ({KICK: "........X.......", RIM: "........X.......", CLOSED: "x.x.x.x.x.x.x.x."},),
    "latin": ({KICK: "X..X..X.X..X..X.", SNARE: "...X..X....X..X.", SHAKER: "xxxxxxxxxxxxxxxx"},),
    "rock": (
        {KICK: "X.......X.X.....", SNARE: "....X.......X...", CLOSED: "x.x.x.x.x.x.x.x."},
        {KICK: "X.X.....X.X...3.", SNARE: "....X.......X...", OPEN: "x...x...x...x..."},
        {KICK: "XxXxXxXxXxXxXxXx", SNARE: "....X.......X...", CRASH: "X...X...X...X..."},
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """A recorded performance.

    Attributes:
        path: of its MIDI file.
        style: "rock", "funk" …
        tempo: that it was played at, beats per minute.
        beats_per_bar: of its time signature.
        is_fill: whether it is a fill, else a beat.
    """

    path: Path
    style: str
    tempo: float
    beats_per_bar: int
    is_fill: bool


Hits = list[tuple[float, int, int]]  # beat, pitch, velocity


@cache
def performances() -> tuple[Performance, ...]:
    """All of the dataset in 3/4 and 4/4. Raises `Missing` if it is not there."""
    root = folder("groove") / "groove"
    with (root / "info.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return tuple(
        Performance(
            path=root / row["midi_filename"],
            style=row["style"].partition("/")[0],
            tempo=float(row["bpm"]),
            beats_per_bar=int(row["time_signature"][0]),
            is_fill=row["beat_type"] == "fill",
        )
        for row in rows
        if row["time_signature"] in ("4-4", "3-4")
    )


@cache
def hits_of(performance: Performance) -> Hits:
    """What is hit when, in beats from the first bar on."""
    file = mido.MidiFile(performance.path)
    hits, ticks = [], 0
    for message in mido.merge_tracks(file.tracks):
        ticks += message.time
        if message.type == "note_on" and message.velocity > 0:
            pitch = PITCHES.get(message.note, message.note)
            hits.append((ticks / file.ticks_per_beat, pitch, message.velocity))
    return hits


def played(form: Form, rng: np.random.Generator) -> tuple[Hits, str]:
    """A whole song from one or two performances and fills; and the name of the first."""
    pool = [p for p in performances() if not p.is_fill and p.beats_per_bar == form.beats_per_bar]
    pool = [p for p in pool if len(hits_of(p)) > 12] if len(pool) < 10 else pool
    fitting = [p for p in pool if p.style in STYLES[form.style] and abs(p.tempo - form.tempo) < NEAREST_TEMPO]
    chosen = fitting or sorted(pool, key=lambda p: abs(p.tempo - form.tempo))[:20]
    fills = [p for p in performances() if p.is_fill and p.beats_per_bar == form.beats_per_bar]
    main = [chosen[int(i)] for i in rng.integers(len(chosen), size=2)]
    hits: Hits = []
    for section in form.sections:
        source = main[int(section.kind == "chorus")]
        offset = int(rng.integers(8)) * form.beats_per_bar
        n_beats = section.n_bars * form.beats_per_bar
        hits += _excerpt(hits_of(source), offset, n_beats, section.start, form.beats_per_bar)
        if fills and rng.random() < 0.5:
            end = section.start + n_beats
            hits = [hit for hit in hits if hit[0] < end - form.beats_per_bar]
            fill = hits_of(fills[int(rng.integers(len(fills)))])
            hits += _excerpt(fill, 0, form.beats_per_bar, end - form.beats_per_bar, form.beats_per_bar)
    return sorted(hits), str(main[0].path.name)


def _excerpt(hits: Hits, offset: int, n_beats: int, start: float, beats_per_bar: int) -> Hits:
    """Some beats of a performance from `offset` on, from its beginning again when it ends."""
    last = hits[-1][0] if hits else 0.0
    length = max(beats_per_bar, int(last // beats_per_bar + 1) * beats_per_bar)
    chosen: Hits = []
    for turn in range(n_beats // length + 2):
        for beat, pitch, velocity in hits:
            place = beat - offset % length + turn * length
            if 0 <= place < n_beats:
                chosen.append((start + place, pitch, velocity))
    return chosen


def programmed(form: Form, rng: np.random.Generator) -> Hits:
    """A whole song from two patterns of a drum machine, with changes from bar to bar."""
    known = PATTERNS.get(form.style, PATTERNS["rock"])
    patterns = [known[int(i)] for i in rng.integers(len(known), size=2)]
    double_hats, soft = rng.random() < 0.2, rng.integers(45, 85)
    hits: Hits = []
    for section in form.sections:
        pattern = patterns[int(section.kind == "chorus")]
        silent = {p for p in pattern if rng.random() < 0.3 * (1 - section.energy)}
        if section.kind in ("chorus", "verse") and rng.random() < 0.5:
            hits.append((section.start, CRASH, 110))
        for bar in range(section.n_bars):
            start = section.start + bar * form.beats_per_bar
            for pitch, steps in pattern.items():
                if pitch not in silent:
                    hits += _bar(steps[: 4 * form.beats_per_bar], start, pitch, int(soft), rng)
            if double_hats and rng.random() < 0.4:
                roll = start + float(rng.integers(form.beats_per_bar))
                hits += [(roll + k / 8, CLOSED, int(50 + 6 * k)) for k in range(8)]
    return sorted(hits)


def _bar(steps: str, start: float, pitch: int, soft: int, rng: np.random.Generator) -> Hits:
    hits: Hits = []
    for index, step in enumerate(steps):
        chance = {"X": 0.98, "x": 0.95, ".": 0.01}.get(step, 0.0) or int(step) / 10
        if rng.random() < chance:
            level = 112 if step == "X" else soft + (12 if index % 4 == 0 else 0)
            hits.append((start + index / 4, pitch, int(np.clip(level + rng.normal(0, 5), 20, 127))))
    return hits


def thinned(hits: Hits, sections: Sequence[Section], rng: np.random.Generator) -> Hits:
    """No drums in some quiet sections, only the kick or no kick in others."""
    kept: Hits = []
    for section, following in zip(sections, [*sections[1:], None], strict=True):
        end = following.start if following else float("inf")
        here = [hit for hit in hits if section.start <= hit[0] < end]
        if section.energy < 0.35 and rng.random() < 0.6:
            keep = int(rng.choice([0, 1, 2]))
            here = [hit for hit in here if keep and (hit[1] in (35, 36)) == (keep == 1)]
        kept += here
    return kept


def timed(hits: Hits, form: Form, tightness_s: float, rng: np.random.Generator) -> list[Note]:
    """Hits as notes. What a person played keeps its timing; swing is for patterns."""
    notes = []
    for beat, pitch, velocity in hits:
        start = max(0.0, form.seconds(beat) + float(rng.normal(0, tightness_s)))
        notes.append(Note(start, start + 0.15, pitch, velocity))
    return notes
