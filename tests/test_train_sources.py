import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stemwise.errors import ConfigError
from stemwise.train.sources import load_sources, split
from training import RATE, one_thread, tiny_run, write_songs  # noqa: F401


def test_held_out_songs_are_not_trained_on(tmp_path: Path) -> None:
    sources = load_sources(tiny_run(tmp_path))
    assert set(sources.excerpts.songs) == set(sources.songs) == {"one", "two"}
    assert set(sources.held_out) == {"held"}
    assert set(sources.held_out["held"]) == {"vocals", "drums"}


def test_subsets_say_who_is_trained_on_and_who_is_never_heard(tmp_path: Path) -> None:
    for subset in ("train", "valid", "test"):
        write_songs(tmp_path / "songs" / subset, f"{subset} song")
    config = tiny_run(tmp_path, data={"validation": []})
    training, held_out = split(config.data, config.model.stems)
    assert [track.name for track in training] == ["train song"]
    assert [track.name for track in held_out] == ["valid song"]


def test_whole_data_sets_can_be_held_out(tmp_path: Path) -> None:
    write_songs(tmp_path / "songs", "one")
    other = write_songs(tmp_path / "others", "three")
    config = tiny_run(tmp_path, data={"validation": [], "validation_songs": [str(other)]})
    training, held_out = split(config.data, config.model.stems)
    assert [track.name for track in (*training, *held_out)] == ["one", "three"]
    config = tiny_run(tmp_path, data={"validation_songs": [str(tmp_path / "songs")], "validation": []})
    with pytest.raises(ConfigError, match="two songs are named 'one'"):
        split(config.data, config.model.stems)


def test_a_songs_own_mixture_comes_along(tmp_path: Path) -> None:
    write_songs(tmp_path / "songs", "one", "held")
    own = 0.1 * np.random.default_rng(0).standard_normal((RATE, 2))
    for song in ("one", "held"):
        soundfile.write(tmp_path / "songs" / song / "mixture.wav", own, RATE, subtype="FLOAT")
    sources = load_sources(tiny_run(tmp_path, data={"mix": {"plain": True}}))
    np.testing.assert_allclose(sources.held_out["held"]["mixture"], own.T, atol=1e-3)
    assert "mixture" in sources.excerpts.songs["one"]


def test_what_stands_behind_the_voice_is_the_accompaniment(tmp_path: Path) -> None:
    write_songs(tmp_path / "songs", "one", "held", stems=("vocals", "drums", "bass"))
    config = tiny_run(tmp_path, model={"stems": ["vocals", "accompaniment"]}, data={"mix": {"plain": True}})
    sources = load_sources(config)
    assert len(sources.excerpts.songs["one"]["accompaniment"]) == 2


def test_paths_of_a_table_are_relative_to_the_root(tmp_path: Path) -> None:
    write_songs(tmp_path / "audio", "one", "held")
    for song in ("one", "held"):
        shutil.copy(tmp_path / "audio" / song / "drums.wav", tmp_path / "audio" / song / "mix.wav")
        rows = f"mix_path,vocals_path,drums_path\n{song}/mix.wav,{song}/vocals.wav,{song}/drums.wav\n"
        (tmp_path / f"{song}.csv").write_text(rows)
    data = {
        "songs": [str(tmp_path / "one.csv")],
        "validation_songs": [str(tmp_path / "held.csv")],
        "validation": [],
        "root": str(tmp_path / "audio"),
    }
    config = tiny_run(tmp_path, data=data)
    training, held_out = split(config.data, config.model.stems)
    assert training[0].files["vocals"].path == tmp_path / "audio" / "one" / "vocals.wav"
    assert len(held_out) == 1
