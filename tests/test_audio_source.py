import errno
import io
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from sounds import noise, read, write, write_with_video
from stemwise.audio import AudioReader
from stemwise.errors import DecodeError

HLS = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:2,\nsecret.wav\n#EXT-X-ENDLIST\n"
CONCAT = "ffconcat version 1.0\nfile secret.wav\n"
SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n"


class Unseekable(io.RawIOBase):
    """A pipe, as far as Python can tell."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        return self._data.readinto(buffer)


class Failing(io.BytesIO):
    """A disk that gives up after 20 kB."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > 20_000:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(size)


@pytest.mark.parametrize("playlist", [HLS, CONCAT, SDP], ids=["hls", "concat", "sdp"])
@pytest.mark.parametrize("name", ["song.mp3", "song.m3u8", "song.txt"])
def test_a_playlist_reads_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, playlist: str, name: str
) -> None:
    secret = write(tmp_path / "secret.wav", noise(44_100))
    (tmp_path / name).write_text(playlist)
    monkeypatch.chdir(tmp_path)
    before = os.stat(secret).st_atime_ns
    for path in (Path(name), tmp_path / name):
        with pytest.raises(DecodeError, match="not an audio or video file of a known format"):
            AudioReader(path)
    assert os.stat(secret).st_atime_ns == before


def test_an_absolute_playlist_reads_nothing_else(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret.wav", noise(44_100))
    for text in (f"ffconcat version 1.0\nfile {secret}\n", HLS.replace("secret.wav", f"file://{secret}")):
        (tmp_path / "song.mp3").write_text(text)
        with pytest.raises(DecodeError):
            read(tmp_path / "song.mp3")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x.wav: cannot be read: it is empty"),
        (b"Dear diary,\n" * 100, "x.wav: cannot be read: it is not an audio or video file of a known format"),
        (b"RIFF\x24\x00\x00\x00WAVE", "x.wav: cannot be read: "),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "x.wav: cannot be read: it is not an audio"),
    ],
)
def test_what_is_no_audio_is_one_clear_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(content)
    with pytest.raises(DecodeError, match=message) as failure:
        read(path)
    assert "\n" not in str(failure.value)


def test_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match=r"no\.mp3: cannot be read: No such file"):
        AudioReader(tmp_path / "no.mp3")
    with pytest.raises(DecodeError, match="cannot be read: Is a directory"):
        AudioReader(tmp_path)


def test_a_video_without_sound_is_named(tmp_path: Path) -> None:
    path = write_with_video(tmp_path / "x.mkv", "matroska", None)
    with pytest.raises(DecodeError, match=r"x\.mkv: has no audio stream \(container: matroska"):
        AudioReader(path)


def test_a_file_object_is_read_from_its_beginning_and_left_open(tmp_path: Path) -> None:
    path = write(tmp_path / "x.flac", noise(50_000))
    with path.open("rb") as file:
        file.seek(1000)
        with AudioReader(file) as reader:
            first = np.concatenate(list(reader.blocks()), axis=1)
            second = np.concatenate(list(reader.blocks()), axis=1)
        assert not file.closed
    np.testing.assert_array_equal(first, read(path))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("suffix", ["m4a", "mp3", "wav"])
def test_a_stream_that_cannot_seek_is_read_twice_and_to_the_sample(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"x.{suffix}", noise(50_000))
    with AudioReader(io.BufferedReader(Unseekable(path.read_bytes()))) as reader:
        for _ in range(2):
            np.testing.assert_array_equal(np.concatenate(list(reader.blocks()), axis=1), read(path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "x.m4a", noise(50_000))
    os.mkfifo(tmp_path / "pipe")
    feeder = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(path.read_bytes()))
    feeder.start()
    try:
        np.testing.assert_array_equal(read(tmp_path / "pipe"), read(path))
    finally:
        feeder.join()


def test_an_error_of_the_disk_is_not_the_end_of_the_song(tmp_path: Path) -> None:
    path = write(tmp_path / "x.wav", noise(50_000))
    with pytest.raises(DecodeError, match="cannot be read: Input/output error"):
        read(Failing(path.read_bytes()))


def test_no_thread_and_no_file_is_left_over(tmp_path: Path) -> None:
    path = write(tmp_path / "x.ogg", noise(50_000))
    threads, files = set(threading.enumerate()), set(os.listdir("/dev/fd"))
    read(path)
    assert set(threading.enumerate()) <= threads
    assert set(os.listdir("/dev/fd")) <= files
