"""One separator of the field in a process of its own, for `peers.py`: prints a line of JSON.

Usage: PYTHON benchmarks/peer.py NAME SECONDS     PYTHON: of the environment that has the separator
"""

import json
import resource
import sys
import time
from collections.abc import Callable

import torch

WARM_UP_S = 12
SAMPLE_RATE = 44100  # Hz


def stemwise_embedded() -> Callable[..., object]:
    from stemwise.separate import Separator

    separator = Separator("stemwise:4stems", precision="float32")
    return lambda mixture: separator.separate(mixture, SAMPLE_RATE)


def stemwise_spleeter() -> Callable[..., object]:
    from stemwise.checkpoint import Model
    from stemwise.models import ModelConfig, build
    from stemwise.models.unet import UNetConfig
    from stemwise.separate import Separator

    network = UNetConfig(encoder_activation="elu", decoder_activation="elu")
    stems = ("vocals", "drums", "bass", "other")
    config = ModelConfig(architecture="unet", network=network, stems=stems)
    separator = Separator(Model(config, build(config).eval()), precision="float32")
    return lambda mixture: separator.separate(mixture, SAMPLE_RATE)


def open_unmix() -> Callable[..., object]:
    from openunmix import umxl_spec
    from openunmix.model import Separator

    separator = Separator(umxl_spec(pretrained=False), niter=1).eval()
    return lambda mixture: separator(mixture[None])


def demucs() -> Callable[..., object]:
    from demucs.apply import apply_model
    from demucs.htdemucs import HTDemucs

    network = HTDemucs(sources=["drums", "bass", "other", "vocals"]).eval()
    return lambda mixture: apply_model(network, mixture[None], shifts=0, split=True, overlap=0.25)


CONTENDERS = {
    "stemwise, its own model": stemwise_embedded,
    "stemwise, four stems of Spleeter's shape": stemwise_spleeter,
    "Open-Unmix (umxl), four targets": open_unmix,
    "Demucs 4 (HTDemucs)": demucs,
}


def run(name: str, seconds: int) -> None:
    """One contender in this process: prints a line of JSON."""
    separate = CONTENDERS[name]()
    rng = torch.Generator().manual_seed(0)
    mixture = torch.randn((2, seconds * SAMPLE_RATE), generator=rng) * 0.1
    with torch.inference_mode():
        separate(mixture[:, : WARM_UP_S * SAMPLE_RATE])
        begun = time.perf_counter()
        separate(mixture)
        wall_s = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"wall_s": wall_s, "x_real_time": seconds / wall_s, "peak_rss_bytes": peak}))


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]))
