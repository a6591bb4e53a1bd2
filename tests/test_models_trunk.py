import pytest
import torch

from stemwise.errors import ConfigError
from stemwise.models.trunk import TrunkUNet, TrunkUNetConfig, _BandMix

SMALL = TrunkUNetConfig(n_filters=(4, 6, 8), n_single_bins=20, band_width=3, n_mixed=2)


def network(config: TrunkUNetConfig = SMALL, n_bins: int = 50) -> TrunkUNet:
    torch.manual_seed(0)
    net = TrunkUNet(config, n_stems=3, n_bins=n_bins).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))  # the band mixing begins as the identity
    return net


@pytest.mark.parametrize("n_frames", [1, 7, 8, 33])
def test_estimates_add_up_to_the_mixture_for_any_number_of_frames(
    rng: torch.Generator, n_frames: int
) -> None:
    magnitude = 10 * torch.rand(2, 2, 50, n_frames, generator=rng)
    estimates = network()(magnitude)
    assert estimates.shape == (2, 3, 2, 50, n_frames)
    assert estimates.min() >= 0
    torch.testing.assert_close(estimates.sum(dim=1), magnitude)


def test_a_band_has_the_energy_of_its_bins_and_one_mask(rng: torch.Generator) -> None:
    magnitude = torch.rand(1, 2, 50, 8, generator=rng) + 0.1
    net = network()
    pooled = net.pool(magnitude.square())
    assert pooled.shape == (1, 2, 30, 8)
    torch.testing.assert_close(pooled.sum(dim=-2), magnitude.square().sum(dim=-2))
    torch.testing.assert_close(pooled[..., 29, :], magnitude[..., 47:, :].square().sum(dim=-2))
    masks = net(magnitude) / magnitude[:, None]
    torch.testing.assert_close(masks[..., 47, :], masks[..., 49, :])
    torch.testing.assert_close(net.masks(pooled.sqrt())[..., 29, :], masks[..., 47, :])
    torch.testing.assert_close(net.masks(pooled.sqrt())[..., :20, :], masks[..., :20, :])


def test_what_is_added_to_reach_whole_levels_is_silence_at_the_end(rng: torch.Generator) -> None:
    magnitude = torch.rand(1, 2, 50, 5, generator=rng)
    net, wider = network(), network(n_bins=56)
    wider.load_state_dict(net.state_dict())
    filled_up = torch.nn.functional.pad(magnitude, (0, 3, 0, 6))
    torch.testing.assert_close(net(magnitude), wider(filled_up)[..., :50, :5])


def test_silence_gives_silence() -> None:
    estimates = network()(torch.zeros(1, 2, 50, 16))
    assert torch.equal(estimates, torch.zeros_like(estimates))


def test_examples_of_a_batch_do_not_hear_each_other(rng: torch.Generator) -> None:
    magnitude = torch.rand(3, 2, 50, 16, generator=rng)
    net = network()
    torch.testing.assert_close(net(magnitude)[1:2], net(magnitude[1:2]))


def test_mixing_bands_lets_the_lowest_bin_be_heard_in_the_highest(rng: torch.Generator) -> None:
    config = TrunkUNetConfig(n_filters=(4, 6, 8), n_single_bins=400, band_width=4, n_mixed=2)
    apart = TrunkUNetConfig(n_filters=(4, 6, 8), n_single_bins=400, band_width=4, n_mixed=0)
    magnitude = torch.rand(1, 2, 800, 8, generator=rng)
    changed = magnitude.clone()
    changed[..., 0, :] += 5
    for shape, heard in ((config, True), (apart, False)):
        net = network(shape, n_bins=800)
        difference = (net(magnitude) - net(changed))[..., 799, :].abs().max()
        assert (difference > 1e-6) == heard


def test_weights_take_a_gradient_everywhere(rng: torch.Generator) -> None:
    net = network().train()
    net.masks(torch.rand(2, 2, 30, 16, generator=rng))[:, 0].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.output.parameters())
    assert all(
        p.grad is not None and p.grad.abs().max() > 0 for p in net.encoder[0][0].parameters() if p.ndim > 1
    )


def test_bins_that_make_no_whole_bands_are_refused() -> None:
    with pytest.raises(ConfigError, match="n_bins is 51: it must be 20 single bins and whole bands of 3"):
        TrunkUNet(SMALL, n_stems=4, n_bins=51)


@pytest.mark.parametrize(
    ("key", "value"), [("n_filters", (4,)), ("n_single_bins", 0), ("band_width", 0), ("n_mixed", 7)]
)
def test_impossible_configurations_are_refused(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=key):
        TrunkUNetConfig(**{key: value})


def test_bands_are_mixed_within_each_channel_and_frame(rng: torch.Generator) -> None:
    mix = _BandMix(10)
    torch.nn.init.normal_(mix.up.weight)
    x = torch.rand(2, 3, 10, 4, generator=rng)
    changed = x.clone()
    changed[1, 1, 5, 2] += 1
    moved = (mix(x) - mix(changed)).abs().amax(dim=2) > 1e-6
    assert moved[1, 1, 2]
    assert moved.sum() == 1
    torch.testing.assert_close(mix(x.contiguous(memory_format=torch.channels_last)), mix(x))
