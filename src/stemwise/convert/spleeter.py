"""Spleeter's checkpoint variables and our weights: names, order of axes, and what is checked.

TensorFlow numbers layers through all stems in order of creation: the first one is `conv2d`, the next
`conv2d_1`. Stem `k` of a U-Net owns 7 convolutions, 6 transposed ones and 12 batch norms. The axes of a
kernel are (time, frequency, in, out), of a transposed one (time, frequency, out, in); ours are
(out, in, frequency, time) and (in, out, frequency, time): both are the reverse. Along frequency and time
our U-Net is stored mirrored (see `models.unet`), so its kernels are flipped as well.

Source: graphs of deezer/spleeter 2.4.2; Keras 2.12, `saving/legacy/hdf5_format.py` for the cuDNN layout.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stemwise.checkpoint import Model, ModelCard
from stemwise.errors import CheckpointError, ConfigError
from stemwise.models import ModelConfig, build
from stemwise.models.blstm import N_LAYERS, BLSTMConfig
from stemwise.models.unet import UNetConfig

Array = NDArray[Any]
GLOBAL_STEP = "global_step"
N_LEVELS = 6  # of Spleeter's U-Net
N_GATES = 4  # input, forget, cell, output: in this order in cuDNN, Keras and torch


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of the checkpoint and the weights of ours that it becomes.

    Attributes:
        name: in the checkpoint.
        shape: there.
        weights: names in our `state_dict`; none if the variable has no effect.
        to_ours: from the variable to those weights.
        to_theirs: from those weights to the variable.
    """

    name: str
    shape: tuple[int, ...]
    weights: tuple[str, ...]
    to_ours: Callable[[Array], tuple[Array, ...]]
    to_theirs: Callable[..., Array]


def from_variables(
    variables: Mapping[str, Array], config: ModelConfig, card: ModelCard | None = None
) -> Model:
    """The model of a Spleeter checkpoint.

    Args:
        variables: name to array, such as a `Bundle`. Others than the network's (slots of the optimizer,
            `global_step`) are left alone.
        config: of the U-Net or BLSTM that was trained.
        card: origin and licence.

    Raises:
        CheckpointError: if a variable is missing, has another shape or is not finite. All such are named.
    """
    _check_n_stems(variables, config)
    with torch.device("meta"):
        network = build(config)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # reading, checking, transposing 157 MB takes a while
        read = list(pool.map(partial(_read, variables), _variables(config)))
    faults = [fault for fault in read if isinstance(fault, str)]
    state = {name: tensor for part in read if not isinstance(part, str) for name, tensor in part.items()}
    if faults:
        shown = "; ".join(faults[:8]) + ("; …" if len(faults) > 8 else "")
        raise CheckpointError(
            f"the checkpoint is not of this configuration, {len(faults)} variables are wrong: {shown}"
        )
    network.load_state_dict(state, assign=True)
    return Model(config, network.eval(), card or ModelCard())


def to_variables(model: Model, *, global_step: int = 0) -> dict[str, Array]:
    """The inverse of `from_variables`: all that Spleeter looks for in a checkpoint, in float32.

    Raises:
        ConfigError: if Spleeter has no such network.
    """
    state = model.network.state_dict()
    arrays: dict[str, Array] = {}
    for variable in _variables(model.config):
        theirs = variable.to_theirs(*(state[name].numpy(force=True) for name in variable.weights))
        arrays[variable.name] = np.ascontiguousarray(theirs, np.float32).reshape(variable.shape)
    return arrays | {GLOBAL_STEP: np.array(global_step, np.int64)}


