from pathlib import Path

import pytest

from stemwise.replacing import replacing, temporary_beside


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with replacing(path) as file:
            file.write(b"new")
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert path.read_bytes() == b"old"
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["x", "é" * 127, "a" * 255])
def test_any_name_that_a_file_can_have_can_be_replaced(tmp_path: Path, name: str) -> None:
    with replacing(tmp_path / name) as file:
        file.write(b"new")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_two_temporary_names_are_two(tmp_path: Path) -> None:
    assert temporary_beside(tmp_path / "x") != temporary_beside(tmp_path / "x")


@pytest.mark.usefixtures("read_only")
def test_an_error_of_cleaning_up_does_not_hide_the_first(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Read-only file system") as caught, replacing(tmp_path / "x.json"):
        pass
    assert caught.value.filename == str(tmp_path / "x.json")
