"""The best that masks can do: every stem from the mixture with the ratio of the true stems' powers.

No separator that masks magnitudes and keeps the mixture's phase can be expected to do better by much: it is
the upper end of the scale, as the mixture itself, taken for every stem, is the lower.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from stemwise.masks import ratio_masks
from stemwise.overlap import OverlapAdd, spectra
from stemwise.stft import STFTConfig

PIECE_FRAMES = 256
PIECE_SAMPLES = 1 << 18


def ratio_mask_oracle(
    mixture: Tensor, sources: Mapping[str, Tensor], config: STFTConfig
) -> dict[str, Tensor]:
    """Estimates from power ratio masks that are known ("IRM" with exponent 2).

    Args:
        mixture: `(channels, samples)`.
        sources: by name, of the mixture's shape; together they should be the mixture.
        config: frames of the masks.

    Returns:
        By name, of the mixture's shape; they sum to the mixture.

    Source: Stöter, Liutkus & Ito, "The 2018 Signal Separation Evaluation Campaign", LVA/ICA 2018: IRM2.
    """
    n_channels, n_samples = mixture.shape
    signals = [mixture, *sources.values()]
    blocks = (
        torch.cat([signal[:, start : start + PIECE_SAMPLES] for signal in signals])
        for start in range(0, n_samples, PIECE_SAMPLES)
    )
    inverse = {name: OverlapAdd(config) for name in sources}
    estimates: dict[str, list[Tensor]] = {name: [] for name in sources}
    for piece in spectra(blocks, config, PIECE_FRAMES):
        masks = ratio_masks(piece[n_channels:].unflatten(0, (len(sources), n_channels)).abs())
        for name, mask in zip(sources, masks, strict=True):
            estimates[name].append(inverse[name].push(piece[:n_channels] * mask))
    in_front = config.n_fft  # the zeros that `spectra` puts there
    return {
        name: torch.cat([*parts, tail], dim=-1)[:, in_front : in_front + n_samples]
        for name, parts in estimates.items()
        if (tail := inverse[name].tail) is not None
    }
