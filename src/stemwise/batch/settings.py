"""What is to be made of every song, and what the models give for it, asked of a process of its own."""

import multiprocessing
import signal
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from typing import Any

from stemwise.errors import ConfigError, StemwiseError
from stemwise.naming import DEFAULT_TEMPLATE
from stemwise.outputs import OutputFormat

# What of a row's parameters a `Task` takes.
TASK_KEYS = (
    "model", "stems", "two_stems", "residual", "mwf", "codec", "bit_depth", "bitrate", "sample_rate",
    "stereo", "clip", "offset_s", "duration_s",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options of a batch; see `Separator` and `OutputFormat`.

    Attributes:
        template: of the stems' files, see `naming.output_paths`.
    """

    model: str = "stemwise:4stems"
    stems: tuple[str, ...] | None = None
    two_stems: str | None = None
    residual: bool = False
    mwf: bool = False
    device: str = "auto"
    precision: str = "auto"
    output_format: OutputFormat = field(default_factory=OutputFormat)
    template: str = DEFAULT_TEMPLATE
    offset_s: float = 0.0
    duration_s: float | None = None

    def parameters(
        self, facts: "ModelFacts", *, offset_s: float | None = None, duration_s: float | None = None
    ) -> dict[str, Any]:
        """All that decides what a song's stems are: JSON for the journal.

        Device, threads and what `auto` came to are no parameters: a catalogue may move to another machine.
        """
        written = asdict(self.output_format)
        return {
            "model": facts.name,
            "model_sha256": facts.sha256,
            "stems": list(self.stems) if self.stems is not None else None,
            "two_stems": self.two_stems,
            "residual": self.residual,
            "mwf": self.mwf,
            "precision": self.precision,
            "template": self.template,
            "offset_s": self.offset_s if offset_s is None else offset_s,
            "duration_s": self.duration_s if duration_s is None else duration_s,
            **{key: written[key] for key in TASK_KEYS if key in written},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a model gives with the options of a batch, on this machine.

    Attributes:
        name: as the user calls it.
        stems: that are written.
        sha256: of its weights, see `checkpoint.weights_sha256`.
        licence: of its weights.
        device: that is taken; `cuda` of any number.
        n_devices: how many of its kind there are; cores are one.
        precision: what `auto` comes to.
        versions: of the libraries that compute.
    """

    name: str
    stems: tuple[str, ...]
    sha256: str
    licence: str
    device: str
    n_devices: int
    precision: str
    versions: Mapping[str, str]


def ask_models(settings: Settings, names: Iterable[str]) -> dict[str, ModelFacts]:
    """The facts of some models, asked of a child process, so that this one loads no torch.

    Raises:
        ConfigError, ModelError: as `Separator`, for the first model or option that cannot be.
    """
    context = multiprocessing.get_context("spawn")
    ignore = signal.signal, (signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for this process alone
    with ProcessPoolExecutor(1, context, *ignore) as child:
        try:
            return {name: child.submit(_facts, settings, name).result() for name in dict.fromkeys(names)}
        except BrokenProcessPool as error:
            raise StemwiseError("the process that loads the model was killed: is memory short?") from error


def _facts(settings: Settings, name: str) -> ModelFacts:
    from importlib.metadata import version

    import torch

    from stemwise.audio import library_versions
    from stemwise.checkpoint import weights_sha256
    from stemwise.hub import load_model
    from stemwise.separate import Separator

    model = load_model(name)
    separator = Separator(
        model,
        device=settings.device,
        precision=settings.precision,
        stems=settings.stems,
        two_stems=settings.two_stems,
        residual=settings.residual,
    )
    is_cuda = separator.device.type == "cuda" and settings.device in ("auto", "cuda")
    return ModelFacts(
        name=name,
        stems=tuple(separator.stems),
        sha256=weights_sha256(model.network),
        licence=model.card.licence,
        device=str(separator.device),
        n_devices=torch.cuda.device_count() if is_cuda else 1,
        precision=separator.precision,
        versions={"torch": version("torch"), "numpy": version("numpy"), **library_versions()},
    )


def check_template(template: str) -> None:
    """Refuse a template that leaves the output folder: the journal knows stems by their path below it.

    Raises:
        ConfigError: for such a one.
    """
    parts = template.replace("\\", "/").split("/")
    if template.startswith("/") or ".." in parts:
        raise ConfigError(f"template is {template!r}: it must stay below the output folder")
