"""Sing recorded sound at another pitch and pace: TD-PSOLA, which keeps the grain of the recording.

A recording is cut into grains of two periods around its pitch marks; the grains are set again at the wanted
marks. All syllables of a phrase share one grid of wanted marks, so that they join in phase. On the way the
voice is made breathy, rough or whispering.

Source: E. Moulines and F. Charpentier, "Pitch-synchronous waveform processing techniques for text-to-speech
synthesis using diphones", Speech Communication 9 (1990); the marks are Praat's ("To PointProcess (cc)").
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import parselmouth
from notes import SAMPLE_RATE
from numpy.typing import NDArray
from parselmouth.praat import call
from scipy.signal import butter, resample_poly, sosfiltfilt

HOP = 0.005  # s, from value to value of all contours, and between the marks where there is no pitch
BREATH_BAND = butter(2, 2200, "highpass", fs=SAMPLE_RATE, output="sos")
Samples = NDArray[np.float32]  # (samples,) at SAMPLE_RATE


@dataclass(frozen=True, slots=True, eq=False)  # compared and hashed by identity: a key of caches
class Recording:
    """A recording and its pitch marks.

    Attributes:
        samples: `(samples,)` at SAMPLE_RATE.
        marks: where the periods are, in samples, increasing; every `HOP` where there is no pitch.
        periods: of each mark, in samples.
        voiced: whether there is a pitch at each mark.
        level: root mean square of the voiced part, or of the whole if little is; > 0.
    """

    samples: Samples
    marks: NDArray[np.int64]
    periods: NDArray[np.int64]
    voiced: NDArray[np.bool_]
    level: float

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


class Syllable(NamedTuple):
    """A recording set in time.

    Attributes:
        recording: what sounds.
        start, end: in seconds from the phrase's beginning.
        skip: how much of the recording's beginning is left out (s).
        fixed: up to where in the recording it keeps its pace (s).
        fade_in, fade_out: in seconds; the neighbours fade meanwhile.
        hurried: if the recording is too long, all of it is sung faster; otherwise its end is left out.
    """

    recording: Recording
    start: float
    end: float
    skip: float
    fixed: float
    fade_in: float
    fade_out: float
    hurried: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Texture:
    """What a voice is like apart from pitch and vowels.

    Attributes:
        formant: factor of all resonances: a longer (< 1) or shorter vocal tract.
        breath: share of noise above 2 kHz, 0 to 1.
        jitter: deviation of single periods, relative (0.003 healthy, 0.02 hoarse).
        shimmer: deviation of their amplitudes, relative.
        growl: strength of the subharmonic at half the pitch, 0 to 1.
        whisper: no pitch at all.
    """

    formant: float = 1.0
    breath: float = 0.0
    jitter: float = 0.003
    shimmer: float = 0.03
    growl: float = 0.0
    whisper: bool = False


def analyse(samples: Samples, low_hz: float, high_hz: float) -> Recording:
    """Find the pitch marks of a recording.

    Args:
        samples: `(samples,)`.
        low_hz: the lowest pitch that may be found.
        high_hz: the highest one.
    """
    pulses = _pulses(samples, low_hz, high_hz)
    longest, hop = 1.5 * SAMPLE_RATE / low_hz, HOP * SAMPLE_RATE
    edges = np.concatenate([[-hop], pulses, [len(samples) + hop]])
    gaps = np.flatnonzero(np.diff(edges) > longest) if len(pulses) else [0]
    filling = [np.arange(edges[i] + hop, edges[i + 1] - hop / 2, hop) for i in gaps]
    marks = np.concatenate([pulses, *filling])
    order = np.argsort(marks)
    marks, voiced = marks[order], (np.arange(len(marks)) < len(pulses))[order]
    distances = np.diff(marks)
    nearest = np.minimum(np.append(np.inf, distances), np.append(distances, np.inf))
    periods = np.where(voiced, np.clip(nearest, SAMPLE_RATE / high_hz, longest), hop)
    power = np.cumsum(np.append(0, samples.astype(np.float64) ** 2))
    begins = np.clip(marks - periods, 0, len(samples)).astype(int)
    ends = np.clip(marks + periods, 0, len(samples)).astype(int)
    chosen = voiced if voiced.mean() > 0.2 else np.ones(len(marks), bool)  # a whisper has some false pitch
    energy = (power[ends] - power[begins])[chosen].sum() / max((ends - begins)[chosen].sum(), 1)
    level = max(float(np.sqrt(energy)), 1e-4)
    return Recording(samples, marks.astype(int), periods.astype(int), voiced, level)


def _pulses(samples: Samples, low_hz: float, high_hz: float) -> NDArray[np.float64]:
    """Praat's pitch marks, in samples."""
    sound = parselmouth.Sound(samples.astype(np.float64), SAMPLE_RATE)
    if sound.duration < 3.5 / low_hz:  # too short for Praat's window
        return np.empty(0)
    pitch = sound.to_pitch_ac(time_step=0.01, pitch_floor=low_hz, pitch_ceiling=high_hz)
    points = call([sound, pitch], "To PointProcess (cc)")
    if call(points, "Get number of points") == 0:
        return np.empty(0)
    return call(points, "To Matrix").values[0] * SAMPLE_RATE


