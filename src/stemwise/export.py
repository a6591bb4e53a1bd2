"""Our networks in the files of other runtimes: ONNX, TorchScript, OpenVINO.

Such a file holds the network alone, from magnitudes of one chunk of the mixture to magnitudes of every stem,
and in its metadata a description of what belongs around it. Transforms, chunks, masks and the remainder are
not in it: docs/export.md has them in numpy. Only home of ONNX's packages and of OpenVINO (extras `export` and
`openvino`), which are loaded when a file is written.
"""

import io
import json
import logging
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from stemwise import __version__
from stemwise.checkpoint import Model, weights_sha256
from stemwise.device import inference_network
from stemwise.errors import ConfigError
from stemwise.masks import MASK_EPS
from stemwise.models import N_CHANNELS
from stemwise.replacing import replacing

DESCRIPTION = 1  # version of what `describe` gives
METADATA_KEY = "stemwise"
INPUT, OUTPUT = "magnitude", "estimates"
ONNX_OPSET = 18  # the oldest that torch's exporter writes: the most runtimes read it
TRACED_BATCH = 2  # one would be taken for a constant


def check_export(path: str | Path, format: str) -> None:
    """Refuse what `export_model` would refuse, before a model is loaded.

    Raises:
        ConfigError: for an unknown format, a package that is not installed, a file that exists or has the
            wrong ending, a folder that does not exist.
    """
    path = Path(path)
    if format not in FORMATS:
        raise ConfigError(f"format is {format!r}: it must be onnx, torchscript or openvino")
    wanted = FORMATS[format]
    missing = [package for package in wanted.packages if find_spec(package) is None]
    if missing:
        raise ConfigError(f"{format} needs {' and '.join(missing)}: pip install 'stemwise[{wanted.extra}]'")
    if path.suffix != wanted.suffixes[0]:
        raise ConfigError(f"{path}: the name of a file for {format} must end in {wanted.suffixes[0]}")
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: there is no folder {path.parent}")
    for each in map(path.with_suffix, wanted.suffixes):
        if each.exists():
            raise ConfigError(f"{each} exists: remove it or take another name")


def export_model(model: Model, path: str | Path, format: str) -> tuple[Path, ...]:
    """Write the network of a model for another runtime, in float32.

    The batch axis is free; the number of frames is the model's `chunk_frames`. A file appears when it is
    whole; OpenVINO's weights, a second file of the same name, appear before the first.

    Args:
        model: any of ours; its network is left as it is.
        path: of the file, in a folder that exists.
        format: one of `FORMATS`.

    Returns:
        The files that were written.

    Raises:
        ConfigError: see `check_export`.
    """
    path = Path(path)
    check_export(path, format)
    config, wanted = model.config, FORMATS[format]
    network = inference_network(model, torch.device("cpu"))
    example = torch.zeros(TRACED_BATCH, N_CHANNELS, config.n_bins, config.chunk_frames)
    with torch.no_grad(), _quiet_exporters():
        payloads = wanted.convert(network, example, json.dumps(describe(model)))
    paths = tuple(map(path.with_suffix, wanted.suffixes))
    with ExitStack() as stack:  # ends with the file that was opened first
        for each, payload in zip(paths, payloads, strict=True):
            stack.enter_context(replacing(each)).write(payload)
    return paths


def describe(model: Model) -> dict[str, Any]:
    """What another runtime must know to separate with the network; JSON can hold it.

    Masks are `(e ** exponent + mask_eps / stems) / (sum of e ** exponent over stems + mask_eps)`, windows
    periodic Hann, and `synthesis_gain` belongs to the overlap-add of windowed frames.
    """
    config = model.config
    return {
        "format": DESCRIPTION,
        "stemwise": __version__,
        "model": model.card.name,
        "weights_sha256": weights_sha256(model.network),
        "input": {"name": INPUT, "axes": ["batch", "channels", "bins", "frames"]},
        "output": {"name": OUTPUT, "axes": ["batch", "stems", "channels", "bins", "frames"]},
        "stems": list(config.stems),
        "two_stems": model.two_stems,
        "remainder": config.remainder,
        "sample_rate": config.sample_rate,
        "n_channels": N_CHANNELS,
        "n_fft": config.stft.n_fft,
        "hop_length": config.stft.hop_length,
        "window": "periodic Hann",
        "synthesis_gain": config.stft.synthesis_gain,
        "n_bins": config.n_bins,
        "chunk_frames": config.chunk_frames,
        "overlap_frames": round(config.overlap * config.chunk_frames),
        "exponent": config.exponent,
        "mask_eps": MASK_EPS,
        "mask_extension": config.mask_extension,
        "card": asdict(model.card),
    }


def load_openvino() -> Any:
    """OpenVINO, imported without its reporting.

    Its import sends a note of itself to its makers by the package `openvino_telemetry`, and does without
    where there is no such package.
    """
    hidden = "openvino_telemetry" not in sys.modules
    if hidden:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # Python's way to say: not there
    try:
        import openvino
    finally:
        if hidden:
            del sys.modules["openvino_telemetry"]
    return openvino


class _Format(NamedTuple):
    """Endings of its files, packages, the extra that brings these, what makes the files' bytes."""

    suffixes: tuple[str, ...]
    packages: tuple[str, ...]
    extra: str
    convert: Callable[[nn.Module, Tensor, str], list[bytes]]


def _onnx(network: nn.Module, example: Tensor, description: str) -> list[bytes]:
    program = torch.onnx.export(
        network,
        (example,),
        dynamo=True,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        opset_version=ONNX_OPSET,
        external_data=False,
        verbose=False,
    )
    assert program is not None
    proto: Any = program.model_proto
    for node in proto.graph.node:
        del node.metadata_props[:]  # lines of our code, with the folders of this machine
    proto.producer_name, proto.producer_version = "stemwise", __version__
    proto.metadata_props.add(key=METADATA_KEY, value=description)
    return [proto.SerializeToString(deterministic=True)]


def _torchscript(network: nn.Module, example: Tensor, description: str) -> list[bytes]:
    traced, whole, clean = torch.jit.trace(network, (example,), check_trace=False), io.BytesIO(), io.BytesIO()
    torch.jit.save(traced, whole, _extra_files={f"{METADATA_KEY}.json": description})
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(clean, "w") as target:
        for entry in source.infolist():
            if not entry.filename.endswith(".debug_pkl"):  # the same lines; nothing but tracebacks reads them
                target.writestr(entry, source.read(entry))
    return [clean.getvalue()]


def _openvino(network: nn.Module, example: Tensor, description: str) -> list[bytes]:
    openvino = load_openvino()
    converted = openvino.Core().read_model(*_onnx(network, example, description))
    converted.set_rt_info(description, METADATA_KEY)
    with TemporaryDirectory() as folder:
        paths = [Path(folder) / f"model{suffix}" for suffix in FORMATS["openvino"].suffixes]
        openvino.serialize(converted, *paths)
        return [path.read_bytes() for path in paths]


FORMATS = {
    "onnx": _Format((".onnx",), ("onnx", "onnxscript"), "export", _onnx),
    "torchscript": _Format((".pt",), (), "", _torchscript),
    "openvino": _Format((".xml", ".bin"), ("onnx", "onnxscript", "openvino"), "openvino", _openvino),
}


@contextmanager
def _quiet_exporters() -> Iterator[None]:
    """Torch's exporters speak of their own future and of packages that no network here needs."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
