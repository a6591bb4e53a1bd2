"""A voice made of harmonics that change over time: analogue, digital, plucked, organ and formant sounds.

A note is a row of single cycles, one every few milliseconds, each the inverse transform of the harmonics that
it has at that time and that lie below the Nyquist frequency: nothing can alias. Reading them along the phase,
between cycles and between rows, makes the sound. Filters, envelopes and losses are gains of harmonics.
"""

from dataclasses import dataclass

import numpy as np
from notes import SAMPLE_RATE
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import fft

from synth.shapes import FIVE_HERTZ, PLAIN, Envelope, Filter, Floats, Oscillation, Vowels
from synth.waves import Spectrum

STEP = 220  # samples between two cycles of the row, 5 ms
TOP = 17_500.0  # Hz, no harmonic above
FAINT = 1e-5  # harmonics that never rise above this share of the strongest are left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """How a string loses its harmonics: rate in 1/s of the first, and growth with frequency."""

    rate: float
    brightness: float  # exponent, about 0.4 (bright) to 1.2 (dull)

    def gains(self, frequencies: Floats, times: Floats) -> Floats:
        rates = self.rate * (frequencies / 100.0) ** self.brightness
        return np.exp(-times[:, None] * rates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pitch:
    """Movement of the pitch.

    Attributes:
        glide: seconds from the note before, 0 jumps.
        drop: semitones above at the onset.
        drop_time: seconds of that fall.
        vibrato: cents.
        delay: seconds until the vibrato is full.
        oscillation: of the vibrato.
    """

    glide: float = 0.0
    drop: float = 0.0
    drop_time: float = 0.03
    vibrato: float = 0.0
    delay: float = 0.3
    oscillation: Oscillation = FIVE_HERTZ

    def cycles(self, hertz: float, interval: float, n: int) -> NDArray[np.float64]:
        """Phase in cycles, `(n,)`, of a note of `hertz` that comes from `interval` semitones away."""
        if not (self.drop or self.vibrato or (self.glide and interval)):
            return np.arange(n) * (hertz / SAMPLE_RATE)
        times = np.arange(n) / SAMPLE_RATE
        bend = self.drop * np.exp(-times / self.drop_time)
        if self.glide:
            bend += interval * np.exp(-3 * times / self.glide)
        if self.vibrato:
            bend += self.vibrato / 100 * np.minimum(times / self.delay, 1) * self.oscillation.values(times)
        return np.cumsum(hertz / SAMPLE_RATE * np.exp2(bend / 12))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unison:
    """Copies of the oscillator: how many, detuned by up to `cents` either way, `spread` 0 (mono) to 1."""

    voices: int = 1
    cents: float = 0.0
    spread: float = 0.0


STILL, ALONE = Pitch(), Unison()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tone:
    """A harmonic voice. `octave` is where its spectrum's fundamental lies relative to the key, -1 or 0."""

    spectrum: Spectrum
    envelope: Envelope = PLAIN
    octave: int = 0
    filter: Filter | None = None
    vowels: Vowels | None = None
    loss: Loss | None = None
    pitch: Pitch = STILL
    unison: Unison = ALONE
    noise: float = 0.0  # level of the attack's noise

    def note(
        self, pitch: float, held: float, velocity: float, start: float, interval: float, rng: Generator
    ) -> Floats:
        """One note, `(2, samples)`; `velocity` 0 to 1, `start` in seconds of the song."""
        n = max(2, int((held + self.envelope.release) * SAMPLE_RATE))
        hertz = 440 * 2 ** ((pitch - 69) / 12 + self.octave)
        rows = self._rows(hertz, n, velocity, start)
        cycles = self.pitch.cycles(hertz, interval, n)
        sound = np.zeros((2, n), np.float32)
        count = self.unison.voices
        places = np.linspace(-1, 1, count) if count > 1 else np.zeros(1)
        for place in places:
            ratio = 2 ** (self.unison.cents * (place + rng.uniform(-0.1, 0.1)) / 1200) if count > 1 else 1.0
            voice = read(rows, cycles * ratio + (rng.uniform() if count > 1 else 0.0))
            pan = self.unison.spread * (place if count > 1 else 0.0) * rng.choice((-1, 1))
            sound[0] += voice * np.sqrt(0.5 - 0.5 * pan)
            sound[1] += voice * np.sqrt(0.5 + 0.5 * pan)
        times = np.arange(n, dtype=np.float32) / SAMPLE_RATE
        if self.noise:
            burst = rng.standard_normal(n, dtype=np.float32) * np.exp(-times / 0.012)
            sound += self.noise * velocity * burst * float(np.abs(sound).max())
        return sound * (self.envelope.curve(times, held) / np.sqrt(count))

    def _rows(self, hertz: float, n: int, velocity: float, start: float) -> Floats:
        """Single cycles, `(rows, samples)`."""
        highest = hertz * 2 ** (max(self.pitch.drop, 0) / 12)
        count = max(1, min(len(self.spectrum), int(TOP / highest)))
        frequencies = (hertz * np.arange(1, count + 1)).astype(np.float32)
        times = np.arange(n // STEP + 2, dtype=np.float32) * (STEP / SAMPLE_RATE)
        moves = self.filter or self.vowels or self.loss
        times = times if moves else times[:1]
        spectra = np.repeat(self.spectrum[None, :count], len(times), axis=0)
        if self.filter:
            spectra = spectra * self.filter.response(frequencies, times, start, velocity)
        if self.vowels:
            spectra = spectra * self.vowels.response(frequencies, times, start)
        if self.loss:
            spectra = spectra * self.loss.gains(frequencies, times)
        return cycles_of(spectra)


def cycles_of(spectra: NDArray[np.complex64]) -> Floats:
    """Single cycles, `(rows, samples)`, of harmonics `(rows, harmonics)`; samples is a power of two."""
    strongest = np.abs(spectra).max(axis=0)
    heard = np.flatnonzero(strongest > FAINT * strongest.max())
    count = int(heard[-1]) + 1 if len(heard) else 1
    size = 1 << max(10, int(np.ceil(np.log2(8 * count))))  # errors of interpolation below -60 dB
    padded = np.zeros((len(spectra), size // 2 + 1), np.complex64)
    padded[:, 1 : count + 1] = spectra[:, :count]
    return fft.irfft(padded, axis=-1) * (size / 2)


def read(rows: Floats, cycles: NDArray[np.float64]) -> Floats:
    """Read single cycles along a phase, `(samples,)`, linearly between samples and between rows."""
    size = rows.shape[1]
    place = (cycles - np.floor(cycles)).astype(np.float32) * np.float32(size)
    left = place.astype(np.int32)
    part = place - left
    left &= size - 1  # a phase just below 1 may have been rounded up
    right = (left + 1) & (size - 1)
    if len(rows) == 1:
        return between(rows[0], left, right, part)
    n = len(cycles)
    steps = n // STEP + 1
    base = np.repeat(np.arange(steps, dtype=np.int32) * size, STEP)[:n]
    fade = np.tile(np.arange(STEP, dtype=np.float32) / STEP, steps)[:n]
    flat = rows.ravel()
    now = between(flat, left + base, right + base, part)
    base += size
    now += fade * (between(flat, left + base, right + base, part) - now)
    return now


def between(table: Floats, left: NDArray[np.int32], right: NDArray[np.int32], part: Floats) -> Floats:
    """Linear interpolation in a table."""
    value = table.take(left)
    value += part * (table.take(right) - value)
    return value
