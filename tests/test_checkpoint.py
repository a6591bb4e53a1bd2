import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from stemwise.checkpoint import UNSTORED, Model, ModelCard, read_model, save_model
from stemwise.errors import CheckpointError
from stemwise.models import ModelConfig, build
from stemwise.models.blstm import BLSTMConfig
from stemwise.models.trunk import TrunkUNetConfig
from stemwise.models.unet import UNetConfig

STEMS = ("vocals", "other")
CONFIGS = {
    "unet": ModelConfig(architecture="unet", network=UNetConfig(n_filters=(2,) * 6), stems=STEMS, n_bins=64),
    "blstm": ModelConfig(architecture="blstm", network=BLSTMConfig(n_units=3), stems=STEMS, n_bins=64),
    "trunk_unet": ModelConfig(
        architecture="trunk_unet",
        network=TrunkUNetConfig(n_filters=(4,) * 6, n_single_bins=64),
        stems=STEMS,
        n_bins=64,
        overlap=0.25,
        remainder="other",
    ),
}
CARD = ModelCard(name="test", licence="CC0-1.0", training_data="noise", credits="nobody", figures="none")


def new_model(architecture: str = "unet", seed: int = 0) -> Model:
    rng = torch.Generator().manual_seed(seed)
    network = build(CONFIGS[architecture]).eval()
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=rng) * 0.2 + 0.01)
    return Model(CONFIGS[architecture], network, CARD)


def estimate(model: Model) -> Tensor:
    magnitude = torch.rand(1, 2, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        result: Tensor = model.network(magnitude)
    return result


def contents(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["stemwise"])  # noqa: SIM118


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_model(new_model(), path)
    return path


def rewrite(path: Path, tensors: dict[str, Tensor], header: object) -> None:
    save_file(tensors, path, {"stemwise": header if isinstance(header, str) else json.dumps(header)})


@pytest.mark.parametrize("architecture", CONFIGS)
def test_read_gives_back_what_was_saved(architecture: str, tmp_path: Path) -> None:
    model = new_model(architecture)
    save_model(model, tmp_path / "model.safetensors")
    read = read_model(tmp_path / "model.safetensors")
    assert read.config == model.config
    assert read.card == CARD
    assert not any(module.training for module in read.network.modules())
    assert torch.equal(estimate(read), estimate(model))


def test_float16_halves_the_file_and_is_read_as_float32(saved: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.safetensors"
    model = new_model("blstm")
    save_model(model, saved)
    save_model(model, half, dtype="float16")
    assert sum(t.nbytes for t in contents(half)[0].values()) * 2 == sum(
        t.nbytes for t in contents(saved)[0].values()
    )
    read = read_model(half)
    assert all(tensor.dtype == torch.float32 for tensor in read.network.parameters())
    for name, tensor in read.network.state_dict().items():
        torch.testing.assert_close(tensor, model.network.state_dict()[name], rtol=2**-11, atol=0)


def test_a_model_that_was_read_can_be_trained_on(saved: Path) -> None:
    network = read_model(saved).network.train()
    network(torch.rand(1, 2, 64, 64)).sum().backward()
    counts = [value for name, value in network.state_dict().items() if name.endswith(UNSTORED)]
    assert {(count.device.type, int(count)) for count in counts} == {("cpu", 1)}
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_missing_tensor(saved: Path) -> None:
    tensors, header = contents(saved)
    del tensors["stems.1.output.weight"]
    rewrite(saved, tensors, header)
    with pytest.raises(CheckpointError, match=r"1 missing \(stems\.1\.output\.weight\)"):
        read_model(saved)


def test_unexpected_tensor(saved: Path) -> None:
    tensors, header = contents(saved)
    rewrite(saved, tensors | {"extra": torch.zeros(1)}, header)
    with pytest.raises(CheckpointError, match=r"1 unexpected \(extra\)"):
        read_model(saved)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (torch.zeros(3), r"it must be float32 or float16 \(2,\)"),
        (torch.zeros(2, dtype=torch.int32), "is torch.int32"),
        (torch.tensor([0.0, float("nan")]), "has NaN or infinity"),
        (torch.tensor([0.0, float("inf")]), "has NaN or infinity"),
    ],
)
def test_wrong_tensor(saved: Path, wrong: Tensor, message: str) -> None:
    tensors, header = contents(saved)
    rewrite(saved, tensors | {"stems.0.output.bias": wrong}, header)
    with pytest.raises(CheckpointError, match=message):
        read_model(saved)


