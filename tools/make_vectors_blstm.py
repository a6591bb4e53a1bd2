"""Golden vector of Spleeter's BLSTM, made by Keras on the CPU: writes tests/vectors/blstm.npz.

Spleeter's own layer (`CuDNNLSTM`) runs on CUDA only. So the network of `spleeter/model/functions/blstm.py`
is built here from `tf.keras.layers.LSTM`, and random variables in the cuDNN layout, under the names of
Spleeter's checkpoint, are carried over by Keras' own converter: an implementation that is not ours.

Run where TensorFlow 2.12 is installed (see benchmarks/): python tools/make_vectors_blstm.py
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras.saving.legacy.hdf5_format import _convert_rnn_weights

SEED = 20
N_BINS, N_UNITS, N_FRAMES, N_CHUNKS, N_LAYERS = 64, 5, 12, 2, 3
STEMS = ("vocals", "accompaniment")
TARGET = Path(__file__).parent.parent / "tests" / "vectors" / "blstm.npz"


def numbered(kind: str, number: int) -> str:
    return f"{kind}_{number}" if number else kind


def random_variables(stem: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """One stem's variables, named and shaped as in a checkpoint of Spleeter's."""
    variables: dict[str, np.ndarray] = {}
    n_features = 2 * N_BINS
    for layer in range(N_LAYERS):
        number = stem * N_LAYERS + layer
        n_in = 2 * N_UNITS if layer else n_features
        for direction in ("forward", "backward"):
            name = f"{numbered('bidirectional', number)}/{numbered(f'{direction}_cu_dnnlstm', number)}"
            variables[f"{name}/kernel"] = rng.normal(0, 1.5 / n_in**0.5, (n_in, 4 * N_UNITS))
            variables[f"{name}/recurrent_kernel"] = rng.normal(0, 0.8, (N_UNITS, 4 * N_UNITS))
            variables[f"{name}/bias"] = rng.normal(0, 0.5, 8 * N_UNITS)
    dense = numbered("time_distributed", 2 * stem + 1)
    variables[f"{dense}/kernel"] = rng.normal(0, 1, (2 * N_UNITS, n_features))
    variables[f"{dense}/bias"] = rng.normal(0, 0.5, n_features)
    return {name: value.astype(np.float32) for name, value in variables.items()}


def run(variables: dict[str, np.ndarray], magnitude: np.ndarray) -> np.ndarray:
    """One stem: magnitudes `(chunks, frames, bins, channels)` in and out."""
    layers = keras.layers
    values = list(variables.values())
    x = layers.TimeDistributed(layers.Flatten())(tf.constant(magnitude))
    for layer in range(N_LAYERS):
        bidirectional = layers.Bidirectional(layers.LSTM(N_UNITS, return_sequences=True))
        bidirectional.build(x.shape)
        of_layer = values[6 * layer : 6 * layer + 6]
        for direction, three in (
            (bidirectional.forward_layer, of_layer[:3]),
            (bidirectional.backward_layer, of_layer[3:]),
        ):
            direction.set_weights(_convert_rnn_weights(direction, three))
        x = bidirectional(x)
    dense = layers.TimeDistributed(layers.Dense(magnitude.shape[2] * 2, activation="relu"))
    dense.build(x.shape)
    dense.set_weights(values[-2:])
    return layers.TimeDistributed(layers.Reshape(magnitude.shape[2:]))(dense(x)).numpy()


def main() -> None:
    rng = np.random.default_rng(SEED)
    magnitude = rng.gamma(1.0, 1.0, (N_CHUNKS, N_FRAMES, N_BINS, 2)).astype(np.float32)
    stems = [random_variables(stem, rng) for stem in range(len(STEMS))]
    estimates = np.stack([run(variables, magnitude) for variables in stems], axis=1)
    header = {
        "command": "python tools/make_vectors_blstm.py",
        "python": sys.version.split()[0],
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "seed": SEED,
        "stems": STEMS,
        "n_units": N_UNITS,
        "axes": "magnitude (chunks, frames, bins, channels), estimates (chunks, stems, frames, ...)",
    }
    variables = {f"variable:{name}": value for stem in stems for name, value in stem.items()}
    np.savez_compressed(
        TARGET, header=json.dumps(header), magnitude=magnitude, estimates=estimates, **variables
    )
    print(
        f"{TARGET.name}: {TARGET.stat().st_size} bytes; {(estimates > 0).mean():.0%} of the estimates above 0"
    )


if __name__ == "__main__":
    main()
