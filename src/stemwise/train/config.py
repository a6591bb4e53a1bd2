"""What a training run is: one frozen description, from a JSON file, saved with the run."""

from dataclasses import asdict, dataclass, field
from math import ceil
from typing import Any, Literal

from stemwise.data.augment import AUGMENTATIONS, expand, margin
from stemwise.errors import ConfigError
from stemwise.models import ModelConfig, config_from_dict
from stemwise.models.unet import UNetConfig
from stemwise.train.requirements import check, is_choice, is_count, listed
from stemwise.train.sections import (
    DataConfig,
    HardwareConfig,
    LossConfig,
    OptimizerConfig,
    SavingConfig,
    ScheduleConfig,
    StartConfig,
    ValidationConfig,
)

# Architectures that make masks of bands, of all stems at once; the others have a network per stem.
SHARED_TRUNK = ("trunk_unet", "bandsplit")
BatchNorm = Literal["live", "inert"]

SECTIONS: dict[str, type[Any]] = {
    "data": DataConfig,
    "loss": LossConfig,
    "optimizer": OptimizerConfig,
    "schedule": ScheduleConfig,
    "validation": ValidationConfig,
    "saving": SavingConfig,
    "hardware": HardwareConfig,
    "start": StartConfig,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """A run.

    Attributes:
        model: what is trained.
        data: what it hears.
        steps: length of the run.
        batch_size: excerpts of one pass, on each device.
        batch_norm: "live" uses each batch's own statistics and learns the running ones; "inert" never
            touches the running ones, 0 and 1 in a new network, and uses them: Spleeter's way.
        seed: of weights and examples.
        loss: what is made small.
        optimizer: how.
        schedule: of the learning rate.
        validation: on held-out songs.
        saving: what is kept on the way.
        hardware: what it is computed on.
        start: the model that is trained further, if there is one.
    """

    model: ModelConfig
    data: DataConfig
    steps: int
    batch_size: int = 8
    batch_norm: BatchNorm = "live"
    seed: int = 0
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    saving: SavingConfig = field(default_factory=SavingConfig)
    hardware: HardwareConfig = field(default_factory=HardwareConfig)
    start: StartConfig = field(default_factory=StartConfig)

    def __post_init__(self) -> None:
        check(self, ("steps", "batch_size"), is_count, "a positive whole number")
        check(self, ("seed",), lambda v: 0 <= v < 2**63, "a whole number from 0 to 2**63 - 1")
        check(self, ("batch_norm",), is_choice(BatchNorm), listed(BatchNorm))
        self._check_network()
        names = expand(self.data.augmentations)
        spectral = [name for name in names if AUGMENTATIONS[name].domain == "magnitude"]
        if spectral and self.loss.kind != "magnitude_l1":
            raise ConfigError(
                f"augmentations names {', '.join(spectral)}, of magnitudes: loss.kind must be 'magnitude_l1'"
            )
        for name, known in (("loss.weights", self.loss.weights), ("data.singles", self.data.singles)):
            unknown = sorted(set(known) - set(self.model.stems))
            if unknown:
                raise ConfigError(f"{name} names {unknown}: the stems are {', '.join(self.model.stems)}")

    def _check_network(self) -> None:
        """What a network cannot do."""
        architecture, network = self.model.architecture, self.model.network
        if len(self.model.stems) < 2:
            raise ConfigError(
                f"model.stems is {self.model.stems}: a network deals out the mixture among its stems, so"
                " there must be two or more, such as one for the rest, accompaniment"
            )
        if self.loss.kind == "bands" and architecture not in SHARED_TRUNK:
            raise ConfigError(
                f"loss.kind is 'bands', which a {architecture} does not have:"
                " it must be magnitude_l1, waveform_l1, waveform_mse or multi_resolution"
            )
        if self.start.frozen_steps and architecture not in SHARED_TRUNK:
            raise ConfigError(
                f"start.frozen_steps is {self.start.frozen_steps}: it must be 0, for a {architecture} has a"
                " network of its own for every stem and no trunk to freeze"
            )
        multiple = 2 ** len(network.n_filters) if isinstance(network, UNetConfig) else 1
        if self.data.excerpt_frames % multiple:
            raise ConfigError(
                f"data.excerpt_frames is {self.data.excerpt_frames}:"
                f" for this network it must be a multiple of {multiple}"
            )

    @property
    def excerpt_samples(self) -> int:
        return self._samples(self.data.excerpt_frames)

    @property
    def drawn_samples(self) -> int:
        """What is drawn of a song for an excerpt: more if it may be stretched, and its middle kept."""
        longer = margin(self.data.augmentations, "magnitude")
        return self._samples(ceil(self.data.excerpt_frames * longer))

    def _samples(self, n_frames: int) -> int:
        transform = self.model.stft
        return transform.n_fft + (n_frames - 1) * transform.hop_length

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainConfig":
        """The inverse of `to_dict`.

        Raises:
            ConfigError: for an unknown or missing key, or a value that cannot be.
        """
        values = dict(values)
        for name in ("model", *SECTIONS):
            if not isinstance(values.get(name, {}), dict):
                raise ConfigError(f"{name} is {values[name]!r}: it must be an object")
        values["model"] = ModelConfig.from_dict(values.get("model", {}))
        for name, kind in SECTIONS.items():
            values[name] = config_from_dict(kind, values.get(name, {}))
        config: TrainConfig = config_from_dict(cls, values)
        return config
