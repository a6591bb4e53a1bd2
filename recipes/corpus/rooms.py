"""Impulse responses of our own: rooms, plates, springs, halls, gated reverbs and echoes.

Each has two channels and unit energy, and lacks the direct sound.
"""

from collections.abc import Callable

import numpy as np
from effects import Band, Sound, gain, impulse
from notes import SAMPLE_RATE
from scipy import signal

WINDOW = 512


def diffuse(length: float, low: float, high: float, rng: np.random.Generator) -> Sound:
    """Noise that fades by 60 dB in `low` seconds below 300 Hz and in `high` seconds above 8 kHz."""
    noise = rng.standard_normal((2, int(length * SAMPLE_RATE)), dtype=np.float32)
    frequencies, times, spectrum = signal.stft(noise, SAMPLE_RATE, nperseg=WINDOW)
    way = np.clip(np.log(np.maximum(frequencies, 1) / 300) / np.log(8000 / 300), 0, 1)
    fall = 6.9 / (low * (high / low) ** way)
    _, tail = signal.istft(spectrum * np.exp(-fall[:, None] * times), SAMPLE_RATE)
    return tail[:, : noise.shape[1]].astype(np.float32)


def finished(taps: Sound, rng: np.random.Generator) -> Sound:
    """Unit energy, faded end, a random tone and a random width."""
    n = taps.shape[-1] // 8
    taps[:, -n:] *= np.linspace(1, 0, n, dtype=np.float32)
    tone = [Band("low cut", rng.uniform(60, 400), 12), Band("high cut", rng.uniform(3500, 16_000), 6)]
    taps = signal.oaconvolve(taps, impulse(tone, 1024), axes=1)[:, : taps.shape[-1]]
    taps += np.float32(rng.uniform(0, 0.7)) * taps[::-1]
    return (taps / np.sqrt(np.mean(np.sum(taps**2, axis=-1)))).astype(np.float32)


def early(taps: Sound, n_echoes: int, last: float, level: float, rng: np.random.Generator) -> Sound:
    """Add single reflections within `last` seconds, each to one side more than to the other."""
    scale = level * np.abs(taps).max()
    for time in rng.uniform(0.1, 1, n_echoes) * last:
        at = int(time * SAMPLE_RATE)
        if at < taps.shape[-1]:
            taps[:, at] += (
                scale * rng.uniform(0.3, 1, 2) * rng.choice((-1, 1)) * (1 - time / last) ** 0.5
            ).astype(np.float32)
    return taps


def room(rng: np.random.Generator) -> Sound:
    time = rng.uniform(0.12, 0.7)
    return finished(early(diffuse(time, time, time * rng.uniform(0.3, 0.9), rng), 12, 0.03, 4, rng), rng)


def hall(rng: np.random.Generator) -> Sound:
    time = rng.uniform(1.2, 3.5)
    tail = early(diffuse(min(time, 2.6), time, time * rng.uniform(0.2, 0.6), rng), 20, 0.09, 2, rng)
    rise = int(rng.uniform(0.005, 0.05) * SAMPLE_RATE)
    tail[:, :rise] *= np.linspace(0.2, 1, rise, dtype=np.float32)
    before = int(rng.uniform(0, 0.08) * SAMPLE_RATE)
    return finished(np.pad(tail, ((0, 0), (before, 0))), rng)


def plate(rng: np.random.Generator) -> Sound:
    time = rng.uniform(0.6, 2.5)
    before = int(rng.choice((0, rng.uniform(0, 0.06))) * SAMPLE_RATE)
    tail = diffuse(min(time, 2.2), time, time * rng.uniform(0.5, 1), rng)
    return finished(np.pad(tail, ((0, 0), (before, 0))), rng)


def spring(rng: np.random.Generator) -> Sound:
    """Echoes that come back as chirps: low frequencies travel faster below the spring's limit."""
    n = 1 << 17
    frequencies = np.fft.rfftfreq(n, 1 / SAMPLE_RATE)
    limit = rng.uniform(3000, 5500)
    total = np.zeros((2, n // 2 + 1), np.complex64)
    for side in range(2):
        late, stretch = rng.uniform(0.028, 0.05), rng.uniform(0.004, 0.02)
        delay = late * frequencies + stretch * limit * (frequencies / limit) ** 3 / 3
        once = -rng.uniform(0.6, 0.85) * np.exp(-2j * np.pi * delay) / (1 + (frequencies / limit) ** 8)
        total[side] = once / (1 - once)
    return finished(np.fft.irfft(total)[:, : int(1.8 * SAMPLE_RATE)].astype(np.float32), rng)


def gated(rng: np.random.Generator) -> Sound:
    """A big room that is cut off while it is still loud."""
    time = rng.uniform(0.15, 0.45)
    return finished(early(diffuse(time, 1.5, 1.0, rng), 10, 0.05, 2, rng), rng)


def echo(rng: np.random.Generator) -> Sound:
    """Slap-back, straight or ping-pong echoes that get duller."""
    time = rng.uniform(0.07, 0.16) if rng.random() < 0.35 else rng.uniform(0.18, 0.55)
    feedback = -rng.uniform(2, 12)
    count = min(8, int(40 / -feedback))
    bounce = rng.random() < 0.4
    taps = np.zeros((2, int((count + 1) * time * SAMPLE_RATE)), np.float32)
    dull = impulse(
        [Band("high cut", rng.uniform(1500, 9000), 6), Band("low cut", rng.uniform(60, 400), 6)], 512
    )[0]
    once = dull
    for k in range(1, count + 1):
        at = int(k * time * SAMPLE_RATE)
        sides = np.array([1.0, 0.15] if k % 2 else [0.15, 1.0]) if bounce else np.ones(2)
        piece = once[: taps.shape[-1] - at]
        taps[:, at : at + len(piece)] += (sides[:, None] * piece * gain((k - 1) * feedback)).astype(
            np.float32
        )
        once = np.convolve(once, dull)[:512].astype(np.float32)
    return taps / np.sqrt(np.mean(np.sum(taps**2, axis=-1)))


SPACES: dict[str, Callable[[np.random.Generator], Sound]] = {
    "room": room, "hall": hall, "plate": plate, "spring": spring, "gated": gated, "echo": echo,
}  # fmt: skip
