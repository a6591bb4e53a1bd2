import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stemwise.data.dataset import step_rng
from stemwise.errors import ConfigError
from stemwise.train.sources import load_sources, split
from stemwise.train.validation import passages
from training import RATE, tiny_run, write_songs


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
    assert len(sources.excerpts.songs["one"]["accompaniment"].added) == 2


@pytest.mark.parametrize("plain", [True, False])
def test_all_stems_of_a_song_are_in_the_mixture_whatever_is_asked_for(tmp_path: Path, plain: bool) -> None:
    write_songs(tmp_path / "songs", "one", "held", stems=("vocals", "drums", "gtr", "bass"))
    data = {"mix": {"plain": plain}, "names": {"gtr": "guitar"}}
    sources = load_sources(tiny_run(tmp_path, data=data))
    assert set(sources.held_out["held"]) == {"vocals", "drums", "guitar", "bass"}
    (passage,) = passages(sources.held_out, ("vocals", "drums"), n_samples=RATE, count=1)
    mixture, known = passage.read(RATE)
    files = [tmp_path / "songs" / "held" / f"{name}.wav" for name in ("vocals", "drums", "gtr", "bass")]
    np.testing.assert_allclose(mixture.T, sum(soundfile.read(file)[0] for file in files), atol=1e-3)
    assert set(known) == {"vocals", "drums"}
    batch = sources.excerpts.batch(8, step_rng(0))
    assert (batch.mixture - batch.sources.sum(dim=1)).abs().amax(dim=(1, 2)).median() > 0.05


def test_songs_with_none_of_the_stems_that_are_asked_for_are_no_songs(tmp_path: Path) -> None:
    write_songs(tmp_path / "songs", "one", "held")
    write_songs(tmp_path / "songs", "instrumental", stems=("bass", "other"))
    assert load_sources(tiny_run(tmp_path)).songs == ("one",)


def test_what_a_song_s_own_mixture_holds_is_not_decoded_again(tmp_path: Path) -> None:
    write_songs(tmp_path / "songs", "one", "held", stems=("vocals", "drums", "bass", "mixture"))
    for plain in (True, False):
        sources = load_sources(tiny_run(tmp_path, data={"mix": {"plain": plain}}))
        assert set(sources.held_out["held"]) == {"vocals", "drums", "mixture"}


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
