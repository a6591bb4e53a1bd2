"""Spoken sentences, sung: many people speak in recordings that are free to use, few sing.

    python recipes/corpus/intone.py speech corpus/intoned --times 2

Every file below a folder is cut into phrases at its pauses, the phrases into syllables at the dips of their
loudness. Each syllable becomes a note of a melody that is drawn anew, somewhat higher than the person speaks:
its consonant keeps its pace, its vowel is stretched. So what is heard are the throats, accents and
microphones of hundreds of people, and the pitch, rhythm and vibrato of singers. One phrase in eight is left
as it was spoken. Speech that ends at 8 kHz, as many collections do, gets noise above that follows the band
below.

Source: syllables are found by their nuclei, peaks of loudness that have a pitch, as in N. H. de Jong and
T. Wempe, "Praat script to detect syllable nuclei and measure speech rate automatically", Behavior Research
Methods 41 (2009).
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from zlib import crc32

import numpy as np
import soundfile
from contour import draw_manner, loosen, loudness_contour, pitch_contour
from notes import SAMPLE_RATE, Note
from numpy.typing import NDArray
from pool import load
from psola import HOP, Recording, Samples, Syllable, Texture, sing_phrase
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, find_peaks, sosfilt
from speech import widened

SUFFIXES = (".flac", ".wav", ".ogg", ".mp3")
VOWELS = butter(
    2, (300, 2800), "bandpass", fs=SAMPLE_RATE, output="sos"
)  # where their first two formants are
AIR = butter(12, 10_000, "highpass", fs=SAMPLE_RATE, output="sos")
NARROW = 1e-6  # the share of the power above that: such speech ends at 8 kHz
WIDENED = 0.3  # strength of what is put there
SHORTEST_S, LONGEST_S = 0.7, 7.0  # of a phrase
PAUSE_S, PAUSE_DB = 0.22, 28.0  # so long below the loudest, and a phrase ends
DIP_DB, APART_S = 2.5, 0.1  # between two nuclei
AS_SPOKEN = 0.125
FADE_S = 0.012  # from syllable to syllable
TAIL_S = 0.25  # for the end of the last note to sound
SCALES = ((0, 2, 4, 7, 9), (0, 3, 5, 7, 10), (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))
PEAK = 0.7  # of full scale

Places = NDArray[np.float64]  # (n,) in seconds


def loudness_db(samples: Samples) -> NDArray[np.float64]:
    """The loudness of vowels, a value every `HOP`, in dB under the loudest."""
    width = round(HOP * SAMPLE_RATE)
    band = sosfilt(VOWELS, np.pad(samples, (0, -len(samples) % width)))
    power = gaussian_filter1d((band.reshape(-1, width) ** 2).mean(axis=1), 0.02 / HOP)
    return 10 * np.log10(np.maximum(power / max(power.max(initial=0), 1e-12), 1e-9))


def phrases_of(recording: Recording) -> Iterator[Recording]:
    """What is said between pauses; what is too short, or too long for one breath, is left out."""
    heard = np.flatnonzero(loudness_db(recording.samples) > -PAUSE_DB)
    for run in np.split(heard, np.flatnonzero(np.diff(heard) > PAUSE_S / HOP) + 1):
        if len(run) and SHORTEST_S <= (run[-1] - run[0]) * HOP <= LONGEST_S:
            yield cut(recording, max(run[0] * HOP - 0.08, 0), run[-1] * HOP + 0.1)


def cut(recording: Recording, start_s: float, end_s: float) -> Recording:
    """A part of a recording, at the level of the whole."""
    first = round(start_s * SAMPLE_RATE)
    samples = recording.samples[first : round(end_s * SAMPLE_RATE)]
    inside = (recording.marks >= first) & (recording.marks < first + len(samples))
    return Recording(
        samples,
        recording.marks[inside] - first,
        recording.periods[inside],
        recording.voiced[inside],
        recording.level,
    )


def syllables_of(phrase: Recording) -> tuple[Places, Places]:
    """The nuclei of a phrase's syllables, n of them, and their n + 1 bounds, from 0 to its end."""
    loudness = loudness_db(phrase.samples)
    peaks, _ = find_peaks(loudness, height=-22, prominence=DIP_DB, distance=round(APART_S / HOP))
    voiced = phrase.marks[phrase.voiced] / SAMPLE_RATE
    nuclei = np.array([p for p in peaks * HOP if len(voiced) and np.abs(voiced - p).min() < 2 * HOP])
    dips = [
        (a + int(np.argmin(loudness[a : b + 1]))) * HOP
        for a, b in zip((nuclei[:-1] / HOP).astype(int), (nuclei[1:] / HOP).astype(int), strict=True)
    ]
    return nuclei, np.array([0.0, *dips, phrase.seconds])


def melody(n_notes: int, spoken: float, rng: np.random.Generator) -> list[int]:
    """Pitches of notes that move by steps of a scale, above the one that is spoken (MIDI numbers)."""
    scale = np.array(SCALES[int(rng.integers(len(SCALES)))])
    tones = np.sort((scale[None] + 12 * np.arange(11)[:, None] + int(rng.integers(12))).ravel())
    centre = spoken + rng.uniform(2, 12)
    low, high = np.searchsorted(tones, [centre - 6, centre + 6])
    at = int(np.searchsorted(tones, centre))
    pitches = []
    for _ in range(n_notes):
        pitches.append(int(tones[at]))
        at += int(rng.choice([-3, -2, -1, 0, 1, 2, 3], p=[0.05, 0.1, 0.22, 0.26, 0.22, 0.1, 0.05]))
        at = int(np.clip(at, low, high))
    return pitches


