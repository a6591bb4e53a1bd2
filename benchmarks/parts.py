"""One part of a separation in a process of its own, for `speed.py`: prints a line of JSON.

Usage: python benchmarks/parts.py PART WHICH PRECISION WHAT

    start-up MODEL PRECISION SONG       seconds from here to the first call of the network
    steady   MODEL PRECISION SECONDS    speed in the second half of a song of so many seconds
    stems    NUMBER PRECISION SECONDS   the same, of random U-Nets of Spleeter's shape
    alone    MODEL PRECISION SONG       processor seconds of decoding, separating and encoding, on one thread
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

START = time.perf_counter()


class TorchWatch:
    """Finds torch as Python would, says how long importing it took, and stops at the first network call."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name) if name == "torch" else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def timed(module: ModuleType) -> None:
            begun = time.perf_counter()
            execute(module)
            import_s = time.perf_counter() - begun

            def stop(network: object, arguments: object) -> None:
                seconds = {"start_up_s": time.perf_counter() - START, "import_torch_s": import_s}
                print(json.dumps(seconds), flush=True)
                os._exit(0)

            module.nn.modules.module.register_module_forward_pre_hook(stop)

        spec.loader.exec_module = timed  # type: ignore[method-assign]
        return spec


def start_up(model: str, precision: str, song: str) -> None:
    """Run `stemwise separate` up to the first call of its network."""
    sys.meta_path.insert(0, TorchWatch())
    from stemwise.cli import main

    with tempfile.TemporaryDirectory() as folder:
        sys.argv = ["stemwise", "separate", song, "-o", folder, "-p", model, "--precision", precision, "-q"]
        main()


def steady(model: str, precision: str, seconds: int) -> dict[str, float]:
    """Decoded blocks in, waveforms of all stems out; timed from where half of them have come."""
    import torch

    from material import SAMPLE_RATE, blocks
    from stemwise.checkpoint import Model
    from stemwise.device import keep_freed_memory
    from stemwise.models import ModelConfig, build
    from stemwise.models.unet import UNetConfig
    from stemwise.separate import Separator

    keep_freed_memory()  # as the command does
    chosen: str | Model = model
    if model.isdecimal():
        names = ("vocals", "drums", "bass", "piano", "other")[: int(model)]
        network = UNetConfig(encoder_activation="elu", decoder_activation="elu")
        config = ModelConfig(architecture="unet", network=network, stems=names)
        chosen = Model(config, build(config).eval())
    separator = Separator(chosen, precision=precision)
    song = list(blocks(60))

    def mixture() -> Iterator[torch.Tensor]:
        return (torch.from_numpy(song[second % 60].T) for second in range(seconds))

    n_samples, half, begun = 0, seconds * SAMPLE_RATE // 2, None
    for stems in separator.stream(mixture(), SAMPLE_RATE):
        if begun is None and n_samples >= half:
            begun = time.perf_counter(), n_samples
        n_samples += next(iter(stems.values())).shape[-1]
    assert begun is not None
    return {"x_real_time": (n_samples - begun[1]) / SAMPLE_RATE / (time.perf_counter() - begun[0])}


def alone(model: str, precision: str, song: str) -> dict[str, float]:
    """What one song costs, with nothing beside anything else; the second of two passes."""
    import torch

    from stemwise.audio import AudioReader, AudioWriter
    from stemwise.device import keep_freed_memory
    from stemwise.separate import Separator

    keep_freed_memory()
    torch.set_num_threads(1)
    separator = Separator(model, precision=precision)
    costs: dict[str, float] = {}
    for _ in range(2):
        begun = time.process_time()
        with AudioReader(song) as reader:
            blocks = [torch.from_numpy(block) for block in reader.blocks()]
            rate = reader.sample_rate
        decoded = time.process_time()
        separated = list(separator.stream(blocks, rate))
        computed = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            for stem in separator.stems:
                writer = AudioWriter(f"{folder}/{stem}.wav", codec="wav", sample_rate=rate, n_channels=2)
                for block in separated:
                    writer.write(block[stem].numpy())
                writer.finish()
                writer.publish()
        costs = {
            "decode_s": decoded - begun,
            "network_s": computed - decoded,
            "encode_s": time.process_time() - computed,
        }
    return costs


if __name__ == "__main__":
    part, which, how, what = sys.argv[1:]
    if part == "start-up":
        start_up(which, how, what)
    elif part == "alone":
        print(json.dumps(alone(which, how, what)))
    else:
        print(json.dumps(steady(which, how, int(what))))
