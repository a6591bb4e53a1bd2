"""A patch of the synthesizer: a voice, and how it is played."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from notes import SAMPLE_RATE, Note
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import signal

from synth.drums import Kit, draw_kit
from synth.families import FAMILIES
from synth.rotor import Rotor
from synth.shapes import Floats
from synth.sweeps import Sweep, draw_sweep

RMS = 0.1  # of a part where it sounds, about -20 dB
PEAK = 0.9
RANGES = {"bass": (24, 60), "lead": (48, 96), "pad": (36, 88), "keys": (36, 96), "organ": (36, 96)}
STEADY = signal.butter(1, 15, "highpass", fs=SAMPLE_RATE, output="sos").astype(
    np.float32
)  # clippers make an offset
FAINT = 1e-7
LEGATO = 0.06  # s between notes that are played without a gap
LONGEST = 12.0  # s, no note is held for longer


class Voice(Protocol):
    """What makes a note: see `harmonic.Tone.note`."""

    def note(
        self, pitch: float, held: float, velocity: float, start: float, interval: float, rng: Generator
    ) -> Floats: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Solo:
    """One voice played on a keyboard.

    Attributes:
        voice: what makes a note.
        mono: a note ends the one before and glides from it.
        drive: dB into a soft clipper, 0 for none.
        rotor: a rotating loudspeaker, if any.
        touch: exponent of the velocity's effect on the level.
    """

    voice: Voice
    mono: bool = False
    drive: float = 0.0
    rotor: Rotor | None = None
    touch: float = 1.0

    def play(self, notes: Sequence[Note], n_samples: int, rng: np.random.Generator) -> Floats:
        """The part, `(2, n_samples)`, at its natural level."""
        sound = np.zeros((2, n_samples), np.float32)
        ordered = sorted(notes)
        for i, note in enumerate(ordered):
            first = int(note.start * SAMPLE_RATE)
            if not 0 <= first < n_samples:
                continue
            end, interval = note.end, 0.0
            if self.mono:
                if i + 1 < len(ordered):
                    end = min(end, ordered[i + 1].start)
                if i and note.start - ordered[i - 1].end < LEGATO:
                    interval = float(ordered[i - 1].pitch - note.pitch)
            held = min(max(0.02, end - note.start), LONGEST)
            velocity = note.velocity / 127
            played = self.voice.note(note.pitch, held, velocity, note.start, interval, rng)
            played = played[:, : n_samples - first] * np.float32(velocity**self.touch)
            sound[:, first : first + played.shape[1]] += played
        if self.drive and sound.any():
            level = np.sqrt(np.mean(sound**2))
            sound = np.tanh(sound * np.float32(10 ** (self.drive / 20) * 0.3 / level))
            sound = signal.sosfilt(STEADY, sound).astype(np.float32)
            sound[np.abs(sound) < FAINT] = 0  # the filter never ends by itself
        return self.rotor.turn(sound) if self.rotor else sound


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A sound of the synthesizer: what an instrument is to a sampler.

    Attributes:
        name: "bass/reese", for the manifest.
        role: see `draw_patch`.
        low: lowest MIDI pitch at which it sounds well.
        high: highest.
        engine: what plays.
        ingredient: "synth".
    """

    name: str
    role: str
    low: int
    high: int
    engine: Solo | Kit | Sweep
    ingredient: str = "synth"

    def play(self, notes: Sequence[Note], n_samples: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Play a part.

        Args:
            notes: in any order; those that begin outside of the part are left out.
            n_samples: length.
            rng: of phases and noise.

        Returns:
            `(2, n_samples)`, about -20 dB where it sounds, no sample above 0.9; zeros if there are no notes.
        """
        sound = self.engine.play(notes, n_samples, rng)
        squares = np.mean(sound[:, : n_samples // 2205 * 2205].reshape(2, -1, 2205) ** 2, axis=(0, 2))
        if not len(squares) or not squares.max():
            return sound
        heard = squares[squares > 1e-3 * squares.max()]
        gain = RMS / np.sqrt(heard.mean())
        return sound * np.float32(min(gain, PEAK / np.abs(sound).max()))


def draw_patch(role: str, rng: np.random.Generator) -> Patch:
    """A random patch.

    Args:
        role: "bass", "lead", "pad", "keys", "organ", "kit" or "fx".
        rng: source of the draw.

    Raises:
        ValueError: for any other role.
    """
    if role == "kit":
        family, kit = draw_kit(rng)
        return Patch(name=f"kit/{family}", role=role, low=0, high=127, engine=kit)
    if role == "fx":
        family, sweep = draw_sweep(rng)
        return Patch(name=f"fx/{family}", role=role, low=0, high=127, engine=sweep)
    if role not in FAMILIES:
        raise ValueError(f"role {role!r}: a synthesizer has {', '.join([*FAMILIES, 'kit', 'fx'])}")
    families = FAMILIES[role]
    weights = np.array([weight for weight, _ in families.values()])
    family = str(rng.choice(list(families), p=weights / weights.sum()))
    low, high = RANGES[role]
    engine = Solo(**families[family][1](rng))
    return Patch(name=f"{role}/{family}", role=role, low=low, high=high, engine=engine)
