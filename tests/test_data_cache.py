import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_files import files_below
from sounds import noise
from stemwise.audio import AudioReader
from stemwise.data import cache as cache_module
from stemwise.data.cache import Cache
from stemwise.data.tracks import StemFile
from stemwise.errors import ConfigError, DecodeError, EncodeError

RATE = 8000


def write(path: Path, sound: np.ndarray, *, sample_rate: int = RATE) -> StemFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound.T, sample_rate, subtype="FLOAT")
    return StemFile(path=path)


def sounds_in(folder: Path) -> list[str]:
    return [name for name in files_below(folder) if not name.startswith(".locks")]


def count_decodings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are decoded from now on, in order."""
    seen: list[str] = []
    blocks = AudioReader.blocks

    def counted(reader: AudioReader) -> object:
        seen.append(Path(reader.name).name)
        return blocks(reader)

    monkeypatch.setattr(AudioReader, "blocks", counted)
    return seen


@pytest.mark.parametrize("n_samples", [0, 1, 20_001])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_any_length_comes_back_read_only_in_half_precision(
    tmp_path: Path, n_samples: int, n_channels: int
) -> None:
    sound = noise(n_samples, n_channels=n_channels)
    file = write(tmp_path / "x.wav", sound)
    (samples,) = Cache(tmp_path / "cache", sample_rate=RATE).load([file])
    np.testing.assert_array_equal(samples, np.broadcast_to(sound, (2, n_samples)).astype(np.float16))
    assert not samples.flags.writeable


def test_a_sound_is_decoded_once_until_its_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = count_decodings(monkeypatch)
    file, folder = write(tmp_path / "x.wav", noise(500)), tmp_path / "deep" / "cache"
    for _ in range(2):
        Cache(folder, sample_rate=RATE).load([file])
    assert decoded == ["x.wav"]
    write(file.path, -noise(500))
    os.utime(file.path, ns=(1, 1))
    (samples,) = Cache(folder, sample_rate=RATE).load([file])
    np.testing.assert_array_equal(samples, -noise(500).astype(np.float16))
    write(file.path, noise(501))
    os.utime(file.path, ns=(1, 1))
    (samples,) = Cache(folder, sample_rate=RATE).load([file])
    assert samples.shape == (2, 501)


def test_parts_and_sample_rates_are_kept_apart(tmp_path: Path) -> None:
    sound = noise(2 * RATE)
    whole = write(tmp_path / "x.wav", sound)
    part = StemFile(path=whole.path, start_s=0.5, duration_s=1.0)
    folder = tmp_path / "cache"
    first, second = Cache(folder, sample_rate=RATE).load([whole, part])
    np.testing.assert_array_equal(second, first[:, RATE // 2 : RATE // 2 + RATE])
    (halved,) = Cache(folder, sample_rate=RATE // 2).load([whole])
    assert halved.shape == (2, RATE)


@pytest.mark.parametrize("n_left", [0, 5, 127, 128, 1000])
def test_a_cached_file_that_was_cut_off_is_made_again(tmp_path: Path, n_left: int) -> None:
    file, folder = write(tmp_path / "x.wav", noise(500)), tmp_path / "cache"
    Cache(folder, sample_rate=RATE).load([file])
    (cached,) = folder.glob("*.npy")
    cached.write_bytes(cached.read_bytes()[:n_left])
    (samples,) = Cache(folder, sample_rate=RATE).load([file])
    np.testing.assert_array_equal(samples, noise(500).astype(np.float16))


def test_what_a_crash_left_behind_does_no_harm_and_is_cleared_away(tmp_path: Path) -> None:
    file, folder = write(tmp_path / "x.wav", noise(500)), tmp_path / "cache"
    code = (
        "import os, sys; from pathlib import Path; from stemwise.audio import AudioReader;"
        "from stemwise.data.cache import Cache; from stemwise.data.tracks import StemFile;"
        "blocks = AudioReader.blocks;"
        "AudioReader.blocks = lambda reader: (os._exit(9) if block is None else block"
        " for block in [*blocks(reader), None]);"
        f"Cache(Path(sys.argv[2]), sample_rate={RATE}).load([StemFile(path=Path(sys.argv[1]))])"
    )
    died = subprocess.run([sys.executable, "-c", code, str(file.path), str(folder)], check=False)
    assert died.returncode == 9
    assert [Path(name).suffix for name in sounds_in(folder)] == [".part"]
    (samples,) = Cache(folder, sample_rate=RATE).load([file])
    np.testing.assert_array_equal(samples, noise(500).astype(np.float16))
    assert [Path(name).suffix for name in sounds_in(folder)] == [".npy"]


def test_two_at_once_decode_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = count_decodings(monkeypatch)
    write_all = Cache._write

    def slowly(self: Cache, *arguments: object) -> None:
        time.sleep(0.3)
        write_all(self, *arguments)

    monkeypatch.setattr(Cache, "_write", slowly)
    file, folder = write(tmp_path / "x.wav", noise(500)), tmp_path / "cache"
    results: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: results.extend(Cache(folder, sample_rate=RATE).load([file])))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert decoded == ["x.wav"]
    for samples in results:
        np.testing.assert_array_equal(samples, noise(500).astype(np.float16))
    assert len(results) == 2


def test_a_full_disk_is_an_error_that_says_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(target: object, n_samples: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache_module, "_write_header", full)
    file, folder = write(tmp_path / "x.wav", noise(500)), tmp_path / "cache"
    message = r"the cache .*cache cannot be written: No space left .*\(a minute of sound takes 1\.9 MB\)"
    with pytest.raises(EncodeError, match=message):
        Cache(folder, sample_rate=RATE).load([file])
    assert sounds_in(folder) == []


@pytest.mark.skipif(sys.platform != "linux", reason="counts what Linux shows in /proc")
def test_sounds_are_mapped_and_none_keeps_its_file_open(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{n}.wav", np.zeros((2, 5000), np.float32)) for n in range(20)]
    cache = Cache(tmp_path / "cache", sample_rate=RATE)
    before = len(os.listdir("/proc/self/fd"))
    sounds = cache.load(files)
    assert len(os.listdir("/proc/self/fd")) < before + len(sounds)
    mapped = Path("/proc/self/maps").read_text()
    assert all(str(cached) in mapped for cached in cache.folder.glob("*.npy"))


def test_a_cached_file_that_cannot_be_read_is_no_error_of_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    file, folder = write(tmp_path / "x.wav", noise(500)), tmp_path / "cache"
    monkeypatch.setattr(cache_module.np.lib.format, "read_magic", refused)
    with pytest.raises(DecodeError, match=r"cache.*\.npy: cannot be read: Permission denied"):
        Cache(folder, sample_rate=RATE).load([file])


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EncodeError, match=r"the cache .*file cannot be written"):
        Cache(tmp_path / "file", sample_rate=RATE).load([])
    with pytest.raises(ConfigError, match="sample_rate is 0"):
        Cache(tmp_path, sample_rate=0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e5])
def test_what_half_precision_cannot_hold_is_an_error(tmp_path: Path, value: float) -> None:
    sound = noise(3 * RATE)
    sound[1, 2 * RATE + 5] = value
    file = write(tmp_path / "x.wav", sound)
    with pytest.raises(DecodeError, match=r"x\.wav: holds NaN, infinity or a value above 65504 near 2 s"):
        Cache(tmp_path / "cache", sample_rate=RATE).load([file])
    assert sounds_in(tmp_path / "cache") == []


def test_what_is_no_sound_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "vocals.wav").write_bytes(b"no sound at all")
    for name, reason in (("vocals.wav", "not an audio"), ("nowhere.wav", "No such file")):
        with pytest.raises(DecodeError, match=rf"{name}.*{reason}"):
            Cache(tmp_path / "cache", sample_rate=RATE).load([StemFile(path=tmp_path / name)])
    assert sounds_in(tmp_path / "cache") == []


def test_long_files_are_decoded_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing larger than two seconds passes through memory."""
    largest = []
    empty = np.empty

    def measured(shape: tuple[int, ...], *arguments: object) -> np.ndarray:
        largest.append(shape[0])
        return empty(shape, *arguments)

    monkeypatch.setattr(cache_module.np, "empty", measured)
    file = write(tmp_path / "x.wav", np.zeros((2, 60 * RATE), np.float32))
    (samples,) = Cache(tmp_path / "cache", sample_rate=RATE).load([file])
    assert samples.shape == (2, 60 * RATE)
    assert max(largest) <= 2 * RATE
