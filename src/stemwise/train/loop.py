"""The training loop: excerpts, spectra, masks, loss, step.

One thread prepares the next example while the network learns from this one. All randomness comes from
(seed, step), so a run that is stopped and resumed is the same run.
"""

import json
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from math import cos, isfinite, pi
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from torch import Tensor

from stemwise.checkpoint import Model, save_model
from stemwise.data.dataset import Excerpts
from stemwise.errors import ConfigError, NonFiniteError
from stemwise.losses import phase_sensitive_target, separation_loss
from stemwise.models.trunk import TrunkUNet
from stemwise.stft import stft
from stemwise.train.config import TrainConfig
from stemwise.train.sources import load_excerpts
from stemwise.train.state import TrainState

STATE, MODEL, LOG, CONFIG = "state.safetensors", "model.safetensors", "log.jsonl", "config.json"
LOG_STEPS = 50
VALIDATION_STEPS = 250
N_VALIDATION_BATCHES = 6
VALIDATION_SEED = 10**9  # where the step stands for training: no run is as long
SAVE_S = 300.0
MAX_GRADIENT = 1.0  # norm

Example = tuple[Tensor, Tensor, Tensor]  # mixture, targets, known: see `prepare`
Report = Callable[[dict[str, Any]], None]


def train(
    config: TrainConfig, folder: Path, *, resume: bool = False, report: Report = lambda _: None
) -> Path:
    """Run the configuration to its last step.

    Args:
        config: the run. A resumed one may have other `steps`; what else is changed makes it another run.
        folder: receives the configuration, the log (JSON lines), the state every five minutes, the model.
        resume: go on from the state in the folder.
        report: called with every line of the log.

    Returns:
        The model's path: the averaged weights after the last step.

    Raises:
        KeyboardInterrupt: after Ctrl-C, when the step at hand is finished and saved.
        ConfigError: if the folder holds another run, which would be lost.
        NonFiniteError: if the loss is NaN or infinite; the state saved last stays.
    """
    if not resume and (folder / STATE).exists():
        raise ConfigError(f"{folder} holds the state of a run: resume it, or choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    state = TrainState.load(folder / STATE, config) if resume else TrainState.fresh(config)
    (folder / CONFIG).write_text(json.dumps(config.to_dict(), indent=2) + "\n", encoding="utf-8")
    training, validation = load_excerpts(config)
    losses: list[float] = []
    saved = time.monotonic()
    with (
        (folder / LOG).open("a" if resume else "w", encoding="utf-8") as log,
        _late_interrupt() as interrupts,
    ):
        for example in examples(training, config, state):
            losses.append(step(state, example, config))
            if state.step % LOG_STEPS == 0:
                _log(log, report, step=state.step, loss=round(float(np.mean(losses)), 5))
                losses.clear()
            if state.step % VALIDATION_STEPS == 0 and validation is not None:
                _log(log, report, step=state.step, **validate(state, validation, config))
            if interrupts or time.monotonic() - saved > SAVE_S:
                state.save(folder / STATE)
                saved = time.monotonic()
            if interrupts:
                raise KeyboardInterrupt
    state.save(folder / STATE)
    save_model(Model(config.model, state.average), folder / MODEL)
    return folder / MODEL


def step(state: TrainState, example: Example, config: TrainConfig) -> float:
    """One step of the optimizer; returns the loss."""
    mixture, targets, known = example
    for group in state.optimizer.param_groups:
        group["lr"] = config.learning_rate * schedule(state.step, config)
    loss = separation_loss(_estimate(state.network, mixture, config), targets, mixture, known)
    if not isfinite(loss.item()):
        raise NonFiniteError(
            f"the loss of step {state.step} is {loss.item()}: the learning rate may be too high"
        )
    state.optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(state.network.parameters(), MAX_GRADIENT)
    state.optimizer.step()
    state.step += 1
    state.update_average(config.average)
    return loss.item()


def schedule(step: int, config: TrainConfig) -> float:
    """Fraction of the peak learning rate: a linear rise, then half a cosine down to 1 %."""
    rise = min(1.0, (step + 1) / config.warmup_steps)
    return rise * (0.01 + 0.99 * 0.5 * (1 + cos(pi * step / config.steps)))


def examples(data: Excerpts, config: TrainConfig, state: TrainState) -> Iterator[Example]:
    """The examples of all steps still to make, each prepared while the one before is in use."""
    # one processor thread there: the network's own threads need the cores more
    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) as thread:
        steps = range(state.step, config.steps)
        following = thread.submit(prepare, data, config, state.network, state.step)
        for n in steps:
            example = following.result()
            if n + 1 in steps:
                following = thread.submit(prepare, data, config, state.network, n + 1)
            yield example


@torch.no_grad()
def prepare(data: Excerpts, config: TrainConfig, network: TrunkUNet, n: int) -> Example:
    """Step n's mixture `(B, C, bands, frames)`, targets `(B, S, C, bands, frames)` and known `(B, S)`."""
    batch = data.batch(config.batch_size, np.random.default_rng([config.seed, n]))
    pairs = []
    for sources in batch.sources:  # one by one: the spectra of a batch would not fit the processor's cache
        spectra = stft(sources, config.model.stft)[..., : config.model.n_bins, :]
        pairs.append(phase_sensitive_target(spectra, network.pool))
    mixtures, targets = zip(*pairs, strict=True)
    return torch.stack(mixtures), torch.stack(targets), batch.known


@torch.no_grad()
def validate(state: TrainState, data: Excerpts, config: TrainConfig) -> dict[str, float]:
    """Median over excerpts of held-out songs of each stem's SDR, dB, with the averaged weights.

    The same excerpts each time, in bands and on the mixture's phase: it reads higher than the SDR of
    waveforms, and is for comparing steps with each other.
    """
    ratios: dict[str, list[float]] = {stem: [] for stem in config.model.stems}
    for n in range(N_VALIDATION_BATCHES):
        mixture, targets, known = prepare(data, config, state.network, VALIDATION_SEED + n)
        error = _estimate(state.average, mixture, config) - targets
        signal, noise = (x.square().sum(dim=(2, 3, 4)) for x in (targets, error))
        heard = known.bool() & (signal > 1e-3 * mixture.square().sum(dim=(1, 2, 3))[:, None])
        for s, stem in enumerate(config.model.stems):
            ratios[stem] += (10 * torch.log10(signal[:, s] / noise[:, s]))[heard[:, s]].tolist()
    return {f"{stem}_db": round(float(np.median(values)), 2) for stem, values in ratios.items() if values}


def _estimate(network: TrunkUNet, mixture: Tensor, config: TrainConfig) -> Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=config.precision == "bfloat16"):
        return network.masks(mixture) * mixture[:, None]


@contextmanager
def _late_interrupt() -> Iterator[list[int]]:
    """Ctrl-C is only noted, so that it cannot cut a step in two; a second one acts at once."""
    before = signal.getsignal(signal.SIGINT)
    noted: list[int] = []

    def note(number: int, _: object) -> None:
        noted.append(number)
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)


def _log(file: TextIO, report: Report, **values: Any) -> None:
    file.write(json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **values}) + "\n")
    file.flush()
    report(values)
