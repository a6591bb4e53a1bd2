import errno
import os
import struct
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import check_reader
from sounds import noise, read, sdr_db, write
from stemwise.audio import CODECS, AudioReader, AudioWriter, Tags
from stemwise.audio.frames import Block
from stemwise.audio.mux import EncoderConfig, FFmpegEncoder
from stemwise.errors import ConfigError, EncodeError, NonFiniteError

N = 100_003  # samples: no multiple of any codec's frame
LOSSLESS = ["wav", "flac"]
LOSSY = ["mp3", "ogg", "opus", "m4a", "wma"]
RATE = {"opus": 48000}


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("codec", [*LOSSLESS, *LOSSY])
def test_what_is_written_is_read_again(tmp_path: Path, codec: str, n_channels: int) -> None:
    sound = noise(N, n_channels=n_channels)
    path = write(tmp_path / f"x.{codec}", sound, sample_rate=RATE.get(codec, 44100))
    assert files_of(tmp_path) == [path.name]
    check_reader(path, sound, least_sdr_db=70 if codec in LOSSLESS else 10, exact_length=codec != "wma")
    if codec == "wma":
        tail = read(path)[:, N:]
        assert tail.shape[1] < 4096
        assert np.abs(tail).max() < 0.05


@pytest.mark.parametrize("codec", ["mp3", "ogg", "opus", "m4a", "flac", "wav"])
@pytest.mark.parametrize(
    "n_samples", [1, 2, 38, 75, 900, 1024, 1151, 1152, 1153, 1185, 2305, 4095, 4097, 5000, 9000]
)
def test_every_length_is_kept(tmp_path: Path, codec: str, n_samples: int) -> None:
    path = write(tmp_path / f"x.{codec}", noise(n_samples), sample_rate=RATE.get(codec, 44100))
    assert read(path).shape == (2, n_samples)


@pytest.mark.parametrize("sample_rate", [8000, 22050, 32000, 48000])
def test_mp3_keeps_the_length_at_every_rate(tmp_path: Path, sample_rate: int) -> None:
    for n_samples in (1185, 2305, 2881, 20_003):
        path = write(tmp_path / "x.mp3", noise(n_samples), sample_rate=sample_rate)
        assert read(path).shape == (2, n_samples)


@pytest.mark.parametrize("codec", [*LOSSLESS, *LOSSY])
def test_no_samples_make_a_file(tmp_path: Path, codec: str) -> None:
    path = write(tmp_path / f"x.{codec}", noise(0), sample_rate=RATE.get(codec, 44100))
    longest = {"wav": 0, "flac": 0, "wma": 4096}.get(codec, 1)
    sound = read(path)
    assert sound.shape[1] <= longest
    assert not np.abs(sound).any()


def test_libsndfile_agrees_on_our_vorbis(tmp_path: Path) -> None:
    path = write(tmp_path / "x.ogg", noise(N))
    other, sample_rate = soundfile.read(path, dtype="float32")
    assert (sample_rate, len(other)) == (44100, N)
    np.testing.assert_allclose(read(path), other.T, atol=1e-6)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 20_000), max_size=8), codec=st.sampled_from([*LOSSLESS, *LOSSY]))
def test_division_into_blocks_changes_no_byte(tmp_path: Path, cuts: list[int], codec: str) -> None:
    sound, tags = noise(20_000), Tags(fields={"title": "x"})
    files = []
    for name, at in (("a", []), ("b", sorted(cuts))):
        path = tmp_path / f"{name}.{codec}"
        writer = AudioWriter(path, codec=codec, sample_rate=32000, n_channels=2, tags=tags)
        for block in np.split(sound, at, axis=1):
            writer.write(block)
        writer.finish()
        writer.publish()
        files.append(path.read_bytes())
    assert files[0] == files[1]


@pytest.mark.parametrize(("codec", "bit_depth"), [("wav", 16), ("wav", 24), ("flac", 16), ("flac", 24)])
def test_integers_are_rounded_and_saturate(tmp_path: Path, codec: str, bit_depth: int) -> None:
    step = 2.0 ** (1 - bit_depth)
    given = np.array(
        [[-2, -1.0001, -1, -0.6 * step, 0.4 * step, 0.6 * step, 1 - step, 1, 1.5, 7]], np.float32
    )
    expected = [-1, -1, -1, -step, 0, step, 1 - step, 1 - step, 1 - step, 1 - step]
    with AudioWriter(
        tmp_path / "x", codec=codec, sample_rate=44100, n_channels=1, bit_depth=bit_depth
    ) as writer:
        writer.write(given[:, :5])
        writer.write(given[:, 5:])
        assert writer.peak == 7
        writer.finish()
        writer.publish()
    np.testing.assert_array_equal(read(tmp_path / "x")[0], expected)


