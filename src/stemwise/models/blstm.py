"""Spleeter's other network: per stem, three bidirectional LSTM layers over frames, then one dense layer.

It estimates the stem's magnitude itself, not a mask. No trained weights of it were ever released; the
original runs on CUDA only (its cuDNN operation has no CPU kernel), this one anywhere.

Source: agrees with deezer/spleeter 2.4.2, `spleeter/model/functions/blstm.py`, after Uhlich et al.,
"Improving music source separation based on deep neural networks through data augmentation and network
blending", ICASSP 2017.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stemwise.errors import ConfigError

N_LAYERS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class BLSTMConfig:
    """`n_units`: of each LSTM in each direction (Spleeter's `lstm_units`)."""

    n_units: int = 250

    def __post_init__(self) -> None:
        if self.n_units < 1:
            raise ConfigError(f"n_units is {self.n_units}: it must be positive")


class StemBLSTM(nn.Module):
    """The network of one stem: magnitudes `(batch, 2, bins, frames)` to magnitudes of the same shape.

    A frame is one vector in which the two channels of a bin stand side by side. The recurrence runs over
    the frames that are given, both ways, and starts from zeros.
    """

    def __init__(self, config: BLSTMConfig, *, n_bins: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2 * n_bins, config.n_units, N_LAYERS, batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * config.n_units, 2 * n_bins)

    def forward(self, magnitude: Tensor) -> Tensor:
        frames = magnitude.permute(0, 3, 2, 1).flatten(2)  # (B, T, F * C): channel varies fastest
        hidden, _ = self.lstm(frames)
        estimate: Tensor = torch.relu(self.output(hidden))
        return estimate.reshape(*frames.shape[:2], -1, 2).permute(0, 3, 2, 1)


class BLSTM(nn.Module):
    """One `StemBLSTM` per stem: `(batch, 2, bins, frames)` to `(batch, stems, 2, bins, frames)`."""

    def __init__(self, config: BLSTMConfig, *, n_stems: int, n_bins: int) -> None:
        super().__init__()
        self.config = config
        self.stems = nn.ModuleList(StemBLSTM(config, n_bins=n_bins) for _ in range(n_stems))

    def forward(self, magnitude: Tensor) -> Tensor:
        return torch.stack([stem(magnitude) for stem in self.stems], dim=1)
