import numpy as np
import pytest

from sounds import noise, sdr_db
from stemwise.audio import round_trip
from stemwise.errors import ConfigError


@pytest.mark.parametrize("codec", ["mp3", "m4a", "opus"])
@pytest.mark.parametrize("sample_rate", [8000, 22_050, 44_100, 48_000])
def test_every_sample_stays_where_it_was(codec: str, sample_rate: int) -> None:
    given = noise(12_345)
    before = given.copy()
    heard = round_trip(given, codec=codec, sample_rate=sample_rate, bitrate=192_000)
    assert heard.shape == given.shape
    assert heard.dtype == np.float32
    assert sdr_db(given, heard) > 12
    for move in (-1, 1):
        assert sdr_db(np.roll(given, move, axis=1), heard) < sdr_db(given, heard) - 3
    np.testing.assert_array_equal(given, before)
    np.testing.assert_array_equal(
        heard, round_trip(given, codec=codec, sample_rate=sample_rate, bitrate=192_000)
    )


@pytest.mark.parametrize("codec", ["mp3", "m4a", "opus"])
@pytest.mark.parametrize("n_samples", [0, 1, 1151])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_any_length_comes_back(codec: str, n_samples: int, n_channels: int) -> None:
    given = noise(n_samples, n_channels=n_channels)
    heard = round_trip(given, codec=codec, sample_rate=44_100, bitrate=64_000)
    assert heard.shape == (n_channels, n_samples)
    assert np.isfinite(heard).all()


def test_a_lower_bitrate_is_heard() -> None:
    given = noise(30_000)
    low, high = (
        round_trip(given, codec="mp3", sample_rate=44_100, bitrate=rate) for rate in (32_000, 256_000)
    )
    assert sdr_db(given, high) > sdr_db(given, low) + 6


@pytest.mark.parametrize("codec", ["wav", "ogg", "wma", "mp4"])
def test_other_codecs_are_refused(codec: str) -> None:
    with pytest.raises(ConfigError, match="must be mp3, m4a or opus"):
        round_trip(noise(10), codec=codec, sample_rate=44_100, bitrate=64_000)
