"""What a training run is: a JSON file, changed by `--set key=value`, saved with the run."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from stemwise.errors import ConfigError
from stemwise.models import ModelConfig, config_from_dict


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Where the stems lie and how they are mixed.

    Attributes:
        songs: folders of songs, each a folder with a file per stem.
        singles: per stem, a folder of single files of it.
        validation: names of songs that are kept out of training and listened to instead. Of the single files,
            every twentieth is.
        excerpt_frames: length of an example, in frames of the model's transform.
        pool_shares: see `stemwise.data.dataset.MixConfig`.
        drive_shares: likewise.
        song_weights: likewise.
        cache: folder for decoded audio.
    """

    songs: tuple[str, ...]
    singles: dict[str, str] = field(default_factory=dict)
    validation: tuple[str, ...] = ()
    excerpt_frames: int = 128
    pool_shares: dict[str, float] = field(default_factory=dict)
    drive_shares: dict[str, float] = field(default_factory=dict)
    song_weights: dict[str, float] = field(default_factory=dict)
    cache: str = "runs/cache"

    def __post_init__(self) -> None:
        if self.excerpt_frames < 1:
            raise ConfigError(f"excerpt_frames is {self.excerpt_frames}: it must be positive")
        for stem, share in self.pool_shares.items():
            if not 0 <= share <= 1:
                raise ConfigError(f"pool_shares gives {stem!r} {share}: it must be 0 to 1")
            if stem not in self.singles:
                raise ConfigError(f"pool_shares gives {stem!r} {share}, but singles has no {stem!r}")
        for stem, share in self.drive_shares.items():
            if not 0 <= share <= 1:
                raise ConfigError(f"drive_shares gives {stem!r} {share}: it must be 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """A run.

    Attributes:
        model: what is trained; its architecture must be "trunk_unet".
        data: what it hears.
        steps: length of the run, and of the cosine decay of the learning rate.
        batch_size: excerpts per step.
        learning_rate: its peak, after `warmup_steps`.
        warmup_steps: steps of linear rise.
        weight_decay: of AdamW.
        average: decay of the exponential moving average of the weights, which is what is kept in the end.
        precision: of the network's forward pass.
        seed: of weights and examples.
    """

    model: ModelConfig
    data: DataConfig
    steps: int
    batch_size: int = 8
    learning_rate: float = 2e-3
    warmup_steps: int = 100
    weight_decay: float = 1e-2
    average: float = 0.999
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.model.architecture != "trunk_unet":
            raise ConfigError(
                f"architecture is {self.model.architecture!r}: only 'trunk_unet' can be trained yet"
            )
        for name in ("steps", "batch_size", "learning_rate"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be positive")
        if not 0 <= self.average < 1:
            raise ConfigError(f"average is {self.average}: it must be 0 to 1, 1 excluded")
        if self.precision not in ("float32", "bfloat16"):
            raise ConfigError(f"precision is {self.precision!r}: it must be 'float32' or 'bfloat16'")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainConfig":
        """The inverse of `to_dict`.

        Raises:
            ConfigError: for an unknown or missing key, or a value that cannot be.
        """
        values = dict(values)
        values["model"] = ModelConfig.from_dict(values.get("model", {}))
        values["data"] = config_from_dict(DataConfig, values.get("data", {}))
        config: TrainConfig = config_from_dict(cls, values)
        return config


def read_config(path: Path, changes: list[str]) -> TrainConfig:
    """The run that a JSON file describes, after changes like `steps=100` or `data.excerpt_frames=64`.

    Raises:
        ConfigError: if the file is no JSON object, or a key or value cannot be.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is no training configuration: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} is no training configuration: it must be a JSON object")
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals:
            raise ConfigError(f"--set has {change!r}: it must be key=value")
        place = values
        *parents, name = key.split(".")
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise ConfigError(f"--set has {change!r}, but {parent} is {place}: it has no keys below it")
        try:
            place[name] = json.loads(text)
        except json.JSONDecodeError:
            place[name] = text  # a bare word is a string
    return TrainConfig.from_dict(values)
