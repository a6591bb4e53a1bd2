import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stemwise.data.tracks import Track, decode_all, find_tracks, read_sources, read_stereo
from stemwise.errors import ConfigError, DecodeError

STEMS = ("vocals", "drums", "bass", "other")
RATE = 8000


def write(path: Path, samples: np.ndarray, sample_rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, sample_rate, subtype="FLOAT" if path.suffix == ".wav" else None)
    return path


def noise(n_samples: int, n_channels: int = 2) -> np.ndarray:
    return np.random.default_rng(n_samples).uniform(-0.5, 0.5, (n_samples, n_channels)).astype(np.float32)


def test_songs_are_found_by_name_with_the_stems_that_they_have(tmp_path: Path) -> None:
    vocals = write(tmp_path / "b" / "vocals.wav", noise(10))
    both = write(tmp_path / "b" / "bass_and_other.flac", noise(10))
    drums = write(tmp_path / "a" / "drums.wav", noise(10))
    write(tmp_path / "a" / "cover.wav", noise(10))
    (tmp_path / "empty").mkdir()
    write(tmp_path / "loose.wav", noise(10))
    assert find_tracks(tmp_path, STEMS) == [
        Track(name="a", files={"drums": drums}),
        Track(name="b", files={"bass_and_other": both, "vocals": vocals}),
    ]


def test_a_folder_without_songs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no songs: it must hold folders with files named vocals"):
        find_tracks(tmp_path, STEMS)
    with pytest.raises(ConfigError, match="is no folder"):
        find_tracks(tmp_path / "nowhere", STEMS)


def test_two_files_of_one_stem_are_an_error(tmp_path: Path) -> None:
    write(tmp_path / "a" / "drums.wav", noise(10))
    write(tmp_path / "a" / "drums.flac", noise(10))
    with pytest.raises(ConfigError, match=r"drums.flac and drums.wav"):
        find_tracks(tmp_path, STEMS)


def test_mono_becomes_two_equal_channels_and_the_sample_rate_is_the_wanted_one(tmp_path: Path) -> None:
    samples = noise(1000, n_channels=1)
    mono = write(tmp_path / "mono.wav", samples)
    stereo = read_stereo(mono, sample_rate=RATE)
    np.testing.assert_array_equal(stereo, np.repeat(samples.T, 2, axis=0))
    assert read_stereo(mono, sample_rate=2 * RATE).shape == (2, 2000)


def test_shorter_stems_are_filled_up_with_silence(tmp_path: Path) -> None:
    files = {
        "vocals": write(tmp_path / "vocals.wav", noise(70)),
        "bass": write(tmp_path / "bass.wav", noise(100)),
    }
    sources = read_sources(Track(name="song", files=files), sample_rate=RATE)
    assert {stem: source.shape for stem, source in sources.items()} == {"vocals": (2, 100), "bass": (2, 100)}
    np.testing.assert_array_equal(sources["vocals"][:, :70], noise(70).T)
    assert not sources["vocals"][:, 70:].any()


def test_decoding_is_close_kept_and_redone_when_the_file_changes(tmp_path: Path) -> None:
    path, cache = write(tmp_path / "x.wav", noise(500)), tmp_path / "deep" / "cache"
    for _ in range(2):
        (samples,) = decode_all([path], sample_rate=RATE, cache=cache)
        assert samples.dtype == np.float16
        np.testing.assert_allclose(samples, noise(500).T, rtol=5e-4, atol=1e-7)
        assert len(list(cache.iterdir())) == 1
    write(path, -noise(500))
    os.utime(path, ns=(1, 1))
    (samples,) = decode_all([path], sample_rate=RATE, cache=cache)
    np.testing.assert_allclose(samples, -noise(500).T, rtol=5e-4, atol=1e-7)


def test_what_is_no_sound_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "vocals.wav"
    path.write_bytes(b"no sound at all")
    with pytest.raises(DecodeError, match=r"vocals\.wav"):
        decode_all([path], sample_rate=RATE, cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
