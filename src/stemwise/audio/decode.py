"""Any audio or video file in, blocks of float32 out, never the whole file in memory.

Lengths are exact where the file says so. Encoder delay and padding are removed from mp3 (Xing or LAME tag),
AAC in mp4 (edit list, duration of the last packet, or iTunes' comment), Opus and Vorbis in Ogg. Not known:
- raw AAC (ADTS) keeps its delay and padding, AAC in Matroska its padding; mp3 without a tag keeps both;
- WMA is known to a whole frame (512 to 2048 samples) only;
- Ogg Vorbis that fits into one page (about 0.2 s) may lose up to 128 samples at its end.
An mp4 file may state its length to the millisecond only; the duration of the last packet is then taken.

A file that is cut off at either end is decoded as far as it goes: compare what came with `n_samples`. Damage
between two parts that can be decoded is an error, for what follows would be out of time; it shows where a
packet cannot be decoded, and in flac, Ogg and WMA also where packets are missing.
"""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from stemwise.audio.channels import stereo_matrix
from stemwise.audio.frames import Block, is_block, join, to_block
from stemwise.audio.length import MAX_PADDING, stated_length, true_length
from stemwise.audio.resample import Resampler
from stemwise.audio.source import Source
from stemwise.audio.tags import Tags, read_tags
from stemwise.errors import ConfigError, DecodeError

# Containers whose timestamps are exact, but for MAX_JITTER samples, so that a gap in them is a loss.
TIMED = ("flac", "ogg", "asf")
MAX_JITTER = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioInfo:
    """What the headers of a file say.

    Attributes:
        sample_rate: Hz.
        n_channels: in the file.
        layout: FFmpeg's name of the channels' layout: mono, stereo, 5.1(side), "4 channels".
        n_samples: expected number; None if the file does not tell. Some formats tell it roughly.
        codec: FFmpeg's name of the codec: mp3, aac, pcm_s16le.
        container: FFmpeg's name of the container: mp3, ogg, "mov,mp4,m4a,3gp,3g2,mj2".
        tags: title, artist, cover and others.
    """

    sample_rate: int
    n_channels: int
    layout: str
    n_samples: int | None
    codec: str
    container: str
    tags: Tags


