"""Real voices: sung, shouted, spoken and whispered phrases, CC0, that are set into the songs.

The files' names give key and tempo ("SHV - Ab minor - 124 BPM - Come On.wav"). What is sung is moved to the
song's key and tempo, what is shouted or spoken only to its beat.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
from banks import at_rate
from library import folder
from notes import SAMPLE_RATE
from psola import HOP, Recording, Samples, Syllable, Texture, analyse, nearest, sing_phrase

INGREDIENT = "strudel-vocals"
Kind = Literal["sung", "shouted", "spoken", "whispered"]
# Folders by what is in them: the names' beginnings.
KINDS: dict[str, Kind] = {
    "shv": "sung", "etv": "sung", "dvs": "shouted", "whisper": "whispered",
    "sq": "spoken", "scifi": "spoken", "hollywood": "spoken", "computer": "spoken",
}  # fmt: skip
PITCH_CLASSES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
MODES = {"minor": (0, 2, 3, 5, 7, 8, 10), "major": (0, 2, 4, 5, 7, 9, 11)}
AS_RECORDED = Texture(jitter=0.0, shimmer=0.0)
FARTHEST = 5  # semitones that a phrase may be moved


@dataclass(frozen=True, slots=True)
class Phrase:
    """A recorded phrase.

    Attributes:
        path: the file.
        singer: the folder: one voice, one key.
        kind: how it is uttered.
        scale: its pitch classes; empty if it is not sung.
        tempo: beats per minute; 0 if unknown.
    """

    path: Path
    singer: str
    kind: Kind
    scale: frozenset[int]
    tempo: float


@cache
def phrases() -> dict[str, list[Phrase]]:
    """All phrases by singer. Raises `Missing` if they are not in the library."""
    found: dict[str, list[Phrase]] = {}
    for path in sorted(folder(INGREDIENT).glob("*/*.wav")):
        singer = path.parent.name
        kind = KINDS[re.match("[a-z]+", singer)[0]]
        match = re.search(r"- ([A-G])(b|sharp|)[ -](minor|major)", path.stem, re.IGNORECASE)
        tempo = re.search(r"(\d+) BPM", path.stem)
        scale: frozenset[int] = frozenset()
        if match:
            tonic = PITCH_CLASSES[match[1].upper()] + {"b": -1, "": 0}.get(match[2].lower(), 1)
            scale = frozenset((tonic + step) % 12 for step in MODES[match[3].lower()])
        found.setdefault(singer, []).append(
            Phrase(path, singer, kind, scale, float(tempo[1]) if tempo else 0.0)
        )
    return found


def draw_singer(kind: Kind, rng: np.random.Generator) -> str:
    """A singer with at least four phrases of a kind, drawn by the root of their number."""
    sizes = {name: len(own) for name, own in phrases().items() if own[0].kind == kind and len(own) >= 4}
    weights = np.sqrt(list(sizes.values()))
    return str(rng.choice(list(sizes), p=weights / weights.sum()))


@lru_cache(maxsize=150)  # about 1 MB each
def load(path: Path) -> Recording:
    """A phrase from its first sound to its last, with pitch marks, mono."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = at_rate(samples.mean(axis=1), rate)
    width = SAMPLE_RATE // 100
    blocks = np.abs(np.pad(mono, (0, -len(mono) % width)).reshape(-1, width)).max(axis=1)
    loud = np.flatnonzero(blocks > 0.01 * max(float(blocks.max(initial=0)), 1e-6))
    begin, end = (int(loud[0]), int(loud[-1]) + 3) if len(loud) else (0, 1)
    return analyse(mono[max(begin - 1, 0) * width : end * width], 75, 800)


def transposition(own: Collection[int], wanted: Collection[int], rng: np.random.Generator) -> int:
    """The shift in semitones that brings most of one scale into another; of equal ones the nearest."""
    if not own or not wanted:
        return 0
    return min(
        range(-FARTHEST, FARTHEST + 1),
        key=lambda shift: (-len({(p + shift) % 12 for p in own} & set(wanted)), abs(shift), rng.random()),
    )