def shift_formants(recording: Recording, factor: float) -> Recording:
    """Play a recording `factor` times as fast: its resonances move; pitch and pace are set again later."""
    up, down = 100, round(100 * factor)
    if up == down:
        return recording
    samples = resample_poly(recording.samples, up, down).astype(np.float32)
    marks = np.minimum(recording.marks * up // down, max(len(samples) - 1, 0))
    periods = np.maximum(recording.periods * up // down, 1)
    return Recording(samples, marks, periods, recording.voiced, recording.level)


def sing_phrase(
    syllables: Sequence[Syllable], pitch_hz: NDArray[np.float64], texture: Texture, rng: np.random.Generator
) -> Samples:
    """Sing syllables on one contour of pitch.

    Args:
        syllables: in order; each comes out with a level (root mean square of its voiced part) near 1.
        pitch_hz: the pitch every `HOP`, `(frames,)`; the result is as long.
        texture: the voice's.
        rng: draws what is never the same twice.
    """
    at, gains = _wanted_marks(pitch_hz, texture, rng)
    out = np.zeros(int(len(pitch_hz) * HOP * SAMPLE_RATE), np.float32)
    for syllable in syllables:
        begin, end = np.searchsorted(at, [syllable.start, syllable.end])
        sound = _sing(syllable, at[begin:end] - syllable.start, gains[begin:end], texture, rng)
        first = round(syllable.start * SAMPLE_RATE)
        sound = sound[max(-first, 0) :][: len(out) - max(first, 0)]
        out[max(first, 0) :][: len(sound)] += sound
    return out


def _wanted_marks(
    pitch_hz: NDArray[np.float64], texture: Texture, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The times of the periods (s) and their gains."""
    frames = np.arange(len(pitch_hz) + 1)
    phase = np.concatenate([[0.0], np.cumsum(pitch_hz * HOP)])
    at = np.interp(np.arange(int(phase[-1])), phase, frames * HOP)
    # The subharmonic comes and goes, as the singer's effort does.
    slow = np.interp(at, frames[::40] * HOP, rng.uniform(0.2, 1.0, len(frames[::40])))
    odd = texture.growl * slow * (np.arange(len(at)) % 2)
    period = np.interp(at, frames[1:] * HOP, 1 / pitch_hz)
    at = at + period * (texture.jitter * rng.standard_normal(len(at)) + 0.08 * odd)
    return at, 1 + texture.shimmer * rng.standard_normal(len(at)) - 0.7 * odd


def source_times(syllable: Syllable, rng: np.random.Generator) -> NDArray[np.float64]:
    """Which time of the recording sounds when, in seconds, every `HOP` of the syllable, `(frames,)`.

    The beginning keeps its pace, the vowel is stretched to fill. Where it is stretched, the position wanders,
    for a grain that is repeated again and again buzzes.
    """
    recording, duration = syllable.recording, syllable.end - syllable.start
    at = np.arange(0, duration + HOP, HOP)
    fixed = max(min(syllable.fixed, 0.8 * recording.seconds) - syllable.skip, 0)
    rest = recording.seconds - syllable.skip - fixed - 0.02
    room = max(duration - fixed, HOP)
    pace = rest / (room if syllable.hurried else max(room, rest))
    wander = np.convolve(rng.standard_normal(len(at) + 40), np.hanning(42)[1:-1] / 4, "valid")[: len(at)]
    wander *= 0.03 * max(1 - pace, 0) * np.clip((at - fixed) / 0.1, 0, 1)
    source = syllable.skip + np.where(at < fixed, at, fixed + (at - fixed) * pace) + wander
    return np.clip(source, 0, recording.seconds - 0.005)


def _sing(
    syllable: Syllable,
    at: NDArray[np.float64],
    gains: NDArray[np.float64],
    texture: Texture,
    rng: np.random.Generator,
) -> Samples:
    """Sing one syllable with periods `at` (s from its start), at a level near 1, faded in and out."""
    recording = shift_formants(syllable.recording, texture.formant)
    source = source_times(syllable, rng) / texture.formant
    clock = np.arange(len(source)) * HOP
    n_samples = round((syllable.end - syllable.start) * SAMPLE_RATE)
    free = np.arange(0, n_samples / SAMPLE_RATE, HOP)
    chosen = nearest(recording.marks, np.interp(at, clock, source) * SAMPLE_RATE)
    spoken = recording.voiced[chosen] & (not texture.whisper)
    positions = (np.interp(free, clock, source) * SAMPLE_RATE).astype(int)
    unvoiced = ~recording.voiced[nearest(recording.marks, positions)] | texture.whisper
    if texture.whisper:
        positions = positions + rng.integers(-200, 200, len(positions))
    n_free = int(unvoiced.sum())
    signs = rng.choice([-1.0, 1.0], n_free) if texture.whisper else np.ones(n_free)
    grains = Grains(
        np.concatenate([at[spoken], free[unvoiced]]),
        np.concatenate([recording.marks[chosen[spoken]], positions[unvoiced]]),
        np.concatenate([recording.periods[chosen[spoken]], np.full(n_free, int(HOP * SAMPLE_RATE))]),
        np.concatenate([gains[spoken], signs]),
    )
    sound = overlap_add(recording.samples, n_samples, grains, texture.breath, rng)
    fade_in, fade_out = (round(s * SAMPLE_RATE) for s in (syllable.fade_in, syllable.fade_out))
    sound[:fade_in] *= np.linspace(0, 1, fade_in, dtype=np.float32)[: len(sound)]
    sound[len(sound) - fade_out :] *= np.linspace(1, 0, fade_out, dtype=np.float32)[-len(sound) :]
    return sound / np.float32(recording.level)


def nearest(values: NDArray[np.int64], wanted: NDArray[np.float64]) -> NDArray[np.int64]:
    """The indices of the values (increasing, at least one) nearest to the wanted ones."""
    right = np.clip(np.searchsorted(values, wanted), 1, max(len(values) - 1, 1))
    right = np.minimum(right, len(values) - 1)
    left = np.maximum(right - 1, 0)
    return np.where(wanted - values[left] <= values[right] - wanted, left, right)


@dataclass(frozen=True, slots=True)
class Grains:
    """Pieces of a recording and where they go.

    Attributes:
        at: the middle of each in the result, in seconds.
        source: its middle in the recording, in samples.
        half: half its length, in samples.
        gain: its factor.
    """

    at: NDArray[np.float64]
    source: NDArray[np.int64]
    half: NDArray[np.int64]
    gain: NDArray[np.float64]


def overlap_add(
    samples: Samples, n_samples: int, grains: Grains, breath: float, rng: np.random.Generator
) -> Samples:
    """Sum the grains under Hann windows.

    Of the band of the breath, the share `breath` is taken from near each grain's place, with either sign:
    what was periodic becomes noise of the same spectrum and rhythm.
    """
    longest = int(grains.half.max(initial=1))
    padded = np.pad(samples, 2 * longest + 200)
    high = sosfiltfilt(BREATH_BAND, padded).astype(np.float32) if breath else padded
    low = padded - np.float32(breath) * high
    out = np.zeros(n_samples + 4 * longest, np.float32)
    windows = {
        half: np.hanning(2 * half + 1)[:-1].astype(np.float32) for half in np.unique(grains.half).tolist()
    }
    middles = (
        np.clip(np.round(grains.at * SAMPLE_RATE).astype(int), -longest, n_samples + longest) + 2 * longest
    )
    sources = np.clip(grains.source, 0, len(samples)) + 2 * longest + 200
    noises = breath * 1.3 * rng.choice([-1.0, 1.0], len(middles))
    offsets = rng.integers(-150, 150, len(middles))
    columns = (middles, sources, grains.half, grains.gain, noises, offsets)
    for middle, source, half, gain, noise, offset in zip(*(c.tolist() for c in columns), strict=True):
        grain = low[source - half : source + half]
        if breath:
            grain = grain + noise * high[source + offset - half : source + offset + half]
        out[middle - half : middle + half] += gain * grain * windows[half]
    return out[2 * longest : 2 * longest + n_samples]
