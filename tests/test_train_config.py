import json
from pathlib import Path

import pytest

from stemwise.errors import ConfigError
from stemwise.models import MAX_VALUES
from stemwise.train.compose import complete, read_config
from stemwise.train.config import TrainConfig

RECIPE = Path(__file__).parents[1] / "recipes" / "4stems" / "train.json"
VALUES = {
    "model": {"architecture": "trunk_unet", "stems": ["vocals", "other"], "n_bins": 2048},
    "data": {
        "songs": ["corpus"],
        "singles": {"vocals": "singles"},
        "mix": {"pool_shares": {"vocals": 0.5}},
    },
    "steps": 10,
}


def written(folder: Path, values: object = VALUES) -> Path:
    path = folder / "train.json"
    path.write_text(json.dumps(values))
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    config = read_config(written(tmp_path))
    assert config.model.stems == ("vocals", "other")
    assert config.data.songs == ("corpus",)
    assert config == TrainConfig.from_dict(json.loads(json.dumps(config.to_dict())))


def test_the_shipped_recipe_is_a_run() -> None:
    config = read_config(RECIPE)
    assert (config.steps, config.optimizer.weight_decay, config.schedule.warmup_steps) == (4900, 0.05, 100)
    assert config.data.mix_config(1, 1).pool_shares == {"vocals": 0.55}


def test_values_can_be_set_at_any_depth(tmp_path: Path) -> None:
    changes = [
        "steps=7",
        "data.cache=/some/c d",
        "model.network.n_filters=[4, 4, 6, 6]",
        "data.singles.vocals=v",
        "optimizer.kind=sgd",
        "loss.weights.vocals=2",
    ]
    config = read_config(written(tmp_path), changes)
    assert config.steps == 7
    assert config.data.cache == "/some/c d"
    assert config.model.network.n_filters == (4, 4, 6, 6)  # type: ignore[union-attr]
    assert config.data.singles == {"vocals": "v"}
    assert (config.optimizer.kind, config.loss.weights) == ("sgd", {"vocals": 2})


