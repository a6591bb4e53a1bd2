"""Statistics of one song: what tells a produced multitrack from a made-up one, as far as numbers do.

Signals are float32 `(2, samples)`. A figure that a signal cannot have, such as the crest of silence, is NaN.
"""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from notes import SAMPLE_RATE
from numpy.typing import NDArray
from scipy.signal import lfilter
from torch import Tensor

from stemwise.data.track import Track, read_mixture, read_sources
from stemwise.evaluate.oracle import ratio_mask_oracle
from stemwise.evaluate.songs import SILENCE
from stemwise.metrics import sdr
from stemwise.stft import STFTConfig, stft

Audio = NDArray[np.float32]
MIXTURE = "mixture"

# Third octaves from 25 Hz to 20 kHz, IEC 61260-1: 1000 Hz times powers of 10^0.1; three make an octave.
CENTRES_HZ = 1000.0 * 10.0 ** (np.arange(-16, 14) / 10)
EDGE = 10.0**0.05
OCTAVES = ("31.5 Hz", "63 Hz", "125 Hz", "250 Hz", "500 Hz", "1 kHz", "2 kHz", "4 kHz", "8 kHz", "16 kHz")
FINE = STFTConfig(n_fft=16384, hop_length=4096)  # tells the lowest bands apart
SHORT = STFTConfig(n_fft=2048, hop_length=512)  # for change over time
MASKS = STFTConfig(n_fft=4096, hop_length=1024)  # of the oracle, as `stemwise evaluate` has it
PIECE_SAMPLES = 1 << 20  # transformed at a time: no spectrum of a whole song
WINDOW_SAMPLES = SAMPLE_RATE // 10  # in which a stem counts as silent or not
BLOCK_SAMPLES, BLOCK_STEP = 4 * WINDOW_SAMPLES, WINDOW_SAMPLES  # of loudness: 0.4 s, 75 % overlap
MONO_DB = -80.0  # below it the difference of the channels is rounding

SHELF = (
    1681.974450955533,
    3.999843853973347,
    0.7071752369554196,
)  # Hz, dB, Q: the first stage of K-weighting
SHELF_SLOPE = 0.4996667741545416
HIGH_PASS = (38.13547087602444, 0.5003270373238773)  # Hz, Q: the second


class Biquad(NamedTuple):
    """Coefficients of a filter of second order, `numerator[i]` and `denominator[i]` of z^-i."""

    numerator: tuple[float, float, float]
    denominator: tuple[float, float, float]


class SongFigures(NamedTuple):
    """A song's figures.

    Attributes:
        name: of the song.
        values: by statistic and signal: the stems and "mixture"; those that are not finite are left out.
        bands: by signal, level of each third octave relative to the whole signal, dB.
    """

    name: str
    values: dict[str, dict[str, float]]
    bands: dict[str, NDArray[np.float64]]


def measure(track: Track) -> SongFigures:
    """Read a song and take its figures."""
    sources = read_sources(track, sample_rate=SAMPLE_RATE)
    return figures(track.name, sources, read_mixture(track, sample_rate=SAMPLE_RATE))


def figures(name: str, sources: Mapping[str, Audio], mixture: Audio) -> SongFigures:
    """All figures of a song whose stems and mixture have one length."""
    signals = {**sources, MIXTURE: mixture}
    bands = {key: band_levels(signal) for key, signal in signals.items()}
    values = {
        "level in the mixture (dB)": {key: level_db(signal, mixture) for key, signal in sources.items()},
        "loudness (LUFS)": {MIXTURE: loudness(mixture)},
        "crest factor (dB)": {key: crest_db(signal) for key, signal in signals.items()},
        "side to mid (dB)": {key: width_db(signal) for key, signal in signals.items()},
        "silent share": {key: silent_share(signal) for key, signal in sources.items()},
        "spectral flux": {key: flux(signal) for key, signal in signals.items()},
        "oracle SDR (dB)": oracle_sdr(sources, mixture),
    }
    for octave, label in enumerate(OCTAVES):
        thirds = slice(3 * octave, 3 * octave + 3)
        values[f"octave of {label} (dB)"] = {
            key: _decibels(np.sum(10 ** (levels[thirds] / 10))) for key, levels in bands.items()
        }
    finite = {
        statistic: {key: value for key, value in column.items() if math.isfinite(value)}
        for statistic, column in values.items()
    }
    return SongFigures(name, finite, bands)


def level_db(signal: Audio, mixture: Audio) -> float:
    """Energy of a stem relative to the mixture's."""
    return _decibels(_power(signal)) - _decibels(_power(mixture))


def crest_db(signal: Audio) -> float:
    """Peak over root mean square: median of the seconds that are heard, so that pauses do not count."""
    seconds = _windows(signal, SAMPLE_RATE)
    power = np.square(seconds).mean(axis=(0, 2))
    heard = power > SILENCE
    if not heard.any():
        return math.nan
    peaks = np.abs(seconds).max(axis=(0, 2))[heard]
    return float(np.median(10 * np.log10(peaks**2 / power[heard])))


def width_db(signal: Audio) -> float:
    """Energy of the channels' difference relative to that of their sum: -80 dB mono, 0 dB unrelated."""
    left, right = signal
    mid, side = _power(left + right), _power(left - right)
    if not mid + side:
        return math.nan
    floor = 10 ** (MONO_DB / 10) * (mid + side)  # so that the scale has ends
    return _decibels((side + floor) / (mid + floor))


