"""All that opens sound, for the helper processes: probing, peaks, spectrograms, mixes. No torch."""

import secrets
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stemwise.audio import AudioReader, AudioWriter, RegionReader, Tags
from stemwise.audio.frames import Block
from stemwise.errors import ConfigError, DecodeError
from stemwise.outputs import FULL_SCALE
from stemwise.server.helper import Probed, Voice

SAMPLE_RATES = (2_000, 768_000)  # Hz; what is outside is no music but an attempt
MAX_POINTS = 20_000
BITRATE = 256_000  # bit/s of downloads
N_FFT = 4096
PICTURE_SIZE = (256, 2000)  # rows, columns at most
LOWEST_HZ = 30.0
RANGE_DB = 80.0
# Colours from silence to full scale: dark to bright in every step, so that they read in grey too.
COLOURS = ((10, 8, 24), (54, 20, 92), (130, 36, 110), (205, 66, 84), (245, 138, 56), (252, 246, 190))


def probe(path: Path, name: str) -> Probed:
    """Open a song and decode its beginning.

    Args:
        path: of the file.
        name: that errors call it.

    Raises:
        DecodeError: if it is none, or has no sound.
    """
    try:
        with AudioReader(path) as reader:
            info = reader.info
            if not SAMPLE_RATES[0] <= info.sample_rate <= SAMPLE_RATES[1]:
                wanted = " to ".join(map(str, SAMPLE_RATES))
                raise DecodeError(f"{path}: has {info.sample_rate} Hz: it must be {wanted} Hz")
            if next(reader.blocks(), None) is None:
                raise DecodeError(f"{path}: has no sound")
            duration_s = None if reader.n_samples is None else reader.n_samples / reader.sample_rate
            return Probed(info.sample_rate, reader.n_channels, duration_s)
    except DecodeError as error:
        raise DecodeError(str(error).replace(str(path), name)) from None


