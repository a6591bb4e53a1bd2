from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from stemwise.checkpoint import Model, read_model, save_model
from stemwise.errors import ConfigError
from stemwise.models import ModelConfig
from stemwise.models.bandsplit import BandSplit, BandSplitConfig, _Input

SMALL = BandSplitConfig(
    n_features=8,
    n_blocks=2,
    n_units=4,
    n_hidden=8,
    n_single_bins=20,
    band_width=3,
    group_sizes=(2, 5),
    n_groups=(5, 4),
)
KINDS = [("conv", "mix"), ("gru", "gru"), ("lstm", "mix"), ("conv", "lstm")]
REACH = (
    2 * (1 + 2) + 2
)  # frames on each side: two blocks, of tokens of two frames, and 3 by 3 taps behind them


def network(time: str = "conv", frequency: str = "mix", n_bins: int = 50, **changes: Any) -> BandSplit:
    torch.manual_seed(0)
    config = replace(SMALL, time=time, frequency=frequency, **changes)
    net = BandSplit(config, n_stems=3, n_bins=n_bins).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))  # masks begin neutral
    return net


@pytest.mark.parametrize(("time", "frequency"), KINDS)
@pytest.mark.parametrize("n_frames", [1, 7, 8, 33])
def test_estimates_add_up_to_the_mixture_for_any_number_of_frames(
    rng: torch.Generator, n_frames: int, time: str, frequency: str
) -> None:
    magnitude = 10 * torch.rand(2, 2, 50, n_frames, generator=rng)
    estimates = network(time, frequency)(magnitude)
    assert estimates.shape == (2, 3, 2, 50, n_frames)
    assert estimates.min() >= 0
    torch.testing.assert_close(estimates.sum(dim=1), magnitude)
    assert estimates.std(dim=1).mean() > 0.1


@pytest.mark.parametrize(("time", "frequency"), KINDS)
def test_a_new_network_gives_every_stem_the_same(rng: torch.Generator, time: str, frequency: str) -> None:
    magnitude = torch.rand(1, 2, 50, 6, generator=rng)
    net = BandSplit(replace(SMALL, time=time, frequency=frequency), n_stems=4, n_bins=50)
    torch.testing.assert_close(net(magnitude), magnitude[:, None].expand(-1, 4, -1, -1, -1) / 4)


@pytest.mark.parametrize(("time", "frequency"), KINDS)
def test_every_weight_learns(rng: torch.Generator, time: str, frequency: str) -> None:
    net = network(time, frequency)
    net.masks(torch.rand(2, 2, 30, 9, generator=rng))[:, 0].square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_a_band_has_one_mask_and_training_makes_the_same_ones(rng: torch.Generator) -> None:
    magnitude = torch.rand(1, 2, 50, 8, generator=rng) + 0.1
    net = network()
    masks = net(magnitude) / magnitude[:, None]
    torch.testing.assert_close(masks[..., 47, :], masks[..., 49, :])
    bands = net.masks(net.pool(magnitude.square()).sqrt())
    torch.testing.assert_close(bands[..., 29, :], masks[..., 47, :])
    torch.testing.assert_close(bands[..., :20, :], masks[..., :20, :])


def test_a_token_holds_its_bands_and_frames_and_no_others() -> None:
    layer = _Input(SMALL, 5, 2)
    magnitude = torch.arange(10 * 2 * 6).reshape(1, 10, 2, 6).float()
    with torch.no_grad():
        layer.weight.copy_(torch.eye(8).expand(5, 8, 8))  # tokens as they are put together
    tokens = layer(magnitude)
    assert tokens.shape == (1, 3, 5, 8)
    for moment, group in ((0, 0), (2, 1), (1, 4)):
        held = magnitude[0, 2 * group : 2 * group + 2, :, 2 * moment : 2 * moment + 2]
        assert set(tokens[0, moment, group].tolist()) == set(held.flatten().tolist())


def test_masks_stand_where_their_tokens_were_heard(rng: torch.Generator) -> None:
    """With blocks that do nothing, a change in one token changes the masks of its bands and frames."""
    net = network()
    for part in (*net.layers, net.output.detail):
        for parameter in part.parameters():
            parameter.data.zero_()
    magnitude = torch.rand(1, 2, 30, 8, generator=rng)
    before = net.masks(magnitude)
    for band, frame, bands, frames in ((3, 5, (2, 4), (4, 6)), (29, 0, (25, 30), (0, 2))):
        changed = magnitude.clone()
        changed[0, 1, band, frame] += 1
        moved = (net.masks(changed) - before).abs() > 1e-6
        assert moved[..., bands[0] : bands[1], frames[0] : frames[1]].all()
        assert moved.sum() == 3 * 2 * (bands[1] - bands[0]) * (frames[1] - frames[0])


def test_detail_is_let_through_where_tokens_say_so(rng: torch.Generator) -> None:
    net = network()
    for weight in (net.output.weights, net.output.biases):
        for parameter in weight:
            parameter.data.zero_()  # no masks from tokens
    net.gates.weight.data.zero_()
    net.gates.bias.data.fill_(-100)
    net.gates.bias.data[6] = 100  # bands 15 to 19; the last convolution reaches one further
    masks = net.masks(torch.rand(1, 2, 30, 8, generator=rng))
    moved = (masks - 1 / 3).abs().amax(dim=(0, 1, 2, 4)) > 1e-3
    assert moved.nonzero().flatten().tolist() == list(range(14, 21))


