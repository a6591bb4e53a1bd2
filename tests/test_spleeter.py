import inspect
from pathlib import Path

import numpy as np
import pytest
import torch

from audio_files import files_below, read_wav, write_wav
from conftest import song
from random_models import spleeter_like
from stemwise import spleeter
from stemwise.errors import ConfigError, ShapeError
from stemwise.separate import Separator as Engine

TWO = ["song/accompaniment.wav", "song/vocals.wav"]


@pytest.fixture
def separator(monkeypatch: pytest.MonkeyPatch) -> spleeter.Separator:
    monkeypatch.setattr(spleeter, "load_model", lambda name, **_: spleeter_like())
    return spleeter.Separator("spleeter:2stems")


def test_signatures_are_the_originals() -> None:
    assert list(inspect.signature(spleeter.Separator).parameters) == [
        "params_descriptor",
        "MWF",
        "multiprocess",
    ]
    expected = (
        "audio_descriptor destination audio_adapter offset duration codec bitrate filename_format synchronous"
    )
    assert list(inspect.signature(spleeter.Separator.separate_to_file).parameters)[1:] == expected.split()
    expected = "sources audio_descriptor destination filename_format codec audio_adapter bitrate synchronous"
    assert list(inspect.signature(spleeter.Separator.save_to_file).parameters)[1:] == expected.split()


def test_arrays_are_samples_by_channels_and_agree_with_the_engine(separator: spleeter.Separator) -> None:
    mixture = song(30_000)
    stems = separator.separate(mixture.T.numpy())
    expected = Engine(spleeter_like(), precision="float32").separate(mixture, 44100)
    assert list(stems) == ["vocals", "accompaniment"]
    for name, stem in stems.items():
        assert stem.shape == (30_000, 2)
        assert stem.dtype == np.float32
        np.testing.assert_array_equal(stem.T, expected[name].numpy())


def test_mono_is_doubled_and_only_two_channels_are_taken(separator: spleeter.Separator) -> None:
    six = song(5000, n_channels=6).T.numpy()
    one, two = separator.separate(six[:, :1]), separator.separate(np.repeat(six[:, :1], 2, axis=1))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert all(
        np.array_equal(stem, separator.separate(six[:, :2])[name])
        for name, stem in separator.separate(six).items()
    )
    assert separator.separate(six[:0])["vocals"].shape == (0, 2)
    with pytest.raises(ShapeError, match=r"\(samples, channels\)"):
        separator.separate(six[:, 0])


def test_files(separator: spleeter.Separator, tmp_path: Path) -> None:
    source = write_wav(tmp_path / "song.wav", song(20_000, sample_rate=22050, n_channels=1), 22050)
    separator.separate_to_file(str(source), str(tmp_path / "out"), synchronous=False)
    separator.join()
    assert files_below(tmp_path / "out") == TWO
    stem, rate = read_wav(tmp_path / "out" / TWO[0])
    assert (stem.shape, rate) == ((2, 40_000), 44100)


def test_arrays_can_be_saved(separator: spleeter.Separator, tmp_path: Path) -> None:
    sources = {name: 0.5 * torch.ones(100, 2).numpy() for name in ("vocals", "accompaniment")}
    separator.save_to_file(sources, "song.mp3", tmp_path)
    assert files_below(tmp_path) == TWO
    torch.testing.assert_close(read_wav(tmp_path / TWO[0])[0], 0.5 * torch.ones(2, 100))


def test_adapters_are_refused(separator: spleeter.Separator, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="audio_adapter"):
        separator.separate_to_file("song.wav", tmp_path, audio_adapter=object())  # type: ignore[arg-type]


def test_one_file_for_two_stems_is_refused(separator: spleeter.Separator, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="share a file"):
        separator.separate_to_file("song.wav", tmp_path, filename_format="{filename}.{codec}")
