"""What holds for every augmentation; each one's own truth stands in the file named after its module."""

import numpy as np
import pytest
import torch

from stemwise.data.augment import AUGMENTATIONS, COMBINATIONS, expand, margin, select
from stemwise.data.augment.draws import per_stem, sometimes
from stemwise.errors import ConfigError, ShapeError

RATE = 8000
STUDY = ("swap", "stretch", "shift", "remix", "filter", "scale", "combined")
ASK_FOR_VALUES = ("tempo", "pitch", "soft_clip", "compress", "codec")  # which examples, where frames begin
# with these the sum of the changed stems is the changed sum: linear, and the same for all stems of an example
ALIKE = ("swap", "filter", "scale", "tempo", "pitch", "soft_clip", "compress", "codec")


def seeded(seed: int = 0, device: str = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)


def values(name: str, n: int = 4000, batch: int = 3) -> torch.Tensor:
    """Random numbers of a shape that the augmentation is made for."""
    if AUGMENTATIONS[name].domain == "magnitude":
        return torch.rand(batch, 3, 2, 33, 40, generator=seeded(9))
    return 0.3 * torch.randn(batch, 4, 2, n, generator=seeded(9))


def made(name: str, always: bool = True):
    (change,) = select([name], AUGMENTATIONS[name].domain, sample_rate=RATE, always=always)
    return change


def test_the_studys_names_are_there_and_combined_is_four_at_once() -> None:
    assert {name for name in STUDY if name not in AUGMENTATIONS} == set(COMBINATIONS)
    assert set(expand(["combined"])) == {"swap", "remix", "shift", "stretch"}
    assert len(select(STUDY, "waveform", sample_rate=RATE)) == 6
    assert len(select(STUDY, "magnitude", sample_rate=RATE)) == 4


def test_an_unknown_name_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(
        ConfigError, match=r"augmentation is 'strech': it must be one of swap, stretch, .*combined"
    ):
        expand(["swap", "strech"])


def test_margins_multiply_within_their_domain() -> None:
    assert margin(["swap", "pitch"], "waveform") == 1
    assert margin(["tempo", "stretch"], "waveform") == pytest.approx(1 / 0.88)
    assert margin(["combined", "tempo"], "magnitude") == pytest.approx(1 / 0.7)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_it_is_a_pure_function_of_values_and_generator(name: str) -> None:
    given = values(name)
    before = given.clone()
    first = made(name)(given, seeded(3))
    assert torch.equal(given, before)
    assert torch.equal(first, made(name)(given, seeded(3)))
    assert first.shape == given.shape
    assert first.dtype == torch.float32
    assert first.isfinite().all()
    assert not torch.equal(first, given)


@pytest.mark.parametrize("name", sorted(set(AUGMENTATIONS) - {"swap", "polarity", "drop", "cross_song"}))
def test_each_example_gets_a_change_of_its_own(name: str) -> None:
    given = values(name)[:1].expand(3, *values(name).shape[1:])
    first, second, _ = made(name)(given, seeded(3))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("name", [name for name, a in AUGMENTATIONS.items() if a.domain == "waveform"])
@pytest.mark.parametrize("n_samples", [1, 700])
def test_silence_stays_silent_and_short_ones_are_no_trouble(name: str, n_samples: int) -> None:
    silence = torch.zeros(2, 4, 2, n_samples)
    assert made(name)(silence, seeded()).abs().max() == 0
    assert made(name)(values(name, n_samples, batch=2), seeded()).isfinite().all()


@pytest.mark.parametrize("name", ALIKE)
def test_the_sum_of_changed_stems_is_the_changed_sum(name: str) -> None:
    """Silent stems beside the mixture make the draws the same."""
    stems = values(name)
    mixture = torch.zeros_like(stems)
    mixture[:, 0] = stems.sum(dim=1)
    changed, whole = made(name)(stems, seeded(1)), made(name)(mixture, seeded(1))
    torch.testing.assert_close(changed.sum(dim=1), whole[:, 0], atol=2e-5, rtol=0)


