import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sounds import band_limited, noise, sdr_db
from stemwise.audio import Resampler
from stemwise.audio.frames import Block
from stemwise.errors import ConfigError, ShapeError

RATES = [(44100, 48000), (48000, 44100), (44100, 16000), (96000, 44100), (8000, 44100), (44100, 192000)]


def resample(sound: Block, rate_in: int, rate_out: int, cuts: tuple[int, ...] = ()) -> Block:
    resampler = Resampler(rate_in, rate_out, len(sound))
    parts = [resampler.process(block) for block in np.split(sound, sorted(cuts), axis=1)]
    return np.concatenate([*parts, resampler.flush()], axis=1)


@pytest.mark.parametrize(("rate_in", "rate_out"), RATES)
@pytest.mark.parametrize("n_samples", [0, 1, 2, 15, 16, 40, 100, 300, 4097])
def test_length_is_that_of_the_input_rounded_up(rate_in: int, rate_out: int, n_samples: int) -> None:
    result = resample(noise(n_samples), rate_in, rate_out)
    assert result.shape == (2, -(-n_samples * rate_out // rate_in))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3000), max_size=12), st.sampled_from(RATES))
def test_division_into_blocks_changes_no_bit(cuts: list[int], rates: tuple[int, int]) -> None:
    sound = noise(3000)
    np.testing.assert_array_equal(resample(sound, *rates, tuple(cuts)), resample(sound, *rates))


def test_blocks_of_one_sample_are_enough() -> None:
    sound = noise(200, n_channels=1)
    cuts = tuple(range(1, 200))
    np.testing.assert_array_equal(resample(sound, 44100, 48000, cuts), resample(sound, 44100, 48000))


@pytest.mark.parametrize("rates", RATES)
def test_there_and_back_keeps_a_band_limited_sound(rates: tuple[int, int]) -> None:
    rate_in, rate_out = rates
    sound = band_limited(30_000, cutoff=0.4 * min(1, rate_out / rate_in))
    back = resample(resample(sound, rate_in, rate_out), rate_out, rate_in)[:, : sound.shape[1]]
    assert sdr_db(sound[:, 2000:-2000], back[:, 2000:-2000]) > 90


def test_a_sine_comes_out_at_its_time() -> None:
    time_in, time_out = np.arange(48000) / 48000, np.arange(44100) / 44100
    result = resample(np.sin(2 * np.pi * 1000 * time_in).astype(np.float32)[None], 48000, 44100)
    middle = slice(1000, -1000)
    phasor = (result[0] * np.exp(-2j * np.pi * 1000 * time_out))[middle].mean()
    delay_s = -(np.angle(phasor) + np.pi / 2) / (2 * np.pi * 1000)
    assert abs(delay_s * 44100) < 1e-3  # samples
    assert np.abs(result[0] - np.sin(2 * np.pi * 1000 * time_out))[middle].max() < 1e-4


def test_the_last_samples_do_not_fade() -> None:
    result = resample(np.full((1, 5000), 0.5, np.float32), 44100, 16000)  # it ends one sample early
    assert np.abs(result - 0.5).max() < 0.01


@pytest.mark.parametrize("n_channels", [1, 3, 8, 9, 16])
def test_channels_are_independent(n_channels: int) -> None:
    sound = noise(2000, n_channels=n_channels)
    alone = [resample(sound[i : i + 1], 44100, 48000) for i in range(n_channels)]
    np.testing.assert_array_equal(resample(sound, 44100, 48000), np.concatenate(alone))


def test_equal_rates_change_nothing() -> None:
    sound = noise(1000)
    np.testing.assert_array_equal(resample(sound, 44100, 44100, (10, 500)), sound)


def test_silly_arguments_are_refused() -> None:
    with pytest.raises(ConfigError, match="rate_out is 0: it must be at least 1"):
        Resampler(44100, 0, 2)
    with pytest.raises(ShapeError, match=r"shape \(1, 10\): it must be \(2, samples\)"):
        Resampler(44100, 48000, 2).process(noise(10, n_channels=1))
