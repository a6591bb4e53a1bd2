"""Foreign model formats: Spleeter's configurations and TensorFlow checkpoints become ours, and back."""

from pathlib import Path

from stemwise.checkpoint import Model, ModelCard
from stemwise.convert.bundle import Bundle, write_bundle
from stemwise.convert.configuration import SpleeterConfiguration, embedded_configuration, read_configuration
from stemwise.convert.spleeter import from_variables, to_variables
from stemwise.errors import CheckpointError
from stemwise.models import ModelConfig

__all__ = [
    "Bundle",
    "SpleeterConfiguration",
    "convert",
    "embedded_configuration",
    "from_variables",
    "read_configuration",
    "to_variables",
    "write_bundle",
]


def convert(
    path: str | Path, configuration: SpleeterConfiguration | ModelConfig, card: ModelCard | None = None
) -> Model:
    """The model of a Spleeter checkpoint on disk.

    Args:
        path: folder of the checkpoint, or its prefix (`folder/model`).
        configuration: that it was trained with.
        card: origin and licence of the weights.

    Raises:
        CheckpointError: if the checkpoint is missing, damaged, incomplete or of another network.
    """
    config = configuration.model if isinstance(configuration, SpleeterConfiguration) else configuration
    bundle = Bundle(path)
    try:
        return from_variables(bundle, config, card)
    except CheckpointError as error:
        raise CheckpointError(f"{bundle.prefix}: {error}") from error
