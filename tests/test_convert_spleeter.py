import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from stemwise.checkpoint import Model
from stemwise.convert import (
    Bundle,
    convert,
    embedded_configuration,
    from_variables,
    to_variables,
    write_bundle,
)
from stemwise.convert.spleeter import _variables
from stemwise.errors import CheckpointError, ConfigError
from stemwise.models import ModelConfig
from stemwise.models.blstm import BLSTMConfig
from stemwise.models.trunk import TrunkUNetConfig
from stemwise.models.unet import UNetConfig

VECTOR = Path(__file__).parent / "vectors" / "unet.npz"
UNET = ModelConfig(
    architecture="unet",
    network=UNetConfig(n_filters=(2, 3, 4, 5, 6, 7)),
    stems=("vocals", "other"),
    n_bins=64,
    chunk_frames=64,
)
SOFTMAX = replace(
    UNET, network=UNetConfig(n_filters=(2, 3, 4, 5, 6, 7), output="softmax"), stems=("a", "b", "c")
)
BLSTM = ModelConfig(architecture="blstm", network=BLSTMConfig(n_units=3), stems=("a", "b"), n_bins=8)
# TensorFlow's convolutions and torch's sum in another order; values go up to about 6.
ACROSS_FRAMEWORKS = 1e-5


def random_variables(config: ModelConfig, seed: int = 0) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(seed)
    low_high = {"gamma": (0.5, 1.5), "moving_variance": (0.5, 1.5)}
    return {
        v.name: rng.uniform(*low_high.get(v.name.split("/")[-1], (-0.4, 0.4)), v.shape).astype(np.float32)
        for v in _variables(config)
    }


def golden(output: Any, **activations: Any) -> tuple[Model, Any]:
    vector = np.load(VECTOR)
    header = json.loads(str(vector["header"]))
    sizes = [int(np.prod(shape)) for shape in header["variables"].values()]
    values = np.split(vector["values"], np.cumsum(sizes)[:-1])
    variables = {name: v.reshape(s) for (name, s), v in zip(header["variables"].items(), values, strict=True)}
    network = UNetConfig(n_filters=tuple(header["n_filters"]), output=output, **activations)
    return from_variables(variables, replace(UNET, network=network, stems=tuple(header["stems"]))), vector


@pytest.mark.parametrize(
    ("output", "activations"),
    [("sigmoid", {}), ("softmax", {"encoder_activation": "elu", "decoder_activation": "elu"})],
)
def test_unet_agrees_with_spleeters_graph(output: str, activations: dict[str, str]) -> None:
    model, vector = golden(output, **activations)
    with torch.inference_mode():
        estimates = model.network(torch.from_numpy(vector["magnitude"]).permute(0, 3, 2, 1))
    expected = torch.from_numpy(vector[output]).permute(1, 0, 4, 3, 2)  # (1, stems, channels, bins, frames)
    assert estimates.shape == expected.shape
    assert (estimates - expected).abs().max() <= ACROSS_FRAMEWORKS
    assert expected.std() > 0.1


@pytest.mark.parametrize(
    ("name", "n_bytes"), [("2stems", 78_614_080), ("4stems", 157_228_152), ("5stems", 196_535_188)]
)
def test_names_and_sizes_of_the_released_checkpoints(name: str, n_bytes: int) -> None:
    config = embedded_configuration(name).model
    shapes = {variable.name: variable.shape for variable in _variables(config)}
    assert len(shapes) == 74 * len(config.stems)
    assert (
        4 * sum(int(np.prod(shape)) for shape in shapes.values()) + 8 == n_bytes
    )  # and global_step, 8 bytes
    assert shapes["conv2d/kernel"] == (5, 5, 2, 16)
    assert shapes["batch_normalization_5/gamma"] == (512,)
    assert shapes["conv2d_transpose/kernel"] == (5, 5, 256, 512)
    assert shapes["conv2d_13/kernel"] == (4, 4, 1, 2)
    assert shapes["conv2d_transpose_11/kernel"] == (5, 5, 1, 32)
    assert shapes["batch_normalization_23/moving_variance"] == (1,)