def rhythm(lengths: Places, rng: np.random.Generator) -> Places:
    """Where notes of a beat's halves, wholes and doubles begin, and the end: none shorter than spoken."""
    half = rng.uniform(0.14, 0.32)
    wanted = half * rng.choice([1, 2, 3, 4], len(lengths), p=[0.48, 0.32, 0.1, 0.1])
    wanted[-1] *= rng.choice([1, 2, 4])  # phrases end on long notes
    return np.cumsum([0.0, *np.maximum(wanted, lengths).clip(max=2.5)])


def draw_texture(rng: np.random.Generator) -> Texture:
    """A throat much like the speaker's own."""
    is_rough = rng.random() < 0.2
    return Texture(
        formant=round(float(rng.uniform(0.92, 1.1)), 2),
        breath=float(rng.uniform(0, 0.3)),
        jitter=float(rng.uniform(0.005, 0.015)) if is_rough else 0.0,
        shimmer=float(rng.uniform(0.03, 0.1)) if is_rough else 0.02,
        growl=float(rng.uniform(0.1, 0.6)) if is_rough else 0.0,
    )


def intone(phrase: Recording, rng: np.random.Generator) -> Samples | None:
    """A phrase sung: `(samples,)`, peak at PEAK; None if it has fewer than two syllables."""
    nuclei, bounds = syllables_of(phrase)
    if len(nuclei) < 2:
        return None
    if rng.random() < AS_SPOKEN:
        return at_peak(phrase.samples)
    spoken_hz = SAMPLE_RATE / np.median(phrase.periods[phrase.voiced])
    pitches = melody(len(nuclei), 69 + 12 * np.log2(spoken_hz / 440), rng)
    onsets = np.maximum(nuclei - bounds[:-1] - 0.03, 0)  # from a syllable's start to its vowel
    starts = rhythm(np.diff(bounds), rng) + onsets[0]
    notes = [
        Note(a, b, pitch, int(rng.integers(70, 110)))
        for (a, b), pitch in zip(pairwise(starts), pitches, strict=True)
    ]
    manner = draw_manner(rng)
    notes = loosen(notes, manner, rng)
    n_frames = int((notes[-1].end + TAIL_S) / HOP)
    pitch = pitch_contour(notes, n_frames, manner, rng)
    loudness = loudness_contour(notes, pitch, manner, rng)
    parts = [cut(phrase, a, b) for a, b in pairwise(bounds)]
    ends = [b.start - onset for b, onset in zip(notes[1:], onsets[1:], strict=True)] + [notes[-1].end]
    syllables = []
    for note, end, part, onset in zip(notes, ends, parts, onsets, strict=True):
        start = note.start - onset
        if len(part.marks) and end > start + 2 * FADE_S:
            syllables.append(
                Syllable(part, start, end + FADE_S, 0.0, onset + 0.05, FADE_S, FADE_S, hurried=True)
            )
    sound = sing_phrase(syllables, 440 * 2 ** ((pitch - 69) / 12), draw_texture(rng), rng)
    clock = np.arange(len(sound)) / SAMPLE_RATE
    return at_peak(sound * 10 ** (np.interp(clock, np.arange(n_frames) * HOP, loudness) / 20))


def at_peak(sound: Samples) -> Samples:
    return (PEAK * sound / max(float(np.abs(sound).max(initial=0)), 1e-6)).astype(np.float32)


def spoken_file(path: Path) -> Recording:
    """A file of speech, full band."""
    recording = load(path)
    air = sosfilt(AIR, recording.samples)
    if (air**2).mean() >= NARROW * (recording.samples**2).mean():
        return recording
    return replace(recording, samples=widened(recording.samples, WIDENED))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("speech", type=Path, help="folder of recorded speech, one voice in each file")
    parser.add_argument("output", type=Path, help="folder of phrases, made if it is not there")
    parser.add_argument("--times", type=int, default=1, help="melodies for each phrase (default 1)")
    parser.add_argument("--most", type=int, default=60, help="phrases of one folder (default 60)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    files = sorted(path for path in given.speech.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not files:
        sys.exit(f"{given.speech} has no audio file ({', '.join(SUFFIXES)})")
    counts: dict[Path, int] = {}
    for path in files:
        rng = np.random.default_rng([given.seed, crc32(path.name.encode())])
        if counts.get(path.parent, 0) >= given.most:
            continue
        for number, phrase in enumerate(phrases_of(spoken_file(path))):
            counts[path.parent] = counts.get(path.parent, 0) + 1
            for take in range(given.times):
                sound = intone(phrase, rng)
                if sound is not None:
                    name = f"{path.parent.name}_{path.stem}_{number}_{take}.flac"
                    soundfile.write(given.output / name, sound, SAMPLE_RATE, "PCM_16")
    print(f"{sum(1 for _ in given.output.iterdir())} phrases in {given.output}")


if __name__ == "__main__":
    main()
