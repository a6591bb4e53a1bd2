"""Effects: what is done to a recorded sound. Rooms and echoes are in `rooms.py`, all use in `produce.py`.

Sounds are `(channels, samples)`, one or two channels; nothing is changed in place and silence stays silent.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pedalboard
from notes import SAMPLE_RATE
from numpy.typing import NDArray
from scipy import fft, signal

Sound = NDArray[np.float32]
FRAME = 2205  # samples, 50 ms
SILENCE = 1e-8  # mean square below which nothing is heard
TAPS = 4096  # of an equalizer


class Band(NamedTuple):
    """One band of an equalizer: kind "bell", "low shelf", "high shelf", "low cut" or "high cut"."""

    kind: str
    hertz: float
    decibels: float = 0.0  # of a cut: its slope, 6 dB an octave times this over 6
    quality: float = 0.7


def decibels(gain: float) -> float:
    return float(20 * np.log10(max(gain, 1e-9)))


def gain(level: float) -> np.float32:
    """The factor of a level in dB."""
    return np.float32(10 ** (level / 20))


def loudness(sound: Sound) -> float:
    """Level in dB where the sound is heard: pauses do not count. -180 of silence."""
    n = sound.shape[-1] // FRAME * FRAME
    frames = sound[:, :n].reshape(len(sound), -1, FRAME)
    squares = np.einsum("cfs,cfs->f", frames, frames) / (len(sound) * FRAME)
    if not len(squares) or squares.max() < SILENCE:
        return -180.0
    return float(10 * np.log10(squares[squares > 1e-3 * squares.max()].mean()))


def at_level(sound: Sound, level: float) -> Sound:
    """Bring what is heard to `level` dB; silence stays as it is."""
    now = loudness(sound)
    return sound if now <= -180 else sound * gain(level - now)


def response(bands: Sequence[Band], frequencies: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Of analogue filters in a row, minimum phase."""
    total = np.ones(len(frequencies), np.complex128)
    for band in bands:
        s = 1j * np.maximum(frequencies, 1.0) / band.hertz
        root = 10 ** (band.decibels / 40)
        if band.kind == "bell":
            total *= (s * s + s * root / band.quality + 1) / (s * s + s / (root * band.quality) + 1)
        elif band.kind == "low shelf":
            total *= (s + root) / (s + 1 / root)
        elif band.kind == "high shelf":
            total *= (s * root + 1) / (s / root + 1)
        elif band.kind == "low cut":
            total *= (s / (s + 1)) ** max(1, round(band.decibels / 6))
        else:
            total *= (1 / (s + 1)) ** max(1, round(band.decibels / 6))
    return total