def good_header() -> dict[str, Any]:
    return {"format": 1, "config": CONFIGS["unet"].to_dict(), "card": asdict(CARD)}


def with_values(**values: object) -> dict[str, Any]:
    header = good_header()
    header["config"] |= values
    return header


def with_network(**values: object) -> dict[str, Any]:
    return with_values(network=good_header()["config"]["network"] | values)


@pytest.mark.parametrize(
    "header",
    [
        "not JSON",
        "[" * 100_000,
        "[]",
        "{}",
        good_header() | {"format": 2},
        good_header() | {"config": []},
        good_header() | {"config": {"architecture": "os.system"}},
        good_header() | {"config": {"architecture": ["unet"]}},
        with_values(architecture=["unet"]),
        with_values(stft=5),
        with_values(chunk_frames=8.0),
        with_values(stems="ab"),
        good_header() | {"card": {"licence": 5}},
        good_header() | {"card": {"surprise": "x"}},
        good_header() | {"card": None},
        with_network(n_filters=["a"] * 6),
        with_network(n_filters=[-1] * 6),
        with_network(n_filters=[10**15] * 6),
        with_network(n_filters=[10**30] * 6),
        with_network(n_filters=[2.5] * 6),
        with_network(n_filters=None),
        with_network(surprise=1),
    ],
)
def test_hostile_header(saved: Path, header: object) -> None:
    rewrite(saved, contents(saved)[0], header)
    with pytest.raises(CheckpointError, match=r"\A.+\Z"):  # one line
        read_model(saved)


def test_no_stem_leads_out_of_its_folder(saved: Path) -> None:
    rewrite(saved, contents(saved)[0], with_values(stems=["vocals", "../../evil\n"]))
    reason = re.escape(r"stems has '../../evil\n': it must be a name that a file can have")
    with pytest.raises(CheckpointError, match=rf"\A.*model\.safetensors has a header .*: {reason}\Z"):
        read_model(saved)


@pytest.mark.parametrize(
    "payload",
    [b"", b"\0" * 7, b"\xff" * 16, (2**62).to_bytes(8, "little") + b"{}", (2).to_bytes(8, "little") + b"[]"],
)
def test_not_safetensors(tmp_path: Path, payload: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(payload)
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        read_model(path)


def test_cut_short_anywhere(saved: Path) -> None:
    whole = saved.read_bytes()
    for size in range(0, len(whole), 997):
        saved.write_bytes(whole[:size])
        with pytest.raises(CheckpointError):
            read_model(saved)


def test_somebody_elses_safetensors(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="not a stemwise model"):
        read_model(tmp_path / "other.safetensors")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no model file"):
        read_model(tmp_path / "nothing.safetensors")


def test_a_failed_save_leaves_the_old_file_and_nothing_else(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def full(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        save_model(new_model(seed=2), saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


@pytest.mark.parametrize("value", [1e6, float("nan")])
def test_a_weight_that_float16_cannot_hold_is_not_saved(tmp_path: Path, value: float) -> None:
    model = new_model()
    with torch.no_grad():
        next(model.network.parameters()).fill_(value)
    with pytest.raises(CheckpointError, match="too large for float16"):
        save_model(model, tmp_path / "model.safetensors", dtype="float16")
    assert list(tmp_path.iterdir()) == []
