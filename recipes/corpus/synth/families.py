"""Leads, pads, keys and organs: each family draws the settings of a `Solo`. `FAMILIES` lists all by role."""

from collections.abc import Callable

import numpy as np

from synth import basses, waves
from synth.draws import (
    DRAWBARS,
    VOWELS,
    Settings,
    analogue_wave,
    bright_wave,
    holding,
    log,
    maybe,
    plucking,
    swelling,
    vibrato,
)
from synth.fm import Choir, Modulated, Operator
from synth.harmonic import Loss, Pitch, Tone, Unison
from synth.rotor import Rotor
from synth.shapes import Envelope, Filter, Oscillation

# Leads


def analogue_lead(rng: np.random.Generator) -> Settings:
    cutoff = Filter(
        cutoff=log(rng, 800, 9000),
        tracking=0.6,
        depth=rng.uniform(0, 3),
        decay=log(rng, 0.05, 1),
        resonance=rng.uniform(0, 0.7),
    )
    unison = Unison(
        voices=int(rng.choice((1, 1, 2, 3))), cents=rng.uniform(3, 15), spread=maybe(rng, 0.4, 0.2, 0.8)
    )
    voice = Tone(
        spectrum=analogue_wave(rng), filter=cutoff, unison=unison, envelope=holding(rng), pitch=vibrato(rng)
    )
    return {"voice": voice, "mono": True, "drive": maybe(rng, 0.3, 2, 14), "touch": 0.5}


def super_lead(rng: np.random.Generator) -> Settings:
    cutoff = Filter(
        cutoff=log(rng, 2500, 14_000),
        tracking=0.5,
        depth=rng.uniform(0, 1.5),
        decay=0.3,
        resonance=0.1,
        poles=2,
    )
    unison = Unison(voices=int(rng.choice((5, 7))), cents=rng.uniform(10, 35), spread=rng.uniform(0.3, 1))
    voice = Tone(
        spectrum=waves.saw(), filter=cutoff, unison=unison, envelope=holding(rng), pitch=vibrato(rng, 0.3)
    )
    return {"voice": voice, "mono": bool(rng.random() < 0.5), "touch": 0.5}


def digital_lead(rng: np.random.Generator) -> Settings:
    voice = Tone(spectrum=bright_wave(rng), envelope=holding(rng), pitch=vibrato(rng))
    return {"voice": voice, "mono": True, "drive": maybe(rng, 0.2, 2, 12)}


def whistle(rng: np.random.Generator) -> Settings:
    spectrum = waves.sine() + np.float32(maybe(rng, 0.6, 0.1, 1)) * waves.triangle()
    return {
        "voice": Tone(spectrum=spectrum, envelope=holding(rng), pitch=vibrato(rng, 0.9)),
        "mono": True,
        "touch": 0.5,
    }


def talking(rng: np.random.Generator) -> Settings:
    settings = basses.growl(rng)
    return {**settings, "drive": maybe(rng, 0.5, 2, 10)}


def fm_lead(rng: np.random.Generator) -> Settings:
    return {**basses.fm_bass(rng), "drive": 0.0}


# Pads


def super_pad(rng: np.random.Generator) -> Settings:
    cutoff = Filter(
        cutoff=log(rng, 600, 8000),
        tracking=0.4,
        depth=0,
        resonance=rng.uniform(0, 0.4),
        poles=2,
        wobble=rng.uniform(0, 1),
        oscillation=Oscillation(rate=log(rng, 0.03, 0.4), start=rng.uniform()),
    )
    unison = Unison(voices=int(rng.choice((2, 3, 4))), cents=rng.uniform(6, 25), spread=rng.uniform(0.4, 1))
    return {
        "voice": Tone(spectrum=bright_wave(rng), filter=cutoff, unison=unison, envelope=swelling(rng)),
        "touch": 0.5,
    }


def ensemble(rng: np.random.Generator) -> Settings:
    """Strings, choirs and glass of noise bands."""
    formants = VOWELS[rng.integers(len(VOWELS))] if rng.random() < 0.03 else ()
    voice = Choir(
        slope=rng.uniform(0.6, 2),
        bandwidth=log(rng, 4, 60),
        growth=rng.uniform(0.7, 1.2),
        even=rng.choice((1, 1, 0.2)),
        formants=formants,
        width=rng.uniform(0, 0.9),
        envelope=swelling(rng),
        seed=int(rng.integers(1 << 31)),
    )
    return {"voice": voice, "touch": 0.6}


def dark_pad(rng: np.random.Generator) -> Settings:
    settings = super_pad(rng)
    cutoff = Filter(
        cutoff=log(rng, 250, 900),
        tracking=0.5,
        depth=rng.uniform(0, 1),
        decay=1.5,
        resonance=rng.uniform(0, 0.3),
    )
    voice = settings["voice"]
    return {
        "voice": Tone(spectrum=waves.saw(), filter=cutoff, unison=voice.unison, envelope=voice.envelope),
        "touch": 0.5,
    }


# Keys: plucks, stabs, electric pianos, bells


def pluck(rng: np.random.Generator) -> Settings:
    cutoff = Filter(
        cutoff=log(rng, 300, 3000),
        tracking=0.7,
        depth=rng.uniform(1, 4),
        decay=log(rng, 0.04, 0.4),
        resonance=rng.uniform(0, 0.7),
    )
    unison = Unison(voices=int(rng.choice((1, 2, 3))), cents=rng.uniform(3, 18), spread=rng.uniform(0, 1))
    return {"voice": Tone(spectrum=bright_wave(rng), filter=cutoff, unison=unison, envelope=plucking(rng))}


