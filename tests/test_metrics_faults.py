import math

import pytest
import torch
from torch import Tensor

from stemwise.errors import ShapeError
from stemwise.metrics import faults

RATE = 44100
SECONDS = 4


def noise(seed: int, n_samples: int = SECONDS * RATE) -> Tensor:
    return torch.randn(2, n_samples, generator=torch.Generator().manual_seed(seed))


def sparse(signal: Tensor) -> Tensor:
    """One in twenty of its bins."""
    window = torch.hann_window(2048)
    spectrum = torch.stft(signal, 2048, 512, window=window, return_complex=True)
    kept = torch.rand(spectrum.shape, generator=torch.Generator().manual_seed(2)) < 0.05
    return torch.istft(spectrum * kept, 2048, 512, window=window, length=signal.shape[-1])


@pytest.fixture
def hits() -> Tensor:
    """One a second, 60 ms each, digital silence between."""
    samples = torch.arange(RATE)
    decay = torch.exp(-samples / (0.01 * RATE)) * (samples < 0.06 * RATE)
    return 0.5 * noise(0) * decay.repeat(SECONDS).roll(RATE // 2)


@pytest.fixture
def others() -> Tensor:
    return 0.1 * noise(1)


@pytest.mark.parametrize("gain", [1.0, 0.5, 0.1])
def test_bleed_is_the_level_of_the_others_where_they_play_alone(
    hits: Tensor, others: Tensor, gain: float
) -> None:
    found = faults(hits, hits + gain * others, hits + others, sample_rate=RATE)
    assert found.bleed.item() == pytest.approx(20 * math.log10(gain), abs=0.2)
    assert found.musical_noise.item() == pytest.approx(0, abs=0.05)  # softer, not otherwise


def test_bins_left_standing_are_musical_noise(hits: Tensor, others: Tensor) -> None:
    found = faults(hits, hits + sparse(others), hits + others, sample_rate=RATE)
    assert found.musical_noise > 0.5
    assert found.bleed < -10


def test_musical_noise_is_measured_where_the_others_are_alone(others: Tensor) -> None:
    plays = torch.arange(others.shape[-1]) < 3 * RATE
    reference = noise(3) * plays
    estimate = torch.where(plays, sparse(reference), 0.5 * others)
    assert faults(reference, estimate, reference + others, sample_rate=RATE).musical_noise.abs() < 0.1


def test_smear_is_what_attacks_lost(hits: Tensor, others: Tensor) -> None:
    found = faults(hits, hits, hits + others, sample_rate=RATE)
    assert found.smear.item() == 0
    early = hits + 0.1 * hits.roll(-round(0.015 * RATE), dims=-1)  # 15 ms before each hit, 20 dB softer
    late = hits + 0.1 * hits.roll(round(0.015 * RATE), dims=-1)
    assert faults(hits, early, hits + others, sample_rate=RATE).smear > 20
    assert faults(hits, late, hits + others, sample_rate=RATE).smear.abs() < 1


def test_there_is_no_figure_where_there_is_no_opportunity(others: Tensor) -> None:
    alone = faults(others, others, others, sample_rate=RATE)
    assert alone.bleed.isnan()
    assert alone.musical_noise.isnan()
    assert alone.smear.isnan()  # noise has no attacks
    assert all(value.isnan() for value in faults(*[torch.zeros(2, 1)] * 3, sample_rate=RATE))
    silent = faults(others, torch.zeros_like(others), others + noise(2), sample_rate=RATE)
    assert silent.bleed == -math.inf
    assert silent.musical_noise.isnan()


def test_shapes_must_agree() -> None:
    with pytest.raises(ShapeError, match=r"\(2, 9\), \(2, 8\)"):
        faults(torch.ones(2, 9), torch.ones(2, 8), torch.ones(2, 9), sample_rate=RATE)
    with pytest.raises(ShapeError, match="at least one sample"):
        faults(torch.ones(2, 0), torch.ones(2, 0), torch.ones(2, 0), sample_rate=RATE)
