"""The thinned frequency axis of stemwise's own networks: low bins one by one, the upper ones in bands.

So 22 kHz cost little more than 6 kHz do: a band gets the energy of its bins, and its mask holds for each of
them. Both functions have no weights; training compares bands, separation needs bins.
"""

import torch
from torch import Tensor

from stemwise.errors import ConfigError


def count_bands(n_bins: int, *, n_single: int, width: int) -> int:
    """How many bands there are, single bins included.

    Raises:
        ConfigError: if the bins above the single ones make no whole bands.
    """
    upper = n_bins - n_single
    if upper < 0 or upper % width:
        raise ConfigError(f"n_bins is {n_bins}: it must be {n_single} single bins and whole bands of {width}")
    return n_single + upper // width


def pool_bins(power: Tensor, *, n_single: int, width: int) -> Tensor:
    """Sums over the bins of each band: `(..., bins, frames)` to `(..., bands, frames)`."""
    single, upper = power[..., :n_single, :], power[..., n_single:, :]
    bands = upper.reshape(*upper.shape[:-2], -1, width, upper.shape[-1])
    return torch.cat([single, bands.sum(dim=-2)], dim=-2)


def mask_bins(magnitude: Tensor, masks: Tensor, *, n_single: int, width: int) -> Tensor:
    """Every bin times the mask of its band.

    Args:
        magnitude: of the mixture, `(batch, channels, bins, frames)`.
        masks: `(batch, stems, channels, bands, frames)`.
        n_single: lowest bins that are bands of their own.
        width: bins in each band above them.

    Returns:
        `(batch, stems, channels, bins, frames)`.
    """
    band = torch.arange(magnitude.shape[-2], device=masks.device)
    band = torch.where(band < n_single, band, n_single + (band - n_single) // width)
    return masks.index_select(-2, band).mul_(magnitude[:, None])