def test_32_bit_wav_is_float_and_untouched(tmp_path: Path) -> None:
    sound = 4 * noise(N)
    path = write(tmp_path / "x.wav", sound, bit_depth=32)
    np.testing.assert_array_equal(read(path), sound)
    with AudioReader(path) as reader:
        assert reader.info.codec == "pcm_f32le"


@pytest.mark.parametrize(
    ("codec", "rate_in", "rate_out"), [("mp3", 96000, 48000), ("opus", 44100, 48000), ("wav", 44100, 16000)]
)
def test_rates_are_converted(tmp_path: Path, codec: str, rate_in: int, rate_out: int) -> None:
    options = {"output_sample_rate": 16000} if codec == "wav" else {}
    path = write(tmp_path / f"x.{codec}", noise(N), sample_rate=rate_in, **options)
    with AudioReader(path) as reader:
        assert reader.sample_rate == rate_out
    assert read(path).shape[1] == -(-N * rate_out // rate_in)


def test_peak_is_that_of_the_written_samples(tmp_path: Path) -> None:
    full = np.tile(np.float32([1, 1, -1, -1]), (1, 2000))  # between the samples the curve goes to 1.41
    with AudioWriter(
        tmp_path / "x", codec="wav", sample_rate=24000, n_channels=1, output_sample_rate=48000
    ) as w:
        w.write(full)
        w.finish()
    assert 1.3 < w.peak < 1.6


def test_bitrate_is_obeyed(tmp_path: Path) -> None:
    for codec in LOSSY:
        sizes = [
            write(tmp_path / f"x.{codec}", noise(N), sample_rate=RATE.get(codec, 44100), bitrate=bitrate)
            .stat().st_size for bitrate in (64_000, 192_000)
        ]  # fmt: skip
        assert sizes[1] > 1.7 * sizes[0], codec


class Forgetful:
    """A file that keeps its first kilobyte, and of the rest the length."""

    closed = False

    def __init__(self) -> None:
        self.head, self.position, self.length = bytearray(1000), 0, 0

    def write(self, data: bytes) -> int:
        kept = data[: max(0, 1000 - self.position)]
        self.head[self.position : self.position + len(kept)] = kept
        self.position += len(data)
        self.length = max(self.length, self.position)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        self.position = offset + (0, self.position, self.length)[whence]
        return self.position

    def tell(self) -> int:
        return self.position


@pytest.mark.slow
def test_a_wav_file_above_4_gib_gets_a_64_bit_header() -> None:
    file, block, n_blocks = Forgetful(), np.zeros((2, 1 << 20), np.float32), 513
    config = EncoderConfig(
        codec=CODECS["wav"], sample_rate=192_000, n_channels=2, bit_depth=32, bitrate=0, tags=Tags()
    )
    encoder = FFmpegEncoder(file, config)
    for _ in range(n_blocks):
        encoder.write(block)
    encoder.close()
    kind, _, wave_, ds64, _, riff_size, data_size, n_samples = struct.unpack("<4sI4s4sIQQQ", file.head[:44])
    assert (kind, wave_, ds64) == (b"RF64", b"WAVE", b"ds64")
    assert (riff_size, data_size, n_samples) == (file.length - 8, n_blocks << 23, n_blocks << 20)


def test_the_file_appears_when_published_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(b"old")
    with AudioWriter(path, codec="wav", sample_rate=44100, n_channels=2) as writer:
        writer.write(noise(1000))
        writer.finish()
        (part,) = [name for name in files_of(tmp_path) if name != "x.wav"]
        assert part.startswith(".x.wav.")
        assert part.endswith(".part")
        assert path.read_bytes() == b"old"
        writer.publish()
    assert files_of(tmp_path) == ["x.wav"]
    assert read(path).shape == (2, 1000)


def test_a_file_is_on_the_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    real_sync, real_replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: (done.append("sync"), real_sync(number)))
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("rename"), real_replace(*paths)))
    write(tmp_path / "x.wav", noise(1000))
    assert done == ["sync", "rename", "sync"]  # the file, then the folder


@pytest.mark.parametrize("codec", CODECS)
def test_what_is_not_published_leaves_nothing(tmp_path: Path, codec: str) -> None:
    with AudioWriter(tmp_path / "x", codec=codec, sample_rate=48000, n_channels=2) as writer:
        writer.write(noise(50_000))
    with AudioWriter(tmp_path / "x", codec=codec, sample_rate=48000, n_channels=2) as writer:
        writer.write(noise(50_000))
        writer.finish()
        writer.discard()
        writer.discard()
    assert files_of(tmp_path) == []


