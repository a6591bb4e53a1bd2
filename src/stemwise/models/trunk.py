"""stemwise's own network: one U-Net trunk that makes the masks of all stems at once, full band.

The frequency axis is that of `stemwise.bands`. Convolutions see the same thing everywhere; on the coarse
levels a mixing of all bands tells them how high they are.

Source: strided U-Net on magnitudes as in Jansson et al., ISMIR 2017, with one trunk for all stems as in
Kadandale et al., "Multi-channel U-Net for music source separation", MMSP 2020; mixing along frequency
as in Choi et al., "Investigating U-Nets with various intermediate blocks for spectrogram-based singing
voice separation", ISMIR 2020.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stemwise.bands import count_bands, mask_bins, pool_bins
from stemwise.errors import ConfigError
from stemwise.exact import ExactConv2d, ExactConvTranspose2d


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkUNetConfig:
    """Filters of the levels from the finest to the coarsest; how the upper bins are banded.

    Attributes:
        n_filters: of the encoder levels; each level halves bands and frames.
        n_single_bins: lowest bins that are heard one by one.
        band_width: bins in each band above them.
        n_mixed: coarsest levels whose bands are mixed.
    """

    n_filters: tuple[int, ...] = (32, 48, 64, 96, 128, 192)
    n_single_bins: int = 512
    band_width: int = 12
    n_mixed: int = 4

    def __post_init__(self) -> None:
        if len(self.n_filters) < 2 or min(self.n_filters) < 1:
            raise ConfigError(f"n_filters is {self.n_filters}: it must be at least two positive numbers")
        if self.n_single_bins < 1 or self.band_width < 1:
            raise ConfigError("n_single_bins and band_width must be positive")
        if not 0 <= self.n_mixed <= len(self.n_filters):
            raise ConfigError(
                f"n_mixed is {self.n_mixed}: it must be 0 to {len(self.n_filters)}, the number of levels"
            )


class TrunkUNet(nn.Module):
    """Magnitudes `(batch, 2, bins, frames)` to magnitudes `(batch, stems, 2, bins, frames)`.

    The masks are a softmax over the stems, so the estimates add up to the mixture's magnitude. Any number
    of frames; inside, bands and frames are padded to a multiple of `2 ** levels`.
    """

    def __init__(self, config: TrunkUNetConfig, *, n_stems: int, n_bins: int) -> None:
        super().__init__()
        n_bands = count_bands(n_bins, n_single=config.n_single_bins, width=config.band_width)
        self.config, self.n_stems = config, n_stems
        n_levels = len(config.n_filters)
        n_coarsest = -(-n_bands // 2**n_levels)
        down = (2, *config.n_filters)
        up = config.n_filters[::-1]
        self.encoder = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for level in range(n_levels):
            bands = n_coarsest * 2 ** (n_levels - 1 - level)
            kind = nn.Conv2d if level > 1 else ExactConv2d
            conv = kind(down[level], down[level + 1], 5, stride=2, padding=2)
            self.encoder.append(_block(conv, bands if level >= n_levels - config.n_mixed else None))
        for level in range(n_levels - 1):
            bands = n_coarsest * 2 ** (level + 1)
            deconv = _deconv(up[level] if level == 0 else 2 * up[level], up[level + 1])
            self.decoder.append(_block(deconv, bands if level + 1 < config.n_mixed else None))
        self.output = _deconv(2 * up[-1], 2 * n_stems, ExactConvTranspose2d)

    def forward(self, magnitude: Tensor) -> Tensor:
        n_single, width = self.config.n_single_bins, self.config.band_width
        masks = self.masks(self.pool(magnitude.square()).sqrt())
        return mask_bins(magnitude, masks, n_single=n_single, width=width)

    def pool(self, power: Tensor) -> Tensor:
        """Sums over the bins of each band: `(..., bins, frames)` to `(..., bands, frames)`."""
        return pool_bins(power, n_single=self.config.n_single_bins, width=self.config.band_width)

    def masks(self, magnitude: Tensor) -> Tensor:
        """Magnitudes of bands, `(batch, 2, bands, frames)`, to masks `(batch, stems, 2, bands, frames)`.

        Training works here: the rest of `forward` has no weights, and costs as much again.
        """
        multiple = 2 ** len(self.config.n_filters)
        pad = [(-magnitude.shape[axis]) % multiple for axis in (-1, -2)]
        x = nn.functional.pad(magnitude, (0, pad[0], 0, pad[1]))
        x = torch.log1p(
            10 * x
        )  # linear below about 0.1, where a full-scale sine is 1024: the quiet stays quiet
        x = x.contiguous(memory_format=torch.channels_last)
        skips: list[Tensor] = []
        for level in self.encoder:
            x = level(x)
            skips.append(x)
        x = skips.pop()
        for level in [*self.decoder, self.output]:
            x = level(x)
            if skips:
                x = torch.cat([x, skips.pop()], dim=1)
        logits = x[..., : magnitude.shape[-2], : magnitude.shape[-1]]
        return logits.float().reshape(-1, self.n_stems, 2, *magnitude.shape[-2:]).softmax(dim=1)


class _BandMix(nn.Module):
    """Adds to every band a learned combination of all bands of its channel and frame."""

    def __init__(self, n_bands: int) -> None:
        super().__init__()
        hidden = max(n_bands // 4, 8)
        self.down = nn.Linear(n_bands, hidden)
        self.up = nn.Linear(hidden, n_bands)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = x.permute(0, 2, 3, 1).flatten(2)  # (B, F, T C), without a copy when x is channels-last
        y = torch.relu(self.down.weight @ y + self.down.bias[:, None])
        y = self.up.weight @ y + self.up.bias[:, None]
        return x + y.reshape(*y.shape[:2], x.shape[3], x.shape[1]).permute(0, 3, 1, 2)


def _deconv(n_in: int, n_out: int, kind: type[nn.ConvTranspose2d] = nn.ConvTranspose2d) -> nn.ConvTranspose2d:
    return kind(n_in, n_out, 5, stride=2, padding=2, output_padding=1)


def _block(conv: nn.Conv2d | nn.ConvTranspose2d, n_bands: int | None) -> nn.Sequential:
    activation: nn.Module = nn.ReLU() if isinstance(conv, nn.ConvTranspose2d) else nn.LeakyReLU(0.2)
    layers = [conv, nn.BatchNorm2d(conv.out_channels), activation]
    return nn.Sequential(*layers, *([] if n_bands is None else [_BandMix(n_bands)]))
