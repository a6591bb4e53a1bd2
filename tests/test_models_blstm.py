import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stemwise.checkpoint import Model
from stemwise.convert import from_variables
from stemwise.errors import ConfigError
from stemwise.models import ModelConfig
from stemwise.models.blstm import BLSTM, BLSTMConfig

VECTOR = Path(__file__).parent / "vectors" / "blstm.npz"
# Keras and torch multiply and sum in another order; values go up to about 3.
ACROSS_FRAMEWORKS = 1e-5


def golden() -> tuple[Model, Any]:
    vector = np.load(VECTOR)
    header = json.loads(str(vector["header"]))
    variables = {
        name.removeprefix("variable:"): vector[name] for name in vector if name.startswith("variable:")
    }
    config = ModelConfig(
        architecture="blstm",
        network=BLSTMConfig(n_units=header["n_units"]),
        stems=tuple(header["stems"]),
        n_bins=vector["magnitude"].shape[2],
    )
    return from_variables(variables, config), vector


def test_agrees_with_keras_from_cudnn_variables() -> None:
    model, vector = golden()
    magnitude = torch.from_numpy(vector["magnitude"]).permute(0, 3, 2, 1)  # (chunks, channels, bins, frames)
    with torch.inference_mode():
        estimates = model.network(magnitude)
    expected = torch.from_numpy(vector["estimates"]).permute(0, 1, 4, 3, 2)
    assert estimates.shape == expected.shape
    assert (estimates - expected).abs().max() <= ACROSS_FRAMEWORKS
    assert 0.2 < (expected > 0).float().mean() < 0.8  # neither a dead nor a linear last layer


def test_chunks_of_a_batch_do_not_hear_each_other(rng: torch.Generator) -> None:
    network = BLSTM(BLSTMConfig(n_units=3), n_stems=2, n_bins=8).eval()
    magnitude = torch.rand(3, 2, 8, 5, generator=rng)
    with torch.inference_mode():
        together = network(magnitude)
        alone = torch.cat([network(magnitude[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone)


def test_any_number_of_frames(rng: torch.Generator) -> None:
    network = BLSTM(BLSTMConfig(n_units=3), n_stems=1, n_bins=8)
    assert network(torch.rand(1, 2, 8, 1, generator=rng)).shape == (1, 1, 2, 8, 1)


def test_refuses_no_units() -> None:
    with pytest.raises(ConfigError, match="n_units is 0: it must be positive"):
        BLSTMConfig(n_units=0)
