"""Where and how precisely the network runs: device, precision, memory format."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from stemwise.checkpoint import Model
from stemwise.errors import ConfigError
from stemwise.metrics import sdr
from stemwise.models import N_CHANNELS

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
MIN_SDR_DB = 45.0  # what a reduced precision may cost at most
PROBE_FRAMES = 64


def choose_device(name: str) -> torch.device:
    """`auto` takes CUDA, then Apple's MPS, then the CPU.

    Raises:
        ConfigError: for a device that torch does not know or this machine does not have.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device is {name!r}: it must be auto, cpu, cuda, cuda:N or mps") from error
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(device.type, False) or (device.index or 0) >= max(1, torch.cuda.device_count()):
        there = ", ".join(kind for kind, is_there in available.items() if is_there)
        raise ConfigError(f"device is {name!r}: this machine has {there}")
    return device


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware; emulation would be slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )


def choose_precision(name: str, model: Model, device: torch.device) -> str:
    """`auto` takes bfloat16 if it is in hardware and within `MIN_SDR_DB` of float32 on a probe.

    The probe is one short chunk of noise that falls off like music does (1 / frequency), always the same.

    Raises:
        ConfigError: for an unknown precision.
    """
    if name in PRECISIONS:
        return name
    if name != "auto":
        raise ConfigError(f"precision is {name!r}: it must be auto, {', '.join(PRECISIONS)}")
    if not has_bfloat16(device):
        return "float32"
    rng = torch.Generator().manual_seed(0)
    config = model.config
    shape = (1, N_CHANNELS, config.n_bins, min(PROBE_FRAMES, config.chunk_frames))
    falling = 1000 / torch.arange(1, config.n_bins + 1)[:, None]
    magnitude = (torch.rand(shape, generator=rng) * falling).to(device)
    with torch.inference_mode():
        exact, reduced = (
            inference_network(model, device, kind)(magnitude) for kind in ("float32", "bfloat16")
        )
    return "bfloat16" if sdr(exact.flatten(1), reduced.flatten(1)) >= MIN_SDR_DB else "float32"


def inference_network(model: Model, device: torch.device, precision: str) -> Callable[[Tensor], Tensor]:
    """The network as a function from magnitudes to float32 estimates, ready on the device."""
    network: nn.Module = model.network.to(device).eval()
    if device.type in ("cpu", "cuda"):
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in the stub
    dtype = PRECISIONS[precision]

    def estimate(magnitude: Tensor) -> Tensor:
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not torch.float32):
            estimates: Tensor = network(magnitude).float()
        return estimates

    return estimate
