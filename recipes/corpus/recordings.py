"""Recordings of single strokes: which drum was struck how hard, in which take, through which microphones.

`kits.json` lists them by sets. Of a set that was recorded through several microphones, a drum is a pattern of
file names, in which {} stands for the microphone, the first * for the force and the second for the take; of
another one, it is the files from which a part chooses one.
"""

import json
import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
from library import folder
from notes import SAMPLE_RATE, Audio
from scipy.signal import lfilter, resample

LIST = Path(__file__).with_name("kits.json")
LONGEST = 6.0  # s of a stroke that are kept
INAUDIBLE = 10 ** (-66 / 20)  # of a recording's peak: its end is cut where it stays below
LOWEST = 10.0  # Hz: some converters of the eighties had an offset
FADE = round(0.03 * SAMPLE_RATE)
WINDOW = round(0.03 * SAMPLE_RATE)  # over which the level of a stroke is measured

Take = dict[str, tuple[Path, ...]]  # the files of each group of microphones: one, or left and right


class Drum(NamedTuple):
    """Recordings of one drum: layers of takes.

    Attributes:
        layers: of growing force; or, if `is_choice`, different sounds of which a part uses one.
        is_choice: as said.
    """

    layers: tuple[tuple[Take, ...], ...]
    is_choice: bool


@cache
def listed() -> dict[str, Any]:
    """What `kits.json` says."""
    return json.loads(LIST.read_text(encoding="utf-8"))


@cache
def drums(name: str) -> dict[int, Drum]:
    """The drums of a set of recordings, by their numbers in General MIDI's percussion map."""
    entry = listed()["sets"][name]
    root = folder(entry["ingredient"]) / entry["root"]
    if "groups" not in entry:
        return {int(pitch): _choice(root, patterns) for pitch, patterns in entry["drums"].items()}
    return {
        int(pitch): _layered(root, pattern, {"close": close, **entry["groups"]})
        for pitch, (pattern, close) in entry["drums"].items()
    }


def _choice(root: Path, patterns: list[str]) -> Drum:
    files = [path for pattern in patterns for path in sorted(root.glob(pattern))]
    return Drum(tuple(({"close": (path,)},) for path in files), is_choice=True)


def _layered(root: Path, pattern: str, groups: dict[str, list[str]]) -> Drum:
    strokes: dict[tuple[str, ...], Take] = {}
    for group, microphones in groups.items():
        files = [_by_stars(root, pattern.replace("{}", microphone)) for microphone in microphones]
        if files:
            for stars in files[0].keys() & set.intersection(*(set(one) for one in files)):
                strokes.setdefault(stars, {})[group] = tuple(one[stars] for one in files)
    layers: dict[int, list[Take]] = {}
    for stars in sorted(strokes):
        layers.setdefault(int(stars[0]), []).append(strokes[stars])
    return Drum(tuple(tuple(layers[force]) for force in sorted(layers)), is_choice=False)


def _by_stars(root: Path, pattern: str) -> dict[tuple[str, ...], Path]:
    """The files that match, by what their stars stand for."""
    names = re.compile(re.escape(pattern).replace(r"\*", "([^/]*?)"))
    found = {path: names.fullmatch(path.relative_to(root).as_posix()) for path in sorted(root.glob(pattern))}
    return {match.groups(): path for path, match in found.items() if match}


@lru_cache(maxsize=256)
def recording(path: Path) -> Audio:
    """`(2, n)` without the silence at its end; not to be changed."""
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    audio = audio[: round(LONGEST * rate)].T
    keep = np.exp(-2 * np.pi * LOWEST / rate)
    audio = lfilter([1, -1], [1, -keep], audio, axis=1).astype(np.float32)
    peaks = np.abs(audio).max(axis=0)
    heard = np.flatnonzero(peaks > INAUDIBLE * peaks.max())
    audio = audio[:, : heard[-1] + 1 if heard.size else 1]
    if rate != SAMPLE_RATE:
        audio = resample(audio, max(1, round(audio.shape[1] * SAMPLE_RATE / rate)), axis=1)
    fade = min(audio.shape[1], FADE)
    audio[:, -fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return np.broadcast_to(audio, (2, audio.shape[1])) if len(audio) == 1 else audio[:2]


@lru_cache(maxsize=4096)
def level(path: Path) -> float:
    """RMS of the loudest `WINDOW` of a recording, never 0."""
    power = (recording(path).astype(np.float64) ** 2).mean(axis=0)
    energy = np.concatenate([[0.0], np.cumsum(power)])
    width = min(WINDOW, power.size)
    return float(np.sqrt(np.max(energy[width:] - energy[:-width]) / WINDOW)) + 1e-9
