"""Spleeter's U-Net: one independent network per stem, 5×5 strided convolutions, 9.8 M weights each.

Source: Hennequin et al., "Spleeter: a fast and efficient music source separation tool with pre-trained
models", JOSS 5(50), 2020, after Jansson et al., "Singing voice separation with deep U-Net convolutional
networks", ISMIR 2017. Agrees with deezer/spleeter 2.4.2, `spleeter/model/functions/unet.py`, to float
rounding; its peculiarities are named QUIRK(spleeter) here and in docs/numerics.md#unet.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stemwise.errors import ConfigError, ShapeError
from stemwise.exact import ExactConv2d

Activation = Literal["relu", "leaky_relu", "elu"]
BATCH_NORM_EPS = 1e-3  # Keras' default, not torch's


@dataclass(frozen=True, slots=True, kw_only=True)
class UNetConfig:
    """Filters of the encoder levels, six in Spleeter; activations; what the last layer's numbers mean.

    `output="sigmoid"`: each stem's own mask. `output="softmax"`: one mask shared out among the stems
    (Spleeter's five-stem model).
    """

    n_filters: tuple[int, ...] = (16, 32, 64, 128, 256, 512)
    encoder_activation: Activation = "leaky_relu"
    decoder_activation: Activation = "relu"
    output: Literal["sigmoid", "softmax"] = "sigmoid"

    def __post_init__(self) -> None:
        if len(self.n_filters) < 2 or min(self.n_filters) < 1:
            raise ConfigError(f"n_filters is {self.n_filters}: it must be at least two positive numbers")
        for name in ("encoder_activation", "decoder_activation"):
            if getattr(self, name) not in ("relu", "leaky_relu", "elu"):
                raise ConfigError(f"{name} is {getattr(self, name)!r}: it must be relu, leaky_relu or elu")
        if self.output not in ("sigmoid", "softmax"):
            raise ConfigError(f"output is {self.output!r}: it must be sigmoid or softmax")


def _activate(x: Tensor, activation: Activation) -> Tensor:
    if activation == "relu":
        return F.relu(x, inplace=True)
    return F.elu(x, inplace=True) if activation == "elu" else F.leaky_relu(x, 0.2, inplace=True)


def _by_phases(x: Tensor, conv: nn.Module) -> Tensor:
    """`conv(x)` for kernel 5, stride 2 and one output channel, in a quarter of the time.

    One output channel leaves the lanes of a vector unit empty. Four by four outputs at once are sixteen
    channels of an ordinary convolution: output row `4i + p` is the sum over t = 0 to 3 of row
    `2i - 1 + t` of `x` times the kernel's row `p + 4 - 2t`, where the kernel has such a row.
    """
    assert isinstance(conv, nn.ConvTranspose2d)
    padded = F.pad(conv.weight[:, 0], (2, 3, 2, 3))  # (in, 10, 10): row r of the kernel is row r + 2 here
    phase, tap = torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij")
    row = (phase + 6 - 2 * tap).to(x.device)
    phases = padded[:, row[:, None, :, None], row[None, :, None, :]]  # (in, 4, 4, taps, taps)
    phases = phases.flatten(1, 2).transpose(0, 1).contiguous(memory_format=torch.channels_last)
    bias = None if conv.bias is None else conv.bias.repeat(16)
    return F.pixel_shuffle(F.conv2d(x, phases, bias, stride=2, padding=1), 4)


class StemUNet(nn.Module):
    """The network of one stem: magnitudes `(batch, 2, bins, frames)` to logits of the same shape.

    Bins and frames are multiples of two to the number of levels.

    QUIRK(spleeter): at stride 2 TensorFlow pads one row before and two after, torch two before and one
    after (`padding=2`). The network is therefore stored mirrored along bins and frames and hears a
    mirrored input (see `UNet.forward`): the same numbers, without a copy for padding or cropping in any
    layer. `convert.spleeter` mirrors the kernels. docs/numerics.md#unet-padding
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        n_levels = len(config.n_filters)
        down = (2, *config.n_filters)
        up_out = (*config.n_filters[-2::-1], 1)
        up_in = (config.n_filters[-1], *(2 * n for n in up_out[:-1]))
        self.encoder = nn.ModuleList(
            nn.Conv2d(down[i], down[i + 1], 5, stride=2, padding=2) for i in range(n_levels)
        )
        # QUIRK(spleeter): the last encoder level has a batch norm that nobody reads; it is not built.
        self.encoder_norm = nn.ModuleList(
            nn.BatchNorm2d(n, eps=BATCH_NORM_EPS) for n in config.n_filters[:-1]
        )
        self.decoder = nn.ModuleList(
            nn.ConvTranspose2d(up_in[i], up_out[i], 5, stride=2, padding=2, output_padding=1)
            for i in range(n_levels)
        )
        self.decoder_norm = nn.ModuleList(nn.BatchNorm2d(n, eps=BATCH_NORM_EPS) for n in up_out)
        self.output = ExactConv2d(1, 2, 4, dilation=2, padding=3)

    def forward(self, magnitude: Tensor) -> Tensor:
        skips: list[Tensor] = []
        x = magnitude
        for level, conv in enumerate(self.encoder):
            if level:
                x = _activate(self.encoder_norm[level - 1](x), self.config.encoder_activation)
            x = conv(x)
            skips.append(x)  # QUIRK(spleeter): the skip is taken before batch norm and activation
        x = skips.pop()
        for level, conv in enumerate(self.decoder):
            if level:
                x = torch.cat([skips.pop(), x], dim=1)
            x = conv(x) if skips else _by_phases(x, conv)
            # QUIRK(spleeter): activation first, then batch norm; the encoder has it the other way round
            x = self.decoder_norm[level](_activate(x, self.config.decoder_activation))
        logits: Tensor = self.output(x)
        return logits


class UNet(nn.Module):
    """One `StemUNet` per stem: `(batch, 2, bins, frames)` to `(batch, stems, 2, bins, frames)`."""

    def __init__(self, config: UNetConfig, *, n_stems: int, n_bins: int) -> None:
        super().__init__()
        n_levels = len(config.n_filters)
        if n_bins % 2**n_levels:
            raise ConfigError(
                f"n_bins is {n_bins}: this network halves it {n_levels} times,"
                f" so it must be a multiple of {2**n_levels}"
            )
        self.config = config
        self.stems = nn.ModuleList(StemUNet(config) for _ in range(n_stems))

    def forward(self, magnitude: Tensor) -> Tensor:
        multiple = 2 ** len(self.config.n_filters)
        if magnitude.shape[-1] % multiple:
            raise ShapeError(f"there are {magnitude.shape[-1]} frames: they must be a multiple of {multiple}")
        mirrored = magnitude.flip(-1, -2).contiguous(memory_format=torch.channels_last)
        logits = (stem(mirrored).float().flip(-1, -2) for stem in self.stems)
        if self.config.output == "softmax":
            return torch.stack(list(logits), dim=1).softmax(dim=1) * magnitude[:, None]
        return torch.stack([one.sigmoid() * magnitude for one in logits], dim=1)  # one by one: less memory
