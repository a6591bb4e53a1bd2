import struct
import threading
from pathlib import Path

import av
import numpy as np
import pytest

from contracts import check_reader
from sounds import noise, read, sdr_db, write, write_with_ffmpeg, write_with_video
from stemwise.audio import AudioReader, Resampler, source
from stemwise.errors import ConfigError, DecodeError

N = 100_003  # samples: no multiple of any codec's frame


@pytest.mark.parametrize(
    ("codec", "container", "least_sdr_db"),
    [
        ("pcm_u8", "wav", 25),
        ("pcm_s16le", "wav", 70),
        ("pcm_s24le", "wav", 115),
        ("pcm_s32le", "wav", 130),
        ("pcm_f32le", "wav", 150),
        ("pcm_f64le", "wav", 150),
        ("pcm_s16be", "aiff", 70),
        ("pcm_s16be", "au", 70),
        ("pcm_s16le", "caf", 70),
        ("flac", "flac", 70),
        ("flac", "ogg", 70),
        ("alac", "mp4", 70),
        ("wavpack", "wv", 25),
        ("tta", "tta", 25),
        ("libmp3lame", "mp3", 15),
        ("libmp3lame", "matroska", 15),
        ("aac", "mp4", 15),
        ("aac", "mov", 15),
    ],
)
def test_reads_every_format_to_the_sample(
    tmp_path: Path, codec: str, container: str, least_sdr_db: float
) -> None:
    sound = noise(N)
    path = write_with_ffmpeg(tmp_path / "x", sound, codec=codec, container=container)
    check_reader(path, sound, least_sdr_db=least_sdr_db)
    with AudioReader(path) as reader:
        # to the millisecond; Matroska counts the encoder's delay
        assert reader.info.n_samples == pytest.approx(N, abs=2000 if container == "matroska" else 50)


@pytest.mark.parametrize(("container", "sample_rate"), [("ogg", 48000), ("matroska", 48000)])
def test_reads_opus_to_the_sample(tmp_path: Path, container: str, sample_rate: int) -> None:
    path = write_with_ffmpeg(
        tmp_path / "x", noise(N), codec="libopus", container=container, sample_rate=sample_rate
    )
    check_reader(path, noise(N), least_sdr_db=10)


@pytest.mark.parametrize(("codec", "container"), [("aac", "matroska"), ("wmav2", "asf"), ("aac", "adts")])
def test_reads_formats_that_do_not_say_their_length(tmp_path: Path, codec: str, container: str) -> None:
    path = write_with_ffmpeg(tmp_path / "x", noise(N), codec=codec, container=container)
    assert read(path).shape[1] == pytest.approx(N, abs=4096)


@pytest.mark.parametrize("sample_rate", [8000, 11025, 22050, 48000, 96000, 192000])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_reads_any_rate(tmp_path: Path, sample_rate: int, n_channels: int) -> None:
    sound = noise(20_000, n_channels=n_channels)
    path = write_with_ffmpeg(
        tmp_path / "x", sound, codec="pcm_f32le", container="wav", sample_rate=sample_rate
    )
    with AudioReader(path) as reader:
        assert (reader.sample_rate, reader.n_samples) == (sample_rate, 20_000)
    np.testing.assert_array_equal(read(path), sound)


@pytest.mark.parametrize("container", ["mp4", "matroska", "avi"])
def test_reads_the_sound_track_of_a_video(tmp_path: Path, container: str) -> None:
    path = write_with_video(tmp_path / "x", container, noise(44_100))
    assert read(path).shape[1] == pytest.approx(44_100, abs=2048)


def test_info_comes_from_the_headers(tmp_path: Path) -> None:
    path = write_with_ffmpeg(tmp_path / "x.mp3", noise(N), codec="libmp3lame", container="mp3")
    with AudioReader(path) as reader:
        info = reader.info
    assert (info.codec, info.container, info.layout, info.n_samples) == ("mp3", "mp3", "stereo", N)
    assert reader.name == str(path)


@pytest.mark.parametrize("suffix", ["wav", "mp3"])
def test_slices_are_cut_after_resampling(tmp_path: Path, suffix: str) -> None:
    sound = noise(N)
    path = write(tmp_path / f"x.{suffix}", sound)
    whole = read(path, sample_rate=16000)
    resampler = Resampler(44100, 16000, 2)
    native = read(path)
    expected = np.concatenate([resampler.process(native), resampler.flush()], axis=1)
    np.testing.assert_array_equal(whole, expected)
    part = read(path, sample_rate=16000, offset_s=0.33337, duration_s=0.5)
    np.testing.assert_array_equal(part, whole[:, 5334 : 5334 + 8000])


def test_expected_length_counts_slice_and_resampling(tmp_path: Path) -> None:
    path = write(tmp_path / "x.wav", noise(44100))
    for options, n_samples in [
        ({}, 44100),
        ({"sample_rate": 16000}, 16000),
        ({"offset_s": 0.25}, 33075),
        ({"offset_s": 0.25, "duration_s": 0.5, "sample_rate": 8000}, 4000),
        ({"offset_s": 2.0}, 0),
    ]:
        with AudioReader(path, **options) as reader:
            assert reader.n_samples == n_samples == read(path, **options).shape[1]


def test_a_file_of_no_samples_is_a_file(tmp_path: Path) -> None:
    path = write(tmp_path / "x.wav", noise(0))
    with AudioReader(path) as reader:
        assert list(reader.blocks()) == []
        assert (reader.sample_rate, reader.n_channels) == (44100, 2)