def perform(
    recording: Recording, semitones: float, pace: float, texture: Texture, rng: np.random.Generator
) -> Samples:
    """A phrase at another pitch and pace, with the intonation that it has.

    Args:
        recording: of `load`.
        semitones: to move it by; its formants follow `texture`.
        pace: 1.1 is a tenth faster.
        texture: of the result.
        rng: draws what is never the same twice.

    Returns:
        `(samples,)`, the voiced part with a level of 1.
    """
    if semitones == 0 and pace == 1 and texture == AS_RECORDED:
        return recording.samples / np.float32(recording.level)
    duration = recording.seconds / pace
    clock = np.arange(0, duration, HOP)
    chosen = nearest(recording.marks, clock * pace * SAMPLE_RATE)
    known = np.flatnonzero(recording.voiced[chosen])
    pitch = np.full(len(clock), 150.0)
    if len(known):
        pitch = np.interp(np.arange(len(clock)), known, SAMPLE_RATE / recording.periods[chosen[known]])
    whole = Syllable(recording, 0.0, duration, 0.0, 0.0, 0.003, 0.02, hurried=True)
    return sing_phrase([whole], pitch * 2 ** (semitones / 12), texture, rng)


@dataclass(frozen=True, slots=True)
class Setting:
    """The song that phrases are set into.

    Attributes:
        scale: its pitch classes; empty: nothing is transposed.
        tempo: beats per minute.
        n_samples: its length.
    """

    scale: Collection[int]
    tempo: float
    n_samples: int


def draw_texture(rng: np.random.Generator, *, lower: bool = False) -> Texture:
    """As recorded in two of five songs, else another throat; `lower`: a man's, who sings an octave lower."""
    if lower:
        formant, breath = rng.uniform(0.78, 0.90), rng.uniform(0, 0.3)
        return Texture(formant=round(float(formant), 2), jitter=0.0, shimmer=0.0, breath=float(breath))
    if rng.random() < 0.4:
        return AS_RECORDED
    return Texture(
        formant=round(float(rng.uniform(0.86, 1.15)), 2),
        jitter=0.0,
        shimmer=0.0,
        breath=float(rng.uniform(0, 0.4)),
    )


def string_together(
    singer: str,
    starts: Sequence[float],
    setting: Setting,
    texture: Texture,
    rng: np.random.Generator,
    *,
    octaves: int = 0,
) -> Samples:
    """Phrases of one singer, in key and tempo, none over the next.

    Args:
        singer: a key of `phrases()`.
        starts: where they may begin, in seconds; where the one before still sounds, none does.
        setting: the song.
        texture: of the voice.
        rng: chooses the phrases.
        octaves: to move them by, beside what the key asks for.

    Returns:
        `(n_samples,)`, voiced parts with a level near 1.
    """
    out = np.zeros(setting.n_samples, np.float32)
    own = phrases()[singer]
    # A song repeats itself: it makes do with some of the phrases.
    chosen = [own[i] for i in rng.permutation(len(own))[: int(rng.integers(4, 13))]]
    shift = transposition(chosen[0].scale, setting.scale, rng) if setting.scale else int(rng.integers(-2, 3))
    pace = _pace(chosen[0].tempo, setting.tempo)
    free = 0.0
    for start in starts:
        phrase = chosen[int(rng.integers(len(chosen)))]
        if start < free:
            continue
        sound = perform(load(phrase.path), shift + 12 * octaves, pace, texture, rng)
        first = round(start * SAMPLE_RATE)
        room = max(setting.n_samples - first, 0)
        out[first : first + len(sound)] += np.clip(sound[:room], -12, 12)
        free = start + len(sound) / SAMPLE_RATE + 0.1
    return out


def _pace(own: float, wanted: float) -> float:
    """How much faster to sing at another tempo, or half or twice of it: 0.8 to 1.25, and 1 if it is near."""
    if own == 0:
        return 1.0
    pace = min((wanted / own * factor for factor in (0.5, 1, 2)), key=lambda ratio: abs(np.log(ratio)))
    return 1.0 if 0.97 < pace < 1.03 else float(np.clip(pace, 0.8, 1.25))
