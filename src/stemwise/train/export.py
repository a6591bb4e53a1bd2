"""What a run leaves for others: a model with its card, and a checkpoint as Spleeter writes it."""

from pathlib import Path

from stemwise.checkpoint import Model, ModelCard
from stemwise.convert import to_variables, write_bundle
from stemwise.train.config import TrainConfig
from stemwise.train.sources import Sources
from stemwise.train.state import TrainState

PROBE = ".probe"  # Spleeter takes a folder with this file for a whole model


def trained_model(config: TrainConfig, state: TrainState, sources: Sources, *, name: str) -> Model:
    """The averaged weights as they are now, with a card that says what they have heard."""
    start = config.start.model
    singles = f" and {sources.n_singles} single files" if sources.n_singles else ""
    before = f", after what {start} was trained on" if start else ""
    card = ModelCard(
        name=name,
        description=f"{', '.join(config.model.stems)}; {state.step} steps of stemwise train",
        training_data=f"{len(sources.songs)} songs{singles}{before}",
        training_tracks=tuple(dict.fromkeys((*config.start.tracks, *sources.songs))),
        source=start,
    )
    return Model(config.model, state.average, card)


def save_spleeter_checkpoint(model: Model, folder: Path, step: int) -> Path:
    """Write the weights where and as `spleeter train` does; returns the checkpoint's prefix.

    Raises:
        ConfigError: if Spleeter has no such network.
    """
    prefix = write_bundle(folder, to_variables(model, global_step=step), f"model.ckpt-{step}")
    (folder / PROBE).write_text("OK", encoding="utf-8")
    return prefix
