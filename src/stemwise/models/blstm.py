from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class BLSTMConfig:
    n_units: int = 250


class BLSTM(nn.Module):
    def __init__(self, config: BLSTMConfig, *, n_stems: int, n_bins: int) -> None:
        super().__init__()
