"""Measure what TensorFlow's short-time Fourier transform and its inverse leave of a signal's amplitude.

Runs in the environment of the real Spleeter (benchmarks/spleeter_environment.sh), not in ours:

    python tools/measure_tensorflow_gain.py

TensorFlow 2.12.1 on the CPU: 1 - 9.88e-6 for three seeds (docs/numerics.md#tensorflow-gain).
"""

import numpy as np
import tensorflow as tf

FRAME_LENGTH, FRAME_STEP, SECONDS, SAMPLE_RATE = 4096, 1024, 20, 44100


def window(length: int, dtype: tf.DType) -> tf.Tensor:
    return tf.signal.hann_window(length, periodic=True, dtype=dtype)


for seed in range(3):
    noise = 0.3 * np.random.default_rng(seed).standard_normal((1, SECONDS * SAMPLE_RATE)).astype(np.float32)
    spectrum = tf.signal.stft(noise, FRAME_LENGTH, FRAME_STEP, window_fn=window, pad_end=True)
    restored = tf.signal.inverse_stft(spectrum, FRAME_LENGTH, FRAME_STEP, window_fn=window).numpy() * 2 / 3
    inside = slice(FRAME_LENGTH, (SECONDS - 1) * SAMPLE_RATE)
    truth, result = noise[0, inside].astype(float), restored[0, inside].astype(float)
    loss = 1 - (truth @ result) / (truth @ truth)
    print(f"seed {seed}: gain 1 - {loss:.3e}, largest error {abs(truth - result).max():.2e}")
