"""The child's side: the separator of the last song is kept for the next one."""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stemwise.errors import ConfigError, DownloadError, StemwiseError
from stemwise.worker.messages import Done, Failed, Measured, ModelInfo, Models, Progress, Task, Trial
from stemwise.worker.pace import Pace

if TYPE_CHECKING:
    from stemwise.checkpoint import Model
    from stemwise.hub import PublishedModel
    from stemwise.separate import Separator

PROGRESS_S = 0.25  # at least, between two reports of one stage
NOT_PASSING = (FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


def serve(connection: Connection, threads: int | None) -> None:
    """Answer requests until the parent hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    die_with_parent()
    import torch

    from stemwise.device import keep_freed_memory

    keep_freed_memory()
    if threads is not None:
        torch.set_num_threads(threads)
    engine = _Engine(connection)
    with suppress(EOFError, OSError):  # the parent has closed its end
        while True:
            request = connection.recv()
            if request is not None:  # the trial that was to end had ended
                engine.answer(request)


def die_with_parent() -> None:
    """Have this process, a child of `multiprocessing`, end when its parent does, whatever it does then."""
    threading.Thread(target=_watch_parent, daemon=True).start()


def _watch_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


@dataclass(slots=True)
class _Engine:
    """The last separator, kept for the next song."""

    connection: Connection
    separator: "Separator | None" = None
    wanted: tuple[Any, ...] = ()
    last: tuple[str, float] = ("", 0.0)

    def answer(self, request: Task | Trial | Sequence[str]) -> None:
        name = request.id if isinstance(request, Task) else ""
        try:
            if isinstance(request, Task):
                self.connection.send(Done(name, self._separate(request)))
            elif isinstance(request, Trial):
                self.connection.send(Measured(self._measure(request)))
            else:
                self.connection.send(Models(_models(request)))
        except BrokenPipeError:
            raise
        except Exception as error:  # a server or a batch goes on with the next song
            unforeseen = not isinstance(error, StemwiseError | OSError | MemoryError)
            if unforeseen:
                traceback.print_exc(file=sys.stderr)
            exit_code = getattr(error, "exit_code", 1)
            self.connection.send(Failed(name, _line(error), exit_code, _passing(error), unforeseen))

    def _separate(self, task: Task) -> dict[str, Any]:
        from stemwise.files import separate_to
        from stemwise.outputs import OutputFormat

        separator = self._separator(task)
        if set(task.paths) != set(separator.stems):
            raise ConfigError(
                f"paths are for {', '.join(task.paths)}: the model gives {', '.join(separator.stems)}"
            )
        output_format = OutputFormat(
            codec=task.codec,
            bit_depth=task.bit_depth,
            bitrate=task.bitrate,
            sample_rate=task.sample_rate,
            stereo=task.stereo,
            clip=task.clip,  # type: ignore[arg-type]  # OutputFormat checks it
        )
        report = separate_to(
            Path(task.source),
            {name: Path(path) for name, path in task.paths.items()},
            separator,
            output_format,
            offset_s=task.offset_s,
            duration_s=task.duration_s,
            progress=lambda stage, done, total: self._tell(Progress(task.id, stage, done, total)),
        )
        return asdict(report) | {"licence": separator.model.card.licence}

    def _measure(self, trial: Trial) -> Pace | None:
        from stemwise.worker.trial import measure_pace

        separator = self._separator(Task(id="", source="", paths={}, model=trial.model))
        return measure_pace(separator, Path(trial.folder), lambda: not self.connection.poll())

    def _separator(self, task: Task) -> "Separator":
        from stemwise.separate import Separator

        options = task.device, task.precision, task.stems, task.two_stems, task.residual, task.mwf
        if self.separator is None or self.wanted != (task.model, *options):
            model = self._model(task)
            self.separator = None
            self.separator = Separator(
                model,
                device=task.device,
                precision=task.precision,
                stems=task.stems,
                two_stems=task.two_stems,
                residual=task.residual,
                mwf=task.mwf,
            )
            self.wanted = (task.model, *options)
        return self.separator

    def _model(self, task: Task) -> "Model":
        from stemwise.hub import load_model

        if self.separator is not None and self.wanted[0] == task.model:
            return self.separator.model
        self.separator = None  # two models at once may be too much
        return load_model(
            task.model,
            progress=lambda done, total: self._tell(Progress(task.id, "downloading", done, total)),
        )

    def _tell(self, progress: Progress) -> None:
        stage, when = self.last
        if progress.stage != stage or time.monotonic() - when >= PROGRESS_S:
            self.last = progress.stage, time.monotonic()
            self.connection.send(progress)


def _line(error: Exception) -> str:
    if isinstance(error, StemwiseError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename or 'the system'}: {error.strerror or error}"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _passing(error: Exception) -> bool:
    """Whether the system or the network is to blame, and not the song."""
    cause = error.__cause__ or error
    # FFmpeg's errors are OSErrors too, but no builtin ones.
    is_systems = isinstance(cause, OSError) and type(cause).__module__ == "builtins"
    return isinstance(error, DownloadError) or (is_systems and not isinstance(cause, NOT_PASSING))


def _models(names: Sequence[str]) -> tuple[ModelInfo, ...]:
    from stemwise import hub

    published = {record.name: record for record in hub.published_models()}
    if not names:
        return (*map(_published, published.values()), *_imported())
    return tuple(_published(published[name]) if name in published else _loaded(name) for name in names)


def _imported() -> Iterator[ModelInfo]:
    """Of the imported models those that can be loaded: a damaged one shall not hide the others."""
    from stemwise.hub import imported_models

    for name in imported_models():
        try:
            yield _loaded(name)
        except (StemwiseError, OSError) as error:
            print(f"model {name} is left out: {_line(error)}", file=sys.stderr)


def _published(record: "PublishedModel") -> ModelInfo:
    from stemwise.hub import is_installed, size_bytes
    from stemwise.separate import ACCOMPANIMENT

    return ModelInfo(
        name=record.name,
        stems=(record.two_stems, ACCOMPANIMENT) if record.two_stems else record.stems,
        two_stems=_two_stems(record.stems, record.two_stems),
        licence=record.licence,
        description=f"hears up to {record.bandwidth_hz / 1000:.1f} kHz;"
        f" training data: {record.training_data}",
        bytes=size_bytes(record),
        installed=is_installed(record),
    )


def _loaded(name: str) -> ModelInfo:
    """Of a model that says what it is in its file only."""
    from stemwise.hub import load_model

    model = load_model(name)
    return ModelInfo(
        name=name,
        stems=model.config.stems,
        two_stems=_two_stems(model.config.stems, model.two_stems),
        licence=model.card.licence,
        description=model.card.description,
        bytes=sum(tensor.nbytes for tensor in model.network.state_dict().values()),
        installed=True,
    )


def _two_stems(stems: tuple[str, ...], preset: str | None) -> tuple[str, ...]:
    from stemwise.separate import ACCOMPANIMENT

    return stems if preset is None and ACCOMPANIMENT not in stems else ()
