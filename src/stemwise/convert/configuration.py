"""Spleeter's JSON configurations: read, checked, and turned into ours; the embedded ones built from code.

Source: deezer/spleeter 2.4.2, `spleeter/resources/*.json` and the code that reads their keys.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemwise.errors import ConfigError, UnknownModel
from stemwise.models import N_CHANNELS, ModelConfig, NetworkConfig
from stemwise.models.blstm import BLSTMConfig
from stemwise.models.unet import Activation, UNetConfig
from stemwise.stft import STFTConfig

FRAMES_MULTIPLE = 64  # the U-Net halves frames and bins six times
KEYS = {
    "model_dir", "instrument_list", "sample_rate", "frame_length", "frame_step", "T", "F", "n_channels",
    "separation_exponent", "mask_extension", "model", "MWF",
}  # fmt: skip
TRAINING_KEYS = {
    "train_csv", "validation_csv", "mix_name", "n_chunks_per_song", "learning_rate", "batch_size",
    "training_cache", "validation_cache", "train_max_steps", "throttle_secs", "random_seed",
    "save_checkpoints_steps", "save_summary_steps", "loss_type", "optimizer", "chunk_duration",
    "stft_backend",
}  # fmt: skip
# QUIRK(spleeter): there any other name is LeakyReLU in the encoder, ReLU in the decoder; here it is an error.
ACTIVATIONS: dict[str, Activation] = {"ReLU": "relu", "LeakyReLU": "leaky_relu", "ELU": "elu"}
NETWORK_PARAMS = {
    "unet.unet": {"conv_n_filters", "conv_activation", "deconv_activation"},
    "unet.softmax_unet": {"conv_n_filters", "conv_activation", "deconv_activation"},
    "blstm.blstm": {"lstm_units"},
}

EMBEDDED_STEMS = {
    "2stems": ("vocals", "accompaniment"),
    "4stems": ("vocals", "drums", "bass", "other"),
    "5stems": ("vocals", "piano", "drums", "bass", "other"),
    "musdb": ("vocals", "drums", "bass", "other"),
}
EMBEDDED = (*EMBEDDED_STEMS, *(f"{name}-16kHz" for name in ("2stems", "4stems", "5stems")))


# QUIRK(spleeter): TensorFlow's Fourier transforms on the CPU lose this much of the amplitude, there and back
# (tools/measure_tensorflow_gain.py); without it agreement ends at 1.4e-5. docs/numerics.md#tensorflow-gain
TENSORFLOW_GAIN = 1 - 9.9e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class SpleeterConfiguration:
    """What a Spleeter configuration says about separation.

    Attributes:
        model: the same in our words.
        model_dir: folder of the checkpoint, as written: absolute, or relative to the folder of models.
        mwf: whether it asks for the multichannel Wiener filter.
        unknown_keys: keys that Spleeter does not know either, to be reported.
    """

    model: ModelConfig
    model_dir: str
    mwf: bool = False
    unknown_keys: tuple[str, ...] = ()


def embedded_configuration(name: str) -> SpleeterConfiguration:
    """One of the configurations that Spleeter carries, by its name without `spleeter:`.

    Raises:
        UnknownModel: if it carries no such configuration.
    """
    if name not in EMBEDDED:
        raise UnknownModel(f"Spleeter has no configuration {name!r}: it has {', '.join(EMBEDDED)}")
    base = name.removesuffix("-16kHz")
    elu = {"conv_activation": "ELU", "deconv_activation": "ELU"}
    return read_configuration(
        {
            "model_dir": "musdb_model" if base == "musdb" else base,
            "instrument_list": list(EMBEDDED_STEMS[base]),
            "sample_rate": 44100,
            "frame_length": 4096,
            "frame_step": 1024,
            "T": 512,
            "F": 1024 if base == name else 1536,
            "n_channels": 2,
            "separation_exponent": 2,
            "mask_extension": "zeros",
            "model": {
                "type": "unet.softmax_unet" if base == "5stems" else "unet.unet",
                "params": {} if base == "2stems" else elu,
            },
        }
    )


def read_configuration(source: str | Path | Mapping[str, Any]) -> SpleeterConfiguration:
    """Read a Spleeter configuration.

    Args:
        source: the JSON file, or what it holds.

    Raises:
        ConfigError: if the file is missing or no JSON object, or a key is missing or has a value that cannot
            be; the message names key, value and requirement.
    """
    values = source if isinstance(source, Mapping) else _load_json(Path(source))
    n_channels = _get(values, "n_channels", _is_count, "a positive whole number", N_CHANNELS)
    if n_channels != N_CHANNELS:
        raise ConfigError(
            f"n_channels is {n_channels}: it must be 2. Spleeter's network puts out two channels in any case,"
            " and hears mono as two equal ones; so does stemwise, with a two-channel model"
        )
    kind, params, unknown_params = _network_part(values.get("model", {}))
    n_frames = _get(values, "T", _is_count, "a positive number of frames")
    n_bins = _get(values, "F", _is_count, "a positive number of bins")
    if kind != "blstm.blstm":
        for key, value in (("T", n_frames), ("F", n_bins)):
            if value % FRAMES_MULTIPLE:
                raise ConfigError(f"{key} is {value}: the U-Net needs a multiple of {FRAMES_MULTIPLE}")
    return SpleeterConfiguration(
        model=ModelConfig(
            architecture="blstm" if kind == "blstm.blstm" else "unet",
            network=_network_config(kind, params),
            stems=tuple(_get(values, "instrument_list", _is_names, "a list of different names")),
            sample_rate=_get(values, "sample_rate", _is_count, "a positive whole number of Hz"),
            stft=_stft_config(values),
            n_bins=n_bins,
            chunk_frames=n_frames,
            exponent=float(_get(values, "separation_exponent", _is_positive, "a positive number")),
            mask_extension=_get(
                values, "mask_extension", lambda v: v in ("zeros", "average"), "'zeros' or 'average'", "zeros"
            ),
        ),
        model_dir=_get(
            values, "model_dir", lambda v: isinstance(v, str) and v.strip() != "", "the name of a folder"
        ),
        mwf=_get(values, "MWF", lambda v: isinstance(v, bool), "true or false", False),
        unknown_keys=(*sorted(set(values) - KEYS - TRAINING_KEYS), *unknown_params),
    )


def _load_json(path: Path) -> Mapping[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"configuration file {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"configuration file {path} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(
            f"configuration file {path} holds a {type(values).__name__}: it must hold one JSON object"
        )
    return values


def _network_part(model: object) -> tuple[str, Mapping[str, Any], tuple[str, ...]]:
    """Type and parameters of the network, and unknown keys."""
    if not isinstance(model, Mapping):
        raise ConfigError(f"model is {model!r}: it must be an object with type and params")
    kind = _get(
        model, "type", lambda v: v in list(NETWORK_PARAMS), f"one of {', '.join(NETWORK_PARAMS)}", "unet.unet"
    )
    params = _get(model, "params", lambda v: isinstance(v, Mapping), "an object", {})
    unknown = [f"model.{key}" for key in sorted(set(model) - {"type", "params"})]
    unknown += [f"model.params.{key}" for key in sorted(set(params) - NETWORK_PARAMS[kind])]
    return kind, params, tuple(unknown)


def _network_config(kind: str, params: Mapping[str, Any]) -> NetworkConfig:
    if kind == "blstm.blstm":
        return BLSTMConfig(
            n_units=_get(params, "lstm_units", _is_count, "a positive whole number", BLSTMConfig().n_units)
        )
    names = f"one of {', '.join(ACTIVATIONS)}"
    return UNetConfig(
        n_filters=tuple(
            _get(
                params, "conv_n_filters", _is_six_counts, "six positive whole numbers", UNetConfig().n_filters
            )
        ),
        encoder_activation=ACTIVATIONS[_get(params, "conv_activation", _is_activation, names, "LeakyReLU")],
        decoder_activation=ACTIVATIONS[_get(params, "deconv_activation", _is_activation, names, "ReLU")],
        output="softmax" if kind == "unet.softmax_unet" else "sigmoid",
    )


def _stft_config(values: Mapping[str, Any]) -> STFTConfig:
    length = _get(values, "frame_length", _is_count, "a positive number of samples")
    step = _get(values, "frame_step", _is_count, "a positive number of samples")
    try:
        return STFTConfig(n_fft=length, hop_length=step, gain=TENSORFLOW_GAIN)
    except ConfigError as error:
        raise ConfigError(
            f"frame_length is {length} and frame_step is {step}: frame_length must be a power of two,"
            " frame_step a divisor of its quarter"
        ) from error


_REQUIRED = object()


def _get(
    values: Mapping[str, Any],
    key: str,
    is_right: Callable[[Any], bool],
    requirement: str,
    default: Any = _REQUIRED,
) -> Any:
    value = values.get(key, default)
    if value is _REQUIRED:
        raise ConfigError(f"{key} is missing from the configuration: it must be {requirement}")
    if not is_right(value):
        raise ConfigError(f"{key} is {value!r}: it must be {requirement}")
    return value


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


def _is_names(value: object) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) > 0
        and all(isinstance(v, str) and v for v in value)
        and len(set(value)) == len(value)
    )


def _is_six_counts(value: object) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == len(UNetConfig().n_filters)
        and all(map(_is_count, value))
    )


def _is_activation(value: object) -> bool:
    return isinstance(value, str) and value in ACTIVATIONS
