"""The one file format of stemwise: weights in safetensors, everything else in its JSON header.

The header's key `stemwise` holds `{"format": 1, "config": ModelConfig, "card": ModelCard}`. Reading
never makes up a weight: the network is built without storage and takes every tensor from the file, so
one that is missing, left over, mis-shaped or not finite is an error. Nothing is ever unpickled.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from stemwise.errors import CheckpointError
from stemwise.models import ModelConfig, build
from stemwise.replacing import replacing

FORMAT = 1
HEADER_KEY = "stemwise"
# Batch norm counts its training batches; nothing reads the count at inference, so it is not stored. Where it
# is missing, `load_state_dict` makes it 0.
UNSTORED = "num_batches_tracked"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What a user must know about the weights before using them; empty where nobody has said.

    `training_tracks` names the songs that were trained on, so that nobody tests with them unawares.
    """

    name: str = ""
    description: str = ""
    licence: str = ""
    training_data: str = ""
    training_tracks: tuple[str, ...] = ()
    credits: str = ""
    figures: str = ""
    source: str = ""
    url: str = ""


@dataclass(slots=True)
class Model:
    """A network that is ready to separate.

    Attributes:
        config: all that turns the weights into a separator.
        network: float32, in evaluation mode.
        card: origin and licence of the weights.
        two_stems: the one stem that is wanted beside the sum of all others (`stemwise:2stems`), or None.
        notes: what the user must be told about how it was loaded, a sentence each.
    """

    config: ModelConfig
    network: nn.Module
    card: ModelCard = field(default_factory=ModelCard)
    two_stems: str | None = None
    notes: tuple[str, ...] = ()


def save_model(model: Model, path: str | Path, *, dtype: Literal["float32", "float16"] = "float32") -> None:
    """Write a model so that a crash leaves either the old file or the new one, never a half.

    Args:
        model: what to write; `two_stems` is a way of using a model and is not part of the file.
        path: the `.safetensors` file; an existing one is replaced.
        dtype: how weights are stored. float16 halves the file; reading gives float32 again.

    Raises:
        CheckpointError: if a weight is not finite, or too large for float16.
    """
    tensors = {name: _stored(name, tensor, dtype) for name, tensor in _stored_state(model.network)}
    header = {"format": FORMAT, "config": model.config.to_dict(), "card": asdict(model.card)}
    payload = save(tensors, metadata={HEADER_KEY: json.dumps(header)})
    with replacing(Path(path)) as file:
        file.write(payload)


def read_model(path: str | Path) -> Model:
    """Read a model that `save_model` wrote.

    Returns:
        The model with its network in evaluation mode, weights in float32 on the CPU.

    Raises:
        CheckpointError: if the file is missing or damaged, is not of this format, or its tensors are not
            exactly those that its configuration asks for, all finite.
    """
    path = Path(path)
    with _opened(path, "model file") as file:
        header = (file.metadata() or {}).get(HEADER_KEY)
        if header is None:
            raise CheckpointError(
                f"{path} is a safetensors file but not a stemwise model: it has no {HEADER_KEY!r} header"
            )
        config, card, network = _parse_header(header, path)
        state = {name: file.get_tensor(name) for name in _checked_names(network, set(file.keys()), path)}
    _load(network, state, path)
    return Model(config, network.eval(), card)


def write_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write tensors that are no model, such as the state of a training run; as safely as `save_model`."""
    with replacing(path) as file:
        file.write(save({name: tensor.contiguous() for name, tensor in tensors.items()}))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The inverse of `write_tensors`.

    Raises:
        CheckpointError: if the file is missing or damaged.
    """
    with _opened(path, "file") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no dict


@contextmanager
def _opened(path: Path, what: str) -> Iterator[Any]:  # safe_open has no types
    """A safetensors file; what is wrong with it becomes a CheckpointError, also while it is read."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no {what} {path}") from error
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} cannot be read as safetensors ({error}): it may be damaged or cut short"
        ) from error


def _stored_state(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    return ((name, tensor) for name, tensor in network.state_dict().items() if not name.endswith(UNSTORED))


def _stored(name: str, tensor: Tensor, dtype: Literal["float32", "float16"]) -> Tensor:
    stored = tensor.detach().to("cpu", getattr(torch, dtype)).contiguous()
    if not torch.isfinite(stored).all():
        raise CheckpointError(
            f"{name} has NaN, infinity, or a value too large for {dtype}: the model was not saved"
        )
    return stored


def _parse_header(text: str, path: Path) -> tuple[ModelConfig, ModelCard, nn.Module]:
    """Configuration, card and a network without storage; a hostile header costs little memory."""
    try:
        header = json.loads(text)
        if header["format"] != FORMAT:
            raise CheckpointError(
                f"{path} has format {header['format']!r}: this stemwise reads format {FORMAT}"
            )
        config = ModelConfig.from_dict(header["config"])
        card = _parse_card(header["card"])
        with torch.device("meta"):
            return config, card, build(config)
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        RuntimeError,
    ) as error:  # RecursionError is a RuntimeError
        reason = str(error).partition("\n")[0]  # torch adds a stack of C++
        raise CheckpointError(
            f"{path} has a header that makes no model: {type(error).__name__}: {reason}"
        ) from error


def _parse_card(values: dict[str, Any]) -> ModelCard:
    names = {f.name for f in fields(ModelCard)}
    tracks = values.get("training_tracks", [])
    texts = [*tracks, *(value for name, value in values.items() if name != "training_tracks")]
    if (
        set(values) - names
        or not isinstance(tracks, list)
        or not all(isinstance(text, str) for text in texts)
    ):
        raise TypeError(f"the card must be texts under {sorted(names)}, not {values}")
    return ModelCard(**{**values, "training_tracks": tuple(tracks)})


def _checked_names(network: nn.Module, found: set[str], path: Path) -> list[str]:
    wanted = [name for name, _ in _stored_state(network)]
    missing, unexpected = sorted(set(wanted) - found), sorted(found - set(wanted))
    if missing or unexpected:
        raise CheckpointError(
            f"{path} does not hold the weights of its configuration:"
            f" {_listed('missing', missing)}{_listed('unexpected', unexpected)}"
        )
    return wanted


def _listed(title: str, names: list[str]) -> str:
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return f" {len(names)} {title} ({shown})" if names else ""


def _load(network: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    for name, expected in _stored_state(network):
        tensor = state[name]
        if tensor.shape != expected.shape or tensor.dtype not in (torch.float32, torch.float16):
            raise CheckpointError(
                f"{path}: {name} is {tensor.dtype} {tuple(tensor.shape)}:"
                f" it must be float32 or float16 {tuple(expected.shape)}"
            )
        state[name] = tensor.float()
        if not torch.isfinite(state[name]).all():
            raise CheckpointError(f"{path}: {name} has NaN or infinity")
    network.load_state_dict(state, assign=True)


def weights_sha256(network: nn.Module) -> str:
    """Of names and float32 values of all weights: the same for the same model, whatever file it came from."""
    digest = sha256()
    for name, tensor in _stored_state(network):
        digest.update(name.encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
