"""What every network promises, whichever it is; and the configuration that goes with it."""

import re

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
        *(
            ({"stems": ("vocals", name)}, re.escape(f"stems has {name!r}: it must be a name that a file can"))
            for name in (
                "../x",
                "a/b",
                "a\\b",
                "C:",
                "",
                ".",
                "..",
                "what?",
                "a\nb",
                "a\x7f",
                "a\ud800",
                5,
                None,
            )
        ),
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


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"architecture": ["unet"]}, "architecture is ['unet']: it must be one of"),
        ({"stft": 5}, "stft is 5: it must be an object"),
        ({"network": []}, "network is []: it must be an object"),
        ({"stems": 5}, "stems is 5: it must be a list of names"),
        ({"stems": "vocals"}, "stems is 'vocals': it must be a list of names"),
        ({"stems": [["vocals"]]}, "stems is [['vocals']]: it must be a list of names"),
        ({"chunk_frames": 8.0}, "chunk_frames is 8.0: it must be a whole number"),
        ({"chunk_frames": 512.5}, "chunk_frames is 512.5: it must be a whole number"),
        ({"chunk_frames": True}, "chunk_frames is True: it must be a whole number"),
        ({"n_bins": 64.0}, "n_bins is 64.0: it must be a whole number"),
        ({"sample_rate": "44100"}, "sample_rate is '44100': it must be a whole number"),
        ({"overlap": "0"}, "overlap is '0': it must be a number"),
        ({"overlap": False}, "overlap is False: it must be a number"),
        ({"exponent": float("inf")}, "exponent is inf: it must be a number"),
        ({"remainder": 5}, "remainder is 5: it must be one of"),
        ({"stft": {"n_fft": 4096.0}}, "n_fft is 4096.0: it must be a whole number"),
        ({"stft": {"gain": None}}, "gain is None: it must be a number"),
        ({"network": {"n_filters": None}}, "n_filters is None: it must be a list of whole numbers"),
        ({"network": {"n_filters": [2, 2.0]}}, "n_filters is [2, 2.0]: it must be a list of whole numbers"),
        ({"network": {"n_filters": [1] * 65}}, "n_filters has 65 values: it must have at most 64"),
        ({"stems": [str(n) for n in range(65)]}, "stems has 65 values: it must have at most 64"),
    ],
)
def test_values_of_another_type_are_refused(values: dict[str, object], reason: str) -> None:
    good = {"architecture": "unet", "stems": ["vocals"], "n_bins": 64}
    with pytest.raises(ConfigError, match=re.escape(reason)):
        ModelConfig.from_dict(good | values)


def test_whole_numbers_pass_for_numbers() -> None:
    values = {"architecture": "unet", "stems": ["vocals"], "overlap": 0, "exponent": 1}
    assert (ModelConfig.from_dict(values).overlap, ModelConfig.from_dict(values).exponent) == (0, 1)


def test_spleeters_network_needs_bins_that_can_be_halved() -> None:
    with pytest.raises(ConfigError, match="multiple of 64"):
        random_model(config("unet", n_bins=65))


def test_a_unet_of_fewer_levels_needs_smaller_multiples() -> None:
    network = UNetConfig(n_filters=(2, 3, 4, 5, 6))
    model = random_model(config("unet", network=network, n_bins=32))
    assert model.network(magnitudes()[..., :32, :32]).shape == (2, 3, 2, 32, 32)
    with pytest.raises(ShapeError, match="there are 40 frames: they must be a multiple of 32"):
        model.network(magnitudes()[..., :32, :40])
