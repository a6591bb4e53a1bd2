"""One song: composed, played, sung, produced and mastered.

The path: `compose` notes → `instruments`, `synth` and `sing` parts → `produce` stems → `master` the song.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from compose import Composition, compose
from instruments import instruments
from master import master
from notes import SAMPLE_RATE, Audio, Note
from percussion import shaken
from produce import produce
from riffs import INGREDIENT
from sing import arrange_vocals
from synth import FAMILIES, draw_patch
from thump import has_thump, thump

STEMS = ("vocals", "drums", "bass", "other")
TAIL_S = 2.5  # after the last bar, for what still sounds
SYNTH_ROLES = (*FAMILIES, "kit", "fx")
SYNTH_SHARES = {"electronic": 0.7, "hiphop": 0.45, "pop": 0.4, "funk": 0.15, "soul": 0.15, "reggae": 0.15}
SOUNDFONTS = ("fluid-r3", "musescore-general")
SOUNDFONT_WEIGHT = 0.7  # of one against a sampled instrument, which sounds more like a recording
UNPLUGGED = (  # of the role "guitar", by words of their names: they get no amplifier
    "Nylon", "Steel", "12-String", "12 String", "Ukulele", "Mandolin", "Banjo", "Shamisen", "Koto", "Sitar",
    "acoustic", "ganjo",
)  # fmt: skip
MANY = 4  # an ingredient with more sounds than that is not chosen oftener


class Sound(Protocol):
    """What a part is played with: an instrument, or a synthesizer's patch."""

    @property
    def name(self) -> str: ...
    @property
    def ingredient(self) -> str: ...
    @property
    def low(self) -> int: ...
    @property
    def high(self) -> int: ...
    def play(self, notes: Sequence[Note], n_samples: int, rng: np.random.Generator) -> Audio: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Song:
    """A finished song.

    Attributes:
        stems: of the names in `STEMS`; their sum is the mix.
        manifest: how it was made: of values that JSON knows.
    """

    stems: dict[str, Audio]
    manifest: dict[str, Any]


def stream(seed: int, number: int, purpose: str) -> np.random.Generator:
    """The random choices of one purpose: a change of one of them leaves the others as they are."""
    return np.random.default_rng([seed, number, zlib.crc32(purpose.encode())])


def make_song(number: int, *, seed: int, duration_s: float, style: str | None = None) -> Song:
    """The song of that number.

    Args:
        number: from 0 on.
        seed: of the corpus; same seed and number, same song but for the takes that sfizz alternates.
        duration_s: about how long it is, before its last sounds have died away.
        style: a key of `form.STYLES`, a random one if None.

    Raises:
        Missing: if an ingredient that it needs is not on this machine.
    """
    composition = compose(duration_s, stream(seed, number, "compose"), style)
    form = composition.form
    n_samples = int((form.duration_s + TAIL_S) * SAMPLE_RATE)
    parts, used = _played(composition, n_samples, seed, number)
    parts["vocals"], singers = arrange_vocals(composition, n_samples, stream(seed, number, "sing"))
    stems, effects = {}, {}
    for stem in STEMS:
        if parts[stem]:
            rng = stream(seed, number, f"produce {stem}")
            stems[stem], effects[stem] = produce(stem, parts[stem], form.style, rng)
        else:
            stems[stem] = np.zeros((2, n_samples), np.float32)
    stems, mastering = master(stems, form.style, stream(seed, number, "master"))
    manifest = {
        "number": number,
        "seed": seed,
        "style": form.style,
        "tempo": round(form.tempo, 2),
        "beats_per_bar": form.beats_per_bar,
        "tonic": form.tonic,
        "scale": list(form.scale),
        "duration_s": round(n_samples / SAMPLE_RATE, 3),
        "groove": composition.groove,
        "parts": used + singers,
        "effects": effects,
        "master": mastering,
    }
    return Song(stems=stems, manifest=manifest)


def _played(
    composition: Composition, n_samples: int, seed: int, number: int
) -> tuple[dict[str, list[tuple[str, Audio]]], list[dict[str, Any]]]:
    """Everything but the voices: audio by stem, and who played it."""
    style, rng = composition.form.style, stream(seed, number, "play")
    score: list[tuple[str, str, str, list[Note]]] = [("drums", "kit", "", composition.drums)]
    if rng.random() < 0.25:
        score.append(("drums", "percussion", "", shaken(composition.form, rng)))
    score.append(("bass", "bass", composition.bass.manner, composition.bass.notes))
    score += [("other", part.role, part.manner, part.notes) for part in composition.accompaniment]
    parts: dict[str, list[tuple[str, Audio]]] = {stem: [] for stem in STEMS}
    used = []
    if riff := composition.riff:
        parts["other"].append(("recorded guitar", riff.play(n_samples)))
        used.append(
            entry("other", "recorded guitar", f"{riff.semitones:+} semitones", riff.name, (INGREDIENT,))
        )
    for stem, role, manner, notes in score:
        if not notes:
            continue
        sound = choose(role, style, rng)
        parts[stem].append((treatment(role, sound.name), sound.play(within(notes, sound), n_samples, rng)))
        if role == "kit" and has_thump(style, rng):
            parts[stem].append(("thump", thump(notes, n_samples, rng)))
        ingredients = getattr(sound, "ingredients", (sound.ingredient,))
        used.append(entry(stem, role, manner, sound.name, ingredients))
    return parts, used


def entry(stem: str, role: str, manner: str, instrument: str, ingredients: Sequence[str]) -> dict[str, Any]:
    """A part in the manifest; the first of the ingredients is what it is counted as."""
    return {
        "stem": stem,
        "role": role,
        "manner": manner,
        "instrument": instrument,
        "ingredient": ingredients[0],
        "ingredients": list(ingredients),
    }


def choose(role: str, style: str, rng: np.random.Generator) -> Sound:
    """A sound for a role: first the ingredient, then one of its sounds, so that none prevails."""
    known = instruments(role) if role != "fx" else []
    if role in SYNTH_ROLES and (not known or rng.random() < SYNTH_SHARES.get(style, 0.08)):
        return draw_patch(role, rng)
    sources = sorted({instrument.ingredient for instrument in known})
    sounds_of = {name: [sound for sound in known if sound.ingredient == name] for name in sources}
    weights = np.array([min(len(sounds_of[name]), MANY) ** 0.5 for name in sources])
    weights *= [SOUNDFONT_WEIGHT if name in SOUNDFONTS else 1.0 for name in sources]
    sounds = sounds_of[str(rng.choice(sources, p=weights / weights.sum()))]
    return sounds[int(rng.integers(len(sounds)))]


def treatment(role: str, name: str) -> str:
    """What the producer takes a part for: its role, but for guitars that are not electric."""
    is_acoustic = role == "guitar" and any(word in name for word in UNPLUGGED)
    return "acoustic guitar" if is_acoustic else role


def within(notes: Sequence[Note], sound: Sound) -> list[Note]:
    """The notes, in the octaves that a sound has; what is in none is left out."""
    fitting = []
    for note in notes:
        pitch = note.pitch
        while pitch < sound.low:
            pitch += 12
        while pitch > sound.high:
            pitch -= 12
        if sound.low <= pitch:
            fitting.append(note._replace(pitch=pitch))
    return fitting