def _read(variables: Mapping[str, Array], variable: Variable) -> dict[str, Tensor] | str:
    """The weights that come of a variable, or what is wrong with it."""
    if variable.name not in variables:
        return f"{variable.name} is missing"
    array = variables[variable.name]
    if array.shape != variable.shape or array.dtype.kind != "f":
        return f"{variable.name} is {array.dtype} {array.shape}, not float32 {variable.shape}"
    if not np.isfinite(array).all():
        return f"{variable.name} has NaN or infinity"
    ours = variable.to_ours(array.astype(np.float32, copy=False))
    return {name: torch.from_numpy(weight) for name, weight in zip(variable.weights, ours, strict=True)}


def _variables(config: ModelConfig) -> Iterator[Variable]:
    network = config.network
    for stem in range(len(config.stems)):
        if isinstance(network, UNetConfig) and len(network.n_filters) == N_LEVELS:
            yield from _unet_variables(network, stem)
        elif isinstance(network, BLSTMConfig):
            yield from _blstm_variables(network, stem, 2 * config.n_bins)
        else:
            raise ConfigError(
                f"architecture is {config.architecture!r}:"
                f" Spleeter knows unet, of {N_LEVELS} levels, and blstm only"
            )


def _check_n_stems(variables: Mapping[str, Array], config: ModelConfig) -> None:
    """Say it in plain words before variables are named: the most common mistake."""
    is_unet = isinstance(config.network, UNetConfig)
    kind, n_per_stem = ("conv2d", N_LEVELS + 1) if is_unet else ("bidirectional", N_LAYERS)
    n_layers = len({name.split("/")[0] for name in variables if _layer_kind(name) == kind})
    if n_layers == 0:
        raise CheckpointError(
            f"the checkpoint is not of a Spleeter {config.architecture}: no {kind} is in it"
        )
    n_stems, rest = divmod(n_layers, n_per_stem)
    if not rest and n_stems != len(config.stems):
        names = ", ".join(config.stems)
        raise CheckpointError(
            f"the checkpoint holds {n_stems} stems, but the configuration names {len(config.stems)}: {names}"
        )


def _layer_kind(name: str) -> str:
    layer = name.split("/")[0]
    kind, _, number = layer.rpartition("_")
    return kind if number.isdigit() else layer


def _numbered(kind: str, number: int) -> str:
    return f"{kind}_{number}" if number else kind


def _same(array: Array) -> tuple[Array, ...]:
    return (array.copy(),)


def _transposed(array: Array) -> tuple[Array, ...]:
    return (array.T.copy(),)


def _mirrored(kernel: Array) -> tuple[Array, ...]:
    """`kernel[::-1, ::-1].T`, `(out, in, 5, 5)`, with `in` last in memory as the processor wants it.

    Tap by tap, which takes a third of the time that one great transposition does.
    """
    weight = np.empty((kernel.shape[3], *kernel.shape[:3]), kernel.dtype)
    for tap in np.ndindex(kernel.shape[:2]):
        weight[:, tap[1], tap[0]] = kernel[-1 - tap[0], -1 - tap[1]].T
    return (weight.transpose(0, 3, 1, 2),)


def _from_mirrored(weight: Array) -> Array:
    return weight.T[::-1, ::-1]


def _unet_variables(config: UNetConfig, stem: int) -> Iterator[Variable]:
    down = (2, *config.n_filters)
    up_out = (*config.n_filters[-2::-1], 1)
    up_in = (config.n_filters[-1], *(2 * n for n in up_out[:-1]))
    ours = f"stems.{stem}"
    first_conv, first_up, first_norm = stem * (N_LEVELS + 1), stem * N_LEVELS, stem * 2 * N_LEVELS
    for level in range(N_LEVELS):
        layer = _numbered("conv2d", first_conv + level)
        yield from _conv(
            layer, f"{ours}.encoder.{level}", (5, 5, down[level], down[level + 1]), down[level + 1]
        )
        # QUIRK(spleeter): the sixth encoder norm is in every checkpoint, and without effect
        norm = f"{ours}.encoder_norm.{level}" if level < N_LEVELS - 1 else None
        yield from _norm(_numbered("batch_normalization", first_norm + level), norm, down[level + 1])
    for level in range(N_LEVELS):
        layer = _numbered("conv2d_transpose", first_up + level)
        yield from _conv(layer, f"{ours}.decoder.{level}", (5, 5, up_out[level], up_in[level]), up_out[level])
        norm = f"{ours}.decoder_norm.{level}"
        yield from _norm(_numbered("batch_normalization", first_norm + N_LEVELS + level), norm, up_out[level])
    yield from _conv(_numbered("conv2d", first_conv + N_LEVELS), f"{ours}.output", (4, 4, 1, 2), 2)


