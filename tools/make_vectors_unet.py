"""Golden vector of Spleeter's U-Net, made by Spleeter's own graph: writes tests/vectors/unet.npz.

Two stems with few filters and random variables, batch-norm statistics included; the same variables and
input go through the sigmoid form (LeakyReLU and ReLU) and the softmax form (ELU).

Run where Spleeter 2.4.2 is installed (see benchmarks/): python tools/make_vectors_unet.py
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import tensorflow as tf
from spleeter.model.functions.unet import softmax_unet, unet

SEED = 21
N_BINS, N_FRAMES = 64, 64
FILTERS = [2, 2, 3, 3, 4, 4]
STEMS = ("vocals", "accompaniment")
ELU = {"conv_activation": "ELU", "deconv_activation": "ELU"}
TARGET = Path(__file__).parent.parent / "tests" / "vectors" / "unet.npz"


def random_variable(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if name.endswith(("gamma", "moving_variance")):
        value = rng.uniform(0.5, 1.5, shape)
    elif name.endswith("kernel"):
        value = rng.normal(0, (np.prod(shape) / shape[-1]) ** -0.5, shape)
    else:
        value = rng.normal(0, 0.2, shape)
    return value.astype(np.float32)


def run(function, params: dict, magnitude: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Variables by their names in the graph, and estimates `(stems, 1, frames, bins, channels)`."""
    rng = np.random.default_rng(SEED)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, (None, N_FRAMES, N_BINS, 2))
        outputs = function(x, STEMS, {"conv_n_filters": FILTERS, **params})
        variables = {}
        for variable in tf.compat.v1.global_variables():
            name = variable.op.name
            variables[name] = random_variable(name, tuple(variable.shape), rng)
            variable.load(variables[name], session)
        return variables, np.stack(
            session.run([outputs[f"{stem}_spectrogram"] for stem in STEMS], {x: magnitude})
        )


def main() -> None:
    rng = np.random.default_rng(SEED)
    magnitude = rng.gamma(1.0, 1.0, (1, N_FRAMES, N_BINS, 2)).astype(np.float32)
    variables, sigmoid = run(unet, {}, magnitude)
    same, softmax = run(softmax_unet, ELU, magnitude)
    if any((same[name] != variables[name]).any() for name in variables):
        raise SystemExit("the two forms number their variables differently")
    header = {
        "command": "python tools/make_vectors_unet.py",
        "python": sys.version.split()[0],
        "tensorflow": tf.__version__,
        "spleeter": version("spleeter"),
        "numpy": np.__version__,
        "seed": SEED,
        "stems": STEMS,
        "n_filters": FILTERS,
        "variables": {
            name: value.shape for name, value in variables.items()
        },  # in `values`, one after the other
        "axes": "magnitude (1, frames, bins, channels), sigmoid and softmax (stems, 1, frames, ...)",
    }
    values = np.concatenate([value.ravel() for value in variables.values()])
    header_text = json.dumps(header)
    np.savez_compressed(
        TARGET, header=header_text, magnitude=magnitude, sigmoid=sigmoid, softmax=softmax, values=values
    )
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
