"""What a worker is told, and what it answers; it all fits through a pipe and needs no torch to be read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stemwise.worker.pace import Pace


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One song to be separated; whatever is not said is as in `Separator` and `OutputFormat`.

    Attributes:
        id: comes back with every message.
        source: path of the song.
        paths: where each stem goes; the names must be those that the model gives with these options.
        model: a name or a path, as `hub.load_model` takes it.
        stems, two_stems, residual, mwf, device, precision: see `Separator`.
        codec, bit_depth, bitrate, sample_rate, stereo, clip: see `OutputFormat`.
        offset_s, duration_s: see `separate_to`.
    """

    id: str
    source: str
    paths: Mapping[str, str]
    model: str = "stemwise:4stems"
    stems: tuple[str, ...] | None = None
    two_stems: str | None = None
    residual: bool = False
    mwf: bool = False
    device: str = "auto"
    precision: str = "auto"
    codec: str = "wav"
    bit_depth: int | None = None
    bitrate: int | None = None
    sample_rate: int | None = None
    stereo: bool = False
    clip: str = "gain"
    offset_s: float = 0.0
    duration_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A model to be tried out on some noise, to learn its pace.

    Attributes:
        model: as in `Task`.
        folder: where the noise and its stems may be meanwhile.
    """

    model: str
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What one must know of a model before it is used.

    Attributes:
        name: to use it by.
        stems: that it gives.
        two_stems: of which each can be had beside the sum of the others; empty if it gives two anyway.
        licence: of the weights.
        description: a line, or nothing.
        bytes: of the weights.
        installed: whether the weights are on this machine.
    """

    name: str
    stems: tuple[str, ...]
    two_stems: tuple[str, ...]
    licence: str
    description: str
    bytes: int
    installed: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a song is: seconds of sound, or bytes of its model in the stage `downloading`.

    `total` is None where it is unknown.
    """

    id: str
    stage: str
    done: float
    total: float | None


@dataclass(frozen=True, slots=True)
class Done:
    """A song's stems are all there; `report` is `files.SongReport` as a dictionary, with `licence`."""

    id: str
    report: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """A song cannot be separated.

    Attributes:
        id: of the task.
        message: one line.
        exit_code: that the command would return.
        passing: whether it may succeed later (storage, network), which a bad file never does.
        unforeseen: whether it is no error that songs or systems have; the process is replaced after it.
    """

    id: str
    message: str
    exit_code: int
    passing: bool
    unforeseen: bool = False


@dataclass(frozen=True, slots=True)
class Crashed:
    """The process died; `id` is that of the task it had, or empty."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Models:
    """The answer to `Worker.ask_models`."""

    models: tuple[ModelInfo, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """The answer to `Worker.try_out`; None if it had to give way."""

    pace: Pace | None


Message = Progress | Done | Failed | Crashed | Models | Measured
Request = Task | Trial | Sequence[str] | None  # the names of models to be described; None ends a trial
