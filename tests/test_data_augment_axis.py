import pytest
import torch

from stemwise.data.augment import axis


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bump(n_bins: int = 201, n_frames: int = 101, *, at_bin: int = 80, at_frame: int = 70) -> torch.Tensor:
    """A smooth spot in a spectrogram, `(1, 1, bins, frames)`."""
    bins = torch.exp(-((torch.arange(n_bins) - at_bin) ** 2) / 50)
    frames = torch.exp(-((torch.arange(n_frames) - at_frame) ** 2) / 50)
    return (bins[:, None] * frames)[None, None]


def centre(magnitudes: torch.Tensor) -> tuple[float, float]:
    """Of gravity: bin and frame."""
    whole = magnitudes.sum()
    bins, frames = (torch.arange(n, dtype=torch.float32) for n in magnitudes.shape[-2:])
    return ((magnitudes * bins[:, None]).sum() / whole).item(), ((magnitudes * frames).sum() / whole).item()


@pytest.mark.parametrize("factor", [0.7, 1.2, 1.3])
def test_stretch_moves_frames_about_the_middle_and_shift_bins_from_zero(factor: float) -> None:
    at_bin, at_frame = centre(axis.scale_time(bump(), torch.tensor([factor])))
    assert at_bin == pytest.approx(80, abs=0.01)
    assert at_frame == pytest.approx(50 + factor * 20, abs=0.3)
    at_bin, at_frame = centre(axis.scale_frequency(bump(), torch.tensor([factor])))
    assert at_bin == pytest.approx(factor * 80, abs=0.3)
    assert at_frame == pytest.approx(70, abs=0.01)


def test_levels_stay() -> None:
    for scale in (axis.scale_time, axis.scale_frequency):
        assert scale(bump(), torch.tensor([1.3])).max().item() == pytest.approx(1, abs=0.01)
        flat = scale(torch.ones(1, 2, 50, 60), torch.tensor([1.3]))
        assert torch.allclose(flat, torch.ones_like(flat))


def test_beyond_the_end_there_is_nothing() -> None:
    ones = torch.ones(1, 1, 101, 201)
    shorter = axis.scale_time(ones, torch.tensor([0.7]))[0, 0, 0]
    assert (shorter[31:170] == 1).all()
    assert shorter[:30].abs().max() == 0
    assert shorter[-30:].abs().max() == 0
    lower = axis.scale_frequency(ones, torch.tensor([0.7]))[0, 0, :, 0]
    assert (lower[:71] == 1).all()
    assert lower[72:].abs().max() == 0


def test_values_between_are_on_the_line_between_their_neighbours() -> None:
    ramp = torch.arange(11.0).expand(1, 2, 3, 11)
    assert torch.allclose(axis.scale_time(ramp, torch.tensor([2.0]))[0, 0, 0], torch.arange(11) / 2 + 2.5)
    assert torch.allclose(
        axis.scale_frequency(ramp.mT, torch.tensor([2.0]))[0, 0, :, 0], torch.arange(11) / 2
    )


def test_a_batch_is_scaled_as_its_examples_are() -> None:
    magnitudes, factors = torch.rand(3, 4, 2, 20, 30, generator=seeded()), torch.tensor([0.7, 1.0, 1.25])
    for scale in (axis.scale_time, axis.scale_frequency):
        whole = scale(magnitudes, factors)
        for i in range(3):
            assert torch.equal(whole[i : i + 1], scale(magnitudes[i : i + 1], factors[i : i + 1]))
        assert torch.allclose(whole[1], magnitudes[1], atol=1e-6)


@pytest.mark.parametrize("change", [axis.stretch, axis.shift])
def test_mixture_and_targets_are_changed_alike_together_or_one_after_the_other(change) -> None:
    magnitudes = torch.rand(3, 5, 2, 20, 30, generator=seeded())
    together = change(magnitudes, seeded(1))
    assert torch.equal(together[:, 0], change(magnitudes[:, 0], seeded(1)))
    assert torch.equal(together[:, 1:], change(magnitudes[:, 1:], seeded(1)))


def test_the_studys_range() -> None:
    factors = axis.draw_factors(torch.zeros(20_000, 1, 1), seeded())
    assert 0.7 <= factors.min() < 0.7005
    assert 1.2995 < factors.max() <= 1.3
    assert factors.mean().item() == pytest.approx(1, abs=0.01)
