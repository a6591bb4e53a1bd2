import json
from pathlib import Path

import pytest

from stemwise.errors import ConfigError
from stemwise.train.config import TrainConfig, read_config

VALUES = {
    "model": {"architecture": "trunk_unet", "stems": ["vocals", "other"], "n_bins": 2048},
    "data": {"songs": ["corpus"], "pool_shares": {"vocals": 0.5}, "singles": {"vocals": "singles"}},
    "steps": 10,
}


def written(folder: Path, values: object = VALUES) -> Path:
    path = folder / "train.json"
    path.write_text(json.dumps(values))
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    config = read_config(written(tmp_path), [])
    assert config.model.stems == ("vocals", "other")
    assert config.data.songs == ("corpus",)
    assert config == TrainConfig.from_dict(json.loads(json.dumps(config.to_dict())))


def test_values_can_be_set_at_any_depth(tmp_path: Path) -> None:
    changes = [
        "steps=7",
        "data.cache=/tmp/c d",
        "model.network.n_filters=[4, 4, 6, 6]",
        "data.singles.vocals=v",
    ]
    config = read_config(written(tmp_path), changes)
    assert config.steps == 7
    assert config.data.cache == "/tmp/c d"
    assert config.model.network.n_filters == (4, 4, 6, 6)  # type: ignore[union-attr]
    assert config.data.singles == {"vocals": "v"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("steps", "'steps': it must be key=value"),
        ("steps=0", "steps is 0: it must be positive"),
        ("stepps=1", "no key \\['stepps'\\]"),
        ("data.stepps=1", "DataConfig has no key"),
        ("steps.more=1", "steps is 10: it has no keys below it"),
        ("average=1", "average is 1"),
        ("precision=float16", "precision is 'float16'"),
        ("model.architecture=unet", "only 'trunk_unet' can be trained yet"),
        ("data.excerpt_frames=0", "excerpt_frames is 0"),
        ("data.pool_shares.vocals=2", "pool_shares gives 'vocals' 2"),
        ("data.drive_shares.bass=-1", "drive_shares gives 'bass' -1"),
        ("data.pool_shares.drums=0.5", "singles has no 'drums'"),
    ],
)
def test_changes_that_cannot_be_are_refused(tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_config(written(tmp_path), [change])


def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", written(tmp_path, [1, 2])):
        with pytest.raises(ConfigError, match="is no training configuration"):
            read_config(path, [])
    (tmp_path / "train.json").write_text("{")
    with pytest.raises(ConfigError, match="is no training configuration"):
        read_config(tmp_path / "train.json", [])


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="steps"):
        read_config(written(tmp_path, {k: v for k, v in VALUES.items() if k != "steps"}), [])
