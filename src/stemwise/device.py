"""Where and how precisely the network runs: device, precision, memory format, memory that is kept."""

import copy
import ctypes
import sys
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from stemwise.checkpoint import Model
from stemwise.errors import ConfigError, StemwiseError
from stemwise.exact import ExactConv2d, ExactConvTranspose2d
from stemwise.masks import ratio_masks
from stemwise.metrics import sdr
from stemwise.models import N_CHANNELS, ModelConfig

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# What a reduced precision may cost any stem of the probe. Noise is harder than music: where it came to 42 dB,
# the worst stem of twelve songs had 46, and where it came to 31, 38 (docs/numerics.md#precision).
MIN_PROBE_SDR_DB = 40.0
PROBE_FRAMES = 64
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
KEPT_BYTES = 1 << 30

Network = Callable[[Tensor], Tensor]


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
        with torch.cuda.device(device):  # torch asks the one that is current
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )


def inference_network(model: Model, device: torch.device) -> nn.Module:
    """The model's network made ready for the device.

    Batch norm that directly follows a convolution is folded into it, which is exact. The model keeps its
    weights and its mode, training or not; only how its weights lie in memory may change, where that is
    all there is to do and nothing is copied.
    """
    changes = any(module.training or _foldable(module) for module in model.network.modules())
    network = copy.deepcopy(model.network) if changes or device.type != "cpu" else model.network
    network.eval()
    for module in network.modules():
        for index in _foldable(module):
            assert isinstance(module, nn.Sequential)
            conv, norm = module[index], module[index + 1]
            assert isinstance(conv, nn.Conv2d | nn.ConvTranspose2d)
            assert isinstance(norm, nn.BatchNorm2d)
            module[index] = fuse_conv_bn_eval(conv, norm, transpose=isinstance(conv, nn.ConvTranspose2d))
            module[index + 1] = nn.Identity().eval()
    network = network.to(device)
    if device.type in ("cpu", "cuda"):
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in the stub
    return network


def _foldable(module: nn.Module) -> list[int]:
    """Places in a sequence where a convolution stands right before its batch norm."""
    layers = list(module) if isinstance(module, nn.Sequential) else []
    pairs = enumerate(pairwise(layers))
    convs = (nn.Conv2d, nn.ConvTranspose2d)
    return [
        index for index, (one, next_) in pairs if isinstance(one, convs) and isinstance(next_, nn.BatchNorm2d)
    ]


def at_precision(network: nn.Module, device: torch.device, precision: str) -> Network:
    """The network as a function from magnitudes to float32 estimates."""
    dtype = PRECISIONS[precision]
    if dtype is not torch.float32:
        network = _rounded(network, dtype)

    def estimate(magnitude: Tensor) -> Tensor:
        try:
            with torch.autocast(device.type, dtype=dtype, enabled=dtype is not torch.float32):
                estimates: Tensor = network(magnitude).float()
        except torch.OutOfMemoryError as error:
            raise StemwiseError(f"{device} has not enough memory for this model: use device cpu") from error
        return estimates

    return estimate


def _rounded(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy whose convolutions hold their weights as autocast would round them again for every chunk.

    Exact ones keep theirs; all other weights are shared with the original.
    """
    shared = {id(tensor): tensor for tensor in [*network.parameters(), *network.buffers()]}
    network = copy.deepcopy(network, shared)
    for module in network.modules():
        if isinstance(module, ExactConv2d | ExactConvTranspose2d):
            continue
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.weight = nn.Parameter(module.weight.to(dtype), requires_grad=False)
            if module.bias is not None:
                module.bias = nn.Parameter(module.bias.to(dtype), requires_grad=False)
    return network


def choose_precision(name: str, network: nn.Module, config: ModelConfig, device: torch.device) -> str:
    """`auto` takes bfloat16 if it is in hardware and costs no stem more than `MIN_PROBE_SDR_DB` on a probe.

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
    shape = (1, N_CHANNELS, config.n_bins, min(PROBE_FRAMES, config.chunk_frames))
    falling = 1000 / torch.arange(1, config.n_bins + 1)[:, None]
    magnitude = (torch.rand(shape, generator=rng) * falling).to(device)
    with torch.inference_mode():
        exact, reduced = (
            (
                ratio_masks(at_precision(network, device, kind)(magnitude), exponent=config.exponent)
                * magnitude
            )[0]
            for kind in ("float32", "bfloat16")
        )
    return (
        "bfloat16"
        if sdr(exact.flatten(1)[:, None], reduced.flatten(1)[:, None]).min() >= MIN_PROBE_SDR_DB
        else "float32"
    )


def keep_freed_memory() -> None:
    """Have the C library keep what is freed for what comes next.

    Every chunk frees and needs again the same hundreds of megabytes. By itself glibc returns them to the
    system, which hands out each page anew, cleared: up to a tenth of all time. The peak stays what it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    # Other C libraries than glibc have none. The second alone would fix the first at 128 kB.
    if mallopt is not None and mallopt(M_MMAP_THRESHOLD, KEPT_BYTES):
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
