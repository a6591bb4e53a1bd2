"""What a run has come to: weights, their moving average, the optimizer's moments, the step."""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from stemwise.checkpoint import read_tensors, write_tensors
from stemwise.errors import CheckpointError
from stemwise.models import build
from stemwise.models.trunk import TrunkUNet
from stemwise.train.config import TrainConfig


@dataclass
class TrainState:
    """Everything that changes from step to step.

    Attributes:
        network: in training mode.
        average: the exponential moving average of its weights and batch-norm statistics, in evaluation mode.
        optimizer: AdamW over the network's weights.
        step: how many steps have been made.
    """

    network: TrunkUNet
    average: TrunkUNet
    optimizer: torch.optim.Optimizer
    step: int = 0

    @classmethod
    def fresh(cls, config: TrainConfig) -> "TrainState":
        """Random weights, from the configuration's seed alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            network = build(config.model)
        assert isinstance(network, TrunkUNet), "TrainConfig lets no other architecture in"
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        return cls(network=network, average=deepcopy(network).eval(), optimizer=optimizer)

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        """Move the average towards the weights; faster in the first steps, which should be forgotten."""
        decay = min(decay, (1 + self.step) / (10 + self.step))
        for mean, value in zip(
            self.average.state_dict().values(), self.network.state_dict().values(), strict=True
        ):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)

    def save(self, path: Path) -> None:
        """At any moment there is a whole state on disk: this one, or the one before."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in moments.items()}
        write_tensors({**tensors, "step": torch.tensor(self.step)}, path)

    @classmethod
    def load(cls, path: Path, config: TrainConfig) -> "TrainState":
        """The state that `save` wrote, of a run with the same network.

        Raises:
            CheckpointError: if the file is no such state, or of another network.
        """
        state = cls.fresh(config)
        tensors = read_tensors(path)
        moments: dict[int, dict[str, Tensor]] = {}
        try:
            state.step = int(tensors.pop("step"))
            state.network.load_state_dict(_below(tensors, "network."))
            state.average.load_state_dict(_below(tensors, "average."))
            parameters = list(state.network.parameters())
            for name, value in _below(tensors, "optimizer.").items():
                index, moment = name.split(".")
                if value.ndim:  # the fused optimizer pairs numbers as they lie in memory, channels last
                    value = torch.empty_like(parameters[int(index)]).detach().copy_(value)
                moments.setdefault(int(index), {})[moment] = value
            groups = state.optimizer.state_dict()["param_groups"]
            state.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        except (KeyError, RuntimeError, ValueError) as error:
            raise CheckpointError(f"{path} is no state of a run with this network: {error}") from error
        return state


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
