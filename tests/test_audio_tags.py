import base64
import struct
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from sounds import noise, read, write, write_with_ffmpeg
from stemwise.audio import CODECS, AudioReader, Picture, Tags
from stemwise.audio.tags import picture_comment

FIELDS = {
    "title": "Träume & Schäume",
    "artist": "The Stems",
    "album": "夜",
    "date": "2024",
    "genre": "Jazz",
    "track": "3/9",
    "comment": "made for a test",
}


def png(width: int = 200, height: int = 200) -> bytes:
    """Noise, so that it is as large as a real cover: 120 kB, more than one page of Ogg."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = np.random.default_rng(0).integers(0, 256, (height, 1 + 3 * width), np.uint8)
    pixels[:, 0] = 0
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    image = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels.tobytes())) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + image


COVER = Picture(data=png(), mime_type="image/png", width=200, height=200)


def jpeg() -> bytes:
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 64, 48, "yuvj420p", Fraction(1, 25)
    return b"".join(map(bytes, encoder.encode(av.VideoFrame(64, 48, "yuvj420p"))))


@pytest.mark.parametrize("codec", ["mp3", "flac", "ogg", "opus", "m4a"])
def test_a_jpeg_stays_the_same_jpeg(tmp_path: Path, codec: str) -> None:
    cover = Picture(data=jpeg(), mime_type="image/jpeg", width=64, height=48)
    path = write(tmp_path / f"x.{codec}", noise(5000), sample_rate=48000, tags=Tags(picture=cover))
    with AudioReader(path) as reader:
        assert reader.info.tags.picture == cover


@pytest.mark.parametrize("codec", CODECS)
def test_tags_and_cover_are_carried(tmp_path: Path, codec: str) -> None:
    source = write(tmp_path / "source.flac", noise(50_000), tags=Tags(fields=FIELDS, picture=COVER))
    with AudioReader(source) as reader:
        tags = reader.info.tags
    assert tags == Tags(fields=FIELDS, picture=COVER)
    path = write(tmp_path / f"x.{codec}", noise(50_000), sample_rate=48000, tags=tags)
    with AudioReader(path) as reader:
        assert dict(reader.info.tags.fields) == FIELDS
        assert reader.info.tags.picture == (None if codec in ("wav", "wma") else COVER)
    sound = read(path)
    assert sound.shape[1] == 50_000 if codec != "wma" else sound.shape[1] >= 50_000


@pytest.mark.parametrize("codec", ["mp3", "flac", "ogg", "opus", "m4a", "wma"])
def test_names_beyond_the_common_ones_are_carried(tmp_path: Path, codec: str) -> None:
    fields = {"album_artist": "Various", "composer": "J. S. Bach", "disc": "1", "track": "7"}
    path = write(tmp_path / f"x.{codec}", noise(5000), sample_rate=48000, tags=Tags(fields=fields))
    with AudioReader(path) as reader:
        assert dict(reader.info.tags.fields) == fields


def test_tags_of_the_file_or_its_loudness_are_dropped(tmp_path: Path) -> None:
    metadata = {"title": "x", "REPLAYGAIN_TRACK_GAIN": "-6 dB", "encoder": "y", "creation_time": "2020-01-01"}
    path = write_with_ffmpeg(tmp_path / "x", noise(5000), codec="flac", container="flac", metadata=metadata)
    with AudioReader(path) as reader:
        assert dict(reader.info.tags.fields) == {"title": "x"}


def test_tags_in_an_unknown_encoding_do_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path / "x.wav", noise(100), tags=Tags(fields={"title": "caf\u00e9"}))
    path.write_bytes(path.read_bytes().replace("café".encode(), b"caf\xe9 "))
    with AudioReader(path) as reader:
        assert reader.info.tags.fields["title"].startswith("caf")


def test_libsndfile_reads_our_vorbis_tags(tmp_path: Path) -> None:
    path = write(tmp_path / "x.ogg", noise(5000), tags=Tags(fields=FIELDS, picture=COVER))
    with soundfile.SoundFile(path) as file:
        assert (file.title, file.artist, file.tracknumber) == (FIELDS["title"], "The Stems", "3/9")
        assert len(file) == 5000


def test_the_picture_block_is_laid_out_as_rfc_9639_says() -> None:
    picture = Picture(data=b"JFIF", mime_type="image/jpeg", width=3, height=2)
    head = b"\0\0\0\x03\0\0\0\x0aimage/jpeg\0\0\0\0"
    expected = head + struct.pack(">5I", 3, 2, 24, 0, 4) + b"JFIF"
    assert base64.b64decode(picture_comment(picture)) == expected