def stab(rng: np.random.Generator) -> Settings:
    unison = Unison(voices=3, cents=rng.uniform(6, 25), spread=rng.uniform(0.3, 1))
    cutoff = Filter(
        cutoff=log(rng, 1200, 9000), tracking=0.5, depth=rng.uniform(0, 1.5), decay=0.2, resonance=0.2
    )
    return {"voice": Tone(spectrum=waves.saw(), filter=cutoff, unison=unison, envelope=plucking(rng))}


def electric_piano(rng: np.random.Generator) -> Settings:
    tine = Operator(
        ratio=float(rng.choice((7, 11, 14))), index=rng.uniform(0.1, 0.7), decay=log(rng, 0.05, 0.3), rest=0.0
    )
    body = Operator(
        ratio=1.0, index=rng.uniform(0.3, 2), decay=log(rng, 0.3, 1.5), rest=rng.uniform(0.05, 0.4)
    )
    envelope = Envelope(attack=0.002, decay=log(rng, 0.6, 3), sustain=0.0, release=0.15)
    return {"voice": Modulated(operators=(tine, body), envelope=envelope, spread=maybe(rng, 0.4, 0.3, 2))}


def bell(rng: np.random.Generator) -> Settings:
    operators = tuple(
        Operator(ratio=float(rng.uniform(1.2, 7.3)), index=rng.uniform(0.3, 2.5), decay=log(rng, 0.1, 1.5))
        for _ in range(2)
    )
    envelope = Envelope(attack=0.002, decay=log(rng, 0.3, 2), sustain=0.0, release=log(rng, 0.2, 1.2))
    return {"voice": Modulated(operators=operators, envelope=envelope, spread=maybe(rng, 0.4, 0.3, 3))}


def clavinet(rng: np.random.Generator) -> Settings:
    loss = Loss(rate=log(rng, 0.5, 3), brightness=rng.uniform(0.3, 0.9))
    spectrum = waves.plucked(rng.uniform(0.03, 0.3), rng.uniform(0.4, 1))
    envelope = Envelope(attack=0.002, decay=1, sustain=1, release=log(rng, 0.03, 0.3))
    return {"voice": Tone(spectrum=spectrum, loss=loss, envelope=envelope, noise=maybe(rng, 0.4, 0.02, 0.1))}


# Organs


def tone_wheels(rng: np.random.Generator) -> Settings:
    registration = DRAWBARS[rng.integers(len(DRAWBARS))]
    levels = tuple(float(np.clip(level + rng.normal(0, 1), 0, 8)) for level in registration)
    envelope = Envelope(attack=0.005, decay=1, sustain=1, release=0.04)
    rotor = Rotor(
        rate=float(rng.choice((0.7, 6.5))) * rng.uniform(0.85, 1.15),
        depth=rng.uniform(0.2, 0.8),
        angle=rng.uniform(0.1, 0.5),
    )
    voice = Tone(
        spectrum=waves.drawbars(levels), octave=-1, envelope=envelope, noise=maybe(rng, 0.5, 0.05, 0.3)
    )
    return {
        "voice": voice,
        "rotor": rotor if rng.random() < 0.8 else None,
        "drive": maybe(rng, 0.5, 2, 20),
        "touch": 0.1,
    }


def pipes(rng: np.random.Generator) -> Settings:
    spectrum = sum(
        (rng.uniform(0.2, 1) * np.where(k == waves.K, 1, 0) for k in (2, 4, 8, 16)), start=0 * waves.K
    )
    spectrum = (spectrum + 0.2 * waves.octave_up(waves.triangle())).astype(np.complex64)
    envelope = Envelope(attack=rng.uniform(0.02, 0.08), decay=1, sustain=1, release=rng.uniform(0.1, 0.4))
    return {"voice": Tone(spectrum=spectrum, octave=-1, envelope=envelope, noise=0.05), "touch": 0.1}


def reeds(rng: np.random.Generator) -> Settings:
    """Harmonium, accordion with its beating reeds, transistor organ."""
    voices = int(rng.choice((1, 2, 3)))
    wave = waves.pulse(rng.uniform(0.1, 0.4)) if rng.random() < 0.5 else waves.saw()
    cutoff = Filter(cutoff=log(rng, 1500, 8000), tracking=0.3, depth=0, resonance=0.1, poles=2)
    envelope = Envelope(attack=rng.uniform(0.006, 0.06), decay=1, sustain=1, release=0.06)
    unison = Unison(voices=voices, cents=rng.uniform(3, 18), spread=maybe(rng, 0.5, 0.1, 0.7))
    voice = Tone(
        spectrum=wave,
        filter=cutoff,
        envelope=envelope,
        unison=unison,
        pitch=Pitch(vibrato=maybe(rng, 0.3, 5, 20)),
    )
    return {"voice": voice, "touch": 0.1}


FAMILIES: dict[str, dict[str, tuple[float, Callable[[np.random.Generator], Settings]]]] = {
    "bass": basses.FAMILIES,
    "lead": {
        "analogue": (3, analogue_lead), "super": (2, super_lead), "digital": (2, digital_lead),
        "whistle": (0.4, whistle), "talking": (0.06, talking), "fm": (1.5, fm_lead),
    },
    "pad": {"super": (3, super_pad), "ensemble": (1, ensemble), "dark": (2, dark_pad)},
    "keys": {
        "pluck": (3, pluck), "stab": (1.5, stab), "electric piano": (2, electric_piano), "bell": (1.5, bell),
        "clavinet": (1.5, clavinet),
    },
    "organ": {"tone wheels": (4, tone_wheels), "pipes": (1, pipes), "reeds": (2, reeds)},
}  # fmt: skip
