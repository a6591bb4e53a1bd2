"""The producer: gives every part its effects, makes a stem of the parts, and says what was done."""

from typing import Any

import effects
import numpy as np
from chains import CHAINS, ROLES, STYLES, TONES, VOICES, WIDTHS, Chain, Style
from effects import Band, Sound
from notes import Audio
from rooms import SPACES

REFERENCE = -20.0  # dB of a stem's first part
STEM_SPACES = {  # common reverbs of a stem
    "vocals": ("plate", "hall", "room", "echo", "plate"),
    "drums": ("room", "plate", "gated", "hall"),
    "bass": ("room", "plate"),
    "other": ("hall", "plate", "room", "spring"),
}
DRY = {"vocals": 0.3}  # chance of no common reverb; of other stems 0.15
SENDS = {"lead vocal": (-28, -12)}  # dB to the common reverb; of other parts -26 to -7
Record = dict[str, Any]


def produce(
    stem: str, parts: list[tuple[str, Audio]], style: str, rng: np.random.Generator
) -> tuple[Audio, Record]:
    """Make a stem of its parts.

    Args:
        stem: "vocals", "drums", "bass" or "other".
        parts: roles and sounds of the parts, all of one length; silent ones are left out.
        style: of the song, a key of `chains.STYLES`.
        rng: of every choice.

    Returns:
        The stem, `(2, samples)`, about -20 dB where it is heard, zeros of silent parts; what was done.

    Raises:
        ValueError: if there are no parts, or their lengths differ.
    """
    lengths = {sound.shape[-1] for _, sound in parts}
    if len(lengths) != 1:
        raise ValueError(f"{stem}: parts of one length are needed, not of {sorted(lengths)} samples")
    total = np.zeros((2, lengths.pop()), np.float32)
    send = np.zeros_like(total)
    record: Record = {"parts": []}
    dry = rng.random() < DRY.get(stem, 0.15)
    for role, sound in parts:
        if effects.loudness(sound) <= -180:
            continue
        kind = ROLES.get((stem, role), ROLES.get(role, role))
        played, amount, done = part(kind, sound, STYLES[style], rng)
        total += played
        if amount is not None and not dry:
            send += played * effects.gain(amount)
        record["parts"].append({"role": role, **done})
    if send.any():
        space = str(rng.choice(STEM_SPACES[stem]))
        total += effects.convolve(send, SPACES[space](rng))
        record["reverb"] = space
    mono, factors = WIDTHS[stem]
    record["width"] = factor = 0.0 if rng.random() < mono else drawn(rng, *factors)
    bells = [
        Band("bell", hertz * rng.uniform(0.75, 1.35), rng.uniform(*decibels), 0.8)
        for hertz, decibels in TONES.get(stem, ())
    ]
    total = effects.equalize(effects.width(total, factor), bells)
    total, done = glue(stem, total, STYLES[style], rng)
    return effects.at_level(total, REFERENCE), record | done


def drawn(rng: np.random.Generator, low: float, high: float) -> float:
    """A setting as the record keeps it, to four decimals."""
    return round(float(rng.uniform(low, high)), 4)


def part(
    kind: str, sound: Sound, style: Style, rng: np.random.Generator
) -> tuple[Audio, float | None, Record]:
    """One part through its chain: the sound, its send to the common reverb in dB (or none), what was done."""
    chain, done = CHAINS[kind], {}
    mono = rng.random() < (0.85 if kind in ("bass", "guitar") else 0.1)
    if kind in VOICES:  # a singer has one microphone; who arranged them may have placed them
        mono, aside = True, effects.balance(sound)
        if abs(aside) > 0.02:
            done["pan"] = round(aside, 4)
    if mono or np.array_equal(sound[0], sound[1]):
        sound = sound.mean(axis=0, keepdims=True)
    sound = effects.at_level(sound, REFERENCE)
    takes = 2 if kind == "guitar" and rng.random() < 0.25 + 0.3 * style.guitar_gain else 1
    if kind == "guitar":
        sound = amplify(sound, style, done, rng)
    if rng.random() < chain.dirt * style.dirty:
        done["drive"] = drawn(rng, *chain.drive)
        sound = effects.saturate(sound, done["drive"], float(rng.choice((0, rng.uniform(0, 0.6)))))
    sound = shape(kind, sound, chain, done, rng)
    if rng.random() < chain.motion:
        done["motion"] = str(rng.choice(("chorus", "chorus", "flanger", "phaser", "tremolo")))
        rate, depth, mix = 10 ** rng.uniform(-0.9, 0.7), rng.uniform(0.1, 0.6), rng.uniform(0.15, 0.6)
        sound = effects.modulate(sound, done["motion"], rate, depth, mix)
    if rng.random() < min(1, chain.own_space * style.wet):
        sound = own_space(kind, sound, done, rng)
    sound = place(kind, sound, chain, takes, done, rng)
    done["level"] = drawn(rng, *chain.level)
    amount = None
    if rng.random() < min(1, chain.send * style.wet):
        done["send"] = amount = drawn(rng, *SENDS.get(kind, (-26, -7)))
    return effects.at_level(effects.both(sound), REFERENCE + done["level"]), amount, done


