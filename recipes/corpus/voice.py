"""Singers: a voice bank, a way to resynthesize it, a length of the vocal tract, a texture and a manner."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import psola
import world
from banks import HELD, SILENCE, VOWELS, Bank, Unit, bank, breath, recording, table
from contour import Contour, Manner, draw_manner, loosen, loudness_contour, pitch_contour
from library import Missing, is_present
from notes import SAMPLE_RATE, Note
from psola import HOP, Samples, Syllable, Texture
from scipy.signal import butter, sosfilt

RENDERERS = {"psola": psola.sing_phrase, "world": world.sing_phrase}
METHODS = {"psola": 0.83, "world": 0.17}  # WORLD is a minority: its smoothness must not be what marks a voice
SEXES = {"man": 0.46, "woman": 0.46, "child": 0.08}
RANGES = {"man": (44, 56), "woman": (57, 67), "child": (61, 68)}  # of the middle of what they sing, MIDI
CONSONANTS = 14  # that a song makes do with: words come back, and their analyses are kept
MELISMA = 0.12  # share of the notes that go on with the vowel of the note before
LEGATO_GAP = 0.13  # s; below, the voice goes on without a new attack
ONSET = 0.025  # s, of a voice that begins
MARGIN = 0.5  # s, around a phrase, for its first consonant and its end
LEVEL = 0.1  # root mean square of a sung vowel
PRESENCE, AIR = (butter(1, hz, "highpass", fs=SAMPLE_RATE, output="sos") for hz in (1500, 5000))

# Ranges that a texture is drawn from; what is not named stays as it is.
STYLES: dict[str, dict[str, tuple[float, float]]] = {
    "clear": {"breath": (0.0, 0.3), "jitter": (0.002, 0.006), "shimmer": (0.02, 0.06)},
    "breathy": {"breath": (0.5, 1.0), "jitter": (0.004, 0.012), "shimmer": (0.04, 0.1)},
    "rough": {"jitter": (0.01, 0.025), "shimmer": (0.08, 0.2), "growl": (0.1, 0.4), "breath": (0.2, 0.6)},
    "growling": {"jitter": (0.01, 0.03), "shimmer": (0.1, 0.25), "growl": (0.6, 0.95), "breath": (0.3, 0.8)},
    "whispering": {"breath": (0.0, 0.0)},
}
STYLE_SHARES = {"clear": 0.5, "breathy": 0.25, "rough": 0.2, "growling": 0.03, "whispering": 0.02}


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A singer.

    Attributes:
        name: for the manifest: bank, style, formant, method.
        bank: a key of `voices.json`.
        sex: "man", "woman" or "child", as it sounds.
        method: a key of `METHODS`.
        centre: the MIDI number around which it sings.
        texture: its sound.
        manner: its habits.
        brightness: lift above 1.5 kHz and above 5 kHz, in dB.
        effort: how much more of that with loudness, in dB per dB.
        vowels: what it sings on: all of `VOWELS`, one for an ooh or aah, "n" to hum.
        breathing: how often a breath is heard before a phrase, 0 to 1.
    """

    name: str
    bank: str
    sex: str
    method: str
    centre: float
    texture: Texture
    manner: Manner
    brightness: tuple[float, float]
    effort: float
    vowels: str = VOWELS
    breathing: float = 0.5

    @property
    def ingredient(self) -> str:
        """The key of its bank in the list of ingredients."""
        return str(table()[self.bank]["ingredient"])


