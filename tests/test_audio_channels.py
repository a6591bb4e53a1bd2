from pathlib import Path

import numpy as np
import pytest
from av.audio.layout import AudioLayout

from sounds import noise, read, write_with_ffmpeg
from stemwise.audio import AudioReader
from stemwise.audio.channels import stereo_matrix

C = 0.5**0.5


@pytest.mark.parametrize(
    ("layout", "left", "right"),
    [
        ("5.1", [1, 0, C, 0, C, 0], [0, 1, C, 0, 0, C]),
        ("5.1(side)", [1, 0, C, 0, C, 0], [0, 1, C, 0, 0, C]),
        ("7.1", [1, 0, C, 0, C, 0, C, 0], [0, 1, C, 0, 0, C, 0, C]),
        ("quad", [1, 0, C, 0], [0, 1, 0, C]),
        ("4.0", [1, 0, C, 0.5], [0, 1, C, 0.5]),
        ("3.0", [1, 0, C], [0, 1, C]),
        ("2.1", [1, 0, 0], [0, 1, 0]),
    ],
)
def test_layouts_are_mixed_as_the_standard_says(layout: str, left: list[float], right: list[float]) -> None:
    names = [channel.name for channel in AudioLayout(layout).channels]
    np.testing.assert_allclose(stereo_matrix(names), [left, right], rtol=1e-6)


def test_channels_without_positions_count_as_the_usual_layout() -> None:
    five_one = [channel.name for channel in AudioLayout("5.1").channels]
    np.testing.assert_array_equal(stereo_matrix(["NONE"] * 6), stereo_matrix(five_one))


def test_what_has_no_layout_at_all_is_averaged() -> None:
    np.testing.assert_allclose(stereo_matrix(["NONE"] * 10), np.full((2, 10), 0.1))
    np.testing.assert_allclose(stereo_matrix([f"AMBI{i}" for i in range(4)]), np.full((2, 4), 0.25))


def test_reader_mixes_down_and_says_so(tmp_path: Path) -> None:
    sound = noise(50_000, n_channels=6)
    path = write_with_ffmpeg(tmp_path / "x.wav", sound, codec="pcm_f32le", container="wav", layout="5.1")
    with AudioReader(path) as reader:
        assert (reader.n_channels, reader.info.n_channels, reader.downmixed_from) == (2, 6, "5.1")
    left, right = read(path)
    front_left, front_right, centre, _, back_left, back_right = sound
    np.testing.assert_allclose(left, front_left + C * centre + C * back_left, atol=1e-6)
    np.testing.assert_allclose(right, front_right + C * centre + C * back_right, atol=1e-6)


@pytest.mark.parametrize(("codec", "container"), [("flac", "flac"), ("pcm_f32le", "wav"), ("aac", "mp4")])
def test_all_eight_channels_can_be_had(tmp_path: Path, codec: str, container: str) -> None:
    sound = noise(5000, n_channels=8)
    path = write_with_ffmpeg(tmp_path / "x", sound, codec=codec, container=container, layout="7.1")
    with AudioReader(path, downmix=False) as reader:
        assert (reader.n_channels, reader.downmixed_from) == (8, None)
    assert read(path, downmix=False).shape == (8, 5000)
    assert read(path, downmix=False, sample_rate=48000).shape == (8, -(-5000 * 480 // 441))


@pytest.mark.parametrize("n_channels", [1, 2])
def test_one_and_two_channels_stay(tmp_path: Path, n_channels: int) -> None:
    sound = noise(100, n_channels=n_channels)
    path = write_with_ffmpeg(tmp_path / "x.wav", sound, codec="pcm_f32le", container="wav")
    with AudioReader(path) as reader:
        assert (reader.n_channels, reader.downmixed_from) == (n_channels, None)
    np.testing.assert_array_equal(read(path), sound)