def peaks(path: Path, kept: Path, n_points: int) -> bytes:
    """The lowest and the highest sample of every point of a stem, int8 pairs, full scale 127.

    Args:
        path: of the stem.
        kept: file that holds them at `MAX_POINTS` points; made if it is not there.
        n_points: at most; channels are taken together.
    """
    if not kept.exists():
        _replace(kept, _all_peaks(path).tobytes())
    pairs = np.fromfile(kept, np.int8).reshape(-1, 2)
    if n_points >= len(pairs):
        return pairs.tobytes()
    first = np.arange(n_points) * len(pairs) // n_points
    last = -(-np.arange(1, n_points + 1) * len(pairs) // n_points)  # a point that lies in two counts in both
    lowest = [pairs[a:b, 0].min() for a, b in zip(first, last, strict=True)]
    highest = [pairs[a:b, 1].max() for a, b in zip(first, last, strict=True)]
    return np.stack([lowest, highest], axis=1).tobytes()


def _all_peaks(path: Path) -> NDArray[np.int8]:
    with RegionReader(path) as reader:
        n_points = min(MAX_POINTS, reader.n_samples)
        edges = np.arange(n_points + 1) * reader.n_samples // max(1, n_points)
        pairs = np.empty((n_points, 2), np.float32)
        for first in range(0, n_points, 500):
            last = min(first + 500, n_points)
            (block,) = reader.blocks(edges[first], edges[last], size=int(edges[last] - edges[first]))
            at = edges[first:last] - edges[first]
            pairs[first:last, 0] = np.minimum.reduceat(block.min(axis=0), at)
            pairs[first:last, 1] = np.maximum.reduceat(block.max(axis=0), at)
    quantised: NDArray[np.int8] = np.clip(np.rint(pairs * 127), -127, 127).astype(np.int8)
    return quantised


def spectrogram(path: Path, target: Path) -> None:
    """Draw a stem as a PNG: time from left to right, frequency upwards, evenly in octaves, 80 dB of level."""
    n_rows, n_columns = PICTURE_SIZE
    with RegionReader(path) as reader:
        n_columns = max(1, min(n_columns, reader.n_samples // (N_FFT // 4)))
        power = np.stack(list(_columns(reader, n_columns)), axis=1)
        highest = reader.sample_rate / 2
    edges = np.geomspace(min(LOWEST_HZ, highest / 2), highest, n_rows + 1) / highest * (N_FFT // 2)
    first = np.clip(edges[:-1].astype(int), 0, N_FFT // 2 - 1)
    last = np.maximum(np.ceil(edges[1:]).astype(int), first + 1)
    rows = np.stack([power[a:b].max(axis=0) for a, b in zip(first, last, strict=True)])[::-1]
    level = np.clip(1 + 10 * np.log10(rows + 1e-12) / RANGE_DB, 0, 1)
    steps = np.linspace(0, 1, len(COLOURS))
    colours = np.stack([np.interp(level, steps, channel) for channel in np.transpose(COLOURS)], axis=-1)
    picture = BytesIO()
    Image.fromarray(colours.astype(np.uint8)).save(picture, "PNG")
    _replace(target, picture.getvalue())


def _columns(reader: RegionReader, n_columns: int) -> Iterator[NDArray[np.float32]]:
    """Power of each bin, full scale 1, in the frames that begin at even distances; the louder channel."""
    window = np.hanning(N_FFT).astype(np.float32)
    for index in range(n_columns):
        start = index * reader.n_samples // n_columns
        samples = np.zeros((reader.n_channels, N_FFT), np.float32)
        for block in reader.blocks(start, start + N_FFT, size=N_FFT):
            samples[:, : block.shape[1]] = block
        yield (np.abs(np.fft.rfft(samples * window)) ** 2).max(axis=0) / (N_FFT / 4) ** 2


def mix(
    voices: Sequence[Voice], target: Path, codec: str, title: str, start_s: float, end_s: float | None
) -> float:
    """Write the sum of stems as they sound, and say by how many dB it was lowered so as not to clip.

    Raises:
        ConfigError: if there is nothing between start and end.
        AudioError: if a stem cannot be read, or the mix not be written.
    """
    with RegionReader(voices[0].path) as reader:
        rate, n_samples, is_mono = reader.sample_rate, reader.n_samples, reader.n_channels == 1
    start = round(start_s * rate)
    stop = n_samples if end_s is None else min(round(end_s * rate), n_samples)
    if start >= stop:
        raise ConfigError(f"start_s is {start_s:g}: there is no sound from there to the end")
    n_channels = 1 if is_mono and not any(voice.pan for voice in voices) else 2
    gain, peak = 1.0, 0.0
    for is_second in (False, True):
        with AudioWriter(
            target,
            codec=codec,
            sample_rate=rate,
            n_channels=n_channels,
            bitrate=BITRATE,
            tags=Tags(fields={"title": title}),
        ) as writer:
            for block in _sum(voices, start, stop, n_channels):
                peak = max(peak, float(np.abs(block).max()))
                writer.write(block * np.float32(gain))
            if is_second or peak <= FULL_SCALE:  # peak * gain may be rounded to more than full scale
                writer.finish()
                writer.publish()
                break
            gain = FULL_SCALE / peak
    return float(20 * np.log10(gain))


def _sum(voices: Sequence[Voice], start: int, stop: int, n_channels: int) -> Iterator[Block]:
    readers = [RegionReader(voice.path) for voice in voices]
    for blocks in zip_longest(*(reader.blocks(start, stop) for reader in readers)):
        total = np.zeros((n_channels, blocks[0].shape[1]), np.float32)
        for voice, block in zip(voices, blocks, strict=True):
            left, right = min(1.0, 1 - voice.pan), min(1.0, 1 + voice.pan)
            sides = np.array([[left], [right]][:n_channels], np.float32)
            total += block * (sides * np.float32(voice.gain))
        yield total
    for reader in readers:
        reader.__exit__()


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    temporary.write_bytes(data)
    temporary.replace(path)
