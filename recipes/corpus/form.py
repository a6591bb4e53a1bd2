"""The form of a song: what is played when, how fast, in which key."""

from dataclasses import dataclass

import numpy as np
from harmony import SCALES, Chord, draw_progression, lay_out, progression
from riffs import Riff


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """What the songs of a style are like.

    Attributes:
        tempo: beats per minute, from and to.
        minor: share of songs in a minor key.
        swing: share of songs whose second eighth comes late.
        accompaniment: the roles that its arrangements draw from, with weights.
        bass: the ways of playing the bass, see `accompaniment.BASS_LINES`.
        human: share of songs whose drums were played by a person.
        vocals: share of songs that have a voice.
    """

    tempo: tuple[float, float]
    minor: float
    swing: float
    accompaniment: dict[str, float]
    bass: tuple[str, ...]
    human: float
    vocals: float = 0.96


STYLES = {
    "rock": Manner(
        tempo=(85, 175),
        minor=0.4,
        swing=0.05,
        human=0.9,
        accompaniment={"guitar": 4, "keys": 1, "organ": 1, "strings": 0.4, "lead": 0.4, "pad": 0.4},
        bass=("eighths", "kick", "quarters", "riff"),
    ),
    "pop": Manner(
        tempo=(75, 135),
        minor=0.4,
        swing=0.1,
        human=0.5,
        accompaniment={
            "keys": 2,
            "guitar": 2,
            "pad": 1.5,
            "strings": 1,
            "lead": 1,
            "mallet": 0.5,
            "brass": 0.3,
        },
        bass=("kick", "eighths", "riff", "sustained", "quarters", "octaves"),
    ),
    "electronic": Manner(
        tempo=(90, 178),
        minor=0.7,
        swing=0.1,
        human=0.1,
        vocals=0.92,
        accompaniment={
            "pad": 2,
            "lead": 2.5,
            "keys": 2,
            "mallet": 0.7,
            "fx": 1,
            "strings": 0.3,
            "organ": 0.3,
        },
        bass=("offbeat", "riff", "sustained", "octaves", "sixteenths", "kick"),
    ),
    "hiphop": Manner(
        tempo=(70, 105),
        minor=0.75,
        swing=0.4,
        human=0.3,
        accompaniment={
            "keys": 2,
            "pad": 1,
            "mallet": 0.7,
            "strings": 0.8,
            "guitar": 0.7,
            "brass": 0.4,
            "lead": 0.6,
        },
        bass=("kick", "sustained", "riff"),
    ),
    "funk": Manner(
        tempo=(88, 128),
        minor=0.6,
        swing=0.25,
        human=0.9,
        accompaniment={"guitar": 2, "keys": 2, "brass": 1.5, "organ": 1, "strings": 0.4, "lead": 0.5},
        bass=("riff", "octaves", "kick", "sixteenths"),
    ),
    "jazz": Manner(
        tempo=(85, 190),
        minor=0.4,
        swing=0.8,
        human=1.0,
        vocals=0.88,
        accompaniment={"keys": 3, "guitar": 1.2, "wind": 1.5, "brass": 1.2, "mallet": 0.6, "organ": 0.5},
        bass=("walking", "quarters", "riff"),
    ),
    "folk": Manner(
        tempo=(70, 150),
        minor=0.35,
        swing=0.15,
        human=0.8,
        accompaniment={"guitar": 4, "keys": 1, "strings": 1.2, "wind": 1, "organ": 0.3, "mallet": 0.3},
        bass=("quarters", "fifths", "sustained"),
    ),
    "metal": Manner(
        tempo=(95, 200),
        minor=0.95,
        swing=0.0,
        human=0.9,
        accompaniment={"guitar": 5, "strings": 0.3, "pad": 0.4, "lead": 0.5},
        bass=("eighths", "kick", "sixteenths", "riff"),
    ),
    "soul": Manner(
        tempo=(62, 118),
        minor=0.5,
        swing=0.35,
        human=0.85,
        accompaniment={"keys": 2.5, "guitar": 1.3, "organ": 1.2, "strings": 1, "brass": 1, "pad": 0.4},
        bass=("riff", "kick", "sustained", "octaves"),
    ),
    "reggae": Manner(
        tempo=(65, 95),
        minor=0.5,
        swing=0.3,
        human=0.7,
        accompaniment={"guitar": 2, "organ": 2, "keys": 1.5, "brass": 0.8, "lead": 0.4},
        bass=("riff", "sustained"),
    ),
    "latin": Manner(
        tempo=(80, 130),
        minor=0.55,
        swing=0.05,
        human=0.7,
        accompaniment={"guitar": 2, "keys": 2, "brass": 1, "wind": 0.6, "strings": 0.5, "mallet": 0.4},
        bass=("fifths", "tumbao", "riff"),
    ),
}
MAJOR_SCALES = ("major", "major", "mixolydian")
MINOR_SCALES = ("minor", "minor", "dorian", "harmonic minor", "phrygian")
STYLE_SHARES = {
    "rock": 5,
    "pop": 5,
    "electronic": 4,
    "hiphop": 2.5,
    "funk": 1.5,
    "jazz": 1,
    "folk": 1.5,
    "metal": 2,
    "soul": 1.5,
    "reggae": 0.8,
    "latin": 0.8,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Some bars that belong together.

    Attributes:
        kind: "intro", "verse", "chorus", "break" or "outro".
        start: in beats.
        n_bars: length.
        chords: of these bars.
        energy: 0 to 1: how many play, and how hard.
        has_vocals: whether somebody sings.
    """

    kind: str
    start: float
    n_bars: int
    chords: list[Chord]
    energy: float
    has_vocals: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A song before anybody plays.

    Attributes:
        style: a key of `STYLES`.
        tempo: beats per minute.
        beats_per_bar: 3 or 4.
        tonic: pitch class.
        scale: semitones above the tonic.
        swing: how late the second eighth comes, 0 to 1/3 of a beat.
        sections: one after the other.
    """

    style: str
    tempo: float
    beats_per_bar: int
    tonic: int
    scale: tuple[int, ...]
    swing: float
    sections: list[Section]

    @property
    def n_beats(self) -> int:
        return sum(section.n_bars for section in self.sections) * self.beats_per_bar

    @property
    def duration_s(self) -> float:
        return self.n_beats * 60 / self.tempo

    def seconds(self, beat: float) -> float:
        """When a beat comes, with its swing."""
        whole, part = divmod(beat, 1.0)
        late = self.swing * (part / 0.5 if part <= 0.5 else (1 - part) / 0.5)
        return (whole + part + late) * 60 / self.tempo


# Of the kinds of sections: energy from and to, share that is sung, bars.
ENERGY = {
    "intro": (0.2, 0.8),
    "verse": (0.3, 0.7),
    "chorus": (0.7, 1.0),
    "break": (0.05, 0.5),
    "outro": (0.2, 0.9),
}
VOCALS = {"intro": 0.15, "verse": 0.98, "chorus": 0.98, "break": 0.7, "outro": 0.7}
LENGTHS = {"intro": (2, 4), "verse": (4, 8, 8), "chorus": (4, 8, 8), "break": (2, 2, 4), "outro": (2, 4)}


def draw_form(style: str, duration_s: float, rng: np.random.Generator, riff: Riff | None = None) -> Form:
    """Tempo, key and sections of a song of about `duration_s` seconds; tempo and key of the riff, if any."""
    manner = STYLES[style]
    tempo = float(rng.uniform(*manner.tempo))
    beats_per_bar = 3 if style in ("folk", "jazz", "pop", "rock") and rng.random() < 0.06 else 4
    is_minor = rng.random() < manner.minor
    scale = str(rng.choice(MINOR_SCALES if is_minor else MAJOR_SCALES))
    tonic = int(rng.integers(12))
    if riff:
        tempo, beats_per_bar = riff.tempo, 4
        tonic, scale, is_minor = riff.tonic, riff.scale, riff.scale == "minor"
    n_bars = max(8, round(duration_s * tempo / 60 / beats_per_bar))
    verse, chorus, bridge = (draw_progression(style, is_minor, rng) for _ in range(3))
    texts = {"verse": verse, "chorus": chorus, "break": bridge, "intro": verse, "outro": chorus}
    has_voice = rng.random() < manner.vocals
    each = beats_per_bar * float(rng.choice([0.5, 1, 2], p=[0.15, 0.7, 0.15]))  # beats a chord
    sections, bar = [], 0
    for kind in _kinds(rng):
        length = min(int(rng.choice(LENGTHS[kind])), n_bars - bar)
        if length <= 0:
            break
        start = float(bar * beats_per_bar)
        sections.append(
            Section(
                kind=kind,
                start=start,
                n_bars=length,
                chords=lay_out(progression(texts[kind], tonic), start, length * beats_per_bar, each),
                energy=float(rng.uniform(*ENERGY[kind])),
                has_vocals=bool(has_voice and rng.random() < VOCALS[kind]),
            )
        )
        bar += length
    swing = float(rng.uniform(0.06, 0.17)) if rng.random() < manner.swing and not riff else 0.0
    return Form(
        style=style,
        tempo=tempo,
        beats_per_bar=beats_per_bar,
        tonic=tonic,
        scale=SCALES[scale],
        swing=swing,
        sections=sections,
    )


def _kinds(rng: np.random.Generator) -> list[str]:
    """The order of sections, from somewhere in the song on; more than are needed."""
    song = ["intro", "verse", "chorus", "verse", "chorus", "break", "chorus", "outro"]
    begin = int(rng.choice([0, 0, 0, 1, 2, 3]))
    return song[begin:] + song[1:] * 4