def amplify(sound: Sound, style: Style, done: Record, rng: np.random.Generator) -> Sound:
    """A guitar's amplifier: drive, then a cabinet; or the clean signal as it is."""
    heavy = rng.random() < style.guitar_gain
    if not heavy and rng.random() < 0.4:
        done["amplifier"] = "none"
        return sound
    done["amplifier"] = "heavy" if heavy else "clean"
    drive = rng.uniform(15, 42) if heavy else rng.uniform(0, 12)
    tight = [
        Band("low cut", rng.uniform(80, 250), 6),
        Band("bell", rng.uniform(500, 2000), rng.uniform(0, 8), 0.6),
    ]
    sound = effects.equalize(sound, [*tight, Band("high cut", 6000, 12)])
    sound = effects.saturate(sound, drive, drawn(rng, 0, 0.5))
    top = rng.uniform(3500, 6500)
    cabinet = [
        Band("low cut", rng.uniform(60, 110), 12), Band("bell", rng.uniform(90, 160), rng.uniform(0, 6), 1.5),
        Band("bell", rng.uniform(350, 900), rng.uniform(-7, 2), 0.8),
        Band("bell", rng.uniform(1800, 3500), rng.uniform(0, 8), 0.9), Band("high cut", top, 18),
        Band("bell", rng.uniform(2000, 5000), rng.uniform(-8, 4), 4), Band("high cut", top * 1.15, 12),
    ]  # fmt: skip
    return effects.equalize(sound, cabinet)


def shape(kind: str, sound: Sound, chain: Chain, done: Record, rng: np.random.Generator) -> Sound:
    """Equalizer, compressor and, for voices, the de-esser and the telephone."""
    bands = [Band("low cut", rng.uniform(*chain.low_cut), float(rng.choice((6, 12, 18))))]
    if rng.random() < chain.dull:
        top = float(np.exp(rng.uniform(*np.log(chain.high_cut))))
        bands.append(Band("high cut", top, float(rng.choice((6, 12, 18)))))
    for _ in range(rng.integers(0, 4)):
        bell = float(np.exp(rng.uniform(np.log(120), np.log(9000))))
        bands.append(Band("bell", bell, rng.uniform(-chain.tone, chain.tone), rng.uniform(0.5, 3)))
    tilt = drawn(rng, *chain.treble)
    bands.append(Band("high shelf", rng.uniform(2500, 9000), tilt))
    if chain.depth != (0, 0):
        bands.append(Band("low shelf", rng.uniform(70, 140), rng.uniform(*chain.depth)))
    if kind in VOICES and rng.random() < 0.05:
        done["telephone"] = True
        bands += [Band("low cut", rng.uniform(300, 600), 24), Band("high cut", rng.uniform(2500, 4000), 24)]
    sound = effects.equalize(sound, bands)
    done["shelf"] = tilt
    if rng.random() < chain.squeeze:
        done["compressor"] = drawn(rng, *chain.ratio)
        times = 10 ** rng.uniform(-0.3, 1.5), rng.uniform(40, 250)
        sound = effects.compress(sound, rng.uniform(-4, 12), done["compressor"], *times)
    if kind in VOICES and rng.random() < 0.4:
        sound = effects.deess(sound, rng.uniform(3, 12))
    return sound


