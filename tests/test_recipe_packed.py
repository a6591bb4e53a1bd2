"""The recipe's way over a machine with a GPU: pack, unpack, train in two goes, bring the state back."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from stemwise.audio import AudioReader
from stemwise.checkpoint import read_tensors
from stemwise.data.augment import timbre
from stemwise.data.dataset import Excerpts, MixConfig, step_rng
from stemwise.data.songs import Parts, cut
from stemwise.errors import ConfigError
from stemwise.metrics import sdr
from stemwise.train.compose import read_config
from stemwise.train.loop import train
from stemwise.types import STEMS
from training import no_extras  # noqa: F401

RECIPE = Path(__file__).parents[1] / "recipes" / "default_model"
RATE = 44_100
FOUR = STEMS[:4]
CPU = torch.device("cpu")


def import_recipe(patch: pytest.MonkeyPatch) -> SimpleNamespace:
    patch.syspath_prepend(str(RECIPE))
    names = ("pack", "unpack", "packed_excerpts", "pieces", "train_packed")
    return SimpleNamespace(**{name: importlib.import_module(name) for name in names})


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    return import_recipe(monkeypatch)


def notes(seconds: float, seed: int, channels: int = 2) -> np.ndarray:
    """Eight struck notes a second, each ear's a little different: as easy to place in time as to encode."""
    rng = np.random.default_rng(seed)
    sound, time = np.zeros((channels, round(seconds * RATE))), np.arange(RATE) / RATE
    for start in range(0, sound.shape[1], RATE // 8):
        piece = sound[:, start : start + RATE]
        gains = rng.uniform(0.05, 0.2, (channels, 1))
        note = np.sin(2 * np.pi * rng.uniform(100, 4000) * time) * np.exp(-8 * time)
        piece += gains * note[: piece.shape[1]]
    return sound.astype(np.float32)


def run(script: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
    """The script by itself, on as many threads as here: sums are then the same to the bit."""
    command = [sys.executable, str(RECIPE / script), *map(str, arguments)]
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | threads)


def write_corpus(place: Path) -> None:
    """Two songs of four stems, the bass in mono; one more to be held out; one of three stems; two phrases."""
    seed = 0
    for song, seconds in (("one", 4.0), ("two", 5.03), ("held", 4.0), ("three", 4.0)):
        (place / "songs" / song).mkdir(parents=True)
        for stem in ("vocals", "drums", "bass_and_other") if song == "three" else FOUR:
            seed += 1
            sound = notes(seconds, seed)
            sound[1] = sound[0] if stem == "bass" else sound[1]
            soundfile.write(place / "songs" / song / f"{stem}.flac", sound.T, RATE)
    (place / "phrases").mkdir()
    for seconds in (0.4, 6.0):
        soundfile.write(place / "phrases" / f"{seconds}.flac", notes(seconds, 99, channels=1).T, RATE)


def sounds_of(recipe: SimpleNamespace, place: Path) -> list[Any]:
    found: list[Any] = recipe.pack.find_sounds([place / "songs"], {"vocals": place / "phrases"}, None)
    return found


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Songs and phrases, and in `packed` the same in several shards."""
    place = tmp_path_factory.mktemp("corpus")
    write_corpus(place)
    names = []
    with pytest.MonkeyPatch.context() as patch:
        recipe = import_recipe(patch)
        for sound in sounds_of(recipe, place):
            recipe.pack.encode(sound, place / "packed" / "sounds")
            names.append(sound.name)
        shards = recipe.pack.write_shards(place / "packed", names, 200_000)
    assert len(shards) > 2
    return place


@pytest.fixture
def packed(corpus: Path, tmp_path: Path) -> Path:
    """A copy of the packed corpus, beside one of what it was made from."""
    shutil.copytree(corpus, tmp_path, dirs_exist_ok=True)
    return tmp_path / "packed"


@pytest.fixture
def pcm(recipe: SimpleNamespace, packed: Path, tmp_path: Path) -> Path:
    recipe.unpack.unpack(packed, tmp_path / "pcm", 1)
    return tmp_path / "pcm"


def test_stems_keep_their_length_and_their_place_and_still_add_up(
    recipe: SimpleNamespace, pcm: Path, tmp_path: Path
) -> None:
    summed, expected = 0, 0
    for stem in FOUR:
        found = np.load(pcm / "songs" / "two" / f"{stem}.npy").T / recipe.unpack.FULL_SCALE
        with AudioReader(tmp_path / "songs" / "two" / f"{stem}.flac") as reader:
            true = np.concatenate(list(reader.blocks()), axis=1)
        assert found.shape == (1 if stem == "bass" else 2, true.shape[1])
        lags = {lag: float((np.roll(found[0], lag) * true[0]).sum()) for lag in range(-40, 41)}
        assert max(lags, key=lags.__getitem__) == 0
        summed, expected = summed + found, expected + true
    assert sdr(torch.tensor(expected), torch.tensor(summed)) > 20


def test_what_is_packed_or_unpacked_is_left_alone_and_what_changed_is_packed_again(
    recipe: SimpleNamespace, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [path.read_bytes() for path in sorted(packed.glob("shard-*"))]
    sounds = sounds_of(recipe, tmp_path)
    (tmp_path / "songs" / "one" / "bass.flac").touch()
    written = []
    monkeypatch.setattr(recipe.pack, "AudioWriter", lambda path, **_: written.append(path.stem) or 1 / 0)
    for sound in sounds:
        if sound.name != "songs/one/bass":
            assert recipe.pack.encode(sound, packed / "sounds") == pytest.approx(3, abs=3)
    with pytest.raises(ZeroDivisionError):
        recipe.pack.encode(next(s for s in sounds if s.name == "songs/one/bass"), packed / "sounds")
    assert written == ["bass"]
    recipe.pack.write_shards(packed, [sound.name for sound in sounds], 200_000)
    assert [path.read_bytes() for path in sorted(packed.glob("shard-*"))] == before
    assert all(len(shard) <= 200_000 for shard in before)


def test_shards_are_unpacked_as_they_arrive(recipe: SimpleNamespace, packed: Path, tmp_path: Path) -> None:
    late = (packed / "shard-0001.tar").rename(tmp_path / "late.tar")
    told = recipe.unpack.unpack(packed, tmp_path / "pcm", 1)
    assert told.endswith("still to come: shard-0001.tar")
    there = {path: path.stat().st_mtime_ns for path in (tmp_path / "pcm").rglob("*.npy")}
    with pytest.raises(ConfigError, match=r"of shard-0001.tar: copy it here and unpack it"):
        recipe.train_packed.load_packed(tmp_path / "pcm", read_config(RECIPE / "train.json"), CPU)
    for path in packed.glob("shard-*.tar"):  # what is unpacked may be deleted
        path.unlink()
    late.rename(packed / "shard-0001.tar")
    assert "still to come" not in recipe.unpack.unpack(packed, tmp_path / "pcm", 1)
    assert {path: path.stat().st_mtime_ns for path in there} == there


def test_a_damaged_shard_is_one_clear_line(packed: Path, tmp_path: Path) -> None:
    shard = packed / "shard-0000.tar"
    content = bytearray(shard.read_bytes())
    content[5000] ^= 1
    shard.write_bytes(content)
    done = run("unpack.py", packed, "-o", tmp_path / "pcm")
    assert done.returncode == 1
    assert re.fullmatch(r"unpack: .*shard-0000.tar is damaged: .* copy it again\n", done.stderr)
    assert not list((tmp_path / "pcm").rglob("*.npy"))


def tiny_config(place: Path, **changes: Any) -> Path:
    values = json.loads((RECIPE / "train.json").read_text())
    values["model"]["network"] = {"n_filters": [4, 6, 8], "n_single_bins": 64, "band_width": 8, "n_mixed": 1}
    values |= {"start": {}, "batch_size": 2, "steps": 4, "schedule": {"warmup_steps": 2}}
    values["data"] |= {"validation": ["held"], "excerpt_frames": 32}
    values["data"]["mix"] = {"pool_shares": {"vocals": 0.5}}
    values["validation"] = {"every_steps": 2, "excerpts": 2}
    values["hardware"] = {"precision": "float32", "device": "cpu"}
    (place / "tiny.json").write_text(json.dumps(values | changes))
    return place / "tiny.json"


def test_a_run_brought_there_and_back_in_pieces_ends_in_the_very_same_weights(
    recipe: SimpleNamespace, pcm: Path, tmp_path: Path
) -> None:
    config = read_config(tiny_config(tmp_path))
    sources = recipe.train_packed.load_packed(pcm, config, CPU)
    assert sources.songs == ("one", "three", "two")
    assert sources.n_singles == 2
    assert set(sources.held_out) == {"held"}
    train(config, tmp_path / "whole", sources=sources)
    done = run("train_packed.py", tmp_path / "tiny.json", pcm, "-o", tmp_path / "there", "--minutes", 0,
               "--pieces", tmp_path / "pieces")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "stopped after" in done.stdout
    recipe.pieces.join(tmp_path / "pieces", tmp_path / "here")
    train(config, tmp_path / "here", sources=sources, resume=True)
    whole, here = (read_tensors(tmp_path / run / "state.safetensors") for run in ("whole", "here"))
    assert whole.keys() == here.keys()
    assert all(torch.equal(whole[name], here[name]) for name in whole)


def test_pieces_are_small_and_each_is_checked(recipe: SimpleNamespace, tmp_path: Path) -> None:
    run_folder = tmp_path / "run"
    run_folder.mkdir()
    (run_folder / "state.safetensors").write_bytes(bytes(range(256)) * 1000)
    names = recipe.pieces.split(run_folder, tmp_path / "pieces", 50_000)
    assert len(names) == 6
    assert max(path.stat().st_size for path in (tmp_path / "pieces").iterdir()) <= 50_000
    (run_folder / "state.safetensors").write_bytes(b"short")
    assert recipe.pieces.split(run_folder, tmp_path / "pieces", 50_000) == names[:1]
    assert len(list((tmp_path / "pieces").glob("piece-*"))) == 1  # none of before is left
    piece = tmp_path / "pieces" / names[0]
    piece.write_bytes(piece.read_bytes()[:-1])
    done = run("pieces.py", "join", tmp_path / "pieces", "-o", tmp_path / "back")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "piece-00 is damaged" in done.stderr
    assert not (tmp_path / "back").exists()
    piece.unlink()
    with pytest.raises(ConfigError, match="piece-00 is missing: copy it here"):
        recipe.pieces.join(tmp_path / "pieces", tmp_path / "back")


def library(recipe: SimpleNamespace, songs: dict[str, dict[str, Tensor]], singles: list[Tensor]) -> Any:
    """Sounds `(2, samples)` as they lie on the device, and what they are."""
    pieces = [sound for song in songs.values() for sound in song.values()] + singles
    number = iter(range(1, len(pieces) + 1))
    books = recipe.packed_excerpts.Library(
        {name: {stem: next(number) for stem in song} for name, song in songs.items()},
        {"vocals": tuple(number)},
    )
    pcm = [(sound.T * recipe.unpack.FULL_SCALE).round().short() for sound in pieces]
    return recipe.packed_excerpts.Sounds(map(len, pcm), CPU).fill(pcm), books


def test_an_excerpt_is_what_the_processors_data_set_reads_at_that_place_and_speed(
    recipe: SimpleNamespace, rng: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe.packed_excerpts, "BLOCK", 64)
    sound = torch.randn(2, 5000, generator=rng).mul(0.1).mul(2**14).round().div(2**14)
    sounds, _ = library(recipe, {"a": {"vocals": torch.ones(2, 1024), "drums": sound}}, [torch.ones(2, 9)])
    for start, needed in ((0, 1000), (700, 870), (123, 1180), (4500, 1100), (0, 6000)):
        place = recipe.packed_excerpts.Place(*(torch.tensor([n]) for n in (2, start, needed)))
        read = sounds.read(recipe.packed_excerpts.Line.of(place), 1000)[0]
        expected = timbre.change_speed(cut(Parts((sound.numpy(),)), start, needed), 1000)
        torch.testing.assert_close(read, expected, atol=1e-3, rtol=0)
        power = cut(Parts((sound.numpy(),)), start, needed).square().mean().item()
        assert 0.9 * power < sounds.power(place).item() < 1.3 * power


def test_lines_of_single_files_have_them_whole_with_silence_between(recipe: SimpleNamespace) -> None:
    sounds, _ = library(
        recipe, {"a": {"drums": torch.ones(2, 50)}}, [0.5 * torch.ones(2, 30), torch.ones(2, 40)]
    )
    begins, sound, start = (torch.tensor([row]) for row in ([5, 40, 100], [2, 3, 2], [10, 0, 0]))
    line = recipe.packed_excerpts.Line(begins, sound, start, torch.tensor([90]))
    expected = torch.zeros(2, 90)
    expected[:, 5:25] = 0.5
    expected[:, 40:80] = 1
    assert torch.equal(sounds.read(line, 90)[0], expected)


def statistics(source: Any, n_batches: int) -> dict[str, float]:
    """Shares of silent and unknown stems; mean and spread of the levels of the others."""
    found: dict[str, list[Tensor]] = {}
    for step in range(n_batches):
        batch = source.batch(64, step_rng(1, step))
        torch.testing.assert_close(batch.mixture, batch.sources.sum(dim=1))
        level = batch.sources.square().mean(dim=(2, 3)).sqrt()
        for s, stem in enumerate(FOUR):
            found.setdefault(f"{stem} silent", []).append((level[:, s] < 1e-4).float())
            heard = level[:, s][level[:, s] >= 1e-4]
            found.setdefault(f"{stem} dB", []).append(20 * heard.log10())
        found.setdefault("unknown", []).append(1 - batch.known.mean(dim=1))
    joined = {name: torch.cat(values) for name, values in found.items()}
    return {name: value.mean().item() for name, value in joined.items()} | {
        f"{name}, spread": value.std().item() for name, value in joined.items() if name.endswith("dB")
    }


@pytest.mark.parametrize("changes", [
    {},
    {"p_coherent": 0.0, "pool_shares": {"vocals": 1.0}, "song_weights": {"b": 5}},
    {"p_coherent": 1.0, "p_layer": 1.0, "song_weights": {"c": 2}},
    {"p_layer": 1.0, "p_silent": 0.3, "drive_shares": {"bass": 0.5}},
])  # fmt: skip
def test_examples_are_mixed_as_those_of_the_processors_data_set(
    recipe: SimpleNamespace, rng: torch.Generator, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    """Sounds differ in level, so that levels tell which were drawn, besides their gains."""

    monkeypatch.setattr(recipe.packed_excerpts, "BLOCK", 64)

    def sound(level_db: float, n_samples: int = 3000) -> Tensor:
        return 10 ** (level_db / 20) * torch.randn(2, n_samples, generator=rng)

    silence = torch.zeros(2, 3000)
    songs = {
        "a": {stem: sound(-20) for stem in FOUR},
        "b": {
            "vocals": sound(-40),
            "drums": silence,
            "bass": sound(-30),
            "other": silence,
        },
        "c": {"vocals": sound(-30), "drums": sound(-20), "bass_and_other": sound(-10)},
    }
    singles = [sound(-60, 50), sound(-50, 5000)]
    config = MixConfig(
        **{"excerpt_samples": 512, "sample_rate": 8000, "pool_shares": {"vocals": 0.3}, **changes}
    )
    theirs = Excerpts(
        {name: {stem: s.half().numpy() for stem, s in song.items()} for name, song in songs.items()},
        {"vocals": [single.half().numpy() for single in singles]}, stems=FOUR, config=config,
    )  # fmt: skip
    sounds, books = library(recipe, songs, singles)
    ours = recipe.packed_excerpts.PackedExcerpts(sounds, books, stems=FOUR, config=config)
    found, expected = statistics(ours, 16), statistics(theirs, 16)
    for name, value in expected.items():
        tolerance = 1.2 if name.endswith(("dB", "spread")) else 0.04
        assert found[name] == pytest.approx(value, abs=tolerance), name


def test_the_same_generator_gives_the_same_examples(recipe: SimpleNamespace, rng: torch.Generator) -> None:
    songs = {"a": {stem: torch.randn(2, 3000, generator=rng) for stem in FOUR}}
    sounds, books = library(recipe, songs, [])
    config = MixConfig(excerpt_samples=512, sample_rate=8000)
    source = recipe.packed_excerpts.PackedExcerpts(sounds, books, stems=FOUR, config=config)
    first, again, next_one = (source.batch(4, step_rng(0, step)).sources for step in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, next_one)


@pytest.mark.parametrize(("changes", "song", "message"), [
    ({"plain": True}, {}, "not for packed songs"),
    ({"augmentations": ("swap",)}, {}, "not for packed songs"),
    ({}, {"piano": 1}, "one holds .'piano'."),
    ({"pool_shares": {"vocals": 0.5}}, {}, "nothing to draw 'vocals' from"),
])  # fmt: skip
def test_what_packed_songs_cannot_be_used_for_is_refused(
    recipe: SimpleNamespace, changes: dict[str, Any], song: dict[str, int], message: str
) -> None:
    books = recipe.packed_excerpts.Library({"one": {**dict.fromkeys(FOUR, 1), **song}}, {})
    with pytest.raises(ConfigError, match=message):
        books.check(FOUR, MixConfig(**{"excerpt_samples": 512, "sample_rate": 8000, **changes}))