def impulse(bands: Sequence[Band], n_taps: int = TAPS) -> Sound:
    """The equalizer's impulse response, `(1, n_taps)`."""
    frequencies = np.fft.rfftfreq(2 * n_taps, 1 / SAMPLE_RATE)
    taps = np.fft.irfft(response(bands, frequencies))[:n_taps]
    taps[-n_taps // 4 :] *= np.cos(np.linspace(0, np.pi / 2, n_taps // 4)) ** 2
    return taps[None].astype(np.float32)


def convolve(sound: Sound, taps: Sound) -> Sound:
    """Convolve by blocks, cut to the length of `sound`; one channel meets two as two."""
    n, length = sound.shape[-1], taps.shape[-1]
    size = 1 << max(16, (2 * length).bit_length())
    block = size - length + 1
    filters = fft.rfft(taps, size)
    result = np.zeros((max(len(sound), len(taps)), n + size), np.float32)
    for first in range(0, n, block):
        piece = sound[:, first : first + block]
        if piece.any():
            result[:, first : first + size] += fft.irfft(fft.rfft(piece, size) * filters, size)
    return result[:, :n]


def equalize(sound: Sound, bands: Sequence[Band]) -> Sound:
    return convolve(sound, impulse(bands)) if bands else sound


def compress(sound: Sound, below: float, ratio: float, attack: float, release: float) -> Sound:
    """Compress what exceeds the sound's own loudness less `below` dB; times in ms. Loudness is kept."""
    level = loudness(sound)
    if level <= -180:
        return sound
    board = pedalboard.Compressor(level - below, ratio, attack, release)
    return at_level(board(sound, SAMPLE_RATE), level)


def saturate(sound: Sound, drive: float, bias: float = 0.0) -> Sound:
    """Soft clipping, `drive` dB above the sound's loudness; `bias` makes even harmonics. Loudness is kept."""
    level = loudness(sound)
    if level <= -180:
        return sound
    driven = np.tanh(sound * gain(drive - level - 6) + np.float32(bias)) - np.float32(np.tanh(bias))
    return at_level(driven - driven.mean(axis=-1, keepdims=True) * (bias != 0), level)


def crush(sound: Sound, bits: float, divisor: int) -> Sound:
    """Fewer bits, and every sample held for `divisor` samples: an old sampler."""
    steps = np.float32(2 ** (bits - 1))
    peak = np.abs(sound).max() + np.float32(1e-9)
    held = np.repeat(sound[:, ::divisor], divisor, axis=1)[:, : sound.shape[-1]]
    return np.round(held / peak * steps) / steps * peak


def modulate(sound: Sound, kind: str, rate: float, depth: float, mix: float) -> Sound:
    """Chorus, flanger, phaser or tremolo; rate in Hz, depth and mix 0 to 1. The result is stereo."""
    stereo = both(sound)
    if kind == "tremolo":
        t = np.arange(stereo.shape[-1], dtype=np.float32) / SAMPLE_RATE
        swing = np.stack([np.sin(2 * np.pi * rate * t), np.sin(2 * np.pi * rate * t + np.pi * mix)])
        return stereo * (1 - np.float32(depth) * (0.5 + 0.5 * swing))
    if kind == "phaser":
        return pedalboard.Phaser(rate, depth, 1300, 0.4, mix)(stereo, SAMPLE_RATE)
    delay, feedback = (2.0, 0.5) if kind == "flanger" else (8.0, 0.0)
    left = pedalboard.Chorus(rate, depth, delay, feedback, mix)(stereo[:1], SAMPLE_RATE)
    right = pedalboard.Chorus(rate * 1.07, depth, delay + 3, feedback, mix)(stereo[1:], SAMPLE_RATE)
    return np.concatenate([left, right])


def moved(sound: Sound, delay: Sound) -> Sound:
    """Read the sound `delay` seconds late, which may change from sample to sample: tape, second takes."""
    n = sound.shape[-1]
    place = np.clip(np.arange(n) - delay * SAMPLE_RATE, 0, n - 1)
    left = place.astype(np.int64)
    part = (place - left).astype(np.float32)
    right = np.minimum(left + 1, n - 1)
    return np.stack([channel[left] * (1 - part) + channel[right] * part for channel in sound])


def wander(n: int, low: float, high: float, period: float, rng: np.random.Generator) -> Sound:
    """A smooth random curve between two limits, with a new aim every `period` seconds, `(n,)`."""
    knots = rng.uniform(low, high, int(n / (period * SAMPLE_RATE)) + 3)
    way = np.arange(n, dtype=np.float32) / np.float32(period * SAMPLE_RATE)
    left = way.astype(np.int32)
    ease = 0.5 - 0.5 * np.cos(np.pi * (way - left))
    return (knots[left] * (1 - ease) + knots[left + 1] * ease).astype(np.float32)


def second_take(sound: Sound, rng: np.random.Generator) -> Sound:
    """As if played again: never quite together, in time nor in tone."""
    late = wander(sound.shape[-1], 0.004, 0.03, float(rng.uniform(0.5, 2)), rng)
    tone = [Band("bell", float(rng.uniform(300, 3000)), float(rng.uniform(-4, 4)))]
    return equalize(moved(sound, late), tone)


def deess(sound: Sound, amount: float) -> Sound:
    """Turn down the range above 5.5 kHz by up to `amount` dB where it stands out."""
    sos = signal.butter(2, 5500, "highpass", fs=SAMPLE_RATE, output="sos").astype(np.float32)
    high = signal.sosfilt(sos, sound).astype(np.float32)
    level = loudness(high)
    if level <= -180:
        return sound
    softer = pedalboard.Compressor(level, 4, 1, 40)(high, SAMPLE_RATE)
    return sound + (softer - high) * (1 - gain(-amount))


def both(sound: Sound) -> Sound:
    """Two channels of one or two."""
    return np.repeat(sound, 2, axis=0) if len(sound) == 1 else sound


def width(sound: Sound, factor: float) -> Sound:
    """Scale the difference of the channels: 0 is mono, 1 leaves the sound, 2 is wide."""
    middle, side = sound.mean(axis=0), np.float32(factor / 2) * (sound[0] - sound[1])
    return np.stack([middle + side, middle - side])


def spread(sound: Sound, rng: np.random.Generator) -> Sound:
    """Make two different channels of one by short random all-passes: width without echo."""
    n = 1024
    phase = np.cumsum(rng.normal(0, 0.25, (2, n // 2 + 1)), axis=-1)
    phase *= np.minimum(1, np.fft.rfftfreq(n, 1 / SAMPLE_RATE) / 600)  # the low end stays in the middle
    taps = np.fft.fftshift(np.fft.irfft(np.exp(1j * phase)), axes=-1) * np.hanning(n)
    return convolve(sound.mean(axis=0, keepdims=True), taps.astype(np.float32))


def balance(sound: Sound) -> float:
    """Where `pan` would have put it, -1 left to 1 right; silence lies in the middle."""
    left, right = (float(np.dot(side, side)) for side in sound)
    return 2 / np.pi * float(np.arcsin((right - left) / (right + left))) if left + right else 0.0


def pan(sound: Sound, place: float) -> Sound:
    """Balance at constant power, -1 left to 1 right."""
    angle = (place + 1) * np.pi / 4
    return both(sound) * np.float32(np.sqrt(2)) * np.array([[np.cos(angle)], [np.sin(angle)]], np.float32)