def draw_voice(rng: np.random.Generator, *, sex: str = "", style: str = "") -> Voice:
    """A singer, of that sex ("man", "woman", "child") and style (a key of `STYLES`) if they are given.

    Raises:
        Missing: if no bank is in the library.
    """
    sex = sex or str(rng.choice(list(SEXES), p=list(SEXES.values())))
    style = style or str(rng.choice(list(STYLE_SHARES), p=list(STYLE_SHARES.values())))
    known = [
        name
        for name, entry in table().items()
        if sex in entry["formants"] and is_present(entry["ingredient"])
    ]
    if not known:
        raise Missing("no voice bank is in the library: python recipes/corpus/library.py")
    # The banks of one singer share a weight, lest the singer with most of them drown the others.
    sizes = [
        sum(table()[name]["ingredient"] == table()[other]["ingredient"] for other in known) for name in known
    ]
    weights = np.array(sizes) ** -0.6
    chosen = str(rng.choice(known, p=weights / weights.sum()))
    formant = round(float(rng.uniform(*table()[chosen]["formants"][sex])), 2)
    ranges = {name: float(rng.uniform(*ends)) for name, ends in STYLES[style].items()}
    method = (
        "psola"
        if style in ("growling", "whispering")
        else str(rng.choice(list(METHODS), p=list(METHODS.values())))
    )
    # A longer vocal tract belongs to a lower voice.
    centre = table()[chosen]["pitch"] + 15 * np.log2(formant) + rng.uniform(-1, 5)
    return Voice(
        name=f"{chosen} {style} x{formant:.2f} {method}",
        bank=chosen,
        sex=sex,
        method=method,
        centre=float(np.clip(centre, *RANGES[sex])),
        texture=Texture(formant=formant, whisper=style == "whispering", **ranges),
        manner=draw_manner(rng),
        brightness=(float(rng.uniform(-2, 5)), float(rng.uniform(0, 8))),
        effort=float(rng.uniform(0.2, 1.0)),
        breathing=float(rng.uniform(0, 1)),
    )


def sing(
    voice: Voice, phrases: Sequence[Sequence[Note]], n_samples: int, rng: np.random.Generator, *, lyrics: int
) -> Samples:
    """Sing phrases, in the octave that suits the voice.

    Args:
        voice: who sings.
        phrases: of notes in order, one at a time, in seconds.
        n_samples: the length of the result.
        rng: draws how it is sung.
        lyrics: chooses what is sung: voices that share it share vowels, and those of one bank all syllables.

    Returns:
        `(n_samples,)`, dry; vowels of a middling loudness have a root mean square of about 0.1.

    Raises:
        Missing: if the voice's bank is not in the library.
    """
    out = np.zeros(n_samples + SAMPLE_RATE, np.float32)
    pitches = [note.pitch for phrase in phrases for note in phrase]
    octaves = 12 * round((voice.centre - float(np.median(pitches))) / 12) if pitches else 0
    last_end = 0.0
    for index, phrase in enumerate(phrases):
        begin = phrase[0].start - MARGIN
        notes = [
            n._replace(start=n.start - begin, end=n.end - begin, pitch=n.pitch + octaves) for n in phrase
        ]
        sound = _sing_phrase(voice, notes, np.random.default_rng([lyrics, index]), rng)
        _add(out, sound, begin)
        if phrase[0].start - last_end > 0.5 and rng.random() < voice.breathing:
            _add(out, _breath(voice, rng), phrase[0].start - rng.uniform(0.55, 0.75))
        last_end = phrase[-1].end
    return out[:n_samples]


def _sing_phrase(
    voice: Voice, notes: list[Note], words: np.random.Generator, rng: np.random.Generator
) -> Samples:
    """One phrase; `words` draws its syllables."""
    notes = loosen(notes, voice.manner, rng)
    n_frames = int((notes[-1].end + MARGIN) / HOP)
    pitch = pitch_contour(notes, n_frames, voice.manner, rng)
    loudness = loudness_contour(notes, pitch, voice.manner, rng)
    syllables = place(bank(voice.bank), spell(bank(voice.bank), notes, voice.vowels, words), notes)
    sound = RENDERERS[voice.method](syllables, 440 * 2 ** ((pitch - 69) / 12), voice.texture, rng)
    return _brightened(sound, loudness, voice) * np.float32(LEVEL)