def own_space(kind: str, sound: Sound, done: Record, rng: np.random.Generator) -> Sound:
    """A room or echo of the part's own, for voices sometimes thrown at the ends of phrases only."""
    names = {
        "kit": ("room", "room", "gated", "plate"),
        "lead vocal": ("echo", "echo", "plate", "hall", "room"),
    }
    done["space"] = str(rng.choice(names.get(kind, ("echo", "room", "plate", "hall", "spring"))))
    wet = rng.uniform(-22, -4)
    fed = sound
    if kind == "lead vocal" and done["space"] == "echo" and rng.random() < 0.4:
        done["throws"] = True
        wet += 5
        fed = sound * np.clip(effects.wander(sound.shape[-1], -2, 1, 0.8, rng) * 4, 0, 1)
    return effects.both(sound) + effects.convolve(fed, SPACES[done["space"]](rng)) * effects.gain(wet)


def place(kind: str, sound: Sound, chain: Chain, takes: int, done: Record, rng: np.random.Generator) -> Audio:
    """Width and place between the loudspeakers."""
    if takes == 2:
        done["double_tracked"] = True
        mono = sound.mean(axis=0, keepdims=True)
        far = rng.uniform(0.6, 1)
        return effects.pan(mono, -far) + effects.pan(effects.second_take(mono, rng), far)
    if kind in VOICES and rng.random() < 0.03:
        done["doubler"] = drawn(rng, -14, -4)
        mono = sound.mean(axis=0, keepdims=True) * effects.gain(done["doubler"])
        sides = [effects.pan(effects.second_take(mono, rng), far) for far in (-0.9, 0.9)]
        return effects.both(sound) + sides[0] + sides[1]
    if len(sound) == 1 and rng.random() < chain.spread:
        done["spread"] = True
        return effects.width(effects.spread(sound, rng), drawn(rng, 0.3, 1.2))
    if len(sound) == 2 and rng.random() < 0.3:
        sound = effects.width(sound, drawn(rng, 0, 1.6))
    done.setdefault("pan", drawn(rng, -chain.place, chain.place))
    return effects.pan(sound, done["pan"])


def glue(stem: str, sound: Audio, style: Style, rng: np.random.Generator) -> tuple[Audio, Record]:
    """Effects of the complete stem: room microphones, parallel and bus compression, tape, old samplers."""
    done: Record = {}
    if effects.loudness(sound) <= -180:
        return sound, done
    if stem == "drums" and rng.random() < style.room:
        done["room_microphones"] = drawn(rng, -18, -3)
        room = effects.convolve(sound.mean(axis=0, keepdims=True), SPACES["room"](rng))
        room = effects.compress(room, rng.uniform(0, 12), rng.uniform(3, 12), 5, rng.uniform(60, 250))
        sound = sound + effects.at_level(room, effects.loudness(sound) + done["room_microphones"])
    if rng.random() < (0.3 if stem in ("drums", "vocals") else 0.1):
        done["parallel"] = drawn(rng, -12, 0)
        crushed = effects.compress(sound, rng.uniform(8, 16), 12, 1, rng.uniform(50, 150))
        sound = sound + crushed * effects.gain(done["parallel"])
    if rng.random() < 0.35:
        done["bus_ratio"] = drawn(rng, 1.5, 4)
        sound = effects.compress(
            sound, rng.uniform(-4, 8), done["bus_ratio"], rng.uniform(3, 40), rng.uniform(60, 300)
        )
    if rng.random() < (0.25 if stem == "drums" else 0.1) * style.dirty:
        done["tape"] = drawn(rng, -4, 10)
        sound = effects.saturate(sound, done["tape"])
    if rng.random() < 0.02 * style.dirty:
        done["sampler"] = [drawn(rng, 6, 12), int(rng.integers(1, 5))]
        sound = effects.crush(sound, *done["sampler"])
    if stem in ("vocals", "other") and rng.random() < 0.03:
        done["wow"] = drawn(rng, 0.0003, 0.0025)
        sound = effects.moved(sound, effects.wander(sound.shape[-1], 0.001, 0.001 + done["wow"], 0.6, rng))
    return sound, done