class AudioReader:
    """An audio stream of a file, to be read from its start as often as wanted.

    Args:
        source: path, or a binary file object, which is read from its very beginning and stays open; one that
            cannot seek (standard input) is first copied to a temporary file.
        offset_s: where to begin, seconds: the blocks joined are exactly the samples from
            `round(offset_s * sample_rate)` on of the blocks without offset.
        duration_s: how much to read, seconds (`round(duration_s * sample_rate)` samples); None for all.
        sample_rate: resample to this rate, Hz; None to keep the file's.
        downmix: mix more than two channels down to stereo (see `stemwise.audio.channels`).
        stream: which of the file's audio streams, from 0.

    Attributes:
        name: the path, or the name of the file object.
        info: what the headers say of the file itself.
        sample_rate: of the blocks, Hz.
        n_channels: of the blocks.
        downmixed_from: the file's layout if its channels are mixed down, else None.

    Raises:
        ConfigError: if offset, duration or sample rate cannot be.
        DecodeError: if the file cannot be opened, has no such stream, or holds no sound that can be decoded.
    """

    def __init__(
        self,
        source: str | Path | BinaryIO,
        *,
        offset_s: float = 0.0,
        duration_s: float | None = None,
        sample_rate: int | None = None,
        downmix: bool = True,
        stream: int = 0,
    ) -> None:
        for name, seconds in (("offset_s", offset_s), ("duration_s", duration_s)):
            if seconds is not None and not 0 <= seconds < 1e9:
                raise ConfigError(f"{name} is {seconds}: it must be 0 or more seconds, and less than 1e9")
        if sample_rate is not None and not 1 <= sample_rate < 2**31:
            raise ConfigError(f"sample_rate is {sample_rate}: it must be 1 to {2**31 - 1} Hz")
        self._source = Source(source, stream)
        self.name = self._source.name
        # An interruption is raised in the main thread: inside callbacks of FFmpeg it would be lost.
        self._thread = ThreadPoolExecutor(1, "decoder")
        try:
            self._source.wait()
            self.info, self._channel_names = self._thread.submit(self._read_headers).result()
        except BaseException:
            self.close()
            raise
        self.sample_rate = sample_rate or self.info.sample_rate
        self.downmixed_from = self.info.layout if downmix and self.info.n_channels > 2 else None
        self.n_channels = 2 if self.downmixed_from else self.info.n_channels
        self._start = round(offset_s * self.sample_rate)
        self._stop = None if duration_s is None else self._start + round(duration_s * self.sample_rate)

    def __enter__(self) -> "AudioReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop decoding, and delete the temporary copy of a stream."""
        self._thread.shutdown(cancel_futures=True)
        self._source.close()

    @property
    def n_samples(self) -> int | None:
        """Expected number of samples of all blocks together; as certain as `info.n_samples`."""
        if self.info.n_samples is None:
            return None
        whole = -(-self.info.n_samples * self.sample_rate // self.info.sample_rate)
        return max(0, min(whole, whole if self._stop is None else self._stop) - self._start)

    def blocks(self) -> Iterator[Block]:
        """The samples, float32 `(channels, samples)`, about a second at a time.

        Integer formats are scaled to [-1, 1); others may exceed 1. Every call starts anew, but of a file
        object only one may be under way at a time. Each block is decoded while the one before is in use.

        Raises:
            DecodeError: if the file cannot be read to its end.
        """
        decoded = self._cut()
        following = self._thread.submit(next, decoded, None)
        try:
            while (block := following.result()) is not None:
                following = self._thread.submit(next, decoded, None)
                yield block
        finally:
            if not following.cancel():
                following.exception()  # waits for it
            decoded.close()

    def _cut(self) -> Generator[Block, None, None]:
        """The samples from the offset on, as far as they are wanted."""
        with closing(self._resampled()) as resampled:
            position = 0
            for block in resampled:
                start, position = position, position + block.shape[1]
                stop = position if self._stop is None else min(position, self._stop)
                part = block[:, max(0, self._start - start) : max(0, stop - start)]
                if part.shape[1]:
                    yield np.ascontiguousarray(part)
                if self._stop is not None and position >= self._stop:
                    return

    def _read_headers(self) -> tuple[AudioInfo, list[str]]:
        with self._source.opened() as (container, stream):
            layout = stream.codec_context.layout
            info = AudioInfo(
                sample_rate=stream.codec_context.sample_rate,
                n_channels=layout.nb_channels,
                layout=layout.name,
                n_samples=stated_length(container, stream),
                codec=stream.codec_context.codec.canonical_name,
                container=container.format.name,
                tags=read_tags(container, stream),
            )
            return info, [channel.name for channel in layout.channels]

    def _resampled(self) -> Generator[Block, None, None]:
        with closing(self._native()) as native:
            if self.sample_rate == self.info.sample_rate:
                yield from native
                return
            resampler = Resampler(self.info.sample_rate, self.sample_rate, self.n_channels)
            for block in native:
                yield resampler.process(block)
            yield resampler.flush()

    def _native(self) -> Generator[Block, None, None]:
        """Blocks of one second at the file's own rate, without the encoder's padding at the end."""
        matrix = stereo_matrix(self._channel_names) if self.downmixed_from else None
        size, n_given, n_ready = self.info.sample_rate, 0, 0
        last: AudioFrame | None = None
        ready: list[Block] = []
        with (
            self._source.opened() as (container, stream),
            closing(self._decoded(container, stream)) as frames,
        ):
            for block, frame in frames:
                ready.append(block if matrix is None else matrix @ block)
                n_ready, last = n_ready + block.shape[1], frame
                if n_ready >= size + MAX_PADDING:
                    joined = join(ready, self.n_channels)
                    yield joined[:, :size]
                    ready, n_ready, n_given = [joined[:, size:]], n_ready - size, n_given + size
        info, n_decoded = self.info, n_given + n_ready
        excess = 0 if last is None else _excess(last)
        end = true_length(info.container, info.sample_rate, info.n_samples, n_decoded, excess)
        yield join(ready, self.n_channels)[:, : end - n_given]

    def _decoded(
        self, container: InputContainer, stream: AudioStream
    ) -> Generator[tuple[Block, AudioFrame], None, None]:
        """Every frame as a block, and as it was decoded."""
        to_float = av.AudioResampler(format="flt")
        is_timed = self.info.container in TIMED
        position, first, origin = 0, None, None
        for frame in self._frames(container, stream):
            first = first or self._checked(frame)
            if (frame.sample_rate, frame.layout, frame.format.name) != first:
                raise self._damage(position, "sample rate, channels or sample format change")
            if is_timed and frame.time is not None:
                time = round(frame.time * frame.sample_rate)
                origin = time if origin is None else origin
                if time - origin - position > MAX_JITTER:
                    raise self._damage(position, f"{time - origin - position} samples are missing")
            position += frame.samples
            for converted in [frame] if is_block(frame) else to_float.resample(frame):
                yield to_block(converted, self.info.n_channels), frame

    def _frames(self, container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
        n_samples, failure = 0, None
        for packet in _packets(container, stream):
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                failure = failure or error
                continue
            if frames and failure:
                if n_samples:
                    raise self._damage(n_samples, failure.strerror) from failure
                failure = None  # before the first sound: cut off there
            n_samples += sum(frame.samples for frame in frames)
            yield from frames
        if failure and not n_samples:
            raise self._damage(0, failure.strerror) from failure

    def _checked(self, frame: AudioFrame) -> tuple[int, object, str]:
        now = (frame.sample_rate, frame.layout.nb_channels)
        if now != (self.info.sample_rate, self.info.n_channels):
            expected = f"{self.info.sample_rate} Hz and {self.info.n_channels} channels"
            raise self._damage(0, f"the header says {expected}, the sound has {now[0]} Hz and {now[1]}")
        return frame.sample_rate, frame.layout, frame.format.name

    def _damage(self, position: int, reason: str | None) -> DecodeError:
        return DecodeError(f"{self.name}: is damaged at {position / self.info.sample_rate:.3f} s: {reason}")


def _packets(container: InputContainer, stream: AudioStream) -> "Iterator[Packet[AudioStream]]":
    try:
        yield from container.demux(stream)
    except av.error.InvalidDataError:
        return  # some demuxers say so where the file was cut off; there is nothing to be had behind it


def _excess(frame: AudioFrame) -> int:
    """Samples by which a frame exceeds the duration of its packet."""
    if not frame.duration or not frame.time_base:
        return 0
    return frame.samples - round(frame.duration * frame.time_base * frame.sample_rate)
