"""From a trained model to the first step of another run, also with other stems.

A network has a head for every stem: all of a `StemUNet` or `StemBLSTM`, and of a `TrunkUNet` or `BandSplit`
what its output layer has for the stem's masks. A stem that the model knows keeps its head. A new one gets a
copy of the head that it was part of until now: that of `other`, else of `accompaniment`, else of the last
stem. What heads have in common is the trunk; a U-Net or BLSTM has none.
"""

from collections.abc import Iterator
from math import log

import torch
from torch import Tensor, nn

from stemwise.errors import ConfigError
from stemwise.hub import load_model
from stemwise.models.bandsplit import BandSplit
from stemwise.models.trunk import TrunkUNet
from stemwise.train.config import TrainConfig

CATCH_ALL = ("other", "accompaniment")


def take_weights(network: nn.Module, config: TrainConfig) -> None:
    """Put the weights of the model that the run starts from into its network.

    Raises:
        ModelError: if that model cannot be loaded.
        ConfigError: if it is of another architecture or size.
    """
    model = load_model(config.start.model)
    mine, theirs = config.model, model.config
    if (mine.architecture, mine.network, mine.n_bins) != (theirs.architecture, theirs.network, theirs.n_bins):
        raise ConfigError(
            f"start.model {config.start.model} is a {theirs.architecture} of {theirs.n_bins} bins with"
            f" {theirs.network}: the run's model must be the same but for its stems"
        )
    origins = [theirs.stems.index(_origin(stem, theirs.stems)) for stem in mine.stems]
    state = model.network.state_dict()
    if isinstance(network, TrunkUNet):
        _copy_rows(state, origins)
    elif isinstance(network, BandSplit):
        _copy_outputs(state, origins, n_stems=len(theirs.stems))
    else:
        state = {
            f"stems.{index}.{name}": value
            for index, origin in enumerate(origins)
            for name, value in _below(state, f"stems.{origin}.")
        }
    network.load_state_dict(state)


def is_head(network: nn.Module, name: str) -> bool:
    """Whether the parameter of that name is part of a stem's head."""
    return name.startswith("output." if isinstance(network, TrunkUNet | BandSplit) else "stems.")


def _origin(stem: str, stems: tuple[str, ...]) -> str:
    """Of the model's stems, the one whose head this stem starts with."""
    if stem in stems:
        return stem
    return next((name for name in CATCH_ALL if name in stems), stems[-1])


def _copy_rows(state: dict[str, Tensor], origins: list[int]) -> None:
    """Rows of the output layer, two per stem; copies share what their original had of the softmax."""
    rows = torch.tensor([2 * origin + channel for origin in origins for channel in (0, 1)])
    state["output.weight"] = state["output.weight"][:, rows]
    state["output.bias"] = state["output.bias"][rows] + _shares(origins).repeat_interleave(2)


def _copy_outputs(state: dict[str, Tensor], origins: list[int], *, n_stems: int) -> None:
    """All that the output layer has, stem by stem along the first axis; copies share likewise."""
    for name in (name for name in state if name.startswith("output.")):
        state[name] = state[name].unflatten(0, (n_stems, -1))[origins].flatten(0, 1)
        if name.startswith("output.biases."):
            state[name] += _shares(origins)[:, None, None]


def _shares(origins: list[int]) -> Tensor:
    """What is added to a softmax's logits so that copies have together what their original had."""
    return torch.tensor([-log(origins.count(origin)) for origin in origins])


def _below(state: dict[str, Tensor], prefix: str) -> Iterator[tuple[str, Tensor]]:
    return ((name.removeprefix(prefix), t) for name, t in state.items() if name.startswith(prefix))
