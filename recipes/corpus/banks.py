"""Voice banks: recorded syllables with the cut marks of UTAU, and the table of the banks (`voices.json`).

A bank is a folder of recordings with an `oto.ini`, a line of which reads
`file=alias,offset,fixed,cutoff,preutterance,overlap` (ms). Three ways to name syllables are understood:
"a か" (the vowel before, kana: VCV), "ka" (CV, in letters), "- ka_A4" and "ka_A4" (Mandarin CVVC, of which
only the CV part is used).
"""

import json
import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import soundfile
from library import folder
from notes import SAMPLE_RATE
from numpy.typing import NDArray
from psola import Recording, analyse
from scipy.signal import butter, resample_poly, sosfilt

TABLE = Path(__file__).with_name("voices.json")
SILENCE, ANY = "-", "*"  # what may come before a syllable, besides a vowel
VOWELS = "aiueo"
RUMBLE = butter(2, 45, "highpass", fs=SAMPLE_RATE, output="sos")

# The vowel that a kana ends in; small kana override what they follow, and n is held like a vowel.
KANA = {
    "a": "あかさたなはまやらわがざだばぱぁゃゎ",
    "i": "いきしちにひみりぎじぢびぴぃ",
    "u": "うくすつぬふむゆるぐずづぶぷぅゅゔ",
    "e": "えけせてねへめれげぜでべぺぇ",
    "o": "おこそとのほもよろをごぞどぼぽぉょ",
    "n": "ん",
}
HELD = {
    "a": ("あ", "a"),
    "i": ("い", "i", "yi"),
    "u": ("う", "u", "wu"),
    "e": ("え", "e"),
    "o": ("お", "o"),
    "n": ("ん", "n"),
}
VOWEL_OF = {kana: vowel for vowel, row in KANA.items() for kana in row}


@dataclass(frozen=True, slots=True)
class Unit:
    """A syllable of a bank: where it lies in its recording, and how it joins.

    Attributes:
        path: the recording.
        text: the syllable, without the marks of its pitch and style.
        before: the vowel that it starts from, `SILENCE`, or `ANY`.
        after: the vowel that it ends in, or "n".
        offset, cutoff: where it begins and ends in the recording; a negative cutoff counts from the
            offset, another one from the recording's end (s).
        fixed: the part from the beginning that must not be stretched (s).
        preutterance: from the beginning to the point that falls on the note's start (s).
        overlap: how long it shares with the syllable before (s).
    """

    path: Path
    text: str
    before: str
    after: str
    offset: float
    fixed: float
    cutoff: float
    preutterance: float
    overlap: float


@dataclass(frozen=True, slots=True)
class Bank:
    """The syllables of one singer at one pitch and in one style.

    Attributes:
        name: its key in the table.
        ingredient: its key in the list of ingredients.
        pitch: the MIDI number at which it was recorded.
        syllables: by (before, after), in the order of their texts.
        vowels: those that are the vowel alone, the one that holds it on first; some banks lack some.
        breaths: recordings of breathing in.
    """

    name: str
    ingredient: str
    pitch: float
    syllables: dict[tuple[str, str], list[Unit]]
    vowels: dict[str, list[Unit]]
    breaths: list[Path]

    def candidates(self, before: str, after: str) -> list[Unit]:
        """The syllables that lead from one vowel to another, at best with the transition recorded."""
        return (
            self.syllables.get((before, after))
            or self.syllables.get((ANY, after))
            or self.syllables.get((SILENCE, after), [])
        )


@cache
def table() -> dict[str, dict]:
    """The banks of `voices.json`, by name."""
    return json.loads(TABLE.read_text(encoding="utf-8"))


@cache
def bank(name: str) -> Bank:
    """Read the bank of that name.

    Raises:
        Missing: if its ingredient is not in the library.
        FileNotFoundError: if the ingredient lacks the folder.
    """
    entry = table()[name]
    place = folder(entry["ingredient"]) / entry["folder"]
    syllables: dict[tuple[str, str], list[Unit]] = {}
    for unit in read_oto(place, entry["encoding"], entry["naming"]):
        syllables.setdefault((unit.before, unit.after), []).append(unit)
    for units in syllables.values():
        units.sort(key=lambda unit: (unit.text, unit.path.name, unit.offset))
    held = {
        vowel: [
            unit
            for before in (vowel, ANY, SILENCE)
            for unit in syllables.get((before, vowel), [])
            if unit.text in HELD[vowel]
        ]
        for vowel in HELD
    }
    breaths = sorted(path for pattern in entry["breaths"] for path in place.glob(pattern))
    return Bank(name, entry["ingredient"], entry["pitch"], syllables, held, breaths)


