"""Basses: each family draws the settings of a `Solo`."""

import numpy as np

from synth import waves
from synth.draws import RHYTHMS, VOWELS, Settings, analogue_wave, bright_wave, holding, log, maybe, plucking
from synth.fm import Modulated, Operator
from synth.harmonic import Loss, Pitch, Tone, Unison
from synth.shapes import Envelope, Filter, Oscillation, Vowels


def sub(rng: np.random.Generator) -> Settings:
    """The drum machine's long boom and the plain sine."""
    spectrum = waves.sine() + np.float32(maybe(rng, 0.5, 0.02, 0.3)) * waves.triangle()
    envelope = Envelope(
        attack=0.003, decay=log(rng, 0.3, 2.5), sustain=maybe(rng, 0.5, 0.2, 1), release=log(rng, 0.03, 0.3)
    )
    pitch = Pitch(
        glide=maybe(rng, 0.5, 0.05, 0.3), drop=maybe(rng, 0.5, 3, 24), drop_time=rng.uniform(0.01, 0.05)
    )
    voice = Tone(spectrum=spectrum, envelope=envelope, pitch=pitch, noise=maybe(rng, 0.3, 0.02, 0.1))
    return {"voice": voice, "mono": True, "drive": maybe(rng, 0.6, 2, 24)}


def analogue_bass(rng: np.random.Generator) -> Settings:
    wave = analogue_wave(rng)
    octave = -int(rng.random() < 0.35)
    if octave:
        wave = waves.octave_up(wave) + np.float32(rng.uniform(0.1, 0.6)) * waves.sine()
    cutoff = Filter(
        cutoff=log(rng, 150, 2500),
        tracking=rng.uniform(0, 1),
        depth=rng.uniform(0, 4),
        decay=log(rng, 0.05, 0.6),
        resonance=rng.uniform(0, 0.8),
        poles=int(rng.choice((2, 4))),
    )
    unison = Unison(
        voices=int(rng.choice((1, 1, 2))), cents=rng.uniform(2, 12), spread=maybe(rng, 0.2, 0.2, 0.8)
    )
    voice = Tone(
        spectrum=wave,
        octave=octave,
        filter=cutoff,
        unison=unison,
        envelope=holding(rng),
        pitch=Pitch(glide=maybe(rng, 0.3, 0.02, 0.12)),
    )
    return {"voice": voice, "mono": True, "drive": maybe(rng, 0.4, 2, 14)}


def reese(rng: np.random.Generator) -> Settings:
    """Detuned saws that beat, through a slow filter."""
    cutoff = Filter(
        cutoff=log(rng, 200, 3000),
        tracking=0.3,
        depth=0,
        resonance=rng.uniform(0, 0.5),
        wobble=rng.uniform(0, 1.5),
        oscillation=Oscillation(rate=log(rng, 0.05, 1), start=rng.uniform()),
    )
    unison = Unison(voices=int(rng.integers(2, 6)), cents=rng.uniform(8, 40), spread=maybe(rng, 0.5, 0.1, 1))
    voice = Tone(spectrum=waves.saw(), filter=cutoff, unison=unison, envelope=holding(rng))
    return {"voice": voice, "mono": True, "drive": maybe(rng, 0.5, 3, 18), "touch": 0.4}


def acid(rng: np.random.Generator) -> Settings:
    cutoff = Filter(
        cutoff=log(rng, 150, 700),
        tracking=0.2,
        depth=rng.uniform(1.5, 4.5),
        decay=log(rng, 0.06, 0.4),
        resonance=rng.uniform(0.65, 0.94),
        wobble=rng.uniform(0, 1),
        oscillation=Oscillation(rate=log(rng, 0.03, 0.2)),
    )
    wave = waves.saw() if rng.random() < 0.6 else waves.pulse(0.5)
    envelope = Envelope(attack=0.003, decay=log(rng, 0.1, 0.6), sustain=rng.uniform(0, 0.5), release=0.03)
    voice = Tone(
        spectrum=wave, filter=cutoff, envelope=envelope, pitch=Pitch(glide=maybe(rng, 0.7, 0.04, 0.1))
    )
    return {"voice": voice, "mono": True, "drive": maybe(rng, 0.7, 4, 24)}


