"""Small networks with random weights that do separate something: no two stems alike, no mask constant."""

import torch
from torch import nn

from stemwise.checkpoint import Model, ModelCard
from stemwise.models import ModelConfig, TrunkUNetConfig, UNetConfig, build


def random_model(config: ModelConfig, *, seed: int = 0, spread: float = 2.0) -> Model:
    rng = torch.Generator().manual_seed(seed)
    network = build(config).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(
                torch.randn(parameter.shape, generator=rng) * (0.2 if name.endswith("bias") else 0.0)
            )
            if parameter.ndim > 1:
                fan_in = parameter[0].numel()
                parameter.copy_(torch.randn(parameter.shape, generator=rng) * spread / fan_in**0.5)
            elif not name.endswith("bias"):
                parameter.fill_(1.0)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.copy_(0.1 * torch.randn(module.num_features, generator=rng))  # type: ignore[union-attr]
    return Model(config, network, ModelCard(name="random", licence="none"))


def spleeter_like(stems: tuple[str, ...] = ("vocals", "accompaniment"), **options: object) -> Model:
    network = UNetConfig(n_filters=(4, 6, 8, 12, 16, 24))
    return random_model(
        ModelConfig(architecture="unet", network=network, stems=stems, chunk_frames=64, **options)
    )  # type: ignore[arg-type]


def stemwise_like() -> Model:
    config = ModelConfig(
        architecture="trunk_unet",
        network=TrunkUNetConfig(n_filters=(4, 6, 8), n_mixed=1),
        stems=("vocals", "drums", "bass", "other"),
        n_bins=2048,
        chunk_frames=64,
        overlap=0.25,
        mask_extension="average",
        remainder="other",
    )
    return random_model(config)