def _conv(theirs: str, ours: str, shape: tuple[int, ...], n_out: int) -> Iterator[Variable]:
    yield Variable(f"{theirs}/kernel", shape, (f"{ours}.weight",), _mirrored, _from_mirrored)
    yield Variable(f"{theirs}/bias", (n_out,), (f"{ours}.bias",), _same, np.asarray)


def _norm(theirs: str, ours: str | None, n: int) -> Iterator[Variable]:
    names = {
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    }
    for key, name in names.items():
        if ours:
            yield Variable(f"{theirs}/{key}", (n,), (f"{ours}.{name}",), _same, np.asarray)
            continue
        identity = np.full(n, 1.0 if key in ("gamma", "moving_variance") else 0.0)
        yield Variable(f"{theirs}/{key}", (n,), (), lambda _: (), lambda identity=identity: identity)


def _blstm_variables(config: BLSTMConfig, stem: int, n_features: int) -> Iterator[Variable]:
    n = config.n_units
    for layer in range(N_LAYERS):
        number = stem * N_LAYERS + layer
        n_in = n_features if layer == 0 else 2 * n
        for direction, suffix in (("forward", ""), ("backward", "_reverse")):
            theirs = f"{_numbered('bidirectional', number)}/{_numbered(f'{direction}_cu_dnnlstm', number)}"
            ours = [
                f"stems.{stem}.lstm.{part}_l{layer}{suffix}"
                for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            ]
            yield Variable(f"{theirs}/kernel", (n_in, N_GATES * n), (ours[0],), _from_cudnn, _to_cudnn)
            yield Variable(f"{theirs}/recurrent_kernel", (n, N_GATES * n), (ours[1],), _from_cudnn, _to_cudnn)
            yield Variable(f"{theirs}/bias", (2 * N_GATES * n,), (ours[2], ours[3]), _split_bias, _join_bias)
    # Each stem has two time-distributed layers; the first one only flattens and has no weights.
    dense = _numbered("time_distributed", 2 * stem + 1)
    yield Variable(
        f"{dense}/kernel", (2 * n, n_features), (f"stems.{stem}.output.weight",), _transposed, np.transpose
    )
    yield Variable(f"{dense}/bias", (n_features,), (f"stems.{stem}.output.bias",), _same, np.asarray)


def _from_cudnn(kernel: Array) -> tuple[Array, ...]:
    """A kernel `(in, 4 * units)` as `(4 * units, in)`.

    Each gate's `(in, units)` block is memory that cuDNN reads as `(units, in)`: reshaped, not transposed.
    """
    n_in, n_units = kernel.shape[0], kernel.shape[1] // N_GATES
    gates = [gate.reshape(n_units, n_in) for gate in np.split(kernel, N_GATES, axis=1)]
    return (np.concatenate(gates),)


def _to_cudnn(weight: Array) -> Array:
    n_in, n_units = weight.shape[1], weight.shape[0] // N_GATES
    return np.concatenate([gate.reshape(n_in, n_units) for gate in np.split(weight, N_GATES)], axis=1)


def _split_bias(bias: Array) -> tuple[Array, ...]:
    return tuple(half.copy() for half in np.split(bias, 2))


def _join_bias(input_bias: Array, recurrent_bias: Array) -> Array:
    return np.concatenate([input_bias, recurrent_bias])