def wobble(rng: np.random.Generator) -> Settings:
    shape = str(rng.choice(("sine", "triangle", "ramp", "square")))
    oscillation = Oscillation(rate=float(rng.choice(RHYTHMS)) * rng.uniform(0.7, 1.4), shape=shape)
    cutoff = Filter(
        cutoff=log(rng, 300, 1200),
        tracking=0.2,
        depth=0,
        resonance=rng.uniform(0.2, 0.8),
        wobble=rng.uniform(1, 2.5),
        oscillation=oscillation,
    )
    unison = Unison(voices=int(rng.integers(1, 4)), cents=rng.uniform(4, 25), spread=maybe(rng, 0.3, 0.2, 1))
    wave = bright_wave(rng) + np.float32(rng.uniform(0, 1.5)) * waves.sine()
    voice = Tone(spectrum=wave, filter=cutoff, unison=unison, envelope=holding(rng))
    return {"voice": voice, "mono": True, "drive": maybe(rng, 0.7, 4, 20), "touch": 0.3}


def growl(rng: np.random.Generator) -> Settings:
    first, second = rng.choice(len(VOWELS), 2, replace=False)
    vowels = Vowels(
        first=tuple(rng.uniform(0.7, 1.2) * hertz for hertz in VOWELS[first]),
        second=VOWELS[second],
        width=rng.uniform(0.08, 0.3),
        oscillation=Oscillation(rate=float(rng.choice(RHYTHMS)), shape="triangle"),
    )
    voice = Tone(spectrum=bright_wave(rng), vowels=vowels, envelope=holding(rng))
    return {"voice": voice, "mono": True, "drive": rng.uniform(6, 22), "touch": 0.3}


def fm_bass(rng: np.random.Generator) -> Settings:
    operators = tuple(
        Operator(
            ratio=float(rng.choice((0.5, 1, 1, 2, 3, 4))),
            index=rng.uniform(0.5, 5),
            decay=log(rng, 0.05, 0.8),
            rest=rng.uniform(0, 0.6),
        )
        for _ in range(rng.integers(1, 3))
    )
    voice = Modulated(operators=operators, envelope=plucking(rng) if rng.random() < 0.5 else holding(rng))
    return {"voice": voice, "mono": True, "drive": maybe(rng, 0.3, 2, 10)}


def string_bass(rng: np.random.Generator) -> Settings:
    """A plucked string, from dead flat-wound to bright."""
    loss = Loss(rate=log(rng, 0.4, 2.5), brightness=rng.uniform(0.35, 1.1))
    cutoff = Filter(
        cutoff=log(rng, 500, 6000), tracking=0.2, depth=rng.uniform(0, 1.5), decay=0.1, resonance=0.1, poles=2
    )
    voice = Tone(
        spectrum=waves.plucked(rng.uniform(0.08, 0.45), rng.uniform(0.8, 1.5)),
        loss=loss,
        filter=cutoff,
        envelope=Envelope(attack=0.003, decay=1, sustain=1, release=log(rng, 0.04, 0.2)),
        noise=maybe(rng, 0.6, 0.02, 0.2),
    )
    return {"voice": voice, "mono": True, "drive": maybe(rng, 0.3, 2, 12)}


def pedal(rng: np.random.Generator) -> Settings:
    stops = (maybe(rng, 0.3, 1, 4), 0.0, 8.0, rng.uniform(1, 6), 0.0, rng.uniform(0, 2), 0.0, 0.0, 0.0)
    spectrum = waves.drawbars(stops)
    voice = Tone(
        spectrum=spectrum, octave=-1, envelope=Envelope(attack=0.008, decay=1, sustain=1, release=0.06)
    )
    return {"voice": voice, "mono": True, "drive": maybe(rng, 0.4, 2, 10), "touch": 0.2}


FAMILIES = {  # weights and draws
    "sub": (3.0, sub),
    "analogue": (4.0, analogue_bass),
    "reese": (2.0, reese),
    "acid": (1.5, acid),
    "growl": (0.3, growl),
    "wobble": (1.5, wobble),
    "fm": (2.0, fm_bass),
    "string": (2.0, string_bass),
    "pedal": (0.7, pedal),
}
