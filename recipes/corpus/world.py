"""Sing recorded syllables through the vocoder WORLD: smoother than PSOLA, with the noise of each band kept.

Source: M. Morise, F. Yokomori and K. Ozawa, "WORLD: a vocoder-based high-quality speech synthesis system for
real-time applications", IEICE Transactions on Information and Systems E99-D (2016); pyworld.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pyworld
from notes import SAMPLE_RATE
from numpy.typing import NDArray
from psola import HOP, Recording, Samples, Syllable, Texture, nearest, source_times

FRAME = 0.01  # s, of the analysis; half as many frames as the synthesis needs, to halve time and memory
NOISE_FRAME = (
    4  # frames from one measurement of the noise to the next: it takes most of the time and changes slowly
)
LOWEST_HZ = {1024: 135.0, 2048: 65.0}  # that a transform of that size can resolve: 3 periods fill it
SILENT = -18.0  # natural logarithm of the power where nobody sings


@lru_cache(maxsize=300)  # 0.3 MB each
def envelopes(recording: Recording, n_fft: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The spectral envelope and the noise of a recording.

    Args:
        recording: at least one frame.
        n_fft: a key of `LOWEST_HZ`.

    Returns:
        The logarithm of the envelope, `(frames, bins)`; the noise of WORLD's bands in dB, `(frames, bands)`.
    """
    samples = recording.samples.astype(np.float64) / recording.level
    times = np.arange(int(recording.seconds / FRAME) + 1) * FRAME
    f0 = _f0(recording, times)
    spectrum = pyworld.cheaptrick(samples, f0, times, SAMPLE_RATE, fft_size=n_fft)
    # Voiced everywhere: where there is no pitch, the synthesis makes noise of its own accord.
    heard = np.where(f0 > 0, f0, np.median(f0[f0 > 0]) if f0.any() else 200.0)[::NOISE_FRAME]
    sparse = np.ascontiguousarray(times[::NOISE_FRAME])
    noise = pyworld.d4c(samples, np.ascontiguousarray(heard), sparse, SAMPLE_RATE, fft_size=n_fft)
    bands = pyworld.code_aperiodicity(noise, SAMPLE_RATE)
    dense = [np.interp(times, sparse, band) for band in bands.T]
    return np.log(spectrum + 1e-9).astype(np.float32), np.stack(dense, axis=1)


def _f0(recording: Recording, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """The pitch at some times, from the marks, in Hz; 0 where there is none."""
    index = nearest(recording.marks, times * SAMPLE_RATE)
    return np.where(recording.voiced[index], SAMPLE_RATE / recording.periods[index], 0.0)


def sing_phrase(
    syllables: Sequence[Syllable], pitch_hz: NDArray[np.float64], texture: Texture, rng: np.random.Generator
) -> Samples:
    """Sing syllables on one contour of pitch; arguments and result as those of `psola.sing_phrase`."""
    longest = max(int(s.recording.periods[s.recording.voiced].max(initial=1)) for s in syllables)
    n_fft = next(
        size for size, hz in LOWEST_HZ.items() if SAMPLE_RATE / longest > hz or size == max(LOWEST_HZ)
    )
    n_frames, n_bins = len(pitch_hz), n_fft // 2 + 1
    spectrum = np.full((n_frames, n_bins), SILENT, np.float32)
    noise = np.zeros((n_frames, pyworld.get_num_aperiodicities(SAMPLE_RATE)))
    voiced = np.zeros(n_frames, bool)
    for syllable in syllables:
        recording, source = syllable.recording, source_times(syllable, rng)
        own_spectrum, own_noise = envelopes(recording, n_fft)
        first = max(round(syllable.start / HOP), 0)
        frames = slice(first, min(first + len(source) - 1, n_frames))
        source = source[: frames.stop - frames.start]
        index = np.minimum(np.round(source / FRAME).astype(int), len(own_spectrum) - 1)
        weight = _fade(syllable, len(source))[:, None]
        spectrum[frames] += weight * (own_spectrum[index] - spectrum[frames])
        noise[frames] += weight * (own_noise[index] - noise[frames])
        is_later = weight[:, 0] > 0.5
        is_voiced = recording.voiced[nearest(recording.marks, source * SAMPLE_RATE)]
        voiced[frames] = np.where(is_later, is_voiced, voiced[frames])
        spectrum[frames.stop :] = SILENT
    aperiodicity = pyworld.decode_aperiodicity(np.ascontiguousarray(noise), SAMPLE_RATE, n_fft)
    power = np.exp(_warped(spectrum, texture.formant).astype(np.float64))
    jitter = 1 + texture.jitter * rng.standard_normal(n_frames)
    f0 = np.where(voiced & (not texture.whisper), pitch_hz * jitter, 0.0)
    breathy = np.clip(aperiodicity ** (1 - 0.7 * texture.breath), 1e-3, 1 - 1e-6)
    out = pyworld.synthesize(f0, np.ascontiguousarray(power), breathy, SAMPLE_RATE, HOP * 1000)
    n_samples = int(n_frames * HOP * SAMPLE_RATE)
    return np.pad(out, (0, max(n_samples - len(out), 0)))[:n_samples].astype(np.float32)


def _fade(syllable: Syllable, n_frames: int) -> NDArray[np.float32]:
    """The weight of a syllable over what came before, `(n_frames,)`; the next one fades it out."""
    return np.clip((np.arange(n_frames) + 1) * HOP / max(syllable.fade_in, HOP), 0, 1).astype(np.float32)


def _warped(spectrum: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """The envelopes with all resonances at `factor` times their frequency."""
    if factor == 1:
        return spectrum
    position = np.minimum(np.arange(spectrum.shape[1]) / factor, spectrum.shape[1] - 1.001)
    below = position.astype(int)
    part = (position - below).astype(np.float32)
    return (1 - part) * spectrum[:, below] + part * spectrum[:, below + 1]