def read_oto(place: Path, encoding: str, naming: str) -> list[Unit]:
    """Read the syllables of a folder; what is not there, has no marks or is no syllable is left out.

    Args:
        place: the folder.
        encoding: of its `oto.ini`: "cp932" or "utf-8".
        naming: "kana", "letters" or "mandarin".

    Raises:
        UnicodeDecodeError: if the encoding is another one.
    """
    # Some file systems and archives store ば as は and a voicing mark: compare composed names.
    files = {unicodedata.normalize("NFC", path.name): path for path in place.glob("*.wav")}
    units = []
    for line in (place / "oto.ini").read_text(encoding=encoding).splitlines():
        name, _, values = line.strip().partition("=")
        alias, *numbers = values.split(",")
        path = files.get(unicodedata.normalize("NFC", name))
        syllable = _parse(alias, naming)
        if path is None or syllable is None or len(numbers) != 5:
            continue
        offset, fixed, cutoff, preutterance, overlap = (float(number or 0) / 1000 for number in numbers)
        if fixed > 0:
            units.append(Unit(path, *syllable, offset, fixed, cutoff, preutterance, max(overlap, 0)))
    return units


def _parse(alias: str, naming: str) -> tuple[str, str, str] | None:
    """The text of an alias, the vowel before and the vowel after; None if it is not a syllable."""
    if naming == "kana":
        match = re.fullmatch(r"([aiueon-]) ([ぁ-ゖァ-ヶー]+)[SW]*(?:[A-G]\d)?", alias)
        text = match and "".join(chr(ord(c) - 0x60) if "ァ" <= c <= "ヶ" else c for c in match[2])
        return (text, match[1], VOWEL_OF[text[-1]]) if text and text[-1] in VOWEL_OF else None
    pattern = r"(- )?([a-z]*[aiueo]|n)_?(?:[A-G]\d)?" if naming == "mandarin" else r"()([a-z]*[aiueo]|n)"
    match = re.fullmatch(pattern, alias)
    return (match[2], SILENCE if match[1] else ANY, match[2][-1]) if match else None


@lru_cache(maxsize=1500)  # about 150 kB each
def recording(unit: Unit, pitch: float) -> Recording:
    """The unit's own stretch of its recording with its pitch marks, kept for the next time.

    Args:
        unit: of a bank.
        pitch: the bank's, as MIDI number: the search is kept to a fifth around it, against wrong octaves.
    """
    with soundfile.SoundFile(unit.path) as file:
        rate, begin = file.samplerate, int(unit.offset * file.samplerate)
        end = begin - int(unit.cutoff * rate) if unit.cutoff < 0 else file.frames - int(unit.cutoff * rate)
        end = min(max(end, begin + int((unit.fixed + 0.1) * rate)), file.frames)
        file.seek(min(begin, end))
        samples = file.read(end - begin, dtype="float32", always_2d=True).mean(axis=1)
    hz = 440 * 2 ** ((pitch - 69) / 12)
    return analyse(at_rate(samples, rate), 0.67 * hz, 1.5 * hz)


@lru_cache(maxsize=200)
def breath(path: Path) -> NDArray[np.float32]:
    """The loudest half second of a recorded breath, `(samples,)`, peak 1; silence stays silence."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = at_rate(samples.mean(axis=1), rate)
    width = min(len(mono), SAMPLE_RATE // 2)
    power = np.concatenate([[0.0], np.cumsum(mono.astype(np.float64) ** 2)])
    begin = int(np.argmax(power[width:] - power[: len(power) - width]))
    cut = mono[begin : begin + width] * np.hanning(width).astype(np.float32)
    return cut / max(float(np.abs(cut).max(initial=0)), 1e-6)


def at_rate(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Bring `(samples,)` to `SAMPLE_RATE`, without what lies below a voice: some have an offset."""
    if rate != SAMPLE_RATE:
        samples = resample_poly(samples, SAMPLE_RATE, rate)
    return sosfilt(RUMBLE, samples).astype(np.float32) if len(samples) else samples
