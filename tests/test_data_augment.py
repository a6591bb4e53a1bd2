import numpy as np
import pytest
import torch

from stemwise.data import augment

N = 4096


def sine(cycles: float) -> torch.Tensor:
    return torch.sin(2 * torch.pi * cycles * torch.arange(N) / N).expand(2, N)


def generators(n: int = 30) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in range(n)]


def test_speed_moves_the_pitch() -> None:
    faster = augment.change_speed(sine(100), N // 2)
    assert faster.shape == (2, N // 2)
    assert torch.fft.rfft(faster[0]).abs().argmax() == 100  # as many cycles in half the time
    torch.testing.assert_close(augment.change_speed(sine(100), N), sine(100))


def test_gain_stays_in_its_range_and_takes_either_polarity() -> None:
    factors = [augment.gain(torch.ones(2, 1), rng, low_db=-6, high_db=6)[0, 0].item() for rng in generators()]
    assert 10 ** (-6 / 20) <= min(map(abs, factors)) < 0.8
    assert 1.25 < max(map(abs, factors)) <= 10 ** (6 / 20)
    assert {np.sign(factor) for factor in factors} == {-1, 1}


def test_tilt_goes_both_ways_and_at_most_as_far_as_it_says() -> None:
    impulse = torch.zeros(2, 64)
    impulse[:, 0] = 1
    slopes = []
    for rng in generators():
        response = torch.fft.rfft(augment.tilt(impulse, rng)[0]).abs()
        slopes.append(20 * torch.log10(response[-1] / response[0]).item())
        assert response.max() <= 1 + 1e-6
    assert -9.6 < min(slopes) < -3
    assert 3 < max(slopes) < 9.6


def test_reverb_adds_a_decaying_tail_of_the_stated_level_after_the_source() -> None:
    impulse = torch.zeros(2, 60_000)
    impulse[:, 100] = 1
    for rng in generators(5):
        added = augment.reverb(impulse, rng) - impulse
        assert added[:, :100].abs().max() < 1e-6
        level_db = 10 * torch.log10(added.square().sum(dim=1))
        assert ((level_db > -20.5) & (level_db < -5.5)).all()
        assert added[:, 100:4000].square().sum() > 1.5 * added[:, 8100:12_000].square().sum()
        assert added[:, 55_000:].square().mean() < 1e-3 * added[:, 100:2000].square().mean()
        assert not torch.allclose(added[0], added[1])  # a room is heard differently by each ear


def test_drive_flattens_the_tops_and_keeps_the_loudness() -> None:
    source = 0.01 * sine(100)
    crests = []
    for rng in generators():
        driven = augment.drive(source, rng)
        assert driven.square().mean().item() == pytest.approx(source.square().mean().item(), rel=1e-3)
        crests.append((driven.abs().max() / driven.square().mean().sqrt()).item())
    assert min(crests) < 1.1  # nearly a square wave
    assert 1.35 < max(crests) < 1.415  # nearly a sine
    silence = torch.zeros(2, 10)
    assert torch.equal(augment.drive(silence, np.random.default_rng(0)), silence)


def test_place_swaps_balances_and_joins_channels() -> None:
    source = torch.stack([torch.ones(8), 3 * torch.ones(8)])
    ratios = {
        round((placed[0, 0] / placed[1, 0]).item(), 3)
        for placed in (augment.place(source, rng) for rng in generators(60))
    }
    assert {0.333, 3.0, 1.0} <= ratios
    assert len(ratios) > 6


@pytest.mark.parametrize("change", [augment.tilt, augment.reverb, augment.drive, augment.place])
def test_changes_are_pure(change) -> None:
    source = torch.randn(2, 5000, generator=torch.Generator().manual_seed(0))
    before = source.clone()
    first = change(source, np.random.default_rng(3))
    assert torch.equal(source, before)
    assert torch.equal(first, change(source, np.random.default_rng(3)))
    assert first.shape == source.shape
    assert first.dtype == torch.float32
