"""The training loop: examples, a step; now and then a line of metrics, a validation, a state on disk.

A run may be stopped at any moment, and goes on from the state saved last as if it had never been stopped: all
randomness comes from (seed, step, unit), and everything else that changes is in the state.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import inf
from pathlib import Path
from statistics import fmean
from typing import Any

from stemwise.checkpoint import Model, save_model
from stemwise.device import has_bfloat16
from stemwise.errors import ConfigError
from stemwise.train.board import Board
from stemwise.train.config import TrainConfig
from stemwise.train.distributed import Processes, processes
from stemwise.train.export import trained_model
from stemwise.train.folder import RunFolder, environment
from stemwise.train.loader import examples
from stemwise.train.objective import build_objective
from stemwise.train.sources import Sources, load_sources
from stemwise.train.state import TrainState
from stemwise.train.step import learning_rate, step
from stemwise.train.validation import passages, scores

LOG_STEPS = 10

Report = Callable[[Mapping[str, Any]], None]


def train(
    config: TrainConfig,
    folder: Path,
    *,
    resume: bool = False,
    recipe: Path | None = None,
    report: Report = lambda _: None,
    sources: Sources | None = None,
    deadline: float = inf,
) -> Path:
    """Run the configuration to its last step, or until validation says that it is enough.

    Args:
        config: the run. A resumed one may have other `steps`; what else is changed makes it another run.
        folder: see `stemwise.train.folder`.
        resume: go on from the state in the folder.
        recipe: the file that the configuration comes from; the state of its repository is noted.
        report: called with every line of the metrics.
        sources: what the run learns from; None for what `config.data` names.
        deadline: when to stop as after Ctrl-C, by `time.monotonic`.

    Returns:
        The path of the model to use.

    Raises:
        KeyboardInterrupt: after Ctrl-C, SIGTERM or the deadline, when the step at hand is finished and saved.
        ConfigError: if the folder holds another run, which would be lost, or one with another optimizer, or
            the data are not there.
        NonFiniteError: if the loss is NaN or infinite; the state saved last stays.
        CheckpointError: if weights are; likewise.
        WorkerLost: if another process of the run is gone; likewise.
    """
    with processes(config.hardware.device) as process:
        run = _Run(config, RunFolder(folder), process, report, resume=resume, sources=sources)
        run.begin(recipe)
        objective = build_objective(run.state.network, config, precision=run.precision)
        if config.hardware.compile:
            objective.compile()
        data, joined = run.sources.excerpts, process.joined(objective)
        with _late_signals() as signals:
            for parts in examples(data, config, objective, process, first_step=run.state.step):
                if run.is_enough:
                    break
                loss = step(run.state, joined, parts, config, process)
                run.after_step(loss, len(parts))
                is_told = bool(signals) or time.monotonic() > deadline
                if process.any(is_told) and run.state.step < config.steps:
                    run.save()
                    raise KeyboardInterrupt
            run.save()
        run.end()
    return run.folder.model


class _Run:
    """A run on its way: its state, and what happens beside the steps."""

    def __init__(
        self,
        config: TrainConfig,
        folder: RunFolder,
        process: Processes,
        report: Report,
        *,
        resume: bool,
        sources: Sources | None,
    ) -> None:
        for file in (folder.state, folder.model):
            if not resume and file.exists():
                raise ConfigError(
                    f"{folder.path} holds {file.name} of a run: resume it, or choose another folder"
                )
        self.config, self.folder, self.process, self.report = config, folder, process, report
        self.precision: str = config.hardware.precision
        if self.precision == "auto":
            self.precision = "bfloat16" if has_bfloat16(process.device) else "float32"
        if resume:
            folder.check_resumed(config)
            self.state = TrainState.load(folder.state, config, process.device, precision=self.precision)
        else:
            self.state = TrainState.fresh(config, process.device, precision=self.precision)
        self.sources = sources or load_sources(config)
        self.passages = passages(
            self.sources.held_out,
            config.model.stems,
            n_samples=config.excerpt_samples,
            count=config.validation.excerpts,
        )
        if not self.passages and (config.validation.patience or config.schedule.kind == "plateau"):
            raise ConfigError(
                "validation.patience and schedule.kind 'plateau' need songs to listen to:"
                " name some in data.validation"
            )
        self.saved, self.logged = time.monotonic(), time.monotonic()
        self.n_excerpts = 0

    def begin(self, recipe: Path | None) -> None:
        if self.process.is_first:
            facts = environment(recipe, self.process.count, self.process.device, self.precision)
            self.folder.begin(self.config, facts, step=self.state.step)
        self.board = Board(self.folder.tensorboard, self.state.step, is_on=self.process.is_first)

    @property
    def is_enough(self) -> bool:
        """Whether validation has brought nothing better for long."""
        return 0 < self.config.validation.patience <= self.state.standing.stale

    def after_step(self, loss: float, n_passes: int) -> None:
        """A line of metrics, a validation, something on disk: whatever is due."""
        config, done = self.config, self.state.step
        self.state.losses.append(loss)
        self.n_excerpts += config.batch_size * n_passes * self.process.count
        if done % LOG_STEPS == 0 or done == config.steps:
            self._log_training()
        is_due = done % config.validation.every_steps == 0 or done == config.steps
        is_best = bool(self.passages) and is_due and self._validate()
        every = config.saving.keep_every_steps
        if self.process.is_first and every and done % every == 0:
            self.folder.keep(self._model(), done)
        if is_best or time.monotonic() - self.saved > config.saving.every_s:
            self.save(is_best=is_best)

    def save(self, *, is_best: bool = False) -> None:
        """The newest model, also as the one to use if it is the best so far; then the state it belongs to.

        Models that are not finite are refused: in front of the state, so that the one before stays.
        """
        if self.process.is_first:
            save_model(self._model(), self.folder.last)
            if is_best or self.state.standing.best == -inf:  # no validation has found anything
                save_model(self._model(), self.folder.model)
            self.state.save(self.folder.state)
            self.board.flush()
        self.saved = time.monotonic()

    def end(self) -> None:
        if self.process.is_first:
            self.board.close()
            self.folder.draw_curves()

    def _model(self) -> Model:
        return trained_model(self.config, self.state, self.sources, name=self.folder.path.resolve().name)

    def _log_training(self) -> None:
        now = time.monotonic()
        per_s = self.n_excerpts / max(now - self.logged, 1e-9)
        self._log(
            loss=fmean(self.state.losses),
            learning_rate=learning_rate(self.config, self.state.step - 1, self.state.standing.halvings),
            excerpts_per_s=per_s,
            audio_s_per_s=per_s * self.config.excerpt_samples / self.config.model.sample_rate,
        )
        self.logged, self.n_excerpts = now, 0
        self.state.losses.clear()

    def _validate(self) -> bool:
        """Score the averaged weights: whether they are the best so far."""
        config, process, started = self.config, self.process, time.monotonic()
        found: dict[str, float] = {}
        if process.is_first:
            found = scores(self.state.average, self.passages, config, process.device)
            self.board.show(self.state, self.passages, config, process.device)
        sdr = process.from_first(found.get("sdr", -inf))
        patience = config.schedule.plateau_patience if config.schedule.kind == "plateau" else None
        before, self.state.standing = self.state.standing, self.state.standing.after(sdr, patience)
        if process.is_first:
            self._log(**found)
        self.logged += time.monotonic() - started  # the speed is that of training
        return self.state.standing.best > before.best

    def _log(self, **values: float) -> None:
        if self.process.is_first:
            line = {"step": self.state.step, **{k: float(f"{v:.6g}") for k, v in values.items()}}
            self.folder.log(line)
            self.board.scalars(line)
            self.report(line)


@contextmanager
def _late_signals() -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM are only noted, so that they cannot cut a step in two; a second one acts at once."""
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # Python lets no other thread have handlers
        yield noted
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, _: object) -> None:
        noted.append(number)
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, note)
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