@pytest.mark.parametrize("suffix", ["mp3", "wav", "flac", "ogg"])
def test_a_truncated_file_is_read_as_far_as_it_goes(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"x.{suffix}", noise(N))
    whole = read(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    part = read(path)
    assert 0.4 * N < part.shape[1] < 0.7 * N
    assert sdr_db(whole[:, : part.shape[1] - 4096], part[:, :-4096]) > 60


def test_a_truncated_mp4_with_its_index_in_front_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write_with_ffmpeg(
        tmp_path / "x", noise(N), codec="aac", container="mp4", options={"movflags": "faststart"}
    )
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    assert 0.4 * N < read(path).shape[1] < 0.7 * N


@pytest.mark.parametrize("suffix", ["mp3", "flac", "ogg", "opus", "m4a", "wma"])
def test_damage_in_the_middle_is_an_error_that_names_the_time(
    tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / f"x.{suffix}", noise(4 * N), sample_rate=48000)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(range(256)) * 11 + bytes(184)
    path.write_bytes(data)
    with pytest.raises(DecodeError, match=rf"x\.{suffix}: is damaged at [2345]\.\d\d\d s: "):
        read(path)
    assert capfd.readouterr().err == ""


def test_damage_at_the_start_hides_no_later_one(tmp_path: Path) -> None:
    path = write(tmp_path / "x.m4a", noise(5 * 44_100))
    whole = read(path)
    with av.open(str(path)) as file:
        packets = [packet for packet in file.demux(file.streams.audio[0]) if packet.size]
    data = bytearray(path.read_bytes())
    for number, packet in enumerate(packets):
        if number in (0, 100):
            data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
        if number == 0:
            path.write_bytes(data)
            assert sdr_db(whole[:, 4096:], read(path)[:, 4096:]) > 20  # AAC makes up some of its noise
    path.write_bytes(data)
    with pytest.raises(DecodeError, match=r"x\.m4a: is damaged at 2\.299 s: "):
        read(path)


@pytest.mark.parametrize("suffix", ["mp3", "flac", "wav", "m4a"])
def test_rubbish_behind_the_end_does_no_harm(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"x.{suffix}", noise(N))
    whole = read(path)
    path.write_bytes(path.read_bytes() + b"TAG" + bytes(125))
    np.testing.assert_array_equal(read(path), whole)


def test_ffmpeg_calls_back_outside_of_the_main_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There an interruption would be raised inside the callback, and lost."""
    callers, read_bytes = set(), source._LocalFile.read

    def note(self: source._LocalFile, size: int) -> bytes:
        callers.add(threading.current_thread())
        return read_bytes(self, size)

    monkeypatch.setattr(source._LocalFile, "read", note)
    with AudioReader(write(tmp_path / "x.wav", noise(200_000))) as reader:
        assert len(list(reader.blocks())) > 2
        for _ in reader.blocks():
            break
    assert callers
    assert threading.main_thread() not in callers


def test_a_reader_may_be_closed_before_its_blocks_are(tmp_path: Path) -> None:
    with AudioReader(write(tmp_path / "x.wav", noise(200_000))) as reader:
        blocks = reader.blocks()
        next(blocks)
    blocks.close()  # type: ignore[attr-defined]


def test_leaving_early_closes_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "x.wav", noise(200_000))
    with AudioReader(path) as reader:
        blocks = reader.blocks()
        next(blocks)
        blocks.close()  # an open file would warn, and warnings are errors


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"offset_s": -1.0}, "offset_s is -1.0: it must be 0 or more"),
        ({"offset_s": 1e305}, r"offset_s is 1e\+305: it must be 0 or more seconds, and less than 1e9"),
        ({"duration_s": 1e305}, r"duration_s is 1e\+305"),
        ({"duration_s": float("nan")}, "duration_s is nan"),
        ({"sample_rate": 0}, "sample_rate is 0"),
        ({"sample_rate": 2**31}, "sample_rate is 2147483648: it must be 1 to 2147483647 Hz"),
    ],
)
def test_silly_options_are_refused(option: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AudioReader("no matter", **option)


def test_the_comment_of_itunes_states_the_length(tmp_path: Path) -> None:
    smpb = f" 00000000 00000400 0000015D {N - 500:016X} 00000000"
    path = write_with_ffmpeg(
        tmp_path / "x", noise(N), codec="aac", container="mp4",
        metadata={"iTunSMPB": smpb}, options={"movflags": "use_metadata_tags"},
    )  # fmt: skip
    with AudioReader(path) as reader:
        assert reader.n_samples == N - 500
        assert "itunsmpb" not in reader.info.tags.fields


@pytest.mark.parametrize(
    "smpb",
    [
        *(
            " 00000000 zz zz zz",
            " 00000000 zz 0000015D 0000000000000010",
            " zz 00000400 0000015D 10",
            "0 0 0 -1",
        ),
        *("0 0 0 0x10", "0 0 0 1_0", "0 0 0 " + "F" * 17),
    ],
)
def test_a_malformed_comment_of_itunes_states_nothing(tmp_path: Path, smpb: str) -> None:
    path = write_with_ffmpeg(
        tmp_path / "x", noise(N), codec="aac", container="mp4",
        metadata={"iTunSMPB": smpb}, options={"movflags": "use_metadata_tags"},
    )  # fmt: skip
    with AudioReader(path) as reader:
        assert reader.n_samples == pytest.approx(N, abs=50)


def test_integer_samples_are_scaled_to_one(tmp_path: Path) -> None:
    samples = struct.pack("<4h", -32768, -1, 0, 32767)
    header = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
    body = b"WAVEfmt " + struct.pack("<I", 16) + header + b"data" + struct.pack("<I", 8) + samples
    path = tmp_path / "x.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    np.testing.assert_array_equal(read(path), np.array([[-32768, -1, 0, 32767]]) / 32768)
