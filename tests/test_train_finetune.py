from pathlib import Path
from typing import Any

import pytest
import torch

from random_models import random_model
from stemwise.checkpoint import Model, ModelCard, save_model
from stemwise.errors import CheckpointError, ConfigError
from stemwise.train.compose import complete
from stemwise.train.config import TrainConfig
from stemwise.train.loop import train
from stemwise.train.state import TrainState
from test_train_step import make, parts, weights
from training import no_extras, tiny_model, tiny_run, write_songs  # noqa: F401

OLD = ("vocals", "drums", "other")


def base(folder: Path, architecture: str) -> tuple[Model, str]:
    """A model of three stems, and where it is."""
    model = random_model(tiny_model(architecture, OLD))
    model.card = ModelCard(name="base", training_tracks=("an old song",))
    save_model(model, folder / "base.safetensors")
    return model, str(folder / "base.safetensors")


def further(folder: Path, architecture: str, stems: tuple[str, ...], **start: Any) -> TrainConfig:
    _, path = base(folder, architecture)
    model = {"stems": list(stems), "chunk_frames": 64}
    return tiny_run(folder, architecture, model=model, start={"model": path, **start})


def estimates(network: torch.nn.Module) -> torch.Tensor:
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        return network.eval()(torch.rand(1, 2, 128, 64, generator=rng))  # type: ignore[no-any-return]


@pytest.mark.parametrize("architecture", ["trunk_unet", "bandsplit", "unet", "blstm"])
def test_the_same_stems_in_another_order_are_the_same_model(tmp_path: Path, architecture: str) -> None:
    model, _ = base(tmp_path, architecture)
    network = TrainState.fresh(further(tmp_path, architecture, ("other", "vocals", "drums"))).network
    torch.testing.assert_close(estimates(network), estimates(model.network)[:, [2, 0, 1]])


@pytest.mark.parametrize("architecture", ["unet", "blstm"])
def test_a_new_stem_starts_as_the_one_that_it_was_part_of(tmp_path: Path, architecture: str) -> None:
    model, _ = base(tmp_path, architecture)
    network = TrainState.fresh(further(tmp_path, architecture, ("guitar", "vocals"))).network
    torch.testing.assert_close(estimates(network), estimates(model.network)[:, [2, 0]])


@pytest.mark.parametrize("architecture", ["trunk_unet", "bandsplit"])
def test_new_stems_of_one_trunk_share_what_they_were_part_of(tmp_path: Path, architecture: str) -> None:
    model, _ = base(tmp_path, architecture)
    stems = ("vocals", "drums", "piano", "guitar", "other")
    now = estimates(TrainState.fresh(further(tmp_path, architecture, stems)).network)
    before = estimates(model.network)
    torch.testing.assert_close(now[:, :2], before[:, :2])
    for stem in (2, 3, 4):
        torch.testing.assert_close(now[:, stem], before[:, 2] / 3)


def test_without_a_stem_for_the_rest_the_last_one_is_it(tmp_path: Path) -> None:
    model = random_model(tiny_model("unet", ("vocals", "drums")))
    save_model(model, tmp_path / "two.safetensors")
    start = {"model": str(tmp_path / "two.safetensors")}
    config = tiny_run(tmp_path, "unet", model={"stems": ["guitar", "vocals"]}, start=start)
    now = estimates(TrainState.fresh(config).network)
    torch.testing.assert_close(now, estimates(model.network)[:, [1, 0]])


@pytest.mark.parametrize("architecture", ["trunk_unet", "bandsplit"])
def test_a_frozen_trunk_stays_and_heads_learn(tmp_path: Path, architecture: str) -> None:
    config = further(tmp_path, architecture, ("vocals", "drums"), frozen_steps=1)
    state = TrainState.fresh(config)
    examples = parts(config, state, 1)
    first = {name: value.clone() for name, value in state.network.state_dict().items()}
    make(config, examples, state)
    for name, value in state.network.state_dict().items():
        assert torch.equal(value, first[name]) != name.startswith("output."), name
    second = weights(state)
    make(config, examples, state)
    assert all(not torch.equal(value, second[name]) for name, value in weights(state).items())


def test_a_network_without_a_trunk_cannot_freeze_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="frozen_steps is 5: it must be 0, for a unet"):
        further(tmp_path, "unet", ("vocals", "drums"), frozen_steps=5)


def test_another_network_is_refused(tmp_path: Path) -> None:
    _, path = base(tmp_path, "unet")
    with pytest.raises(ConfigError, match="the run's model must be the same but for its stems"):
        TrainState.fresh(tiny_run(tmp_path, start={"model": path}))
    with pytest.raises(CheckpointError, match="there is no model file"):
        TrainState.fresh(tiny_run(tmp_path, start={"model": str(tmp_path / "gone.safetensors")}))


def test_the_model_fills_in_what_the_run_does_not_say_and_its_songs_are_remembered(tmp_path: Path) -> None:
    model, path = base(tmp_path, "unet")
    values = tiny_run(tmp_path, "unet").to_dict()
    values["model"] = {"stems": ["vocals", "drums"], "exponent": 1.0}
    values["start"] = {"model": path}
    config = complete(values, [])
    assert config.model.network == model.config.network
    assert (config.model.stems, config.model.exponent) == (("vocals", "drums"), 1.0)
    assert config.start.tracks == ("an old song",)


def test_what_is_trained_further_says_so(tmp_path: Path) -> None:
    from stemwise.checkpoint import read_model

    config = further(tmp_path, "trunk_unet", ("vocals", "drums"), tracks=["an old song"])
    card = read_model(train(config, tmp_path / "run")).card
    assert card.training_tracks == ("an old song", "one", "two")
    assert card.source == config.start.model
    assert card.training_data.endswith(f"after what {config.start.model} was trained on")
    assert card.name == "run"
