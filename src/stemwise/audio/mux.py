"""One encoded file: blocks of float32 go in, the bytes of a codec in its container come out, with tags.

The same input gives the same bytes: FFmpeg is asked for no dates, versions or random numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO, Protocol

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.codec.context import Flags as CodecFlags
from av.packet import Packet
from av.stream import Disposition
from numpy.typing import NDArray

from stemwise.audio.codecs import Codec
from stemwise.audio.frames import Block, to_frame
from stemwise.audio.tags import Tags, picture_comment

BITEXACT = 0x400  # FFmpeg's AVFMT_FLAG_BITEXACT: no dates, no versions, no random numbers
MP3_DELAY = 576 + 529  # samples: of LAME's encoder and of every decoder


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """What an encoder is to write.

    Attributes:
        codec: the format.
        sample_rate: Hz, one that the codec can hold.
        n_channels: 1 or 2.
        bit_depth: of the codec, None for lossy ones; 16 and 24 are integers and saturate at full scale.
        bitrate: bit/s of lossy codecs.
        tags: to be written as far as the container can hold them.
    """

    codec: Codec
    sample_rate: int
    n_channels: int
    bit_depth: int | None
    bitrate: int
    tags: Tags


class Encoder(Protocol):
    """Takes blocks `(channels, samples)`, samples >= 1; then `close` writes the rest, or `abort` gives up."""

    def write(self, block: Block) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...


class _Output:
    """The file as FFmpeg sees it. An error is kept and raised by `check`: FFmpeg itself would lose it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            if self._error is None:
                self._file.write(data)
        except OSError as error:
            self._error = error
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._file.seek(offset, whence)
        except OSError as error:
            self._error = self._error or error
            return -1

    def tell(self) -> int:
        return self._file.tell()

    @property
    def closed(self) -> bool:
        return self._file.closed

    def check(self) -> None:
        if self._error is not None:
            raise self._error


class Muxer:
    """A container in a file, its tags, and its cover if it has a place for one."""

    def __init__(self, file: BinaryIO, codec: Codec, tags: Tags, options: Mapping[str, str]) -> None:
        self._output = _Output(file)
        self.container = av.open(
            self._output, "w", format=codec.container, container_options={**codec.options, **options}
        )
        self.container.flags |= BITEXACT
        self.container.metadata.update(tags.fields)
        self._picture = tags.picture if codec.has_cover else None
        if tags.picture and codec.container == "ogg":
            self.container.metadata["METADATA_BLOCK_PICTURE"] = picture_comment(tags.picture)

    def start(self) -> None:
        """Write the headers; all streams of sound must have been added."""
        packet = self._cover() if self._picture else None
        self.container.start_encoding()
        if packet:
            self.mux(packet)
        self._output.check()

    def mux(self, packet: "Packet[Any]") -> None:
        self.container.mux_one(packet)
        self._output.check()

    def close(self) -> None:
        self.container.close()
        self._output.check()

    def _cover(self) -> "Packet[Any]":
        assert self._picture
        size = {"width": self._picture.width, "height": self._picture.height}
        stream = self.container.add_mux_stream(self._picture.codec, **size)
        stream.disposition = Disposition.attached_pic
        stream.time_base = Fraction(1, 90000)
        packet: Packet[Any] = Packet(self._picture.data)
        packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 90000), True
        packet.pts = packet.dts = 0
        return packet


class FFmpegEncoder:
    """Every codec but Vorbis.

    Args:
        file: seekable, opened for writing; stays open.
        config: what to write.

    Raises:
        av.FFmpegError, OSError: from every method, if encoding or writing fails.
    """

    def __init__(self, file: BinaryIO, config: EncoderConfig) -> None:
        self._config = config
        self._n_given = self._n_coded = 0  # samples
        self._n_packets = 0
        self._encoder = config.codec.encoders[config.bit_depth]
        # Without this option an mp4 file states its length in milliseconds.
        rate = str(config.sample_rate)
        exact = {"movie_timescale": rate} if config.codec.container == "mp4" else {}
        self._muxer = Muxer(file, config.codec, config.tags, exact)
        stream = self._muxer.container.add_stream(self._encoder, rate=config.sample_rate)
        assert isinstance(stream, AudioStream)
        self._context = stream.codec_context
        self._prepare(self._context)
        self._stream = stream
        self._muxer.start()
        if self._encoder == "wmav2":
            # FFmpeg's decoder drops two frames at the start, which is the delay of Microsoft's encoder; that
            # of FFmpeg's own is one. A frame of silence in front makes up for it.
            self._encode(np.zeros((config.n_channels, self._context.frame_size), np.float32))

    def _prepare(self, context: AudioCodecContext) -> None:
        context.layout = "mono" if self._config.n_channels == 1 else "stereo"
        if self._config.bit_depth in (16, 24):
            context.format = "s16" if self._config.bit_depth == 16 else "s32"
        if self._config.bit_depth is None:
            context.bit_rate = self._config.bitrate
        context.flags |= CodecFlags.bitexact
        context.thread_count = 1

    def write(self, block: Block) -> None:
        self._n_given += block.shape[1]
        self._encode(block)

    def close(self) -> None:
        if self._encoder == "wmav2":
            # The last frame leaves the decoder faded out: it must be one of silence.
            n_behind = self._context.frame_size + -self._n_coded % self._context.frame_size
            self._encode(np.zeros((self._config.n_channels, n_behind), np.float32))
        packets = self._stream.encode(None)
        if self._encoder == "libmp3lame" and packets:
            n_coded = (self._n_packets + len(packets)) * self._context.frame_size
            _state_padding(packets[-1], n_coded - MP3_DELAY - self._n_given)
        self._mux(packets)
        self._muxer.close()

    def abort(self) -> None:
        """FFmpeg's objects free themselves, and write nothing more once the file is closed."""

    def _encode(self, block: Block) -> None:
        samples, format = _quantised(block, self._config.bit_depth)
        frame = to_frame(samples, self._config.sample_rate, format=format, position=self._n_coded)
        self._n_coded += block.shape[1]
        self._mux(self._stream.encode(frame))

    def _mux(self, packets: "list[Packet[Any]]") -> None:
        self._n_packets += len(packets)
        for packet in packets:
            self._muxer.mux(packet)


def _quantised(block: Block, bit_depth: int | None) -> tuple[NDArray[Any], str]:
    """Samples as the encoder takes them, rounded and saturated, and FFmpeg's name of their type."""
    if bit_depth not in (16, 24):
        return block, "flt"
    full_scale = 2 ** (bit_depth - 1)
    rounded = np.clip(np.rint(block * np.float32(full_scale)), -full_scale, full_scale - 1)
    if bit_depth == 16:
        return rounded.astype(np.int16), "s16"
    return rounded.astype(np.int32) << 8, "s32"  # FFmpeg's encoders take the upper 24 of 32 bits


def _state_padding(packet: "Packet[Any]", padding: int) -> None:
    """Say in the last packet of an mp3 file how many samples behind the music were coded.

    FFmpeg says it wrongly where the music ends less than 48 samples into a frame (FFmpeg 8.1).
    Layout of the data: samples to skip at the start and the end, 32 bits each, then two reasons.
    """
    data = packet.get_sidedata("skip_samples")
    data.update(bytes(data)[:4] + padding.to_bytes(4, "little") + bytes(data)[8:])
    packet.set_sidedata(data)
