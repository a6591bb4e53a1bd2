"""`spleeter train` and `stemwise train -p`: Spleeter's JSON and CSV, and a checkpoint that Spleeter reads."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from stemwise.checkpoint import read_model
from stemwise.cli import app
from stemwise.cli import spleeter as spleeter_cli
from stemwise.convert import Bundle
from stemwise.errors import ConfigError
from stemwise.hub import load_model
from stemwise.models import UNetConfig
from stemwise.train.spleeter import spleeter_config
from training import no_extras, write_songs  # noqa: F401

RATE = 44100
SMALL = [2, 3, 4, 4, 4, 4]


@pytest.fixture
def spleeter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a configuration, tables and songs, as a user of Spleeter has them."""
    monkeypatch.chdir(tmp_path)
    write_songs(tmp_path / "data", "one", "two", stems=("vocals", "accompaniment", "mix"), rate=RATE)
    row = "{0}/mix.wav,{0}/vocals.wav,{0}/accompaniment.wav,1.0\n"
    for table, song in (("train", "one"), ("validation", "two")):
        head = "mix_path,vocals_path,accompaniment_path,duration\n"
        (tmp_path / f"{table}.csv").write_text(head + row.format(song))
    return write(tmp_path)


def write(folder: Path, **changes: Any) -> Path:
    values: dict[str, Any] = {
        "train_csv": "train.csv",
        "validation_csv": "validation.csv",
        "model_dir": "mine",
        "mix_name": "mix",
        "instrument_list": ["vocals", "accompaniment"],
        "sample_rate": RATE,
        "frame_length": 1024,
        "frame_step": 256,
        "T": 64,
        "F": 64,
        "n_channels": 2,
        "n_chunks_per_song": 1,
        "separation_exponent": 2,
        "mask_extension": "zeros",
        "learning_rate": 1e-4,
        "batch_size": 2,
        "train_max_steps": 3,
        "throttle_secs": 300,
        "random_seed": 3,
        "save_checkpoints_steps": 2,
        "save_summary_steps": 5,
        "model": {"type": "unet.unet", "params": {"conv_n_filters": SMALL}},
    }
    path = folder / "config.json"
    path.write_text(json.dumps({k: v for k, v in {**values, **changes}.items() if v is not None}))
    return path


def test_a_configuration_of_spleeters_is_a_run(spleeter: Path) -> None:
    config, folder, notes = spleeter_config(spleeter, Path("data"))
    assert folder == Path("mine")
    assert config.model.network == UNetConfig(n_filters=tuple(SMALL))
    assert (config.steps, config.batch_size, config.seed, config.batch_norm) == (3, 2, 3, "inert")
    assert (config.loss.kind, config.loss.weights) == ("magnitude_l1", {"vocals": 1, "accompaniment": 1})
    optimizer = config.optimizer
    assert (optimizer.kind, optimizer.learning_rate, optimizer.weight_decay) == ("adam", 1e-4, 0)
    assert (optimizer.max_gradient, optimizer.average) == (0, 0)
    assert (config.schedule.kind, config.schedule.warmup_steps) == ("constant", 0)
    assert (config.data.excerpt_frames, config.data.augmentations) == (64, ())
    assert config.data.mix_config(1, 1).plain
    assert [note.split(" ")[0] for note in notes] == [
        "n_chunks_per_song",
        "save_summary_steps",
        "throttle_secs",
    ]


@pytest.mark.parametrize(
    ("changes", "kind", "rate"),
    [
        ({"optimizer": "SGD"}, "sgd", 1e-4),
        ({"optimizer": "Adadelta", "learning_rate": None}, "adadelta", 1e-3),
    ],
)
def test_its_other_optimizers(spleeter: Path, changes: Any, kind: str, rate: float) -> None:
    config, *_ = spleeter_config(write(Path(), **changes), Path("data"))
    assert (config.optimizer.kind, config.optimizer.learning_rate) == (kind, rate)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_csv": None}, "train_csv is missing"),
        ({"train_max_steps": 0}, "train_max_steps is 0"),
        ({"learning_rate": None}, "learning_rate is missing"),
        ({"optimizer": "Lion"}, "optimizer is 'Lion': it must be one of Adam, SGD, Adadelta"),
        ({"loss_type": "weighted_L1_mask"}, "loss_type is 'weighted_L1_mask'"),
        ({"mix_name": "song"}, "mix_name is 'song'"),
        ({"n_channels": 1}, "n_channels is 1"),
    ],
)
def test_what_cannot_be_is_refused(spleeter: Path, changes: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        spleeter_config(write(Path(), **changes), Path("data"))
    with pytest.raises(ConfigError, match="data is gone"):
        spleeter_config(write(Path()), Path("gone"))


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(spleeter_cli.app, ["train", *arguments])
    assert result.exit_code == 0, result.output
    return result


def test_spleeter_train_leaves_a_checkpoint_that_spleeter_reads_and_goes_on_with_it(spleeter: Path) -> None:
    result = run("-p", "config.json", "-d", "data")
    assert "INFO:spleeter:Start model training" in result.output
    assert "INFO:spleeter:Model training done" in result.output
    variables = Bundle("mine")
    assert variables.prefix == Path("mine/model.ckpt-3")
    assert int(variables["global_step"]) == 3
    moving = [name for name in variables if name.endswith(("moving_mean", "moving_variance"))]
    assert all(set(variables[name].tolist()) <= {0.0, 1.0} for name in moving)  # batch norm was inert
    assert Path("mine/.probe").exists()
    read, ours = load_model("config.json"), read_model("mine/last.safetensors")
    for name, parameter in read.network.named_parameters():
        assert parameter.equal(ours.network.get_parameter(name))
    assert ours.card.training_tracks == ("one",)

    write(Path(), train_max_steps=5)
    run("-p", "config.json", "-d", "data")
    assert int(Bundle("mine")["global_step"]) == 5
    again = run("-p", "config.json", "-d", "data")  # all steps are made: it is done at once
    assert "mine/model.ckpt-5" in again.output


def test_stemwise_train_does_the_same_from_the_same_files(spleeter: Path) -> None:
    run("-p", "config.json", "-d", "data")
    command = ["train", "-p", "config.json", "-d", "data", "-o", "ours", "--set", "batch_size=2"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "note: throttle_secs has no effect" in result.output
    theirs, ours = Bundle("mine"), Bundle("ours")
    assert all((theirs[name] == ours[name]).all() for name in theirs)


def test_the_data_folder_and_the_songs_must_be_given(spleeter: Path) -> None:
    missing = CliRunner().invoke(app, ["train", "-p", "config.json"])
    assert isinstance(missing.exception, ConfigError)
    assert "-d FOLDER" in str(missing.exception)
    shutil.rmtree("data/one")
    gone = CliRunner().invoke(spleeter_cli.app, ["train", "-p", "config.json", "-d", "data"])
    assert isinstance(gone.exception, ConfigError)
    assert "one/vocals.wav" in str(gone.exception)
