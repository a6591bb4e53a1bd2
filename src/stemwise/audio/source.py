"""Opens what the user names, so that FFmpeg sees the bytes of that one file and nothing else.

A demuxer that would open another file or an address (playlists, scripts, sockets, pictures) is not on the
list, no protocol is, and FFmpeg never learns the file's name or place.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import av
from av.audio.stream import AudioStream
from av.container import InputContainer

from stemwise.errors import DecodeError

# Demuxers of FFmpeg that read sound from the one file they are given.
FORMATS = (
    "aac,ac3,ac4,adx,aiff,amr,ape,apc,asf,ast,au,avi,bonk,caf,dsf,dts,dtshd,eac3,flac,flv,gxf,hca,iff,ircam,"
    "loas,matroska,webm,mlp,mov,mp3,mpc,mpc8,mpeg,mpegts,mxf,nistsphere,nut,oma,ogg,osq,paf,qcp,qoa,rm,shn,"
    "sox,tak,truehd,tta,voc,vqf,w64,wav,wavarc,wsd,wtv,wv,xwma"
)


class Source:
    """A path or a binary file, opened as often as wanted; of its audio streams, one, counted from 0.

    What cannot seek is copied to a temporary file the first time.
    """

    def __init__(self, source: str | Path | BinaryIO, stream: int = 0) -> None:
        is_path = isinstance(source, str | Path)
        self.name = str(source if is_path else getattr(source, "name", "the input"))
        self._source, self._stream = source, stream
        self._copy: BinaryIO | None = None

    def close(self) -> None:
        """Delete the temporary copy, if there is one."""
        if self._copy is not None:
            self._copy.close()

    def wait(self) -> None:
        """Copy what cannot seek, here and now: the main thread can be interrupted while nothing comes."""
        with self._failing(), ExitStack() as stack:
            self._file(stack)

    @contextmanager
    def opened(self) -> Iterator[tuple[InputContainer, AudioStream]]:
        """The demuxer and the audio stream; errors of FFmpeg and of the system become DecodeErrors."""
        with self._failing(), ExitStack() as stack:
            local = _LocalFile(self._file(stack))
            container = stack.enter_context(self._demuxer(local))
            yield container, self._audio(container)
            if local.error:
                raise local.error

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            raise DecodeError(f"{self.name}: cannot be read: {error.strerror or error}") from error

    def _file(self, stack: ExitStack) -> BinaryIO:
        if self._copy is not None:
            return self._copy
        if isinstance(self._source, str | Path):
            file: BinaryIO = stack.enter_context(Path(self._source).open("rb"))  # noqa: SIM115 (in the stack)
        else:
            file = self._source
        return file if file.seekable() else self._copied(file)

    def _copied(self, file: BinaryIO) -> BinaryIO:
        with ExitStack() as on_error:
            copy = on_error.enter_context(tempfile.TemporaryFile())
            while piece := file.read(1 << 20):
                copy.write(piece)
            on_error.pop_all()
        self._copy = copy
        return copy

    def _demuxer(self, local: "_LocalFile") -> InputContainer:
        limits = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}
        is_empty = not local.seek(0, 2)
        local.seek(0)
        try:
            return av.open(local, "r", container_options=limits, metadata_errors="replace")
        except av.FFmpegError as error:
            if local.error:
                raise local.error from None
            reason = "it is empty" if is_empty else "it is not an audio or video file of a known format"
            raise DecodeError(f"{self.name}: cannot be read: {reason}") from error

    def _audio(self, container: InputContainer) -> AudioStream:
        if not container.streams.audio:
            raise DecodeError(f"{self.name}: has no audio stream (container: {container.format.name})")
        n_streams = len(container.streams.audio)
        if not 0 <= self._stream < n_streams:
            raise DecodeError(
                f"{self.name}: has no audio stream {self._stream}: it has {n_streams}, counted from 0"
            )
        stream = container.streams.audio[self._stream]
        if stream.codec_context is None:
            raise DecodeError(f"{self.name}: has audio in a format that FFmpeg cannot decode")
        if stream.codec_context.sample_rate < 1 or stream.codec_context.layout.nb_channels < 1:
            raise DecodeError(f"{self.name}: does not say its sample rate and number of channels")
        stream.codec_context.thread_count = 1
        return stream


class _LocalFile:
    """The little of a file that FFmpeg may see: its bytes.

    An error of reading is kept, for FFmpeg itself takes it for the end of the file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            self.error = error
            return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError):  # before the first byte: FFmpeg expects a negative number then
            return -1

    def tell(self) -> int:
        return self._file.tell()
