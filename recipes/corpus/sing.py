"""Who sings what in a song: the lead, and around it doubles, harmonies, oohs, ad libs and shouts.

The lead is sung by a voice bank, spoken by a machine, or put together of real phrases; how often each happens
in which style is in `arrangements.json`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pool
import soundfile
from banks import at_rate
from library import folder, is_present
from notes import SAMPLE_RATE, Audio, Note
from psola import Samples, Texture
from speech import draw_speaker, say
from voice import LEVEL, Voice, draw_voice, sing

if TYPE_CHECKING:
    from compose import Composition
    from form import Section

__all__ = ["Voice", "arrange_vocals", "draw_voice", "sing"]

TABLE = Path(__file__).with_name("arrangements.json")
RAPPERS = {"real": 0.45, "machine": 0.2, "bank": 0.35}  # who raps
HARMONIES = (2, -2, 2, -5, 5, 4, -3)  # steps of the scale: thirds mostly, sixths, a fifth, a fourth
GROWLS = "merry-orks"  # recordings of growled vowels
BACKING = ("u", "o", "a", "n")  # ooh, oh, aah, humming
MEN = 0.45  # of the sung leads by real singers


@cache
def arrangements() -> dict[str, dict[str, float]]:
    """How likely what is, by style."""
    return json.loads(TABLE.read_text(encoding="utf-8"))


@dataclass(slots=True)
class Cast:
    """The voices of a song as they come together.

    Attributes:
        n_samples: the song's length.
        parts: role ("lead", "double", "harmony", "backing", "spoken") and audio.
        credits: an entry of the manifest for each part.
    """

    n_samples: int
    parts: list[tuple[str, Audio]] = field(default_factory=list)
    credits: list[dict[str, str]] = field(default_factory=list)

    def add(
        self, role: str, manner: str, instrument: str, ingredient: str, sound: Samples, pan: float = 0.0
    ) -> None:
        """Take a part `(n_samples,)`, from left (-1) to right (1), unless it is silent."""
        if not sound.any():
            return
        gains = np.sqrt(np.array([[1 - pan], [1 + pan]], np.float32))
        self.parts.append((role, gains * sound[: self.n_samples].astype(np.float32)))
        entry = {
            "stem": "vocals",
            "role": role,
            "manner": manner,
            "instrument": instrument,
            "ingredient": ingredient,
        }
        self.credits.append(entry)


def arrange_vocals(
    composition: "Composition", n_samples: int, rng: np.random.Generator
) -> tuple[list[tuple[str, Audio]], list[dict[str, str]]]:
    """All voices of a song, dry.

    Args:
        composition: its phrases are sung; its form gives style, key and tempo.
        n_samples: the length of the song.
        rng: of all choices.

    Returns:
        Roles ("lead", "double", "harmony", "backing", "spoken") with audio `(2, n_samples)`, and for each of
        them the entry of the manifest.

    Raises:
        Missing: if no voice bank is in the library.
    """
    cast, chances = Cast(n_samples), arrangements()[composition.form.style]
    if not composition.phrases:
        return cast.parts, cast.credits
    has_pool = is_present(pool.INGREDIENT)
    kind = "bank"
    if composition.is_rap:
        kind = str(rng.choice(list(RAPPERS), p=list(RAPPERS.values())))
    elif rng.random() < chances["real"]:
        kind = "real"
    elif rng.random() < chances["growl"] and is_present(GROWLS):
        kind = "growl"
    if kind == "real" and has_pool:
        _real_lead(cast, composition, rng)
    elif kind == "machine":
        _machine(cast, composition, rng)
    elif kind == "growl":
        _growler(cast, composition, rng)
    else:
        _singers(cast, composition, chances, rng)
    if rng.random() < chances["backing"] and not composition.is_rap:
        _backing(cast, composition, rng)
    if has_pool and rng.random() < chances["adlib"]:
        _ad_libs(cast, composition, rng)
    if has_pool and rng.random() < chances["gang"]:
        _gang(cast, composition, rng)
    return cast.parts, cast.credits


def _singers(
    cast: Cast, composition: "Composition", chances: dict[str, float], rng: np.random.Generator
) -> None:
    """A lead from a voice bank, with its doubles and harmonies."""
    lyrics = int(rng.integers(2**31))
    lead = draw_voice(rng, style="rough" if rng.random() < chances["rough"] else "")
    if composition.is_rap:
        lead = replace(lead, manner=replace(lead.manner, drift=0.9, glide=0.1, fall=0.5, vibrato_depth=0.0))
    every = composition.phrases
    choruses = _in_choruses(composition) or every
    cast.add("lead", "", lead.name, lead.ingredient, sing(lead, every, cast.n_samples, rng, lyrics=lyrics))
    if rng.random() < chances["double"]:
        phrases = choruses if rng.random() < 0.6 else every
        gain = 10 ** (rng.uniform(-9, 0) / 20)
        for side in (-1, 1) if rng.random() < 0.5 else (0,):
            voice = _relative(lead, rng)
            sound = gain * sing(voice, phrases, cast.n_samples, rng, lyrics=lyrics)
            cast.add("double", "double", voice.name, voice.ingredient, sound, side * rng.uniform(0.4, 1))
    if rng.random() < chances["octave"]:
        voice = draw_voice(rng, sex="man" if lead.sex != "man" else "woman")
        sound = 0.5 * sing(voice, choruses, cast.n_samples, rng, lyrics=lyrics)
        cast.add("double", "octave", voice.name, voice.ingredient, sound, rng.uniform(-0.5, 0.5))
    if rng.random() < chances["harmony"] and not composition.is_rap:
        for _ in range(int(rng.integers(1, 4))):
            steps = int(rng.choice(HARMONIES))
            voice = _relative(lead, rng) if rng.random() < 0.6 else _cheap(draw_voice(rng))
            phrases = [harmonized(phrase, scale_of(composition), steps) for phrase in choruses]
            sound = 10 ** (rng.uniform(-9, -1) / 20) * sing(
                voice, phrases, cast.n_samples, rng, lyrics=lyrics
            )
            cast.add(
                "harmony", f"{steps:+} steps", voice.name, voice.ingredient, sound, rng.uniform(-0.9, 0.9)
            )


def _relative(lead: Voice, rng: np.random.Generator) -> Voice:
    """The same singer once more: another take, slightly out of tune, another distance from the microphone."""
    formant = round(lead.texture.formant * rng.uniform(0.96, 1.04), 2)
    manner = replace(lead.manner, detune=float(rng.normal(0, 0.06)), looseness=0.015)
    texture = replace(lead.texture, formant=formant, breath=min(lead.texture.breath + rng.uniform(0, 0.4), 1))
    name = f"{lead.bank} relative x{formant:.2f} psola"
    return _cheap(replace(lead, name=name, texture=texture, manner=manner, breathing=0.0))


def _cheap(voice: Voice) -> Voice:
    """The voice by PSOLA: WORLD takes its time and is kept for leads."""
    return replace(voice, method="psola", name=voice.name.replace(" world", " psola"))


def scale_of(composition: "Composition") -> tuple[int, ...]:
    """The pitch classes of the key."""
    return tuple(sorted((composition.form.tonic + step) % 12 for step in composition.form.scale))


def harmonized(phrase: Sequence[Note], scale: Sequence[int], steps: int) -> list[Note]:
    """The phrase so many steps of the scale higher; a note outside of it counts as the next lower one."""
    ladder = [pitch for pitch in range(128) if pitch % 12 in scale]
    at = np.searchsorted(ladder, [note.pitch for note in phrase], side="right") - 1
    high = np.clip(at + steps, 0, len(ladder) - 1)
    return [note._replace(pitch=ladder[i]) for note, i in zip(phrase, high, strict=True)]


def _in_choruses(composition: "Composition") -> list[list[Note]]:
    form = composition.form
    spans = [
        (form.seconds(s.start), form.seconds(s.start + s.n_bars * form.beats_per_bar))
        for s in form.sections
        if s.kind == "chorus"
    ]
    return [p for p in composition.phrases if any(begin - 0.1 <= p[0].start < end for begin, end in spans)]


def _backing(cast: Cast, composition: "Composition", rng: np.random.Generator) -> None:
    """Chords of oohs or aahs, sung by two to four under some sections."""
    form = composition.form
    sections = [section for section in form.sections if section.has_vocals and rng.random() < 0.6]
    voice = _cheap(draw_voice(rng, style="breathy" if rng.random() < 0.6 else "clear"))
    vowel = str(rng.choice(BACKING))
    for index in range(int(rng.integers(2, 5))):
        singer = replace(_relative(voice, rng), vowels=vowel)
        phrases = [_chord_tones(composition, section, index, singer.centre) for section in sections]
        sound = 0.6 * sing(singer, [p for p in phrases if p], cast.n_samples, rng, lyrics=0)
        cast.add("backing", vowel, singer.name, singer.ingredient, sound, rng.uniform(-0.9, 0.9))


def _chord_tones(composition: "Composition", section: "Section", index: int, centre: float) -> list[Note]:
    """A tone of each chord, the `index`th above `centre`, one after the other without a break."""
    notes = []
    for chord in section.chords:
        pitches = [p for p in range(int(centre) - 4, int(centre) + 20) if p % 12 in chord.pitch_classes]
        start, end = composition.form.seconds(chord.start), composition.form.seconds(chord.end)
        notes.append(Note(start, end - 0.03, pitches[index % len(pitches)], 70))
    return notes


def _machine(cast: Cast, composition: "Composition", rng: np.random.Generator) -> None:
    """A speaking machine raps, or half sings, the phrases."""
    speaker = draw_speaker(rng, sung=bool(rng.random() < 0.3))
    sound = say(speaker, composition.phrases, cast.n_samples, rng)
    cast.add("spoken", "half sung" if speaker.sung else "rap", speaker.name, speaker.ingredient, sound)


def _growler(cast: Cast, composition: "Composition", rng: np.random.Generator) -> None:
    """A recorded growl on every note that leaves it time, without pitch."""
    vowels = sorted(folder(GROWLS).glob("samples/[dv]*/*.wav"))  # and diphthongs
    consonants = sorted(folder(GROWLS).glob("samples/consonants/*.wav"))
    chosen = []
    for _ in range(int(rng.integers(10, 30))):
        first, second = (read_growl(paths[rng.integers(len(paths))]) for paths in (consonants, vowels))
        chosen.append(np.concatenate([0.7 * first[: int(rng.uniform(0, 0.12) * SAMPLE_RATE)], second]))
    sound, free = np.zeros(cast.n_samples, np.float32), 0.0
    for note in (note for phrase in composition.phrases for note in phrase):
        if note.start < free:
            continue
        growl = chosen[int(rng.integers(len(chosen)))]
        first, length = int(note.start * SAMPLE_RATE), int((note.end - note.start + 0.15) * SAMPLE_RATE)
        piece = growl[: max(0, min(length, cast.n_samples - first))] * (note.velocity / 127)
        fade = min(len(piece), SAMPLE_RATE // 20)
        piece[len(piece) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
        sound[first : first + len(piece)] += piece
        free = note.start + max(0.2, note.end - note.start)
    cast.add("lead", "growled", GROWLS, GROWLS, LEVEL * sound)


def read_growl(path: Path) -> Samples:
    """A recording from its first sound on, `(samples,)`, its level 1 where it sounds."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = at_rate(samples.mean(axis=1), rate)
    loud = np.abs(mono) > 0.05 * np.abs(mono).max(initial=1e-6)
    heard = mono[int(np.argmax(loud)) :]
    return heard / np.float32(np.sqrt(np.mean(np.square(heard[np.abs(heard) > 1e-3]))) if loud.any() else 1)