def test_changes_leave_what_was_given_alone() -> None:
    values = json.loads(json.dumps(VALUES))
    complete(values, ["data.excerpt_frames=64"])
    assert values == VALUES


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("steps", "'steps': it must be key=value"),
        ("steps=0", "steps is 0: it must be a positive whole number"),
        ("steps=many", "steps is 'many': it must be a whole number"),
        ("steps=1.5", "steps is 1.5: it must be a whole number"),
        ("stepps=1", "no key \\['stepps'\\]"),
        ("data.stepps=1", "DataConfig has no key"),
        ("steps.more=1", "steps is 10: it has no keys below it"),
        ("optimizer=sgd", "optimizer is 'sgd': it must be an object"),
        ("optimizer.kind=lbfgs", "kind is 'lbfgs': it must be one of adamw, adam, sgd, adadelta"),
        ("optimizer.average=1", "average is 1: it must be 0 to 1, 1 excluded"),
        ("optimizer.learning_rate=0", "learning_rate is 0: it must be positive"),
        ("optimizer.learning_rate=NaN", "learning_rate is nan"),
        ("optimizer.max_gradient=-1", "max_gradient is -1"),
        ("optimizer.accumulation=0", "accumulation is 0"),
        ("schedule.kind=line", "kind is 'line': it must be one of cosine, plateau, constant"),
        ("schedule.warmup_steps=-1", "warmup_steps is -1"),
        ("schedule.plateau_patience=0", "plateau_patience is 0"),
        ("validation.every_steps=0", "every_steps is 0"),
        ("validation.patience=-1", "patience is -1"),
        ("saving.every_s=-1", "every_s is -1"),
        ("saving.keep_every_steps=-1", "keep_every_steps is -1"),
        ("hardware.precision=float8", "precision is 'float8'"),
        ("hardware.loader_threads=0", "loader_threads is 0"),
        ("hardware.compile=1", "compile is 1: it must be true or false"),
        ("start.frozen_steps=x", "frozen_steps is 'x'"),
        ("batch_norm=frozen", "batch_norm is 'frozen': it must be one of live, inert"),
        ("loss.kind=hinge", "kind is 'hinge'"),
        ("loss.weights.drums=1", "loss.weights names \\['drums'\\]: the stems are vocals, other"),
        ("loss.weights.vocals=-1", "loss.weights gives 'vocals' -1"),
        ("data.songs=corpus", "songs is 'corpus': it must be a list of names"),
        ("data.excerpt_frames=0", "excerpt_frames is 0"),
        ("data.mix.pool_shares.vocals=2", "pool_shares gives 'vocals' 2"),
        ("data.mix.pool_shares.other=0.5", "singles has no 'other'"),
        ("data.mix.sample_rate=1", "an object without excerpt_samples, sample_rate, augmentations"),
        ("data.singles.other=x", "singles names 'other', but nothing is drawn from it: .* give it a share"),
        ("data.mix.pool_shares.vocals=0", "singles names 'vocals', but nothing is drawn from it"),
        (
            "data.mix.plain=true",
            "singles names 'vocals', but nothing is drawn from it: .* mix.plain be false",
        ),
        (
            'data={"songs": ["c"], "singles": {"drums": "x"}, "mix": {"pool_shares": {"drums": 1}}}',
            "data.singles names \\['drums'\\]",
        ),
        ('data.augmentations=["echo"]', "augmentation is 'echo'"),
        ('data.augmentations=["swap", "shift"]', "shift, of magnitudes: loss.kind must be 'magnitude_l1'"),
    ],
)
def test_changes_that_cannot_be_are_refused(tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_config(written(tmp_path), [change])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("data.mix.plain=False", "plain is 'False': it must be true or false"),
        ("data.mix.pool_shares=[1]", "pool_shares is \\[1\\]: it must be an object of numbers"),
        ("data.mix.drive_shares=0.5", "drive_shares is 0.5: it must be an object of numbers"),
        ("data.mix.song_weights.a=x", "song_weights is {'a': 'x'}: it must be an object of numbers"),
        ("data.mix.p_silent=x", "p_silent is 'x': it must be a number"),
        ("data.cache=null", "cache is None: it must be a text"),
        ("data.root=5", "root is 5: it must be a text"),
        ("data.names=[1]", "names is \\[1\\]: it must be an object of names"),
        ("loss.weights=[1,1]", "weights is \\[1, 1\\]: it must be an object of numbers"),
        ("loss.weights=2", "weights is 2: it must be an object of numbers"),
        ("start.model=5", "model is 5: it must be a text"),
        ("hardware.device=0", "device is 0: it must be a text"),
        ("seed=99999999999999999999999", "seed is 99999999999999999999999: it must be a whole number"),
        ("seed=-1", "seed is -1: it must be a whole number from 0 to"),
    ],
)
def test_values_of_another_type_are_refused(tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_config(written(tmp_path), [change])


def test_a_run_may_have_more_songs_than_a_network_has_layers(tmp_path: Path) -> None:
    names = [f"song {n}" for n in range(MAX_VALUES + 1)]
    config = read_config(written(tmp_path), [f"data.validation={json.dumps(names)}"])
    assert config.data.validation == tuple(names)


def test_a_network_without_bands_has_no_loss_in_bands(tmp_path: Path) -> None:
    path = written(tmp_path, {**VALUES, "model": {"architecture": "unet", "stems": ["vocals", "other"]}})
    with pytest.raises(ConfigError, match=r"loss\.kind is 'bands', which a unet does not have"):
        read_config(path)
    with pytest.raises(ConfigError, match=r"excerpt_frames is 96: .* must be a multiple of 64"):
        read_config(path, ["loss.kind=magnitude_l1", "data.excerpt_frames=96"])
    assert read_config(path, ["loss.kind=magnitude_l1"]).data.excerpt_frames == 128


def test_there_must_be_something_to_train_on(tmp_path: Path) -> None:
    path = written(tmp_path, {**VALUES, "data": {"songs": []}})
    with pytest.raises(ConfigError, match="there is nothing to train on"):
        read_config(path)


def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", written(tmp_path, [1, 2])):
        with pytest.raises(ConfigError, match="is no training configuration"):
            read_config(path)
    (tmp_path / "train.json").write_text("{")
    with pytest.raises(ConfigError, match="is no training configuration"):
        read_config(tmp_path / "train.json")


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="steps"):
        read_config(written(tmp_path, {k: v for k, v in VALUES.items() if k != "steps"}))
