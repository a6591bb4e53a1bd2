from pathlib import Path

import pytest

from random_models import random_model
from stemwise.checkpoint import ModelCard, save_model
from stemwise.errors import ConfigError
from stemwise.hub import load_model
from stemwise.train import compose
from stemwise.train.compose import EMBEDDED, complete, folder_config
from training import tiny_model, tiny_run, write_songs

ALL = ("vocals", "drums", "bass", "other")


def songs(folder: Path, *names: str, stems: tuple[str, ...] = ALL) -> Path:
    return write_songs(folder / "songs", *(names or ("a", "b", "c")), stems=stems, seconds=0.01)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded model is read in a second: where its weights do not matter, a small one is."""
    model = random_model(tiny_model(stems=ALL, remainder="other"))
    monkeypatch.setattr(compose, "load_model", lambda _: model)


def test_a_folder_of_songs_is_a_run_that_goes_on_from_the_embedded_model(tmp_path: Path) -> None:
    config = folder_config(songs(tmp_path))
    embedded = load_model(EMBEDDED)
    assert config.model == embedded.config
    assert (config.start.model, config.start.frozen_steps) == (EMBEDDED, 100)
    assert config.loss.kind == "bands"
    assert config.data.songs == (str(tmp_path / "songs"),)
    assert config.data.validation == ("a",)
    assert config.start.tracks == embedded.card.training_tracks


@pytest.mark.usefixtures("small")
def test_a_folder_can_be_learnt_from_scratch(tmp_path: Path) -> None:
    config = folder_config(songs(tmp_path), ["steps=7"], start="")
    assert (config.start.model, config.start.frozen_steps, config.steps) == ("", 0, 7)
    assert config.model == tiny_model(stems=ALL, remainder="other")
    assert config.optimizer.learning_rate > folder_config(tmp_path / "songs").optimizer.learning_rate


@pytest.mark.usefixtures("small")
def test_every_tenth_song_is_listened_to(tmp_path: Path) -> None:
    names = [f"{n:02}" for n in range(21)]
    assert folder_config(songs(tmp_path, *names)).data.validation == ("00", "10", "20")
    few = write_songs(tmp_path / "few", "a", "b", stems=ALL, seconds=0.01)
    assert folder_config(few).data.validation == ()
    split = tmp_path / "split"
    write_songs(split / "train", "a", "b", "c", stems=ALL, seconds=0.01)
    write_songs(split / "valid", "d", stems=ALL, seconds=0.01)
    assert folder_config(split).data.validation == ()


@pytest.mark.usefixtures("small")
def test_the_stems_are_those_of_the_songs_or_those_that_are_named(tmp_path: Path) -> None:
    where = songs(tmp_path, stems=("vocals", "accompaniment"))
    assert folder_config(where).model.stems == ("vocals", "accompaniment")
    assert folder_config(where).model.remainder == "accompaniment"
    where = write_songs(tmp_path / "five", "a", stems=(*ALL, "guitar", "accompaniment"), seconds=0.01)
    assert folder_config(where).model.stems == ALL
    named = folder_config(where, stems=("vocals", "guitar"))
    assert (named.model.stems, named.model.remainder) == (("vocals", "guitar"), None)
    with pytest.raises(ConfigError, match="flute"):
        folder_config(where, stems=("flute",))


def test_a_network_of_spleeters_is_trained_further_on_magnitudes(tmp_path: Path) -> None:
    save_model(random_model(tiny_model("unet")), tmp_path / "unet.safetensors")
    config = folder_config(songs(tmp_path), start=str(tmp_path / "unet.safetensors"))
    assert (config.loss.kind, config.batch_norm, config.start.frozen_steps) == ("magnitude_l1", "inert", 0)
    assert (config.optimizer.kind, config.optimizer.learning_rate) == ("adam", 1e-4)
    assert config.model.stems == ALL


@pytest.mark.usefixtures("small")
def test_one_stem_alone_is_told_from_its_accompaniment(tmp_path: Path) -> None:
    where = songs(tmp_path, stems=("vocals", "mixture"))
    assert folder_config(where).model.stems == ("vocals", "accompaniment")
    with pytest.raises(ConfigError, match=r"model\.stems is \('vocals',\): .* there must be two or more"):
        folder_config(where, stems=("vocals",))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("change", ['data.names={"lead vox": "vocals"}', "data.names.lead vox=vocals"])
def test_files_of_other_names_are_stems_of_the_songs(tmp_path: Path, change: str) -> None:
    where = songs(tmp_path, stems=("lead vox", *ALL[1:]))
    assert folder_config(where, [change]).model.stems == ALL
    with pytest.raises(ConfigError, match="data is 5"):
        folder_config(where, ["data=5"])


def test_another_model_to_start_from_brings_its_own_songs(tmp_path: Path) -> None:
    for name in ("first", "second"):
        model = random_model(tiny_model())
        model.card = ModelCard(name=name, training_tracks=(f"song of the {name}",))
        save_model(model, tmp_path / f"{name}.safetensors")
    first = {"model": str(tmp_path / "first.safetensors"), "tracks": ["song of the first"]}
    values, other = (
        tiny_run(tmp_path, start=first).to_dict(),
        f"start.model={tmp_path / 'second.safetensors'}",
    )
    assert complete(values, []).start.tracks == ("song of the first",)
    assert complete(values, [other]).start.tracks == ("song of the second",)
    assert complete(values, ['start.tracks=["mine"]', other]).start.tracks == ("mine",)
