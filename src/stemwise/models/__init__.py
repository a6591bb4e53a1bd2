"""The networks, and the configuration that is saved with their weights.

Every network maps magnitudes of the mixture, `(batch, channels, bins, frames)`, to estimated
magnitudes of every stem, `(batch, stems, channels, bins, frames)`: both >= 0, the lowest
`ModelConfig.n_bins` bins only, two channels. What a network does with levels, logarithms or bands
is its own affair. One file per architecture, none imports another.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from math import inf
from typing import Any, Literal

from torch import nn

from stemwise.errors import ConfigError
from stemwise.models.bandsplit import BandSplit, BandSplitConfig
from stemwise.models.blstm import BLSTM, BLSTMConfig
from stemwise.models.trunk import TrunkUNet, TrunkUNetConfig
from stemwise.models.unet import UNet, UNetConfig
from stemwise.naming import can_name_a_file
from stemwise.stft import STFTConfig

NetworkConfig = UNetConfig | BLSTMConfig | TrunkUNetConfig | BandSplitConfig

ARCHITECTURES: dict[str, tuple[type[Any], type[Any]]] = {
    "unet": (UNetConfig, UNet),
    "blstm": (BLSTMConfig, BLSTM),
    "trunk_unet": (TrunkUNetConfig, TrunkUNet),
    "bandsplit": (BandSplitConfig, BandSplit),
}
N_CHANNELS = 2  # every network hears stereo; mono is given as two equal channels
MAX_VALUES = 64  # in a list: of stems, levels, groups, each of which makes modules, and so costs memory


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """All that turns weights into a separator.

    Attributes:
        architecture: a key of `ARCHITECTURES`.
        network: that architecture's own configuration.
        stems: names, also of files, in the order of the network's stem axis.
        sample_rate: Hz, of the audio that the network was trained on.
        stft: the transform in front of the network.
        n_bins: how many of the lowest bins the network hears.
        chunk_frames: frames that the network hears at once.
        overlap: fraction of a chunk that it shares with the next one, 0 <= overlap <= 0.5; estimates are
            cross-faded there.
        exponent: of the ratio masks, 1 (amplitude) or 2 (power).
        mask_extension: mask above `n_bins`: 0, or the mean mask of the bins below.
        remainder: the stem that receives what the masks leave of the mixture (above the bandwidth, through
            resampling), so that the stems add up to it; None to leave it out, as Spleeter does.
    """

    architecture: str
    network: NetworkConfig
    stems: tuple[str, ...]
    sample_rate: int = 44100
    stft: STFTConfig = field(default_factory=STFTConfig)
    n_bins: int = 1024
    chunk_frames: int = 512
    overlap: float = 0.0
    exponent: float = 2.0
    mask_extension: Literal["zeros", "average"] = "zeros"
    remainder: str | None = None

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise ConfigError(
                f"architecture is {self.architecture!r}: it must be one of {sorted(ARCHITECTURES)}"
            )
        for stem in self.stems:
            if not can_name_a_file(stem):
                raise ConfigError(f"stems has {stem!r}: it must be a name that a file can have")
        if not self.stems or len(set(self.stems)) != len(self.stems):
            raise ConfigError(f"stems are {self.stems}: there must be at least one, each named once")
        if not 1 <= self.n_bins <= self.stft.n_bins:
            raise ConfigError(f"n_bins is {self.n_bins}: it must be 1 to {self.stft.n_bins}")
        if self.sample_rate < 1 or self.chunk_frames < 1:
            raise ConfigError("sample_rate and chunk_frames must be positive")
        if not 0 <= self.overlap <= 0.5:
            raise ConfigError(f"overlap is {self.overlap}: it must be 0 to 0.5")
        if not self.exponent > 0:
            raise ConfigError(f"exponent is {self.exponent}: it must be positive")
        if self.mask_extension not in ("zeros", "average"):
            raise ConfigError(f"mask_extension is {self.mask_extension!r}: it must be 'zeros' or 'average'")
        if self.remainder is not None and self.remainder not in self.stems:
            raise ConfigError(f"remainder is {self.remainder!r}: it must be one of {self.stems}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ModelConfig":
        """The inverse of `to_dict`.

        Raises:
            ConfigError: for an unknown or missing key, or a value that cannot be.
        """
        values = dict(values)
        architecture = values.get("architecture")
        if not isinstance(architecture, str) or architecture not in ARCHITECTURES:
            raise ConfigError(f"architecture is {architecture!r}: it must be one of {sorted(ARCHITECTURES)}")
        for name, kind in (("network", ARCHITECTURES[architecture][0]), ("stft", STFTConfig)):
            part = values.get(name, {})
            if not isinstance(part, dict):
                raise ConfigError(f"{name} is {part!r}: it must be an object")
            _check_lengths(part)
            values[name] = config_from_dict(kind, part)
        _check_lengths(values)
        config: ModelConfig = config_from_dict(cls, values)
        return config

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def config_from_dict(kind: type[Any], values: dict[str, Any]) -> Any:
    """A configuration dataclass of that kind; lists become tuples.

    Raises:
        ConfigError: for an unknown or missing key, or a value that cannot be.
    """
    unknown = set(values) - {f.name for f in fields(kind)}
    if unknown:
        raise ConfigError(
            f"{kind.__name__} has no key {sorted(unknown)}: the keys are {[f.name for f in fields(kind)]}"
        )
    _check_types(kind, values)
    try:
        return kind(
            **{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        )
    except TypeError as error:
        raise ConfigError(f"{kind.__name__}: {error}") from error


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -inf < value < inf


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_list(values: object, is_right: Callable[[object], bool]) -> bool:
    return isinstance(values, list | tuple) and all(map(is_right, values))


def _is_table(values: object, is_right: Callable[[object], bool]) -> bool:
    """Of names, with such values."""
    return isinstance(values, Mapping) and all(map(_is_text, values)) and all(map(is_right, values.values()))


# By the type of a field, what JSON must have for it: 8.0 and true pass for 8 and 1 until tensors are made.
_REQUIREMENTS: dict[Any, tuple[Callable[[object], bool], str]] = {
    bool: (lambda value: isinstance(value, bool), "true or false"),
    int: (_is_whole, "a whole number"),
    float: (_is_number, "a number"),
    str: (_is_text, "a text"),
    tuple[int, ...]: (lambda values: _is_list(values, _is_whole), "a list of whole numbers"),
    tuple[str, ...]: (lambda values: _is_list(values, _is_text), "a list of names"),
    dict[str, str]: (lambda values: _is_table(values, _is_text), "an object of names"),
    dict[str, float]: (lambda values: _is_table(values, _is_number), "an object of numbers"),
    Mapping[str, float]: (lambda values: _is_table(values, _is_number), "an object of numbers"),
}


def _check_types(kind: type[Any], values: dict[str, Any]) -> None:
    for one in fields(kind):
        if one.name in values and one.type in _REQUIREMENTS:
            value, (is_right, requirement) = values[one.name], _REQUIREMENTS[one.type]
            if not is_right(value):
                raise ConfigError(f"{one.name} is {value!r}: it must be {requirement}")


def _check_lengths(values: dict[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, list | tuple) and len(value) > MAX_VALUES:
            raise ConfigError(f"{name} has {len(value)} values: it must have at most {MAX_VALUES}")


def build(config: ModelConfig) -> nn.Module:
    """The network of a configuration, with untrained weights."""
    network: nn.Module = ARCHITECTURES[config.architecture][1](
        config.network, n_stems=len(config.stems), n_bins=config.n_bins
    )
    return network
