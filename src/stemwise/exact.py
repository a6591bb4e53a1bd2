"""Convolutions at the two ends of a network, which reduced precision leaves alone.

The first ones hear logarithms of magnitudes: to round 5.00 to the nearest of bfloat16's numbers changes a
magnitude by a percent. The last one's logits go through a softmax. Rounded, they make most of the error of
their networks (docs/numerics.md#precision).
"""

import torch
from torch import Tensor, nn


class ExactConv2d(nn.Conv2d):
    """A convolution in float32, under autocast too; in training it follows autocast like all others."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training or not torch.is_autocast_enabled(x.device.type):
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


class ExactConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution, likewise."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if self.training or not torch.is_autocast_enabled(x.device.type):
            return super().forward(x, output_size)
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float(), output_size)
