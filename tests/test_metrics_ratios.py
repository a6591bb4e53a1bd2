import math

import pytest
import torch

from stemwise.errors import ShapeError
from stemwise.metrics import sdr, si_ratios, si_sdr


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


def stacked(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_interference_and_artefacts_are_the_two_parts_of_distortion() -> None:
    references = stacked(3, 2, 5000, seed=1)
    estimates = references + 0.3 * references.roll(1, 0) + 0.1 * stacked(3, 2, 5000, seed=2)
    found = si_ratios(references, estimates)
    whole = -10 * torch.log10(10 ** (-found.si_sir / 10) + 10 ** (-found.si_sar / 10))
    torch.testing.assert_close(whole, si_sdr(references, estimates))


def test_the_parts_are_those_that_were_put_in() -> None:
    energy = torch.eye(4, dtype=torch.float64).repeat_interleave(25, dim=1)[
        :, None
    ]  # four signals that never overlap
    references, artefact = energy[:3], energy[3:]
    estimates = 5 * (references + 0.1 * references.roll(1, 0) + 0.01 * artefact)
    found = si_ratios(references, estimates)
    assert found.si_sir.tolist() == pytest.approx([20.0] * 3)
    assert found.si_sar.tolist() == pytest.approx([40.0] * 3)


def test_references_without_an_estimate_interfere_and_silent_ones_explain_nothing() -> None:
    references = stacked(3, 2, 500, seed=1)
    estimates = references + references.roll(1, 0)
    alone = si_ratios(references, estimates[:1])
    torch.testing.assert_close(alone.si_sir, si_ratios(references, estimates).si_sir[:1])
    with_silence = si_ratios(torch.cat([references, torch.zeros(1, 2, 500)]), estimates)
    torch.testing.assert_close(with_silence.si_sir, si_ratios(references, estimates).si_sir)
    silent = si_ratios(torch.cat([torch.zeros(1, 2, 500), references]), estimates)
    assert silent.si_sir[0].isnan()


def test_long_songs_are_summed_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    signals = stacked(2, 2, 1000, seed=1), stacked(2, 2, 1000, seed=2)
    whole = si_ratios(*signals)
    monkeypatch.setattr("stemwise.metrics.ratios.PIECE_SAMPLES", 300)
    for ours, expected in zip(si_ratios(*signals), whole, strict=True):
        torch.testing.assert_close(ours, expected)


def test_a_perfect_estimate_has_no_distortion_worth_a_figure() -> None:
    references = stacked(2, 2, 1000, seed=1)
    assert (si_ratios(references, references).si_sar > 140).all()