def silent_share(signal: Audio) -> float:
    """Of the tenths of a second, how many are below -60 dB, 0 to 1."""
    windows = _windows(signal, WINDOW_SAMPLES)
    return float(np.mean(np.square(windows).mean(axis=(0, 2)) <= SILENCE))


def flux(signal: Audio) -> float:
    """How much new energy comes with each frame: mean over what is heard of Σ max(0, ΔX) / Σ X, 0 to 1.

    X is the magnitude of a frame, ΔX its difference to the frame before, sums are over frequencies.
    """
    shares = []
    for magnitude in _spectra(signal, SHORT):
        after = magnitude[:, 1:]
        total = after.sum(dim=0)
        # a sine of -60 dB has a magnitude of half the sum of the window, a quarter of its length
        heard = total > math.sqrt(SILENCE) * SHORT.n_fft / 4
        rise = (after - magnitude[:, :-1]).clamp(min=0).sum(dim=0)
        shares.append((rise[heard] / total[heard]).double())
    found = torch.cat(shares)
    return float(found.mean()) if len(found) else math.nan


def band_levels(signal: Audio) -> NDArray[np.float64]:
    """Long-term spectrum: the level of each third octave relative to the sum of them, `(30,)`, dB."""
    power = torch.stack([magnitude.double().square().sum(dim=-1) for magnitude in _spectra(signal, FINE)])
    bins = power.sum(dim=0).numpy()
    frequencies = np.arange(len(bins)) * SAMPLE_RATE / FINE.n_fft
    masks = (frequencies >= CENTRES_HZ[:, None] / EDGE) & (frequencies < CENTRES_HZ[:, None] * EDGE)
    bands = masks @ bins
    if not bands.sum():
        return np.full(len(bands), math.nan)
    levels: NDArray[np.float64] = 10 * np.log10(np.maximum(bands / bands.sum(), 1e-12))
    return levels


def loudness(signal: Audio) -> float:
    """Integrated loudness, LUFS; NaN for what is softer than the gate everywhere.

    Source: ITU-R BS.1770-4, annex 1: K-weighting, blocks of 0.4 s, gates at -70 LUFS and at 10 LU below the
    blocks that pass it.
    """
    weighted = signal.astype(np.float64)
    for numerator, denominator in k_weighting(SAMPLE_RATE):
        weighted = lfilter(numerator, denominator, weighted)
    steps = np.square(_windows(weighted, BLOCK_STEP)).mean(axis=2).sum(axis=0)
    per_block = min(BLOCK_SAMPLES // BLOCK_STEP, len(steps))
    blocks = np.convolve(steps, np.full(per_block, 1 / per_block), mode="valid")
    kept = blocks[blocks > 10 ** ((-70 + 0.691) / 10)]
    if not len(kept):
        return math.nan
    return -0.691 + _decibels(kept[kept > kept.mean() / 10].mean())


def k_weighting(sample_rate: int) -> tuple[Biquad, Biquad]:
    """Shelf and high-pass for any sample rate: at 48 kHz they are those of BS.1770-4, tables 1 and 2."""
    frequency, gain_db, q = SHELF
    k, gain = math.tan(math.pi * frequency / sample_rate), 10 ** (gain_db / 20)
    slope, norm = gain**SHELF_SLOPE, 1 + k / q + k * k
    shelf = Biquad(
        (
            (gain + slope * k / q + k * k) / norm,
            2 * (k * k - gain) / norm,
            (gain - slope * k / q + k * k) / norm,
        ),
        (1.0, 2 * (k * k - 1) / norm, (1 - k / q + k * k) / norm),
    )
    frequency, q = HIGH_PASS
    k = math.tan(math.pi * frequency / sample_rate)
    norm = 1 + k / q + k * k
    return shelf, Biquad((1.0, -2.0, 1.0), (1.0, 2 * (k * k - 1) / norm, (1 - k / q + k * k) / norm))


def oracle_sdr(sources: Mapping[str, Audio], mixture: Audio) -> dict[str, float]:
    """What ideal power ratio masks reach for every stem that is heard: how hard the mixture is."""
    references = {key: torch.from_numpy(source) for key, source in sources.items()}
    estimates = ratio_mask_oracle(torch.from_numpy(mixture), references, MASKS)
    return {
        key: float(sdr(references[key], estimate))
        for key, estimate in estimates.items()
        if _power(sources[key]) > SILENCE
    }


def _spectra(signal: Audio, config: STFTConfig) -> Iterator[Tensor]:
    """Magnitudes `(bins, frames)` of both channels together, a piece of the signal at a time."""
    for piece in torch.from_numpy(signal).split(PIECE_SAMPLES, dim=-1):
        missing = max(0, config.n_fft + config.hop_length - piece.shape[-1])  # two frames at least
        yield stft(torch.nn.functional.pad(piece, (0, missing)), config).abs().square().mean(dim=0).sqrt()


def _windows(signal: NDArray[np.floating], length: int) -> NDArray[np.floating]:
    """`(channels, windows, samples)`, the last one filled up with silence."""
    n_windows = max(1, math.ceil(signal.shape[1] / length))
    return np.pad(signal, ((0, 0), (0, n_windows * length - signal.shape[1]))).reshape(
        len(signal), -1, length
    )


def _power(signal: Audio) -> float:
    return float(np.mean(np.square(signal, dtype=np.float64))) if signal.size else 0.0


def _decibels(power: float) -> float:
    return 10 * math.log10(power) if power > 0 else math.nan
