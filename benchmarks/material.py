"""Test material: music-like noise and tones of any length, written block by block.

The sounds are no music; what counts is that every second of a mixture costs a decoder, a network and an
encoder what a second of music costs them, and that two runs get the same bytes.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

SAMPLE_RATE = 44100  # Hz
PEAK = 0.5  # of full scale: no stem of any model comes near clipping


def second(index: int, seed: int = 0) -> np.ndarray:
    """Render one second of the mixture: a chord, a bass tone and four decaying bursts of noise.

    Args:
        index: which second; each draws its own pitches and balances from `(seed, index)`.
        seed: of the whole song.

    Returns:
        float32 `(44100, 2)` within ±PEAK.
    """
    rng = np.random.default_rng([seed, index])
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    mixture = np.zeros((SAMPLE_RATE, 2))
    for frequency in [rng.uniform(40, 120), *rng.uniform(150, 2000, 4)]:
        harmonics = sum(np.sin(2 * np.pi * frequency * k * time) / k**1.5 for k in range(1, 6))
        mixture += np.outer(harmonics * np.exp(-2 * time), rng.uniform(0.05, 0.2, 2))
    for beat in range(4):
        length = SAMPLE_RATE // 4
        burst = rng.standard_normal((length, 2)) * np.exp(-rng.uniform(20, 80) * time[:length, None])
        mixture[beat * length : (beat + 1) * length] += 0.3 * burst
    gain = PEAK / max(PEAK, float(np.abs(mixture).max()))
    return np.asarray(gain * mixture, np.float32)


def blocks(n_seconds: int, n_different: int = 60) -> Iterator[np.ndarray]:
    """Yield the mixture second by second; after `n_different` seconds it comes round again."""
    rendered = [second(index) for index in range(min(n_seconds, n_different))]
    for index in range(n_seconds):
        yield rendered[index % len(rendered)]


def write_mixture(path: Path, n_seconds: int) -> None:
    """Write a stereo mixture at 44.1 kHz in the format of the path's suffix (wav, flac, mp3)."""
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 2) as file:
        for block in blocks(n_seconds):
            file.write(block)
