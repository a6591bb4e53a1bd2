import numpy as np
import pytest

from sounds import noise
from stemwise.data.alignment import PIECE, Alignment


def lag(reference: np.ndarray, other: np.ndarray) -> int | None:
    alignment = Alignment()
    for start in range(0, reference.shape[1], PIECE):
        alignment.add(reference[:, start : start + PIECE], other[:, start : start + PIECE])
    return alignment.lag()


@pytest.mark.parametrize("shift", [0, 1, -1, 1234, -100_000])
def test_finds_the_lag_below_other_sound_and_codec_noise(shift: int) -> None:
    common, rest = noise(PIECE + 70_000, seed=1), noise(PIECE + 70_000, seed=2)
    reference = common + 2 * rest
    other = np.roll(common, shift, axis=1) + 0.1 * noise(common.shape[1], seed=3)
    assert lag(reference, other) == shift
    assert lag(reference, -other) == shift


def test_silence_in_front_does_not_hide_what_follows() -> None:
    silence = np.zeros((2, 12 * PIECE), np.float32)
    common = np.concatenate([silence, noise(PIECE, seed=1)], axis=1)
    assert lag(common, np.roll(common, 77, axis=1)) == 77


def test_of_sounds_that_have_nothing_in_common_it_says_so() -> None:
    assert lag(noise(PIECE, seed=1), noise(PIECE, seed=2)) is None
    assert lag(noise(PIECE, seed=1), np.zeros((2, PIECE), np.float32)) is None
    assert Alignment().lag() is None
