"""The parts of a run's configuration, one dataclass each: `stemwise.train.config` joins them."""

from dataclasses import dataclass, field
from typing import Any, Literal

from stemwise.data.dataset import MixConfig
from stemwise.errors import ConfigError
from stemwise.models import config_from_dict
from stemwise.train.requirements import (
    check,
    is_choice,
    is_count,
    is_names,
    is_not_negative,
    is_positive,
    is_whole,
    listed,
)

LossKind = Literal["bands", "magnitude_l1", "waveform_l1", "waveform_mse", "multi_resolution"]
OptimizerKind = Literal["adamw", "adam", "sgd", "adadelta"]
ScheduleKind = Literal["cosine", "plateau", "constant"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Where the stems lie and how examples are made of them.

    Attributes:
        songs: data sets of songs: what `stemwise.data.tracks.find_tracks` takes. Songs of a subset "valid"
            are listened to and not trained on, those of "test" are left alone.
        validation_songs: data sets of which all songs are listened to and none is trained on.
        validation: names of songs in `songs` that are listened to and not trained on.
        root: folder that the paths of a `.csv` file are relative to; empty for the file's own.
        names: stem for the name of a file where they differ.
        singles: per stem, a folder of single files of it.
        excerpt_frames: length of an example, in frames of the model's transform.
        mix: how examples are put together: the keys of `stemwise.data.dataset.MixConfig`.
        augmentations: what is done to them: names in `stemwise.data.augment`.
        cache: folder for decoded audio.
    """

    songs: tuple[str, ...]
    validation_songs: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    root: str = ""
    names: dict[str, str] = field(default_factory=dict)
    singles: dict[str, str] = field(default_factory=dict)
    excerpt_frames: int = 128
    mix: dict[str, Any] = field(default_factory=dict)
    augmentations: tuple[str, ...] = ()
    cache: str = "runs/cache"

    def __post_init__(self) -> None:
        check(self, ("songs", "validation_songs", "validation", "augmentations"), is_names, "a list of names")
        check(self, ("excerpt_frames",), is_count, "a positive whole number")
        if not self.songs and not self.singles:
            raise ConfigError("data has neither songs nor singles: there is nothing to train on")
        mix = self.mix_config(1, 1)
        for stem in mix.pool_shares:
            if stem not in self.singles:
                raise ConfigError(f"mix.pool_shares names {stem!r}, but singles has no {stem!r}")
        for stem in self.singles:
            if mix.plain or not mix.pool_shares.get(stem):
                raise ConfigError(
                    f"singles names {stem!r}, but nothing is drawn from it: mix.pool_shares must give it a"
                    " share, and mix.plain be false"
                )

    def mix_config(self, excerpt_samples: int, sample_rate: int) -> MixConfig:
        """`mix` with what the rest of the run says."""
        rest = {
            "excerpt_samples": excerpt_samples,
            "sample_rate": sample_rate,
            "augmentations": self.augmentations,
        }
        if not isinstance(self.mix, dict) or set(self.mix) & set(rest):
            raise ConfigError(f"mix is {self.mix!r}: it must be an object without {', '.join(rest)}")
        config: MixConfig = config_from_dict(MixConfig, {**self.mix, **rest})
        return config


@dataclass(frozen=True, slots=True, kw_only=True)
class LossConfig:
    """What training makes small: see `stemwise.train.objective`.

    Attributes:
        kind: "bands" is for architectures "trunk_unet" and "bandsplit"; the others are for any.
        weights: of stems; a stem that is not named has 1 / number of stems.
    """

    kind: LossKind = "bands"
    weights: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(self, ("kind",), is_choice(LossKind), listed(LossKind))
        for stem, weight in self.weights.items():
            if not weight >= 0:
                raise ConfigError(f"loss.weights gives {stem!r} {weight!r}: it must be 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """How the weights follow the gradient.

    Attributes:
        kind: of optimizer.
        learning_rate: its peak.
        weight_decay: decoupled in "adamw", added to the gradient in the others.
        max_gradient: a gradient with a larger norm is scaled down to it; 0 for no limit.
        accumulation: passes whose gradients make one step.
        average: decay of the exponential moving average of the weights, which is what is kept; 0 for none.
    """

    kind: OptimizerKind = "adamw"
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    max_gradient: float = 1.0
    accumulation: int = 1
    average: float = 0.999

    def __post_init__(self) -> None:
        check(self, ("kind",), is_choice(OptimizerKind), listed(OptimizerKind))
        check(self, ("learning_rate",), is_positive, "positive")
        check(self, ("weight_decay", "max_gradient"), is_not_negative, "0 or more")
        check(self, ("accumulation",), is_count, "a positive whole number")
        check(self, ("average",), lambda v: 0 <= v < 1, "0 to 1, 1 excluded")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleConfig:
    """How the learning rate goes.

    Attributes:
        kind: "cosine" falls to 1 % in half a cosine over the run; "plateau" halves whenever so many
            validations as `plateau_patience` have brought nothing better; "constant" stays.
        warmup_steps: steps of linear rise at the beginning.
        plateau_patience: see `kind`.
    """

    kind: ScheduleKind = "cosine"
    warmup_steps: int = 100
    plateau_patience: int = 4

    def __post_init__(self) -> None:
        check(self, ("kind",), is_choice(ScheduleKind), listed(ScheduleKind))
        check(self, ("warmup_steps",), is_whole, "a whole number, 0 or more")
        check(self, ("plateau_patience",), is_count, "a positive whole number")


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationConfig:
    """How often the network is listened to on held-out songs, and what follows.

    Attributes:
        every_steps: steps between two validations.
        excerpts: how many, evenly spread over the held-out songs.
        patience: the run ends when so many validations have brought no better SDR; 0 for never.
    """

    every_steps: int = 250
    excerpts: int = 48
    patience: int = 0

    def __post_init__(self) -> None:
        check(self, ("every_steps", "excerpts"), is_count, "a positive whole number")
        check(self, ("patience",), is_whole, "a whole number, 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class SavingConfig:
    """What is kept on disk while a run goes on.

    Attributes:
        every_s: seconds between two states: what a power cut costs at most.
        keep_every_steps: steps between two models that are kept for good; 0 for none.
    """

    every_s: float = 300.0
    keep_every_steps: int = 0

    def __post_init__(self) -> None:
        check(self, ("every_s",), is_not_negative, "0 or more")
        check(self, ("keep_every_steps",), is_whole, "a whole number, 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareConfig:
    """What the run is computed on. It changes the last digits, nothing else.

    Attributes:
        device: "auto" (CUDA, then MPS, then the CPU), or torch's name for one.
        precision: of the network's forward pass; "auto" is bfloat16 where the device has it, else float32.
        compile: let `torch.compile` fuse the network; the first steps take minutes.
        loader_threads: threads that prepare examples.
    """

    device: str = "auto"
    precision: Precision = "auto"
    compile: bool = False
    loader_threads: int = 1

    def __post_init__(self) -> None:
        check(self, ("precision",), is_choice(Precision), listed(Precision))
        check(self, ("loader_threads",), is_count, "a positive whole number")


@dataclass(frozen=True, slots=True, kw_only=True)
class StartConfig:
    """The model that is trained further: see `stemwise.train.finetune`.

    Attributes:
        model: a name in the store, or a file; empty to start from random weights.
        frozen_steps: steps at the beginning in which only the heads of the stems learn.
        tracks: names of the songs that it was trained on.
    """

    model: str = ""
    frozen_steps: int = 0
    tracks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check(self, ("frozen_steps",), is_whole, "a whole number, 0 or more")