def spell(singer: Bank, notes: Sequence[Note], vowels: str, words: np.random.Generator) -> list[Unit]:
    """A syllable for each note; the draws do not depend on the bank.

    Args:
        singer: whose syllables.
        notes: of a phrase.
        vowels: to choose from.
        words: draws them.
    """
    units: list[Unit] = []
    for index, note in enumerate(notes):
        vowel = vowels[int(words.random() * len(vowels))]
        consonant = int(words.integers(CONSONANTS)) / CONSONANTS
        goes_on = words.random() < MELISMA or len(vowels) == 1
        legato = index > 0 and note.start - notes[index - 1].end < LEGATO_GAP
        before = units[-1].after if legato else SILENCE
        if legato and goes_on and before in HELD:
            vowel = before
        pool = (goes_on and singer.vowels[vowel]) or singer.candidates(before, vowel)
        pool = pool or singer.vowels["a"]  # some banks cannot hum
        fitting = [unit for unit in pool if unit.before == before] or pool
        units.append(fitting[0] if goes_on else fitting[int(consonant * len(fitting))])
    return units


def place(singer: Bank, units: Sequence[Unit], notes: Sequence[Note]) -> list[Syllable]:
    """Set the syllables on their notes: the vowel begins with the note, the consonant comes before it."""
    leads = []
    for index, (unit, note) in enumerate(zip(units, notes, strict=True)):
        # In quick runs, not all of the transition from the vowel before finds room.
        room = 0.7 * (note.start - notes[index - 1].start) if index else 0.9 * MARGIN
        leads.append(min(unit.preutterance, room))
    overlaps = [
        max(0.012, min(unit.overlap, 0.5 * lead, 0.12)) for unit, lead in zip(units, leads, strict=True)
    ]
    syllables = []
    for index, (unit, note) in enumerate(zip(units, notes, strict=True)):
        start, end, fade_out = note.start - leads[index], note.end + 0.04, 0.06
        if index + 1 < len(notes) and notes[index + 1].start - note.end < LEGATO_GAP:
            fade_out = overlaps[index + 1]
            end = notes[index + 1].start - leads[index + 1] + fade_out
        end = max(end, start + 0.05)
        skip = unit.preutterance - leads[index]
        fade_in = overlaps[index] if index and notes[index - 1].end > start else ONSET
        fades = min(fade_in, (end - start) / 2), min(fade_out, (end - start) / 2)
        syllables.append(Syllable(recording(unit, singer.pitch), start, end, skip, unit.fixed, *fades))
    return syllables


def _brightened(sound: Samples, loudness: Contour, voice: Voice) -> Samples:
    """The sound with the contour of loudness, brighter where it is loud."""
    clock = np.arange(len(sound)) / SAMPLE_RATE
    db = np.interp(clock, np.arange(len(loudness)) * HOP, loudness)
    bright = sound.astype(np.float64)
    for band, lift in zip((PRESENCE, AIR), voice.brightness, strict=True):
        gain = 10 ** (np.clip(lift + voice.effort * np.clip(db, -8, 8), -6, 15) / 20) - 1
        bright += gain * sosfilt(band, sound)
    return (bright * 10 ** (db / 20)).astype(np.float32)


def _breath(voice: Voice, rng: np.random.Generator) -> Samples:
    """A breath drawn in: of the bank if it has some, or of noise."""
    paths = bank(voice.bank).breaths
    if paths:
        sound = breath(paths[int(rng.integers(len(paths)))])
    else:
        length = int(rng.uniform(0.25, 0.5) * SAMPLE_RATE)
        sound = (
            sosfilt(PRESENCE, rng.standard_normal(length)) * np.sin(np.linspace(0, np.pi, length)) ** 2 / 3
        )
    return (sound * LEVEL * 10 ** (rng.uniform(-18, -4) / 20)).astype(np.float32)


def _add(out: Samples, sound: Samples, start_s: float) -> None:
    """Add a sound at its place; what lies outside is cut."""
    first = round(start_s * SAMPLE_RATE)
    inside = sound[max(-first, 0) :][: max(len(out) - max(first, 0), 0)]
    out[max(first, 0) :][: len(inside)] += inside
