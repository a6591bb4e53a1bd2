"""The master: levels of the stems, pumping, tone, dynamics, codec. The song is the sum of its stems.

What acts on the song acts on every stem alike: filters are linear, and dynamics are one curve of gains, found
from the sum. A codec codes every stem for itself; the song is then the sum of the decoded ones.
"""

import io
from functools import reduce
from typing import Any

import effects
import numpy as np
import pedalboard
from chains import STYLES, Style
from effects import Band
from notes import SAMPLE_RATE, Audio
from numpy.typing import NDArray
from scipy import signal
from scipy.ndimage import maximum_filter1d, uniform_filter1d

PEAK = 0.98  # of the finished song
CEILING = 0.95  # of the limiter
BLOCK = 64  # samples between two gains of a compressor
# dB of a stem relative to the song (mean, deviation): eleven real songs have vocals -6.3 (2.5), drums -8.8
# (5.3), bass -6.8 (1.3), other -6.9 (5.2); drums are louder in produced music than in those live takes, and
# voices that pause need more
LEVELS = {"vocals": (-3.5, 2.0), "drums": (-6.5, 3.5), "bass": (-7.0, 2.5), "other": (-5.5, 3.0)}
GENTLE = 0.5  # share of songs that are hardly compressed or limited
OGG = ("64 kbps", "96 kbps", "128 kbps", "192 kbps")
Stems = dict[str, Audio]
Record = dict[str, Any]


def master(stems: Stems, style: str, rng: np.random.Generator) -> tuple[Stems, Record]:
    """Make a finished song of its stems.

    Args:
        stems: by name, `(2, samples)` each, of any level; some may be silent.
        style: of the song, a key of `chains.STYLES`.
        rng: of every choice.

    Returns:
        The stems at their final level, whose sum is the song, with no sample above 0.98, and what was done.
        Silent stems stay silent.
    """
    leaning = STYLES[style]
    record: Record = {}
    stems = balance(stems, record, rng)
    if not any(sound.any() for sound in stems.values()):
        return stems, record
    if rng.random() < leaning.pump and "drums" in stems and stems["drums"].any():
        stems = pump(stems, record, rng)
    stems = tone(stems, record, rng)
    stems = dynamics(stems, leaning, record, rng)
    if rng.random() < 0.15:
        stems = coded(stems, record, rng)
    peak = float(np.abs(total(stems)).max())
    scale = np.float32(min(1.0, PEAK / peak)) if peak else np.float32(1)
    stems = {name: (sound * scale).astype(np.float32) for name, sound in stems.items()}
    record["loudness"] = round(effects.loudness(total(stems)), 1)
    return stems, record


def total(stems: Stems) -> Audio:
    """The song."""
    return reduce(np.add, stems.values())


def balance(stems: Stems, record: Record, rng: np.random.Generator) -> Stems:
    """Bring every stem to a level drawn from real songs'; now and then one is far too soft, as in life."""
    record["levels"] = {}
    result = {}
    for name, sound in stems.items():
        mean, deviation = LEVELS[name]
        level = mean + deviation * float(np.clip(rng.standard_normal(), -2.2, 2.2)) - 20
        if rng.random() < (0.01 if name == "vocals" else 0.04):
            level -= rng.uniform(4, 12)
        result[name] = effects.at_level(sound.astype(np.float32), level)
        record["levels"][name] = round(level, 1)
    return result


def pump(stems: Stems, record: Record, rng: np.random.Generator) -> Stems:
    """The kick ducks bass and other, sometimes vocals too."""
    depth, release = float(rng.uniform(3, 18)), float(rng.uniform(0.08, 0.35))
    record["pump"] = round(depth, 1)
    sos = signal.butter(2, 120, fs=SAMPLE_RATE, output="sos").astype(np.float32)
    kick = np.abs(signal.sosfilt(sos, stems["drums"].mean(axis=0)))
    peaks = blocks(kick).max(axis=1)
    key = np.clip(peaks / (np.quantile(peaks, 0.97) + 1e-9), 0, 1) ** 2
    ducked = smoothed(-depth * key, 0.002, release)
    curve = curve_of(ducked, kick.shape[-1])
    names = ("bass", "other", "vocals") if rng.random() < 0.2 else ("bass", "other")
    return {name: sound * curve if name in names else sound for name, sound in stems.items()}


