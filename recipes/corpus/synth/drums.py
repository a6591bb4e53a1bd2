"""Drum machines: every kit is drawn anew, every drum of it synthesized once in a few strengths.

`machines.json` holds the families: the ranges that the settings of a `Kit` are drawn from.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from notes import SAMPLE_RATE, Note
from scipy import signal

from synth.shapes import Floats

STRENGTHS = (0.45, 0.75, 1.0)  # velocities for which a drum is synthesized
LEVELS = {"kick": 1.0, "snare": 0.8, "clap": 0.6, "rim": 0.45, "tom": 0.75, "closed": 0.28, "open": 0.3}
LEVELS |= {"crash": 0.4, "ride": 0.25, "cowbell": 0.35, "conga": 0.5, "shaker": 0.2, "blip": 0.35}
PLACES = {
    "closed": 0.3,
    "open": 0.3,
    "crash": -0.4,
    "ride": 0.45,
    "cowbell": 0.2,
    "shaker": -0.35,
    "conga": 0.3,
}
GENERAL_MIDI = {  # percussion numbers by the drum that plays them
    "kick": (35, 36), "snare": (38, 40), "rim": (37, 75), "clap": (39,), "closed": (42, 44), "open": (46,),
    "tom": (41, 43, 45, 47, 48, 50), "crash": (49, 52, 55, 57), "ride": (51, 53, 59), "cowbell": (56, 80, 81),
    "conga": (60, 61, 62, 63, 64, 65, 66), "shaker": (54, 58, 69, 70, 73, 74, 82), "blip": (67, 68, 76, 77),
}  # fmt: skip
DRUM_OF = {number: drum for drum, numbers in GENERAL_MIDI.items() for number in numbers}

FAMILIES: dict[str, dict[str, list[float]]] = json.loads(
    Path(__file__).with_name("machines.json").read_text("utf-8")
)
Maker = Callable[["Kit", float, int, np.random.Generator], Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """A drum machine.

    Attributes:
        kick_hz: frequency that the kick falls to.
        kick_decay: seconds.
        kick_sweep: octaves that it falls from.
        snare_hz: frequency of its shell.
        snare_decay: seconds of its wires.
        snare_noise: share of the wires, 0 to 1.
        hat_hz: lowest frequency of the hats.
        hat_decay: seconds of the closed one.
        metal: share of partials in the cymbals, the rest is noise.
        drive: dB into every drum's clipper.
        partials: Hz of the metal.
        width: 0 all in the middle, 1 wide.
        gains: factors of the drums' levels.
    """

    kick_hz: float
    kick_decay: float
    kick_sweep: float
    snare_hz: float
    snare_decay: float
    snare_noise: float
    hat_hz: float
    hat_decay: float
    metal: float
    drive: float
    partials: tuple[float, ...]
    width: float
    gains: dict[str, float]

    def play(self, notes: Sequence[Note], n_samples: int, rng: np.random.Generator) -> Floats:
        """The part, `(2, n_samples)`; an open hat is choked by a closed one."""
        sound = np.zeros((2, n_samples), np.float32)
        hits: dict[tuple[int, int], Floats] = {}
        hats = np.array(sorted(note.start for note in notes if note.pitch in (42, 44)))
        for note in notes:
            first = int(note.start * SAMPLE_RATE)
            drum = DRUM_OF.get(note.pitch, "blip")
            if not 0 <= first < n_samples:
                continue
            strength = int(np.argmin([abs(note.velocity / 127 - step) for step in STRENGTHS]))
            if (note.pitch, strength) not in hits:
                hits[note.pitch, strength] = self._hit(drum, STRENGTHS[strength], note.pitch, rng)
            hit = hits[note.pitch, strength]
            if drum == "open":
                hit = choked(hit, hats[np.searchsorted(hats, note.start, side="right") :], note.start)
            hit = hit[: n_samples - first] * (note.velocity / 127) ** 1.5
            pan = self.width * PLACES.get(drum, (note.pitch - 45) / 8 if drum == "tom" else 0.0)
            sound[0, first : first + len(hit)] += np.sqrt(0.5 - 0.5 * np.clip(pan, -1, 1)) * hit
            sound[1, first : first + len(hit)] += np.sqrt(0.5 + 0.5 * np.clip(pan, -1, 1)) * hit
        return sound

    def _hit(self, drum: str, strength: float, pitch: int, rng: np.random.Generator) -> Floats:
        """One drum, mono, its peak at its level."""
        sound = MAKERS[drum](self, strength, pitch, rng)
        drive = 10 ** (self.drive * strength / 20)
        sound = np.tanh(drive * sound / np.abs(sound).max())
        n = len(sound)
        sound *= np.minimum(1, (n - np.arange(n)) / (0.1 * n)) * np.minimum(1, np.arange(n) / 12)
        level = LEVELS[drum] * self.gains.get(drum, 1.0)
        return (level * sound / np.abs(sound).max()).astype(np.float32)


def choked(hit: Floats, hats: Floats, start: float) -> Floats:
    """Cut an open hat at the next closed one, within 10 ms."""
    if not len(hats):
        return hit
    n = max(1, int((hats[0] - start) * SAMPLE_RATE))
    tail = int(0.01 * SAMPLE_RATE)
    if n + tail >= len(hit):
        return hit
    return hit[: n + tail] * np.minimum(1, (n + tail - np.arange(n + tail)) / tail)


def seconds(length: float) -> Floats:
    """Sample times of a sound of that many seconds."""
    return np.arange(int(length * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE


def noise(t: Floats, low: float, high: float, rng: np.random.Generator) -> Floats:
    """Band-passed noise, rms about 1."""
    sos = signal.butter(2, (low, min(high, 20_000)), "bandpass", fs=SAMPLE_RATE, output="sos")
    sound = signal.sosfilt(sos, rng.standard_normal(len(t)))
    return sound / np.sqrt(np.mean(sound**2) + 1e-12)


def swept(t: Floats, hertz: float, octaves: float, time: float) -> Floats:
    """A sine that falls to `hertz` from so many octaves above."""
    return np.sin(2 * np.pi * np.cumsum(hertz * 2 ** (octaves * np.exp(-t / time))) / SAMPLE_RATE)


def kick(kit: Kit, strength: float, pitch: int, rng: np.random.Generator) -> Floats:
    t = seconds(min(2.5, 4 * kit.kick_decay + 0.1))
    hertz = kit.kick_hz * (1.0 if pitch == 36 else 0.94)
    body = swept(t, hertz, kit.kick_sweep * (0.6 + 0.4 * strength), 0.03) * np.exp(-t / kit.kick_decay)
    click = noise(t, 1500, 9000, rng) * np.exp(-t / 0.003) * 0.25 * strength * kit.gains["click"]
    return body + click


def snare(kit: Kit, strength: float, pitch: int, rng: np.random.Generator) -> Floats:
    t = seconds(6 * kit.snare_decay + 0.05)
    hertz = kit.snare_hz * (1.0 if pitch == 38 else 1.06)
    shell = swept(t, hertz, 0.4, 0.02) + 0.6 * swept(t, hertz * 1.78, 0.2, 0.02)
    wires = noise(t, 700 + 900 * strength, 6000 + 9000 * strength, rng) * np.exp(-t / kit.snare_decay)
    return (1 - kit.snare_noise) * shell * np.exp(
        -t / (0.6 * kit.snare_decay)
    ) + 0.5 * kit.snare_noise * wires


def clap(kit: Kit, strength: float, pitch: int, rng: np.random.Generator) -> Floats:
    t = seconds(0.5)
    gap = 0.008 + 0.006 * kit.metal
    bursts = sum(np.where(t >= i * gap, np.exp(-(t - i * gap) / 0.006), 0) for i in range(3))
    tail = np.where(t >= 3 * gap, np.exp(-(t - 3 * gap) / (0.05 + 0.5 * kit.snare_decay)), 0)
    return noise(t, 800, 5000 + 4000 * strength, rng) * (bursts + 0.8 * tail)


def rim(kit: Kit, strength: float, pitch: int, rng: np.random.Generator) -> Floats:
    t = seconds(0.12)
    ring = np.sin(2 * np.pi * 8.2 * kit.snare_hz * t) + np.sin(2 * np.pi * 2.3 * kit.snare_hz * t)
    return ring * np.exp(-t / 0.012) + 0.3 * noise(t, 1000, 8000, rng) * np.exp(-t / 0.004)


def tom(kit: Kit, strength: float, pitch: int, rng: np.random.Generator) -> Floats:
    t = seconds(0.4 + 1.2 * kit.snare_decay)
    skin = swept(t, 1.7 * kit.kick_hz * 2 ** ((pitch - 45) / 9), 0.5, 0.05) * np.exp(
        -t / (0.12 + kit.snare_decay)
    )
    return skin + 0.15 * strength * noise(t, 400, 5000, rng) * np.exp(-t / 0.03)


def metal(kit: Kit, t: Floats, low: float, rng: np.random.Generator) -> Floats:
    """Partials that have nothing to do with each other, and noise, above `low` Hz."""
    partials = sum(np.sign(np.sin(2 * np.pi * hertz * t + hertz)) for hertz in kit.partials)
    sos = signal.butter(2, low, "highpass", fs=SAMPLE_RATE, output="sos")
    partials = signal.sosfilt(sos, partials)
    partials /= np.sqrt(np.mean(partials**2))
    return kit.metal * partials + (1 - kit.metal) * noise(t, low, 17_000, rng)


def cymbal(decay: Callable[[Kit], float], low: float, ping: float) -> Maker:
    """The maker of a hat or cymbal: its decay, its lowest frequency re. the hat's, its stick's share."""

    def make(kit: Kit, strength: float, pitch: int, rng: np.random.Generator) -> Floats:
        length = decay(kit) * (1 if pitch % 2 else 0.8)
        t = seconds(4 * length + 0.03)
        sound = metal(kit, t, kit.hat_hz * low * (0.7 + 0.3 * strength), rng) * np.exp(-t / length)
        if ping:
            sound += ping * np.sin(2 * np.pi * kit.partials[0] * 5 * t) * np.exp(-t / 0.25)
        return sound

    return make


def cowbell(kit: Kit, strength: float, pitch: int, rng: np.random.Generator) -> Floats:
    t = seconds(0.4)
    pair = np.sign(np.sin(2 * np.pi * kit.partials[1] * t)) + np.sign(np.sin(3 * np.pi * kit.partials[1] * t))
    sos = signal.butter(2, (400, 5000), "bandpass", fs=SAMPLE_RATE, output="sos")
    return signal.sosfilt(sos, pair) * (np.exp(-t / 0.02) + 0.3 * np.exp(-t / 0.12))


def conga(kit: Kit, strength: float, pitch: int, rng: np.random.Generator) -> Floats:
    t = seconds(0.5)
    return swept(t, 3.4 * kit.kick_hz * 2 ** ((63 - pitch) / 8), 0.15, 0.03) * np.exp(-t / 0.1)


def shaker(kit: Kit, strength: float, pitch: int, rng: np.random.Generator) -> Floats:
    t = seconds(0.25)
    return metal(kit, t, 5000, rng) * np.minimum(t / 0.015, 1) * np.exp(-t / 0.04)


def blip(kit: Kit, strength: float, pitch: int, rng: np.random.Generator) -> Floats:
    t = seconds(0.2)
    return np.sin(2 * np.pi * 440 * 2 ** ((pitch - 50) / 12) * t) * np.exp(-t / 0.03)


MAKERS: dict[str, Maker] = {
    "kick": kick, "snare": snare, "clap": clap, "rim": rim, "tom": tom, "cowbell": cowbell, "conga": conga,
    "shaker": shaker, "blip": blip, "closed": cymbal(lambda kit: kit.hat_decay, 1, 0),
    "open": cymbal(lambda kit: 0.08 + 5 * kit.hat_decay, 1, 0),
    "crash": cymbal(lambda kit: 0.5 + 7 * kit.hat_decay, 0.6, 0),
    "ride": cymbal(lambda kit: 0.4 + 4 * kit.hat_decay, 0.8, 0.3),
}  # fmt: skip


def draw_kit(rng: np.random.Generator) -> tuple[str, Kit]:
    """A family's name and a kit of it."""
    family = str(rng.choice(list(FAMILIES)))
    settings = {name: float(rng.uniform(*limits)) for name, limits in FAMILIES[family].items()}
    gains = {drum: float(10 ** (rng.uniform(-5, 4) / 20)) for drum in (*LEVELS, "click")}
    gains["kick"] = gains["snare"] = 1.0
    partials = tuple(float(hertz) for hertz in rng.uniform(250, 1300, 6))
    width = float(rng.uniform(0.2, 1)) if rng.random() < 0.6 else 0.0
    return family, Kit(**settings, partials=partials, width=width, gains=gains)