def _real_lead(cast: Cast, composition: "Composition", rng: np.random.Generator) -> None:
    """Real phrases where the composed ones begin, and sometimes a second take beside them."""
    kinds: tuple[pool.Kind, ...] = ("sung",)
    if composition.is_rap:
        kinds = ("spoken", "shouted", "sung") if rng.random() < 0.9 else ("whispered",)
    singer = pool.draw_singer(kinds[int(rng.integers(len(kinds)))], rng)
    key = () if composition.is_rap else scale_of(composition)
    seed = int(rng.integers(2**31))
    # Where a phrase is shorter than the composed one, another may follow on a note; who raps says more.
    chance = 1.0 if composition.is_rap else 0.8
    starts = [
        note.start
        for phrase in composition.phrases
        for index, note in enumerate(phrase)
        if index == 0 or rng.random() < chance
    ]
    lower = kinds[0] == "sung" and rng.random() < MEN  # what is sung in the pool lies where women sing
    texture = pool.draw_texture(rng, lower=lower)
    takes = [("lead", texture, 0.0)]
    if rng.random() < 0.3:
        takes.append(("double", replace(texture, formant=texture.formant * rng.uniform(0.96, 1.04)), 0.012))
    for role, own, late in takes:
        own_rng = np.random.default_rng(seed)  # the second take has the same words
        setting = pool.Setting(key, composition.form.tempo, cast.n_samples)
        delayed = [start + late for start in starts]
        sound = LEVEL * pool.string_together(singer, delayed, setting, own, own_rng, octaves=-lower)
        cast.add(role, "real phrases", f"{singer} x{own.formant:.2f}", pool.INGREDIENT, sound)


