import math

import pytest
import torch

from stemwise.errors import ShapeError
from stemwise.metrics import sdr, si_sdr


@pytest.fixture
def reference() -> torch.Tensor:
    return torch.randn(3, 2, 1000, generator=torch.Generator().manual_seed(1))


def noise_like(reference: torch.Tensor) -> torch.Tensor:
    """Noise of the reference's energy, orthogonal to it over both channels together."""
    noise = torch.randn(reference.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    reference = reference.double()
    noise -= reference * ((noise * reference).sum((-2, -1)) / reference.square().sum((-2, -1)))[:, None, None]
    return noise * (reference.square().sum((-2, -1)) / noise.square().sum((-2, -1))).sqrt()[:, None, None]


@pytest.mark.parametrize("level_db", [-20.0, 0.0, 7.0])
def test_noise_of_a_known_level_gives_that_ratio(reference: torch.Tensor, level_db: float) -> None:
    estimate = reference + noise_like(reference) * 10 ** (level_db / 20)
    assert sdr(reference.double(), estimate) == pytest.approx([-level_db] * 3, abs=1e-9)
    assert si_sdr(reference.double(), estimate) == pytest.approx([-level_db] * 3, abs=1e-9)


def test_a_wrong_gain_costs_sdr_but_no_si_sdr(reference: torch.Tensor) -> None:
    estimate = reference + 0.1 * noise_like(reference)
    assert si_sdr(reference.double(), -3 * estimate) == pytest.approx([20.0] * 3, abs=1e-9)
    assert sdr(reference, 0.5 * reference) == pytest.approx([20 * math.log10(2)] * 3, abs=1e-6)


def test_channels_are_one_signal_not_averaged_ratios() -> None:
    reference = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    estimate = torch.tensor([[3.0, 0.0], [0.0, 0.0]])  # right channel lost
    assert sdr(reference, estimate).item() == pytest.approx(10.0)


def test_silence_and_perfection_have_defined_results(reference: torch.Tensor) -> None:
    silence = torch.zeros_like(reference)
    assert sdr(silence, reference).isnan().all()
    assert sdr(silence, silence).isnan().all()
    assert si_sdr(silence, reference).isnan().all()
    assert (sdr(reference, reference) == math.inf).all()
    assert (sdr(reference, silence) == 0).all()
    assert si_sdr(reference, silence).isnan().all()


def test_the_softest_signals_lose_no_digits() -> None:
    reference = torch.full((1, 100_000), 1e-30)  # the square is below float32's range
    assert sdr(reference, reference * 0.9).item() == pytest.approx(20.0, abs=1e-3)


@pytest.mark.parametrize("metric", [sdr, si_sdr])
def test_shapes_must_agree_and_have_channels(metric) -> None:
    with pytest.raises(ShapeError, match=r"\(2, 9\) and estimate \(2, 10\)"):
        metric(torch.ones(2, 9), torch.ones(2, 10))
    with pytest.raises(ShapeError, match="channels, samples"):
        metric(torch.ones(9), torch.ones(9))