@pytest.mark.parametrize("name", sorted(set(AUGMENTATIONS) - set(ASK_FOR_VALUES)))
def test_everything_happens_on_the_device_of_the_values(name: str) -> None:
    """The device "meta" takes no operand from another one."""
    assert made(name)(values(name).to("meta"), seeded()).device.type == "meta"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_the_draws_depend_on_the_generators_device_alone() -> None:
    for name in AUGMENTATIONS:
        here = made(name)(values(name), seeded(5))
        there = made(name)(values(name).cuda(), seeded(5))
        assert there.device.type == "cuda", name
        torch.testing.assert_close(there.cpu(), here, atol=1e-4, rtol=1e-4)


def test_some_examples_only_are_changed_where_that_is_meant() -> None:
    given = values("swap", n=10, batch=2000)
    for name, p in (("swap", 0.5), ("tempo", 0.2), ("pitch", 0.2)):
        changed = (made(name, always=False)(given, seeded()) != given).flatten(1).any(dim=1)
        assert changed.float().mean().item() == pytest.approx(p, abs=0.04), name
    assert sometimes(lambda chosen: chosen + 1, given, seeded(), 0.0) is given


@pytest.mark.parametrize("name", ["swap", "tempo", "pitch", "soft_clip", "compress", "codec"])
def test_on_demand_they_are_made_to_every_example(name: str) -> None:
    given = values(name, n=600, batch=12)
    assert (made(name)(given, seeded()) != given).flatten(1).any(dim=1).all()


def test_axes_that_are_missing_are_named() -> None:
    with pytest.raises(ShapeError, match=r"\(4, 2, 10\): it must be \(batch, stems, channels, samples\)"):
        per_stem(seeded(), torch.zeros(4, 2, 10), 0, 1)
    with pytest.raises(ShapeError, match=r"it must be \(batch, \.\.\., bins, frames\)"):
        made("stretch")(torch.zeros(33, 40), seeded())


def is_even(drawn: torch.Tensor, low: float, high: float) -> bool:
    """The largest distance of the distribution from an even one, and its ends (Kolmogorov and Smirnov)."""
    ordered = np.sort((drawn.flatten().double().numpy() - low) / (high - low))
    distance = np.abs(ordered - (np.arange(len(ordered)) + 0.5) / len(ordered)).max()
    return bool(distance < 2 / np.sqrt(len(ordered)) and ordered[0] > -1e-5 and ordered[-1] < 1 + 1e-5)


def test_levels_are_even_in_db_and_exactly_in_the_studys_ranges() -> None:
    ones = torch.ones(500, 4, 2, 1)
    gains = 20 * made("remix")(ones, seeded()).log10()
    assert is_even(gains[:, :, 0], -9, 9)
    assert not is_even(gains[:, :, 0], -10, 10)
    assert not is_even(gains[:, :, 0], -8.5, 8.5)
    assert torch.equal(gains[:, :, 0], gains[:, :, 1])  # both channels alike
    assert (gains[:, 0] != gains[:, 1]).float().mean() > 0.99
    scales = 20 * made("scale")(torch.ones(2000, 4, 2, 1), seeded()).log10()
    assert is_even(scales[:, 0, 0], -10, 10)
    assert not is_even(scales[:, 0, 0], -9, 9)
    assert (scales == scales[:, :1, :1]).all()


def test_swap_twice_is_nothing_and_once_is_left_for_right() -> None:
    given = values("swap", batch=20)
    once = made("swap", always=False)(given, seeded(2))
    assert torch.equal(made("swap", always=False)(once, seeded(2)), given)
    swapped = (once == given.flip(2)).flatten(1).all(dim=1)
    assert 4 < swapped.sum() < 16
    assert torch.equal(once[~swapped], given[~swapped])


def test_polarity_turns_half_of_the_stems_upside_down() -> None:
    signs = made("polarity", always=False)(torch.ones(500, 4, 2, 3), seeded())
    assert set(signs.unique().tolist()) == {-1, 1}
    assert signs.mean().item() == pytest.approx(0, abs=0.05)
    assert (signs == signs[..., :1, :1]).all()


def test_drop_leaves_stems_out_but_never_all() -> None:
    kept = made("drop")(torch.ones(3000, 4, 2, 1), seeded())
    assert kept.mean().item() == pytest.approx(0.9, abs=0.01)
    assert made("drop")(torch.ones(300, 1, 2, 1), seeded()).min() == 1