def test_published_files_have_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    path = write(tmp_path / "x.wav", noise(10))
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_name_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    path = write(tmp_path / ("ü" * 125 + ".wav"), noise(10))
    assert files_of(tmp_path) == [path.name]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(tmp_path: Path, value: float) -> None:
    sound = noise(100)
    sound[1, 50] = value
    with AudioWriter(tmp_path / "x", codec="wav", sample_rate=44100, n_channels=2) as writer:
        with pytest.raises(NonFiniteError, match="not a finite number"):
            writer.write(sound)
        assert files_of(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"codec": "mp4"}, ConfigError, "codec is 'mp4': it must be one of wav, flac, mp3"),
        (
            {"codec": "wav", "bit_depth": 8},
            ConfigError,
            "bit_depth is 8: for wav it must be one of 16, 24, 32",
        ),
        ({"codec": "flac", "bit_depth": 32}, ConfigError, "for flac it must be one of 16, 24"),
        ({"codec": "mp3", "bit_depth": 16}, ConfigError, "bit_depth is 16: for mp3 it cannot be chosen"),
        ({"codec": "wav", "n_channels": 6}, ConfigError, "n_channels is 6: it must be 1 or 2"),
        (
            {"codec": "mp3", "output_sample_rate": 96000},
            EncodeError,
            "mp3 cannot hold 96000 Hz: the nearest is 48000",
        ),
        ({"codec": "opus", "bitrate": 5_000_000}, EncodeError, "x: cannot be written: "),
        ({"codec": "wma", "bitrate": 1}, EncodeError, "x: cannot be written: "),
    ],
)
def test_what_a_codec_cannot_hold_is_named(
    tmp_path: Path, options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        AudioWriter(tmp_path / "x", **{"sample_rate": 44100, "n_channels": 2, **options})
    assert files_of(tmp_path) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(EncodeError, match=r"x\.wav: cannot be written: No such file or directory"):
        AudioWriter(tmp_path / "no" / "x.wav", codec="wav", sample_rate=44100, n_channels=2)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(EncodeError, match="Permission denied"):
        AudioWriter(tmp_path / "x.wav", codec="wav", sample_rate=44100, n_channels=2)
    tmp_path.chmod(0o700)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 kB, where one may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("codec", CODECS)
def test_a_full_disk_is_an_error_and_leaves_nothing(
    small_disk: Path, codec: str, capfd: pytest.CaptureFixture[str]
) -> None:
    reason = "the disk is full" if codec == "ogg" else "No space left on device"
    with pytest.raises(EncodeError, match=f"x.{codec}: cannot be written: .*{reason}"):
        write(small_disk / f"x.{codec}", noise(1_500_000), sample_rate=48000, bitrate=192_000)
    assert files_of(small_disk) == []
    assert capfd.readouterr().err == ""


class FullDisk:
    """A file on a disk that has room for some bytes yet."""

    def __init__(self, file: BinaryIO, room: int) -> None:
        self._file, self._room = file, room

    def __enter__(self) -> "FullDisk":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)

    def write(self, data: bytes) -> int:
        self._room -= len(data)
        if self._room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._file.write(data)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("room", [0, 3000])
def test_an_error_of_writing_reaches_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str, room: int
) -> None:
    real_open = Path.open

    def open_on_full_disk(path: Path, mode: str = "r") -> object:
        return FullDisk(real_open(path, mode), room) if mode == "xb" else real_open(path, mode)

    monkeypatch.setattr(Path, "open", open_on_full_disk)
    with pytest.raises(EncodeError, match="cannot be written: No space left on device"):
        write(tmp_path / f"x.{codec}", noise(100_000), sample_rate=48000)
    assert files_of(tmp_path) == []


@pytest.mark.usefixtures("read_only")
def test_an_error_of_cleaning_up_does_not_hide_the_first(tmp_path: Path) -> None:
    with pytest.raises(EncodeError, match=r"x\.wav: cannot be written: Read-only file system$"):
        AudioWriter(tmp_path / "x.wav", codec="wav", sample_rate=44100, n_channels=2)


def test_other_programs_read_our_wav(tmp_path: Path) -> None:
    with wave.open(str(write(tmp_path / "x.wav", noise(1000)))) as file:
        assert file.getparams()[:4] == (2, 2, 44100, 1000)
    for bit_depth, kind in ((16, "PCM_16"), (24, "PCM_24"), (32, "FLOAT")):
        path = write(tmp_path / "x.wav", noise(1000), bit_depth=bit_depth)
        with soundfile.SoundFile(path) as file:
            assert (file.subtype, file.channels, file.samplerate, len(file)) == (kind, 2, 44100, 1000)


def test_lossy_codecs_get_no_delay(tmp_path: Path) -> None:
    sound = noise(N)
    for codec in LOSSY:
        path = write(tmp_path / f"x.{codec}", sound, sample_rate=RATE.get(codec, 44100))
        decoded = read(path)
        at_time = sdr_db(sound[:, 100:-100], decoded[:, 100 : N - 100])
        late: Block = decoded[:, 101 : N - 99]
        assert at_time > sdr_db(sound[:, 100:-100], late) + 3, codec
