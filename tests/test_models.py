"""What every network promises, whichever it is; and the configuration that goes with it."""

import pytest
import torch

from random_models import random_model
from stemwise.errors import ConfigError, ShapeError
from stemwise.models import (
    ARCHITECTURES,
    BandSplitConfig,
    BLSTMConfig,
    ModelConfig,
    TrunkUNetConfig,
    UNetConfig,
)
from tolerances import BATCH

N_BINS, N_FRAMES = 64, 64
SMALL = {
    "unet": UNetConfig(n_filters=(2, 3, 4, 5, 6, 7)),
    "blstm": BLSTMConfig(n_units=5),
    "trunk_unet": TrunkUNetConfig(n_filters=(4, 6), n_single_bins=32, band_width=8, n_mixed=1),
    "bandsplit": BandSplitConfig(
        n_features=8, n_units=4, n_hidden=8, n_single_bins=32, band_width=8, group_sizes=(4,), n_groups=(9,)
    ),
}


def config(architecture: str, **options: object) -> ModelConfig:
    values = {
        "network": SMALL[architecture],
        "stems": ("vocals", "drums", "other"),
        "n_bins": N_BINS,
        **options,
    }
    return ModelConfig(architecture=architecture, **values)  # type: ignore[arg-type]


def magnitudes(batch: int = 2) -> torch.Tensor:
    return 10 * torch.rand(batch, 2, N_BINS, N_FRAMES, generator=torch.Generator().manual_seed(3))


def test_every_architecture_is_tested() -> None:
    assert set(SMALL) == set(ARCHITECTURES)


@pytest.mark.parametrize("architecture", SMALL)
def test_estimates_are_magnitudes_of_every_stem(architecture: str) -> None:
    network = random_model(config(architecture)).network
    with torch.inference_mode():
        estimates = network(magnitudes())
    assert estimates.shape == (2, 3, 2, N_BINS, N_FRAMES)
    assert (estimates >= 0).all()
    assert not torch.equal(estimates[:, 0], estimates[:, 1])


@pytest.mark.parametrize("architecture", SMALL)
def test_a_batch_is_so_many_single_runs(architecture: str) -> None:
    network = random_model(config(architecture)).network
    mixture = magnitudes()
    with torch.inference_mode():
        together, alone = network(mixture), torch.cat([network(one[None]) for one in mixture])
    torch.testing.assert_close(together, alone, atol=BATCH, rtol=0)


@pytest.mark.parametrize("architecture", SMALL)
def test_the_input_is_left_alone(architecture: str) -> None:
    mixture = magnitudes()
    with torch.inference_mode():
        random_model(config(architecture)).network(mixture)
    assert torch.equal(mixture, magnitudes())


@pytest.mark.parametrize("architecture", SMALL)
def test_every_weight_learns(architecture: str) -> None:
    network = random_model(config(architecture)).network
    network(magnitudes()).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("architecture", SMALL)
def test_a_configuration_survives_json(architecture: str) -> None:
    original = config(architecture, remainder="other", overlap=0.25)
    assert ModelConfig.from_dict(original.to_dict()) == original


def test_softmax_masks_share_out_the_mixture() -> None:
    softmax = UNetConfig(n_filters=(2, 3, 4, 5, 6, 7), output="softmax")
    network = random_model(config("unet", network=softmax)).network
    mixture = magnitudes()
    with torch.inference_mode():
        torch.testing.assert_close(network(mixture).sum(dim=1), mixture, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"stems": ()}, "at least one"),
        ({"stems": ("vocals", "vocals")}, "each named once"),
        ({"n_bins": 5000}, "n_bins is 5000"),
        ({"overlap": 0.6}, "overlap is 0.6"),
        ({"exponent": 0.0}, "exponent is 0"),
        ({"mask_extension": "mirror"}, "mask_extension is 'mirror'"),
        ({"remainder": "piano"}, "remainder is 'piano'"),
        ({"chunk_frames": 0}, "must be positive"),
    ],
)
def test_an_impossible_configuration_is_refused(options: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        config("unet", **options)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"architecture": "wave"}, "architecture is 'wave'"),
        ({"architecture": "unet", "stems": ["vocals"], "colour": "red"}, "colour"),
        ({"architecture": "unet", "stems": ["vocals"], "network": {"n_layers": 3}}, "n_layers"),
        ({"architecture": "unet", "stems": ["vocals"], "network": {"n_filters": [1]}}, "n_filters"),
    ],
)
def test_a_header_with_other_keys_is_refused(values: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        ModelConfig.from_dict(values)


def test_spleeters_network_needs_bins_that_can_be_halved() -> None:
    with pytest.raises(ConfigError, match="multiple of 64"):
        random_model(config("unet", n_bins=65))


def test_a_unet_of_fewer_levels_needs_smaller_multiples() -> None:
    network = UNetConfig(n_filters=(2, 3, 4, 5, 6))
    model = random_model(config("unet", network=network, n_bins=32))
    assert model.network(magnitudes()[..., :32, :32]).shape == (2, 3, 2, 32, 32)
    with pytest.raises(ShapeError, match="there are 40 frames: they must be a multiple of 32"):
        model.network(magnitudes()[..., :32, :40])
