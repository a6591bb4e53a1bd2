"""What a run has come to: weights, their moving average, the optimizer's moments, counters.

All randomness is drawn from generators seeded by (seed, step, unit), so the step is also the state of every
generator and of the order of the data.
"""

from copy import deepcopy
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path

import torch
from torch import Tensor, nn

from stemwise.checkpoint import read_tensors, write_tensors
from stemwise.errors import CheckpointError
from stemwise.models import build
from stemwise.models.unet import UNet
from stemwise.train.config import TrainConfig
from stemwise.train.finetune import take_weights
from stemwise.train.sections import OptimizerConfig, StartConfig

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Standing:
    """How validation went: the best SDR, dB; validations since then; halvings of the learning rate."""

    best: float = -inf
    stale: int = 0
    halvings: int = 0

    def after(self, sdr: float, plateau_patience: int | None) -> "Standing":
        """With one more validation; a learning rate on a plateau is halved after so many stale ones."""
        if sdr > self.best:
            return Standing(sdr, 0, self.halvings)
        stale = self.stale + 1
        halves = plateau_patience is not None and stale % plateau_patience == 0
        return Standing(self.best, stale, self.halvings + halves)


@dataclass(slots=True)
class TrainState:
    """Everything that changes from step to step.

    Attributes:
        network: in training mode.
        average: the exponential moving average of its weights and batch-norm statistics, in evaluation mode.
        optimizer: over the network's weights.
        scaler: of the loss, so that float16 gradients do not vanish; does nothing in other precisions.
        step: how many steps have been made.
        standing: how validation went.
        losses: of the steps since the last line of the metrics.
    """

    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    step: int = 0
    standing: Standing = field(default_factory=Standing)
    losses: list[float] = field(default_factory=list)

    @classmethod
    def fresh(
        cls, config: TrainConfig, device: torch.device = CPU, *, precision: str = "float32"
    ) -> "TrainState":
        """Random weights, from the configuration's seed alone; or those of the model that it starts from."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            network = build(config.model)
            if isinstance(network, UNet):
                _initialise(network)
        if config.start.model:
            take_weights(network, config)
        network = network.to(device)
        if device.type in ("cpu", "cuda"):
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub
        return cls(
            network=network.train(),
            average=deepcopy(network).eval(),
            optimizer=build_optimizer(network, config.optimizer),
            scaler=torch.amp.GradScaler(device.type, enabled=precision == "float16"),
        )

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
            tensors |= {
                f"optimizer.{index}.{name}": value for name, value in moments.items() if value is not None
            }
        counters = {
            "step": self.step,
            "best": self.standing.best,
            "stale": self.standing.stale,
            "halvings": self.standing.halvings,
            "scale": self.scaler.get_scale(),
            "scale_age": self.scaler.state_dict().get("_growth_tracker", 0),
        }
        tensors |= {name: torch.tensor(value, dtype=torch.float64) for name, value in counters.items()}
        tensors["losses"] = torch.tensor(self.losses, dtype=torch.float64)
        write_tensors({name: tensor.cpu() for name, tensor in tensors.items()}, path)

    @classmethod
    def load(
        cls,
        path: Path,
        config: TrainConfig,
        device: torch.device = CPU,
        *,
        precision: str = "float32",
    ) -> "TrainState":
        """The state that `save` wrote, of a run with the same network and optimizer.

        Raises:
            CheckpointError: if the file is no such state, or of another network.
        """
        tensors = read_tensors(path)
        state = cls.fresh(replace(config, start=StartConfig()), device, precision=precision)
        try:
            state.step = int(tensors["step"])
            state.losses = tensors["losses"].tolist()
            state.standing = Standing(tensors["best"].item(), int(tensors["stale"]), int(tensors["halvings"]))
            state.network.load_state_dict(_below(tensors, "network."))
            state.average.load_state_dict(_below(tensors, "average."))
            state._load_moments(_below(tensors, "optimizer."))
            if state.scaler.is_enabled():
                scale, age = tensors["scale"].item(), int(tensors["scale_age"])
                state.scaler.load_state_dict(
                    {**state.scaler.state_dict(), "scale": scale, "_growth_tracker": age}
                )
        except (KeyError, RuntimeError, ValueError, IndexError) as error:
            raise CheckpointError(f"{path} is no state of a run with this network: {error}") from error
        return state

    def _load_moments(self, tensors: dict[str, Tensor]) -> None:
        parameters = list(self.network.parameters())
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            index, moment = name.split(".")
            if value.ndim:  # the fused optimizer pairs numbers as they lie in memory, channels last
                value = torch.empty_like(parameters[int(index)]).detach().copy_(value)
            moments.setdefault(int(index), {})[moment] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})


def build_optimizer(network: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """The optimizer of a configuration; the loop sets its learning rate at every step."""
    weights, rate, decay = network.parameters(), config.learning_rate, config.weight_decay
    if config.kind == "adamw":
        return torch.optim.AdamW(weights, lr=rate, weight_decay=decay, fused=True)
    if config.kind == "adam":
        return torch.optim.Adam(weights, lr=rate, weight_decay=decay, fused=True)
    if config.kind == "sgd":
        return torch.optim.SGD(weights, lr=rate, weight_decay=decay)
    # as TensorFlow has it, for Spleeter's configurations: torch's own are 0.9 and 1e-6
    return torch.optim.Adadelta(weights, lr=rate, weight_decay=decay, rho=0.95, eps=1e-8)


def _initialise(network: UNet) -> None:
    """Spleeter's way: kernels He-uniform, biases 0. With inert batch norm, torch's own would fade out.

    Source: deezer/spleeter 2.4.2, `model/functions/unet.py`, `he_uniform`; there every kernel of one shape
    starts with the same numbers (one seed for all), here each has its own.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
            assert module.bias is not None
            nn.init.zeros_(module.bias)


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