def test_a_chunk_is_as_the_whole_beyond_what_the_convolutions_reach(rng: torch.Generator) -> None:
    magnitude = torch.rand(1, 2, 50, 60, generator=rng)
    net = network()
    whole, chunk = net(magnitude), net(magnitude[..., 10:50])
    torch.testing.assert_close(chunk[..., REACH:-REACH], whole[..., 10 + REACH : 50 - REACH])
    assert not torch.allclose(chunk[..., : REACH - 2], whole[..., 10 : 8 + REACH])


@pytest.mark.parametrize("time", ["gru", "lstm"])
def test_a_recurrent_layer_hears_all_frames_both_ways(rng: torch.Generator, time: str) -> None:
    magnitude = torch.rand(1, 2, 50, 40, generator=rng)
    net = network(time)
    for frame, other in ((0, 39), (39, 0)):
        changed = magnitude.clone()
        changed[..., frame] += 3
        assert not torch.equal(net(changed)[..., other], net(magnitude)[..., other])


@pytest.mark.parametrize("frequency", ["mix", "gru", "lstm"])
def test_the_lowest_bin_is_heard_in_the_highest_and_the_reverse(rng: torch.Generator, frequency: str) -> None:
    magnitude = torch.rand(1, 2, 50, 4, generator=rng)
    net = network("conv", frequency)
    for bin_, other in ((0, 49), (49, 0)):
        changed = magnitude.clone()
        changed[..., bin_, :] += 3
        difference = net(changed)[..., other, :] - net(magnitude)[..., other, :]
        assert difference.abs().max() > 1e-6


def test_layers_across_groups_hear_one_moment_only(rng: torch.Generator) -> None:
    magnitude = torch.rand(1, 2, 50, 6, generator=rng)
    for frequency in ("mix", "gru"):
        net = network("conv", frequency)
        net.output.detail.weight.data.zero_()
        for layer in net.layers[::2]:
            layer.linear.weight.data.zero_()  # nothing along time
        changed = magnitude.clone()
        changed[..., 2] += 3
        moved = (net(changed) - net(magnitude)).abs().amax(dim=(0, 1, 2, 3)) > 1e-5
        assert moved.tolist() == [False, False, True, True, False, False]


def test_what_is_added_to_make_whole_tokens_is_silence_at_the_end(rng: torch.Generator) -> None:
    magnitude = torch.rand(1, 2, 50, 5, generator=rng)
    net = network("gru", token_frames=4)
    filled_up = torch.nn.functional.pad(magnitude, (0, 3))
    torch.testing.assert_close(net(magnitude), net(filled_up)[..., :5])


@pytest.mark.parametrize(("time", "frequency"), KINDS)
def test_silence_gives_silence(time: str, frequency: str) -> None:
    estimates = network(time, frequency)(torch.zeros(1, 2, 50, 16))
    assert torch.equal(estimates, torch.zeros_like(estimates))


@pytest.mark.parametrize(("time", "frequency"), KINDS)
def test_examples_of_a_batch_do_not_hear_each_other(rng: torch.Generator, time: str, frequency: str) -> None:
    magnitude = torch.rand(3, 2, 50, 16, generator=rng)
    net = network(time, frequency)
    torch.testing.assert_close(net(magnitude)[1:2], net(magnitude[1:2]))


@pytest.mark.parametrize(("time", "frequency"), KINDS)
def test_a_saved_network_is_the_same_network(
    tmp_path: Path, rng: torch.Generator, time: str, frequency: str
) -> None:
    net = network(time, frequency)
    config = ModelConfig(architecture="bandsplit", network=net.config, stems=("a", "b", "c"), n_bins=50)
    save_model(Model(config, net), tmp_path / "model.safetensors")
    loaded = read_model(tmp_path / "model.safetensors")
    assert loaded.config == config
    magnitude = torch.rand(1, 2, 50, 9, generator=rng)
    assert torch.equal(loaded.network(magnitude), net(magnitude))


def test_the_default_is_for_the_bins_of_the_embedded_model_and_small() -> None:
    with torch.device("meta"):
        net = BandSplit(BandSplitConfig(), n_stems=4, n_bins=2048)
    assert 2 * sum(parameter.numel() for parameter in net.parameters()) < 30e6  # bytes, in float16


@pytest.mark.parametrize(("time", "frequency"), KINDS)
def test_bfloat16_is_close(rng: torch.Generator, time: str, frequency: str) -> None:
    net, magnitude = network(time, frequency), torch.rand(1, 2, 30, 16, generator=rng)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        reduced = net.masks(magnitude)
    assert reduced.dtype == torch.float32
    assert not torch.equal(reduced, net.masks(magnitude))
    assert (reduced - net.masks(magnitude)).abs().mean() < 0.01


def test_groups_that_are_not_all_bands_are_refused() -> None:
    with pytest.raises(ConfigError, match="make 30 bands: they must be 31, all that there are"):
        network(n_bins=53)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[(key, 0) for key in ("n_features", "n_blocks", "n_units", "n_hidden", "n_detail", "token_frames")],
        *[("n_single_bins", 0), ("band_width", 0), ("time", "mix"), ("frequency", "conv"), ("n_blocks", 65)],
        *[("group_sizes", (2,)), ("n_groups", (5, 0)), ("n_groups", ())],
    ],
)
def test_impossible_configurations_are_refused(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=key):
        BandSplitConfig(**{key: value})  # type: ignore[arg-type]
