import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from audio_files import files_below
from stemwise.audio import AudioWriter
from stemwise.errors import ConfigError, EncodeError
from stemwise.outputs import OutputFormat, StemFiles


@pytest.mark.parametrize("name", ["sample_rate", "bitrate"])
@pytest.mark.parametrize("value", [0, -1, 2**31, 10**20])
def test_numbers_that_no_file_holds_are_refused(name: str, value: int) -> None:
    with pytest.raises(ConfigError, match=f"{name} is {value}: it must be 1 to 2147483647"):
        OutputFormat(**{name: value})  # type: ignore[arg-type]
    OutputFormat(**{name: 2**31 - 1})  # type: ignore[arg-type]


def written(folder: Path, picture: Path) -> StemFiles:
    """One stem and a picture, whole, under temporary names."""
    files = StemFiles({"vocals": folder / "vocals.wav"}, OutputFormat(), sample_rate=44100, n_channels=1)
    files.open()
    files.write("vocals", np.zeros((1, 100), np.float32))
    files.finish()
    files.write_beside(picture, lambda path: path.write_bytes(b"picture") and None)
    return files


@pytest.mark.parametrize("length", [5, 240, 241, 255])
def test_what_is_beside_may_have_as_long_a_name_as_the_file_system_allows(
    tmp_path: Path, length: int
) -> None:
    picture = tmp_path / f"{'a' * (length - 4)}.png"
    written(tmp_path, picture).publish()
    assert files_below(tmp_path) == sorted([picture.name, "vocals.wav"])
    assert picture.read_bytes() == b"picture"


def refusing(error: OSError) -> Callable[..., None]:
    def refuse(*_: object, **__: object) -> None:
        raise error

    return refuse


def test_a_name_that_is_refused_costs_the_song_and_is_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = written(tmp_path, tmp_path / "picture.png")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refusing(OSError(errno.EROFS, os.strerror(errno.EROFS), ".x.part")))
        with pytest.raises(EncodeError, match=r"picture\.png: cannot be written: Read-only file system$"):
            files.publish()
    files.discard()
    assert files_below(tmp_path) == []


def test_whatever_cannot_be_deleted_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = written(tmp_path, tmp_path / "picture.png")
    monkeypatch.setattr(Path, "unlink", refusing(OSError(errno.EROFS, os.strerror(errno.EROFS), ".x.part")))
    monkeypatch.setattr(AudioWriter, "discard", lambda _: None)
    files.discard()
