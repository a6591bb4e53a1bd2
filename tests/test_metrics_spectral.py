import pytest
import torch

from stemwise.errors import ShapeError
from stemwise.metrics import bleeding
from stemwise.metrics.spectral import mel_filters

RATE = 44100


@pytest.fixture
def noise() -> torch.Tensor:
    return 0.1 * torch.randn(2, RATE, generator=torch.Generator().manual_seed(0))


def test_the_reference_itself_has_all_of_both(noise: torch.Tensor) -> None:
    found = bleeding(noise, noise, sample_rate=RATE)
    assert (found.bleedless.item(), found.fullness.item()) == (100, 100)


def test_a_gain_costs_its_decibels_on_one_side_only(noise: torch.Tensor) -> None:
    found = bleeding(noise, 2 * noise, sample_rate=RATE)
    assert found.bleedless.item() == pytest.approx(100 / (1 + 6.0206), abs=1e-3)
    assert found.fullness.item() == 100
    found = bleeding(noise, noise / 2, sample_rate=RATE)
    assert found.bleedless.item() == 100
    assert found.fullness.item() == pytest.approx(100 / (1 + 6.0206), abs=1e-3)


def test_what_is_missing_lacks_no_more_than_the_range(noise: torch.Tensor) -> None:
    left = noise * torch.tensor([[1.0], [0.0]])
    found = bleeding(noise, left, sample_rate=RATE)
    assert 100 / (1 + 80) < found.fullness < 100 / (1 + 50)
    assert found.bleedless == 100
    swapped = bleeding(left, noise, sample_rate=RATE)
    assert swapped.bleedless == pytest.approx(found.fullness.item(), abs=0.01)


def test_long_songs_are_transformed_piece_by_piece(
    noise: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = bleeding(noise, noise.flip(0), sample_rate=RATE)
    monkeypatch.setattr("stemwise.metrics.spectral.PIECE_FRAMES", 7)
    pieces = bleeding(noise, noise.flip(0), sample_rate=RATE)
    assert [x.item() for x in pieces] == pytest.approx([x.item() for x in whole], rel=1e-5)


def test_a_silent_reference_has_no_figure_and_one_sample_has(noise: torch.Tensor) -> None:
    assert all(value.isnan() for value in bleeding(torch.zeros_like(noise), noise, sample_rate=RATE))
    assert all(value.isfinite() for value in bleeding(noise[:, :1], noise[:, 1:2], sample_rate=RATE))


def test_bands_cover_everything_between_the_ends() -> None:
    filters = mel_filters(RATE)
    assert filters.shape == (512, 2049)
    assert (filters[:, 40:-1].sum(dim=0) > 0).all()
    assert filters[:, 0].sum() == 0


def test_shapes_must_agree() -> None:
    with pytest.raises(ShapeError, match=r"\(2, 9\) and estimate \(2, 8\)"):
        bleeding(torch.ones(2, 9), torch.ones(2, 8), sample_rate=RATE)
    with pytest.raises(ShapeError, match="at least one sample"):
        bleeding(torch.ones(2, 0), torch.ones(2, 0), sample_rate=RATE)
