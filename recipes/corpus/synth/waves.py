"""Spectra of one cycle: what the harmonics of a waveform are."""

import numpy as np
from numpy.typing import NDArray

N_HARMONICS = 512
K = np.arange(1, N_HARMONICS + 1)
Spectrum = NDArray[np.complex64]  # (harmonics,), the first is the fundamental


def saw() -> Spectrum:
    return (1j / K).astype(np.complex64)


def pulse(width: float = 0.5) -> Spectrum:
    """Pulse of that duty, 0 to 1; 0.5 is the square."""
    return (2 * np.sin(np.pi * K * width) / K).astype(np.complex64)


def triangle() -> Spectrum:
    return np.where(K % 2, 1 / K**2, 0).astype(np.complex64)


def sine() -> Spectrum:
    return (K == 1).astype(np.complex64)


def plucked(position: float, slope: float = 1.0) -> Spectrum:
    """A string plucked (and heard) at `position` of its length: a comb over a falling spectrum."""
    return (np.sin(np.pi * K * position) / K**slope).astype(np.complex64)


def random_digital(rng: np.random.Generator) -> Spectrum:
    """A wavetable synthesizer's single cycle: random harmonics below a random slope, some missing."""
    slope = rng.uniform(0.7, 1.8)
    amplitudes = rng.uniform(0, 1, N_HARMONICS) ** rng.uniform(0.5, 3) / K**slope
    amplitudes[0] = rng.uniform(0.4, 1)
    return (amplitudes * np.exp(2j * np.pi * rng.uniform(size=N_HARMONICS))).astype(np.complex64)


def drawbars(levels: tuple[float, ...]) -> Spectrum:
    """An organ of nine drawbars (16', 5 1/3', 8', 4', 2 2/3', 2', 1 3/5', 1 1/3', 1') above half the pitch.

    The spectrum's fundamental is the 16' stop, an octave below the key.
    """
    spectrum = np.zeros(N_HARMONICS, np.complex64)
    for harmonic, level in zip((1, 3, 2, 4, 6, 8, 10, 12, 16), levels, strict=True):
        spectrum[harmonic - 1] = level
    return spectrum * np.exp(1j * K * K)  # a tone wheel organ's phases are arbitrary


def octave_up(spectrum: Spectrum) -> Spectrum:
    """The same wave seen from an octave below: room for a sub-oscillator."""
    result = np.zeros_like(spectrum)
    result[1::2] = spectrum[: len(spectrum) // 2]
    return result
