"""Drum kits from recordings of single strokes.

A kit is drawn anew for every part: which strokes of a drum are used, the balance of the microphones, tuning,
damping, panning and level of every drum. Recordings of several microphones are mixed here, not by a sampler:
a stroke is then one addition, however many microphones it had.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from library import is_present
from notes import SAMPLE_RATE, Audio, Note
from recordings import FADE, Drum, Take, drums, level, listed, recording
from scipy.signal import lfilter, resample

N_LAYERS, N_TAKES = 6, 2  # strokes of a drum that one part uses: more of them cost time and are hardly heard
N_BRIGHTNESS = 4  # steps from dull to bright, where a drum was recorded at one force only
DULLEST = 1500.0  # Hz, doubled with every step


class Room(NamedTuple):
    """What all drums of a part have in common: `balance` of the microphones in dB, `tuning` in semitones."""

    balance: dict[str, float]
    tuning: float
    width: float  # 0 mono to 1
    is_damped: bool
    dynamics: float  # dB from no force to full force, where a drum was recorded at one force only


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """How a drum sounds in one part.

    Attributes:
        layers: the takes from soft to hard.
        gains: of each group of microphones.
        tuning: ratio of frequencies.
        damping: s after which a stroke is 1/e of what it was, inf if it rings freely.
        pan: -1 left to 1 right.
        width: of pairs of microphones, 0 to 1.
    """

    layers: list[list[Take]]
    gains: dict[str, float]
    tuning: float
    damping: float
    pan: float
    width: float

    def stroke(self, layer: int, take: int, brightness: int) -> Audio:
        """The sound of one stroke, `(2, n)`."""
        audio = self._mixed(self.layers[layer][take])
        if self.tuning != 1:
            audio = resample(audio, max(1, round(audio.shape[1] / self.tuning)), axis=1)
        if np.isfinite(self.damping):
            audio = audio * np.exp(-np.arange(audio.shape[1]) / (self.damping * SAMPLE_RATE))
        if brightness < N_BRIGHTNESS:
            keep = np.exp(-2 * np.pi * DULLEST * 2**brightness / SAMPLE_RATE)
            audio = 0.3 * audio + 0.7 * lfilter([1 - keep], [1, -keep], audio, axis=1)
        return audio.astype(np.float32)

    def _mixed(self, take: Take) -> Audio:
        placed = []
        for group, gain in self.gains.items():
            files = take.get(group, ())
            pans = (
                (-self.width, self.width)
                if len(files) == 2 and group != "close"
                else (self.pan,) * len(files)
            )
            placed += [(recording(path), gain, pan) for path, pan in zip(files, pans, strict=True)]
        audio = np.zeros((2, max(one.shape[1] for one, _, _ in placed)), np.float32)
        for one, gain, pan in placed:
            sides = np.sqrt(np.array([[1 - pan], [1 + pan]], np.float32))
            audio[:, : one.shape[1]] += gain * sides * one
        return audio


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """Drums, and the limits within which the sound of a part is drawn.

    Attributes:
        drums: by number in General MIDI's percussion map.
        balance: of every group of microphones that is used, the range of its level in dB.
        is_machine: a drum that is struck again is cut.
    """

    drums: dict[int, Drum]
    balance: dict[str, tuple[float, float]]
    is_machine: bool

    def play(self, notes: Sequence[Note], n_samples: int, rng: np.random.Generator) -> Audio:
        """The part, `(2, n_samples)`.

        Numbers that the kit lacks are played on what comes nearest; those without relatives are left out.
        """
        strokes = [
            (note, pitch) for note in sorted(notes) if (pitch := self._nearest(note.pitch)) is not None
        ]
        room = self._room(rng)
        sounds = {
            pitch: _sound(pitch, self.drums[pitch], room, rng) for pitch in sorted({p for _, p in strokes})
        }
        ready: dict[tuple[int, int, int, int], Audio] = {}
        audio = np.zeros((2, n_samples), np.float32)
        for (note, pitch), end in zip(strokes, self._ends(strokes, n_samples), strict=True):
            sound, is_choice, force = sounds[pitch], self.drums[pitch].is_choice, note.velocity / 127
            n = len(sound.layers)
            layer = int(np.clip(force**1.3 * n + rng.uniform(-0.3, 0.3), 0, n - 1))
            take = int(rng.integers(len(sound.layers[layer])))
            stroke = (pitch, layer, take, int(force * N_BRIGHTNESS) if is_choice else N_BRIGHTNESS)
            if stroke not in ready:
                ready[stroke] = sound.stroke(*stroke[1:])
            gain = room.dynamics * (force - 1) if is_choice else rng.uniform(-1.5, 0)
            _add(audio, ready[stroke], _start(note), end, 10 ** (gain / 20))
        return audio

    def _nearest(self, pitch: int) -> int | None:
        candidates = (pitch, *listed()["fallbacks"].get(str(pitch), []))
        return next((candidate for candidate in candidates if candidate in self.drums), None)

    def _ends(self, strokes: list[tuple[Note, int]], n_samples: int) -> list[int]:
        """When each stroke is stopped, by what chokes its drum: of a machine, by the drum itself too."""
        ends: list[int] = []
        next_start: dict[int, int] = {}
        for note, _ in reversed(strokes):
            by = listed()["chokes"].get(str(note.pitch), []) + [note.pitch] * self.is_machine
            ends.append(min((next_start[other] for other in by if other in next_start), default=n_samples))
            next_start[note.pitch] = _start(note)
        return ends[::-1]

    def _room(self, rng: np.random.Generator) -> Room:
        return Room(
            balance={group: float(rng.uniform(*limits)) for group, limits in self.balance.items()},
            tuning=float(rng.normal(0, 1.0)),
            width=0.0 if rng.random() < 0.15 else float(rng.uniform(0.3, 1)),
            is_damped=rng.random() < 0.35,
            dynamics=float(rng.uniform(12, 32)),
        )


def _start(note: Note) -> int:
    return max(0, round(note.start * SAMPLE_RATE))


def _sound(pitch: int, drum: Drum, room: Room, rng: np.random.Generator) -> Sound:
    """Draw how a drum sounds. Its hardest stroke gets the level that the list says is usual, give or take."""
    usual, side, is_skin = listed()["levels"].get(str(pitch), listed()["levels"]["other"])
    layers = _some(drum, rng)
    files = {group: files for group, files in layers[-1][0].items() if group in room.balance}
    loudness = {group: max(level(path) for path in paths) for group, paths in files.items()}
    shares = {group: 10 ** ((room.balance[group] + rng.normal(0, 1)) / 20) for group in files}
    target = 10 ** ((usual + rng.normal(0, 2)) / 20) / np.sqrt(sum(share**2 for share in shares.values()))
    semitones = (room.tuning + rng.normal(0, 0.7)) * (1 if is_skin else 0.4)
    return Sound(
        layers=layers,
        gains={group: float(target * shares[group] / loudness[group]) for group in files},
        tuning=float(2 ** (semitones / 12)),
        damping=float(rng.uniform(0.08, 0.4)) if room.is_damped and is_skin else np.inf,
        pan=float(np.clip(side * room.width * rng.uniform(0.5, 1.2), -1, 1)),
        width=room.width,
    )


def _some(drum: Drum, rng: np.random.Generator) -> list[list[Take]]:
    """Takes of one layer out of each of `N_LAYERS` equal parts; of a choice, one sound."""
    n = len(drum.layers)
    if drum.is_choice:
        return [list(drum.layers[rng.integers(n)])]
    edges = np.linspace(0, n, min(N_LAYERS, n) + 1).astype(int)
    chosen = [drum.layers[number] for number in rng.integers(edges[:-1], edges[1:])]
    return [
        [layer[take] for take in rng.choice(len(layer), size=min(N_TAKES, len(layer)), replace=False)]
        for layer in chosen
    ]


def _add(audio: Audio, stroke: Audio, start: int, end: int, gain: float) -> None:
    """Add a stroke that begins at `start` and is faded out from `end` on."""
    length = min(stroke.shape[1], audio.shape[1] - start, end + FADE - start)
    if length <= 0:
        return
    piece = gain * stroke[:, :length]
    n_faded = start + length - end
    if n_faded > 0:
        fade = np.linspace(1, 0, FADE, dtype=np.float32)[:n_faded]
        piece[:, -len(fade) :] *= fade[-piece.shape[1] :]
    audio[:, start : start + length] += piece


class Listed(NamedTuple):
    """A kit of the list."""

    name: str
    role: str
    ingredients: tuple[str, ...]
    kit: Kit


def kits() -> list[Listed]:
    """All kits of the list whose recordings are on this machine. Later sets replace drums of earlier ones."""
    found = []
    for entry in listed()["kits"]:
        parts = (listed()["sets"][name]["ingredient"] for name in entry["sets"])
        ingredients = dict.fromkeys([entry["ingredient"], *parts])
        if all(is_present(ingredient) for ingredient in ingredients):
            merged = {pitch: drum for name in entry["sets"] for pitch, drum in drums(name).items()}
            balance = {group: (low, high) for group, (low, high) in entry["balance"].items()}
            kit = Kit(drums=merged, balance=balance, is_machine=entry["machine"])
            found.append(Listed(entry["name"], entry["role"], tuple(ingredients), kit))
    return found
