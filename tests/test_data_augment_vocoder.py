import math

import pytest
import torch

from stemwise.data.augment import vocoder

RATE = 44_100


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sine(hz: float, n_samples: int = RATE, sample_rate: int = RATE) -> torch.Tensor:
    return torch.sin(2 * math.pi * hz * torch.arange(n_samples, dtype=torch.float64) / sample_rate).float()


def frequency(sound: torch.Tensor, sample_rate: int = RATE) -> float:
    """The peak of the spectrum, Hz, by a parabola through its logarithm."""
    levels = torch.fft.rfft(sound * torch.hann_window(len(sound))).abs().log()
    k = int(levels.argmax())
    left, middle, right = levels[k - 1 : k + 2].tolist()
    return (k + 0.5 * (left - right) / (left - 2 * middle + right)) * sample_rate / len(sound)


def stems(n_samples: int = RATE) -> torch.Tensor:
    """A tone in both channels, one that is louder in the right, noise: `(1, 3, 2, samples)`."""
    tone = sine(440, n_samples).expand(2, n_samples)
    other = sine(1234, n_samples) * torch.tensor([[0.3], [0.7]])
    noise = 0.1 * torch.randn(2, n_samples, generator=seeded())
    return torch.stack([tone, other, noise])[None]


@pytest.mark.parametrize("factor", [0.7, 1.2, 1.3])
@pytest.mark.parametrize("sample_rate", [8000, RATE])
def test_a_stretched_sine_keeps_pitch_and_level_and_lasts_longer(factor: float, sample_rate: int) -> None:
    tone = sine(440, sample_rate, sample_rate).expand(1, 1, 2, sample_rate)
    length = round(factor * sample_rate)
    stretched = vocoder.time_stretch(tone, torch.tensor([factor]), length, sample_rate=sample_rate)
    assert stretched.shape == (1, 1, 2, length)
    left = stretched[0, 0, 0]
    assert frequency(left, sample_rate) == pytest.approx(440, abs=0.2)
    envelope = left[: length // 100 * 100].unflatten(0, (100, -1)).square().mean(dim=1)
    assert (10 * torch.log10(envelope / 0.5)).abs()[2:-2].max() < 0.5  # dB


def test_a_shifted_sine_is_three_semitones_higher_and_lasts_as_long() -> None:
    shifted = vocoder.pitch_shift(stems(), torch.tensor([2 ** (3 / 12)]), sample_rate=RATE)
    assert shifted.shape == (1, 3, 2, RATE)
    assert frequency(shifted[0, 0, 0]) == pytest.approx(523.25, abs=0.3)
    assert frequency(shifted[0, 1, 1]) == pytest.approx(1234 * 2**0.25, abs=0.3)
    middle = shifted[0, 0, 0, 4000:-4000]
    assert middle.square().mean().item() == pytest.approx(0.5, rel=0.02)


def test_time_moves_about_the_middle() -> None:
    """Clicks at equal distances, some of them pushed out."""
    n = 20_000
    clicks = torch.zeros(1, 1, 1, n)
    clicks[..., [2000, 6000, 10_000, 14_000, 18_000]] = 1
    stretched = vocoder.time_stretch(clicks, torch.tensor([1.25]), n, sample_rate=RATE)[0, 0, 0]
    expected = [n // 2 + int(1.25 * (place - n // 2)) for place in (2000, 6000, 10_000, 14_000, 18_000)]
    assert expected[0] == 0
    for place in expected[1:-1]:
        around = stretched[place - 1500 : place + 1500].square()
        mean = (around * torch.arange(-1500, 1500)).sum() / around.sum()
        assert abs(mean) < 60  # samples: 1.4 ms
    shorter = vocoder.time_stretch(clicks, torch.tensor([0.5]), n, sample_rate=RATE)[0, 0, 0]
    assert shorter[: n // 4 - 2048].abs().max() == 0
    assert shorter[-n // 4 + 2048 :].abs().max() == 0


@pytest.mark.parametrize("change", [vocoder.tempo, vocoder.pitch])
def test_stems_processed_together_sum_to_the_processed_mixture(change) -> None:
    given = stems()
    mixture = given.sum(dim=1, keepdim=True)
    changed = change(given, seeded(4), sample_rate=RATE, p=1.0)
    whole = change(mixture, seeded(4), sample_rate=RATE, p=1.0)
    torch.testing.assert_close(changed.sum(dim=1), whole[:, 0], atol=2e-5, rtol=0)
    assert not torch.allclose(whole, mixture, atol=0.1)


def test_both_channels_keep_their_places() -> None:
    changed = vocoder.time_stretch(stems(), torch.tensor([1.1]), RATE, sample_rate=RATE)[0]
    torch.testing.assert_close(changed[0, 0], changed[0, 1])
    torch.testing.assert_close(0.7 * changed[1, 0], 0.3 * changed[1, 1], atol=1e-5, rtol=0)


def test_channels_of_opposite_polarity_are_heard_too() -> None:
    """Their sum is silent, from which no phases could be had."""
    tone = sine(440)
    stretched = vocoder.time_stretch(
        torch.stack([tone, -tone])[None, None], torch.tensor([1.2]), RATE, sample_rate=RATE
    )
    assert frequency(stretched[0, 0, 0]) == pytest.approx(440, abs=0.2)
    assert stretched[0, 0, 0, 4000:-4000].square().mean().item() == pytest.approx(0.5, rel=0.02)


def test_a_factor_of_one_changes_nothing() -> None:
    given = stems(10_000)
    one = torch.ones(1)
    for same in (
        vocoder.time_stretch(given, one, 10_000, sample_rate=RATE),
        vocoder.pitch_shift(given, one, sample_rate=RATE),
    ):
        torch.testing.assert_close(same, given, atol=1e-5, rtol=0)


def test_a_batch_is_changed_as_its_examples_are() -> None:
    given = torch.cat([stems(9000), 0.1 * stems(9000).flip(-1), stems(9000).roll(500, -1)])
    factors = torch.tensor([0.9, 1.0, 1.12])
    stretched = vocoder.time_stretch(given, factors, 9000, sample_rate=RATE)
    shifted = vocoder.pitch_shift(given, factors, sample_rate=RATE)
    for i in range(3):
        one, factor = given[i : i + 1], factors[i : i + 1]
        single = vocoder.time_stretch(one, factor, 9000, sample_rate=RATE)
        torch.testing.assert_close(stretched[i : i + 1], single, atol=1e-5, rtol=0)
        torch.testing.assert_close(
            shifted[i : i + 1], vocoder.pitch_shift(one, factor, sample_rate=RATE), atol=1e-5, rtol=0
        )


def test_onsets_stay_sharp() -> None:
    """Decaying bursts of noise: without phase locking their peaks sink by a third and more."""
    n = 40_000
    burst = torch.randn(n, generator=seeded()) * torch.exp(-(torch.arange(n) % 8000) / 400)
    given = burst.expand(1, 1, 2, n)
    stretched = vocoder.time_stretch(given, torch.tensor([1.12]), n, sample_rate=RATE)

    def crest(sound: torch.Tensor) -> float:
        return (sound.abs().amax() / sound.square().mean().sqrt()).item()

    assert crest(stretched) > 0.8 * crest(given)


def test_the_range_of_tempo_is_twelve_percent_either_way() -> None:
    """The distance of two clicks."""
    n = 40_000
    given = torch.zeros(40, 1, 1, n)
    given[..., [8000, 32_000]] = 1
    changed = vocoder.tempo(given, seeded(), sample_rate=RATE, p=1.0)[:, 0, 0].square()
    halves = changed.unflatten(1, (2, n // 2))
    places = (halves * torch.arange(n // 2)).sum(dim=2) / halves.sum(dim=2)
    factors = (places[:, 1] + n // 2 - places[:, 0]) / 24_000
    assert 0.875 < factors.min() < 0.9
    assert 1.1 < factors.max() < 1.125


def test_the_range_of_pitch_is_three_semitones_either_way() -> None:
    shifted = vocoder.pitch(sine(440, 8000).expand(40, 1, 1, 8000), seeded(), sample_rate=RATE, p=1.0)
    semitones = [12 * math.log2(frequency(one[0, 0, 1000:-1000]) / 440) for one in shifted]
    assert -3.05 < min(semitones) < -2.5
    assert 2.5 < max(semitones) < 3.05