def test_blstm_names() -> None:
    shapes = {variable.name: variable.shape for variable in _variables(BLSTM)}
    assert len(shapes) == 2 * (3 * 6 + 2)
    assert shapes["bidirectional/forward_cu_dnnlstm/kernel"] == (16, 12)
    assert shapes["bidirectional_5/backward_cu_dnnlstm_5/bias"] == (24,)
    assert shapes["time_distributed_3/kernel"] == (6, 16)


@pytest.mark.parametrize("config", [UNET, SOFTMAX, BLSTM])
def test_variables_there_and_back(config: ModelConfig, tmp_path: Path) -> None:
    variables = random_variables(config)
    model = from_variables(variables, config)
    back = to_variables(model, global_step=5)
    dead = re.compile(r"batch_normalization_(5|17|29)/")
    assert set(back) == {*variables, "global_step"}
    for name, array in variables.items():
        if not (dead.match(name) and config.architecture == "unet"):
            np.testing.assert_array_equal(back[name], array, err_msg=name)
    write_bundle(tmp_path, back)
    read = convert(tmp_path, config)
    magnitude = torch.rand(1, 2, config.n_bins, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(read.network(magnitude), model.network(magnitude))
    assert not read.network.training


def test_stems_are_not_mixed_up() -> None:
    variables = random_variables(UNET)
    changed = {name: array + 1 if name == "conv2d_13/bias" else array for name, array in variables.items()}
    magnitude = torch.rand(1, 2, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before, after = (from_variables(v, UNET).network(magnitude) for v in (variables, changed))
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.equal(before[:, 1], after[:, 1])


def test_slots_of_the_optimizer_are_left_alone() -> None:
    variables = random_variables(UNET)
    slots = {f"{name}/{slot}": array for name, array in variables.items() for slot in ("Adam", "Adam_1")}
    more = {"beta1_power": np.array(0.9), "beta2_power": np.array(0.99), "global_step": np.array(3)}
    from_variables(variables | slots | more, UNET)


def test_a_tensor_that_is_not_needed_is_not_read(tmp_path: Path) -> None:
    variables = random_variables(UNET)
    write_bundle(tmp_path, variables | {"zzz/Adam": np.ones(8, np.float32)})
    data = tmp_path / "model.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[Bundle(tmp_path).entries["zzz/Adam"].offset] ^= 1
    data.write_bytes(content)
    convert(tmp_path, UNET)


def test_every_missing_variable_is_noticed() -> None:
    variables = random_variables(UNET)
    for name in variables:
        rest = {key: array for key, array in variables.items() if key != name}
        with pytest.raises(CheckpointError, match=f"1 variables are wrong: {name} is missing"):
            from_variables(rest, UNET)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(3, np.float32), r"conv2d/bias is float32 \(3,\), not float32 \(2,\)"),
        (np.zeros(2, np.int64), r"conv2d/bias is int64"),
        (np.array([0, np.nan], np.float32), "conv2d/bias has NaN or infinity"),
    ],
)
def test_wrong_variable(array: NDArray[Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        from_variables(random_variables(UNET) | {"conv2d/bias": array}, UNET)


def test_wrong_number_of_stems() -> None:
    with pytest.raises(
        CheckpointError, match="the checkpoint holds 2 stems, but the configuration names 3: a, b, c"
    ):
        from_variables(random_variables(UNET), SOFTMAX)
    with pytest.raises(CheckpointError, match="holds 2 stems, but the configuration names 1: a"):
        from_variables(random_variables(BLSTM), replace(BLSTM, stems=("a",)))


def test_wrong_filters(tmp_path: Path) -> None:
    write_bundle(tmp_path, random_variables(UNET))
    with pytest.raises(
        CheckpointError, match=r"model: the checkpoint is not of this configuration, .*conv2d/kernel is"
    ):
        convert(tmp_path, replace(UNET, network=UNetConfig()))


def test_somebody_elses_checkpoint() -> None:
    with pytest.raises(CheckpointError, match="not of a Spleeter unet: no conv2d is in it"):
        from_variables({"dense/kernel": np.zeros((2, 2), np.float32)}, UNET)


def test_spleeter_has_no_trunk() -> None:
    config = ModelConfig(architecture="trunk_unet", network=TrunkUNetConfig(), stems=("a", "b"), n_bins=2048)
    with pytest.raises(ConfigError, match="Spleeter knows unet, of 6 levels, and blstm only"):
        to_variables(Model(config, torch.nn.Identity()))
