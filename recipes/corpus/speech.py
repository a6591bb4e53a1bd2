"""Speaking machines (flite, espeak-ng) that rap or half sing: a word of one syllable for each note."""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import psola
import soundfile
from banks import at_rate
from contour import Manner, loosen, loudness_contour, pitch_contour
from library import Missing, is_present
from notes import SAMPLE_RATE, Note
from psola import HOP, Recording, Samples, Syllable, Texture, analyse
from scipy.signal import butter, sosfilt, sosfiltfilt

TABLE = Path(__file__).with_name("words.json")
UPPER = butter(4, (3500, 7000), "bandpass", fs=SAMPLE_RATE, output="sos")
ABOVE = butter(4, 7000, "highpass", fs=SAMPLE_RATE, output="sos")
SLOW = butter(1, 60, fs=SAMPLE_RATE, output="sos")
MARGIN = 0.3  # s, around a phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """A speaking machine.

    Attributes:
        name: a key of the voices in `words.json`.
        ingredient: its key in the list of ingredients.
        centre: the MIDI number around which it speaks.
        texture, manner: as a singer's.
        sung: whether it follows the notes, or speaks in their rhythm.
    """

    name: str
    ingredient: str
    centre: float
    texture: Texture
    manner: Manner
    sung: bool


@cache
def table() -> dict:
    """The words and voices of `words.json`."""
    return json.loads(TABLE.read_text(encoding="utf-8"))


def draw_speaker(rng: np.random.Generator, *, sung: bool) -> Speaker:
    """A speaking machine that is installed.

    Raises:
        Missing: if none is.
    """
    voices = {name: v for name, v in table()["voices"].items() if is_present(v["ingredient"])}
    if not voices:
        raise Missing("no speaking machine is installed: apt-get install flite espeak-ng")
    name = str(rng.choice(list(voices)))
    is_man = voices[name]["sex"] == "man"
    texture = Texture(
        formant=round(float(rng.uniform(0.86, 1.12)), 2),
        breath=float(rng.uniform(0.2, 0.9)),
        jitter=float(rng.uniform(0.005, 0.02)),
        shimmer=float(rng.uniform(0.03, 0.12)),
        growl=float(rng.choice([0.0, rng.uniform(0.1, 0.4)])),
    )
    centre = rng.uniform(44, 54) if is_man else rng.uniform(54, 63)
    manner = Manner(glide=0.05, vibrato_depth=0.1, scoop=0.2, fall=0.3, drift=0.3, looseness=0.008)
    ingredient = str(voices[name]["ingredient"])
    return Speaker(name=name, ingredient=ingredient, centre=centre, texture=texture, manner=manner, sung=sung)


@lru_cache(maxsize=600)  # about 60 kB each
def spoken(text: str, voice: str) -> Recording:
    """What the machine says, from its first sound to its last."""
    program, *options = table()["voices"][voice]["command"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spoken.wav"
        words = ["-t", text, "-o", path] if program == "flite" else ["-w", path, text]
        subprocess.run([program, *options, *words], check=True, capture_output=True)
        samples, rate = soundfile.read(path, dtype="float32")
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max(initial=1e-6))
    mono = at_rate(samples[loud[0] : loud[-1] + rate // 50] if len(loud) else samples, rate)
    return analyse(widened(mono), 65, 350)


def widened(mono: Samples, strength: float = 1.2) -> Samples:
    """Speech that ends at 8 kHz, with noise above that follows the band below."""
    if len(mono) < SAMPLE_RATE // 20:
        return mono
    envelope = sosfiltfilt(SLOW, np.abs(sosfilt(UPPER, mono))).clip(0)
    # Of its length, so that a word that is kept in memory is the same as one that is spoken again.
    noise = np.random.default_rng(len(mono)).standard_normal(len(mono))
    return (mono + strength * envelope * sosfilt(ABOVE, noise)).astype(np.float32)


def say(
    speaker: Speaker, phrases: Sequence[Sequence[Note]], n_samples: int, rng: np.random.Generator
) -> Samples:
    """Phrases in words.

    Args:
        speaker: who speaks.
        phrases: of notes, in seconds; of a speaker that is not `sung`, only their rhythm is used.
        n_samples: the length of the result.
        rng: draws the words and how they are said.

    Returns:
        `(n_samples,)`, dry; its level is about that of `voice.sing`.
    """
    out = np.zeros(n_samples, np.float32)
    pitches = [note.pitch for phrase in phrases for note in phrase]
    octaves = 12 * round((speaker.centre - float(np.median(pitches))) / 12) if pitches else 0
    for phrase in phrases:
        begin = phrase[0].start - MARGIN
        notes = loosen(
            [n._replace(start=n.start - begin, end=n.end - begin) for n in phrase], speaker.manner, rng
        )
        lilt = np.round(
            speaker.centre
            + 3 * np.sin(np.arange(len(notes)) * rng.uniform(0.5, 2))
            - np.arange(len(notes)) * 0.2
        )
        pitched = [
            n._replace(pitch=n.pitch + octaves if speaker.sung else int(p))
            for n, p in zip(notes, lilt, strict=True)
        ]
        pitch = pitch_contour(pitched, int((notes[-1].end + MARGIN) / HOP), speaker.manner, rng)
        loudness = loudness_contour(pitched, pitch, speaker.manner, rng)
        syllables = _place(speaker, notes, rng)
        sound = psola.sing_phrase(syllables, 440 * 2 ** ((pitch - 69) / 12), speaker.texture, rng)
        clock = np.arange(len(sound)) / SAMPLE_RATE
        sound *= 0.1 * 10 ** (np.interp(clock, np.arange(len(loudness)) * HOP, loudness) / 20)
        first = max(round(begin * SAMPLE_RATE), 0)
        inside = sound[first - round(begin * SAMPLE_RATE) :][: max(n_samples - first, 0)]
        out[first : first + len(inside)] += inside
    return out


def _place(speaker: Speaker, notes: Sequence[Note], rng: np.random.Generator) -> list[Syllable]:
    """A word on each note, its vowel at the note's start."""
    syllables: list[Syllable] = []
    for index, note in enumerate(notes):
        words = table()["words"]
        recording = spoken(words[int(rng.integers(len(words)))], speaker.name)
        voiced = recording.marks[recording.voiced]
        lead = min(float(voiced[0]) / SAMPLE_RATE if len(voiced) else 0.05, 0.15, 0.9 * note.start)
        limit = notes[index + 1].start if index + 1 < len(notes) else note.end + 0.2
        end = max(min(note.end + 0.06, limit), note.start + 0.05)
        skip = max(float(voiced[0]) / SAMPLE_RATE - lead if len(voiced) else 0.0, 0.0)
        is_long = recording.seconds - skip > end - note.start + lead
        syllables.append(
            Syllable(recording, note.start - lead, end, skip, lead + skip, 0.004, 0.02, hurried=is_long)
        )
    return syllables
