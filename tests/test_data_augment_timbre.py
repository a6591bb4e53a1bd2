import pytest
import torch

from stemwise.data.augment import timbre

N = 4096
RATE = 44_100


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sine(cycles: float) -> torch.Tensor:
    return torch.sin(2 * torch.pi * cycles * torch.arange(N) / N).expand(2, N)


def test_speed_moves_the_pitch() -> None:
    faster = timbre.change_speed(sine(100), N // 2)
    assert faster.shape == (2, N // 2)
    assert torch.fft.rfft(faster[0]).abs().argmax() == 100  # as many cycles in half the time
    assert torch.equal(timbre.change_speed(sine(100), N), sine(100))


def test_gain_stays_in_its_range_and_takes_either_polarity() -> None:
    factors = timbre.gain(torch.ones(1000, 2, 1), seeded(), low_db=-6, high_db=6)
    assert torch.equal(factors[:, 0], factors[:, 1])
    assert 10 ** (-6 / 20) <= factors.abs().min() < 0.505
    assert 1.98 < factors.abs().max() <= 10 ** (6 / 20)
    assert (factors > 0).float().mean().item() == pytest.approx(0.5, abs=0.05)
    levels = factors.abs().log10()
    assert levels.mean().abs() < 0.02  # even in dB


def test_tilt_goes_both_ways_and_at_most_as_far_as_it_says() -> None:
    impulses = torch.zeros(100, 2, 64)
    impulses[:, :, 0] = 1
    responses = torch.fft.rfft(timbre.tilt(impulses, seeded())[:, 0]).abs()
    slopes = 20 * torch.log10(responses[:, -1] / responses[:, 0])
    assert responses.max() <= 1 + 1e-6
    assert -9.6 < slopes.min() < -8.5
    assert 8.5 < slopes.max() < 9.6


@pytest.mark.parametrize("sample_rate", [RATE, 22_050])
def test_reverb_adds_a_decaying_tail_of_the_stated_level_after_the_source(sample_rate: int) -> None:
    impulse = torch.zeros(2, 60_000 * sample_rate // RATE)
    impulse[:, 100] = 1
    levels = []
    for seed in range(20):
        added = timbre.reverb(impulse, seeded(seed), sample_rate=sample_rate) - impulse
        assert added[:, :100].abs().max() < 1e-6
        level_db = 10 * torch.log10(added.square().sum(dim=1))
        assert ((level_db > -20.5) & (level_db < -5.5)).all()
        levels.append(level_db.mean().item())
        tail = added[:, 100:].square().sum(dim=0)
        lasts = int((tail > 1e-12).nonzero().max())
        assert 0.19 * sample_rate < lasts < 1.2 * sample_rate
        first, last = tail[: lasts // 10].mean(), tail[lasts - lasts // 10 : lasts].mean()
        assert 10 * torch.log10(first / last).item() == pytest.approx(54, abs=5)  # 60 dB from end to end
        assert not torch.allclose(added[0], added[1])  # a room is heard differently by each ear
    assert max(levels) - min(levels) > 8


def test_each_source_of_a_batch_gets_a_room_of_its_own() -> None:
    impulses = torch.zeros(3, 4, 2, 10_000)
    impulses[..., 0] = 1
    tails = timbre.reverb(impulses, seeded(), sample_rate=8000)[..., 1:].reshape(24, -1)
    levels_db = 10 * torch.log10(tails.square().sum(dim=1))
    assert levels_db.max() - levels_db.min() > 3
    lasts = [int((tail.abs() > 1e-5).nonzero().max()) for tail in tails[::2]]
    assert min(lasts) < 4000 < 7000 < max(lasts)


def test_drive_flattens_the_tops_and_keeps_the_loudness() -> None:
    source = (0.01 * sine(100)).expand(100, 2, N)
    driven = timbre.drive(source, seeded())
    torch.testing.assert_close(
        driven.square().mean(dim=(1, 2)), source.square().mean(dim=(1, 2)), rtol=1e-3, atol=0
    )
    crests = driven.abs().amax(dim=(1, 2)) / driven.square().mean(dim=(1, 2)).sqrt()
    assert crests.min() < 1.1  # nearly a square wave
    assert 1.35 < crests.max() < 1.415  # nearly a sine
    silence = torch.zeros(2, 10)
    assert torch.equal(timbre.drive(silence, seeded()), silence)


def test_place_swaps_balances_and_joins_channels() -> None:
    source = torch.stack([torch.ones(8), 3 * torch.ones(8)]).expand(3000, 2, 8)
    placed = timbre.place(source, seeded())[:, :, 0]
    ratios_db = 20 * torch.log10(placed[:, 0] / placed[:, 1])
    centred = [(ratios_db - level).abs() < 0.01 for level in (-9.5424, 9.5424, 0)]
    shares = [share.float().mean().item() for share in centred]
    assert shares == pytest.approx([5 / 18, 5 / 18, 1 / 9], abs=0.03)
    moved = ratios_db[~(centred[0] | centred[1] | centred[2])]
    assert moved.abs().max() <= 9.55 + 8
    assert moved.abs().max() > 9.5 + 7


@pytest.mark.parametrize("change", [timbre.tilt, timbre.reverb, timbre.drive, timbre.place])
def test_changes_are_pure(change) -> None:
    options = {"sample_rate": RATE} if change is timbre.reverb else {}
    source = torch.randn(2, 5000, generator=seeded())
    before = source.clone()
    first = change(source, seeded(3), **options)
    assert torch.equal(source, before)
    assert torch.equal(first, change(source, seeded(3), **options))
    assert first.shape == source.shape
    assert first.dtype == torch.float32