def _ad_libs(cast: Cast, composition: "Composition", rng: np.random.Generator) -> None:
    """Real phrases in the pauses of the lead."""
    ends = [phrase[-1].end for phrase in composition.phrases]
    following = [phrase[0].start for phrase in composition.phrases[1:]] + [cast.n_samples / SAMPLE_RATE]
    pauses = [e + 0.05 for e, f in zip(ends, following, strict=True) if f - e > 0.6 and rng.random() < 0.5]
    kind: pool.Kind = "sung" if rng.random() < 0.6 else "shouted" if rng.random() < 0.7 else "whispered"
    singer = pool.draw_singer(kind, rng)
    setting = pool.Setting(scale_of(composition), composition.form.tempo, cast.n_samples)
    sound = 0.8 * LEVEL * pool.string_together(singer, pauses, setting, pool.draw_texture(rng), rng)
    cast.add("backing", "ad libs", singer, pool.INGREDIENT, sound, rng.uniform(-0.7, 0.7))


def _gang(cast: Cast, composition: "Composition", rng: np.random.Generator) -> None:
    """Several shout together on some beats: takes of one shout with different throats."""
    starts = [phrase[0].start for phrase in composition.phrases if rng.random() < 0.25]
    singer = pool.draw_singer("shouted", rng)
    seed = int(rng.integers(2**31))
    setting = pool.Setting((), composition.form.tempo, cast.n_samples)
    for _ in range(int(rng.integers(2, 5))):
        late = [start + float(rng.normal(0, 0.015)) for start in starts]
        texture = Texture(formant=round(float(rng.uniform(0.84, 1.18)), 2), breath=0.2, jitter=0.01)
        sound = (
            0.7 * LEVEL * pool.string_together(singer, late, setting, texture, np.random.default_rng(seed))
        )
        name = f"{singer} x{texture.formant:.2f}"
        cast.add("backing", "gang", name, pool.INGREDIENT, sound, rng.uniform(-0.8, 0.8))
