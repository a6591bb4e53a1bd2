"""One step: the gradient of every pass, the learning rate of the moment, the optimizer, the average."""

from math import cos, isfinite, pi

import torch
from torch import Tensor, nn

from stemwise.errors import NonFiniteError
from stemwise.losses import in_all
from stemwise.train.config import TrainConfig
from stemwise.train.distributed import Processes
from stemwise.train.finetune import is_head
from stemwise.train.loader import Example
from stemwise.train.state import TrainState

FLOOR = 0.01  # of the learning rate's peak: where half a cosine ends


def step(
    state: TrainState,
    objective: nn.Module,
    parts: list[Example],
    config: TrainConfig,
    process: Processes,
) -> float:
    """One step of the optimizer.

    Args:
        state: is changed.
        objective: around the state's network, and joined to the other processes.
        parts: what each pass of this process learns from.
        config: the run.
        process: this one.

    Returns:
        The loss, the mean over all processes.

    Raises:
        NonFiniteError: if the loss is NaN or infinite; the weights are as they were.
    """
    _set_modes(state, config)
    state.optimizer.zero_grad()
    loss = process.mean(_backward(state, objective, parts, config, process))
    if not isfinite(loss):
        raise NonFiniteError(
            f"the loss of step {state.step} is {loss}: the learning rate may be too high,"
            " or the precision too low"
        )
    _follow_gradient(state, config)
    state.step += 1
    state.update_average(config.optimizer.average)
    return loss


def learning_rate(config: TrainConfig, step: int, halvings: int = 0) -> float:
    """Of that step, 0 being the first: a linear rise, then what the schedule says."""
    schedule = config.schedule
    rise = min(1.0, (step + 1) / schedule.warmup_steps) if schedule.warmup_steps else 1.0
    fall = 1.0
    if schedule.kind == "cosine":
        fall = FLOOR + (1 - FLOOR) * 0.5 * (1 + cos(pi * min(step / config.steps, 1)))
    elif schedule.kind == "plateau":
        fall = 0.5**halvings
    return config.optimizer.learning_rate * rise * fall


def stem_weights(config: TrainConfig) -> Tensor:
    """Of every stem in the loss, `(stems,)`."""
    stems = config.model.stems
    return torch.tensor([config.loss.weights.get(stem, 1 / len(stems)) for stem in stems])


def _set_modes(state: TrainState, config: TrainConfig) -> None:
    """Batch norm uses its running statistics, and leaves them, where they are inert or frozen."""
    state.network.train()
    if config.batch_norm == "inert" or state.step < config.start.frozen_steps:
        for module in state.network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def _backward(
    state: TrainState, objective: nn.Module, parts: list[Example], config: TrainConfig, process: Processes
) -> float:
    """Sum up the gradients of all passes; returns the mean loss of this process."""
    weights, total = stem_weights(config).to(process.device), 0.0
    for number, part in enumerate(parts, start=1):
        with process.kept_apart(objective, is_last=number == len(parts)):
            loss = in_all(objective(part.mixture, part.targets), part.known, weights) / len(parts)
            state.scaler.scale(loss).backward()
        total += loss.item()
    return total


def _follow_gradient(state: TrainState, config: TrainConfig) -> None:
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(config, state.step, state.standing.halvings)
    state.scaler.unscale_(state.optimizer)
    if state.step < config.start.frozen_steps:
        for name, parameter in state.network.named_parameters():
            if not is_head(state.network, name):
                parameter.grad = None  # the optimizer leaves it, and its moments, as they are
    if config.optimizer.max_gradient:
        nn.utils.clip_grad_norm_(state.network.parameters(), config.optimizer.max_gradient)
    state.scaler.step(state.optimizer)
    state.scaler.update()
