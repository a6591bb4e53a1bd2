"""Sounds with known samples, and files of them made with FFmpeg alone, for the tests of `stemwise.audio`."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np

from stemwise.audio import AudioReader, AudioWriter
from stemwise.audio.frames import Block, to_frame


def noise(n_samples: int, *, n_channels: int = 2, seed: int = 0) -> Block:
    """Noise below a quarter of the sample rate, which lossy codecs keep; peak below 0.5."""
    rng = np.random.default_rng(seed)
    window = np.hanning(17) / np.hanning(17).sum()
    raw = rng.uniform(-0.49, 0.49, (n_channels, n_samples + 16))
    smooth = [np.convolve(channel, window, "valid")[:n_samples] for channel in raw]
    return np.stack(smooth).astype(np.float32)


def band_limited(n_samples: int, *, cutoff: float, seed: int = 0) -> Block:
    """One channel of noise, flat up to `cutoff` cycles per sample and nothing above; peak 0.9."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n_samples))
    spectrum[np.fft.rfftfreq(n_samples) > cutoff] = 0
    signal = np.fft.irfft(spectrum, n_samples)
    return (0.9 * signal / np.abs(signal).max()).astype(np.float32)[None]


def sdr_db(reference: Block, estimate: Block) -> float:
    error = reference.astype(np.float64) - estimate
    return float(10 * np.log10((reference.astype(np.float64) ** 2).sum() / max((error**2).sum(), 1e-30)))


def read(source: str | Path | BinaryIO, **options: object) -> Block:
    with AudioReader(source, **options) as reader:
        return np.concatenate([np.zeros((reader.n_channels, 0), np.float32), *reader.blocks()], axis=1)


def write(path: Path, sound: Block, *, sample_rate: int = 44100, **options: object) -> Path:
    """Through AudioWriter, the codec being the suffix."""
    n_channels = sound.shape[0]
    codec = path.suffix[1:]
    with AudioWriter(path, codec=codec, sample_rate=sample_rate, n_channels=n_channels, **options) as writer:
        for start in range(0, sound.shape[1], 10_000):
            writer.write(sound[:, start : start + 10_000])
        writer.finish()
        writer.publish()
    return path


def write_with_ffmpeg(
    path: Path,
    sound: Block,
    *,
    codec: str,
    container: str,
    sample_rate: int = 44100,
    layout: str | None = None,
    metadata: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
) -> Path:
    """Through PyAV alone, so that the reader is not tested with the writer's own habits."""
    with av.open(str(path), "w", format=container, container_options=dict(options or {})) as file:
        stream = file.add_stream(codec, rate=sample_rate)
        stream.codec_context.layout = layout or ("mono" if len(sound) == 1 else "stereo")
        stream.codec_context.bit_rate = 128_000
        file.metadata.update(metadata or {})
        file.start_encoding()
        frame = to_frame(sound, sample_rate)
        if layout:
            packed = np.ascontiguousarray(sound.T).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = sample_rate, 0, Fraction(1, sample_rate)
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def write_with_video(path: Path, container: str, sound: Block | None) -> Path:
    """Three frames of moving pictures, and a sound track if there is a sound."""
    with av.open(str(path), "w", format=container) as file:
        video = file.add_stream("mpeg4", rate=25, width=32, height=32)
        audio = file.add_stream("aac", rate=44100) if sound is not None else None
        for _ in range(3):
            file.mux(video.encode(av.VideoFrame(32, 32, "yuv420p")))
        file.mux(video.encode(None))
        if audio is not None and sound is not None:
            file.mux(audio.encode(to_frame(sound, 44100)))
            file.mux(audio.encode(None))
    return path
