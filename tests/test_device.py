from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from random_models import random_model, spleeter_like, stemwise_like
from stemwise.checkpoint import Model
from stemwise.device import has_bfloat16, inference_network
from stemwise.models import BLSTMConfig, ModelConfig

CPU = torch.device("cpu")
BLSTM = ModelConfig(architecture="blstm", network=BLSTMConfig(n_units=3), stems=("a", "b"), n_bins=8)


@pytest.mark.parametrize("model", [spleeter_like(), stemwise_like(), random_model(BLSTM)])
def test_a_network_that_is_being_trained_stays_in_training(model: Model) -> None:
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    model.network.train()
    ready = inference_network(model, CPU)
    assert all(module.training for module in model.network.modules())
    assert not any(module.training for module in ready.modules())
    assert all(torch.equal(before[name], value) for name, value in model.network.state_dict().items())


def test_a_network_with_nothing_to_change_is_not_copied() -> None:
    model = spleeter_like()
    assert inference_network(model, CPU) is model.network


def test_the_gpu_that_is_meant_is_asked_for_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    current = [torch.device("cuda:0")]

    @contextmanager
    def using(device: torch.device) -> Iterator[None]:
        current.append(device)
        yield
        current.pop()

    def is_supported(*, including_emulation: bool) -> bool:
        return current[-1] == torch.device("cuda:1") and not including_emulation

    monkeypatch.setattr(torch.cuda, "device", using)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    assert [has_bfloat16(torch.device(f"cuda:{index}")) for index in (0, 1)] == [False, True]