def blocks(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """`(blocks, 64)` of `(samples,)`, the last filled up with zeros."""
    return np.pad(sound, (0, -len(sound) % BLOCK)).reshape(-1, BLOCK)


def smoothed(decibels: NDArray[np.float32], attack: float, release: float) -> NDArray[np.float32]:
    """Follow a curve of gains, one a block: down within `attack` seconds, up within `release`."""
    down, up = (float(np.exp(-BLOCK / (time * SAMPLE_RATE))) for time in (attack, release))
    state, result = 0.0, np.empty(len(decibels), np.float32)
    for i, aim in enumerate(decibels.tolist()):
        state = aim + (down if aim < state else up) * (state - aim)
        result[i] = state
    return result


def curve_of(decibels: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    """Factors, `(n,)`, of gains in dB, one a block."""
    places = np.arange(len(decibels)) * BLOCK + BLOCK / 2
    return np.interp(np.arange(n), places, 10 ** (decibels / 20)).astype(np.float32)


def tone(stems: Stems, record: Record, rng: np.random.Generator) -> Stems:
    """One equalizer for all: a tilt, sometimes the band of an old medium; sometimes narrow or mono."""
    bands = []
    if rng.random() < 0.45:
        tilt = float(np.clip(rng.normal(0, 2), -5, 5))
        record["tilt"] = round(tilt, 1)
        bands += [
            Band("low shelf", rng.uniform(80, 300), -tilt),
            Band("high shelf", rng.uniform(2000, 6000), tilt),
        ]
    if rng.random() < 0.06:
        record["old_medium"] = top = round(rng.uniform(4500, 11_000))
        bands += [Band("high cut", top, 24), Band("low cut", rng.uniform(30, 120), 12)]
    if bands:
        stems = {name: effects.equalize(sound, bands) for name, sound in stems.items()}
    if rng.random() < 0.08:
        record["width"] = factor = round(float(rng.choice((0, rng.uniform(0.2, 0.8)))), 2)
        stems = {name: effects.width(sound, factor) for name, sound in stems.items()}
    return stems


def dynamics(stems: Stems, style: Style, record: Record, rng: np.random.Generator) -> Stems:
    """Bus compressor and limiter, as one curve of gains for all stems; in gentle masters hardly any."""
    mix = total(stems)
    curve = np.ones(mix.shape[-1], np.float32)
    record["gentle"] = gentle = bool(rng.random() < GENTLE)
    if rng.random() < (0.15 if gentle else 0.6):
        record["bus_ratio"] = ratio = round(rng.uniform(1.3, 3.5), 2)
        times = 10 ** rng.uniform(-2.3, -1.4), rng.uniform(0.08, 0.5)
        curve = compressor_curve(mix, ratio, rng.uniform(-3, 5), *times)
    peak = float(np.abs(mix * curve).max())
    record["drive"] = drive = round(rng.uniform(-2, 2) if gentle else rng.uniform(*style.loud), 2)
    curve = curve * np.float32(CEILING / peak) * effects.gain(drive)
    curve = curve * limiter_curve(mix * curve, CEILING, rng.uniform(0.003, 0.04))
    return {name: sound * curve for name, sound in stems.items()}


def compressor_curve(
    mix: Audio, ratio: float, below: float, attack: float, release: float
) -> NDArray[np.float32]:
    """Factors, `(samples,)`, of a compressor from `below` dB under the mix's loudness on; seconds."""
    threshold = effects.loudness(mix) - below
    squares = np.mean([np.square(blocks(side)).mean(axis=1) for side in mix], axis=0)
    levels = 10 * np.log10(squares + 1e-12)
    over = np.maximum(levels - threshold, 0)
    return curve_of(smoothed(-over * (1 - 1 / ratio), attack, release), mix.shape[-1])


def limiter_curve(mix: Audio, ceiling: float, reach: float) -> NDArray[np.float32]:
    """Factors, `(samples,)`, that keep all samples of `mix` within `ceiling`, smooth over `reach` seconds."""
    size = 2 * max(1, int(reach * SAMPLE_RATE / 2)) + 1
    peaks = maximum_filter1d(np.maximum(*np.abs(mix)), size, mode="nearest")
    needed = np.minimum(1, ceiling / np.maximum(peaks, 1e-9)).astype(np.float64)
    return np.minimum(uniform_filter1d(needed, size, mode="nearest"), 1).astype(np.float32)


def coded(stems: Stems, record: Record, rng: np.random.Generator) -> Stems:
    """Every stem through the same lossy codec."""
    if rng.random() < 0.6:
        quality = float(rng.uniform(2, 8))
        record["codec"] = f"mp3 v{quality:.1f}"
        return {
            name: pedalboard.MP3Compressor(quality)(sound, SAMPLE_RATE) if sound.any() else sound
            for name, sound in stems.items()
        }
    bitrate = str(rng.choice(OGG))
    record["codec"] = f"ogg {bitrate}"
    return {name: vorbis(sound, bitrate) if sound.any() else sound for name, sound in stems.items()}


def vorbis(sound: Audio, bitrate: str) -> Audio:
    """Encode and decode."""
    file = io.BytesIO()
    with pedalboard.io.AudioFile(file, "w", SAMPLE_RATE, 2, format="ogg", quality=bitrate) as encoder:
        encoder.write(sound)
    file.seek(0)
    with pedalboard.io.AudioFile(file) as decoder:
        decoded = decoder.read(decoder.frames)
    n = sound.shape[-1]
    return np.pad(decoded, ((0, 0), (0, max(0, n - decoded.shape[-1]))))[:, :n].astype(np.float32)
