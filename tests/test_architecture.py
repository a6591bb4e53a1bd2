"""The house rules that a machine can check: who may import whom, who owns which package, light imports."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import stemwise

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "stemwise"

# The floors of the house, from the ground up. A module may import what is on a lower floor.
FLOORS = [
    {"errors", "types", "replacing"},
    {"audio", "stft", "bands", "exact", "masks", "overlap", "metrics", "plots", "naming", "lock", "journal"},
    {"models", "losses"},
    {"checkpoint", "outputs"},
    {"convert"},
    {"hub"},
    {"data", "device"},
    {"separate"},
    {"files", "train", "evaluate", "export"},
    {"worker"},
    {"batch", "server"},
    {"cli", "spleeter"},
]
SAME_FLOOR = {("overlap", "stft")}
DATA_SEES = {"errors", "types", "audio", "stft", "metrics", "naming", "lock", "replacing"}
HOMES = {
    "av": {"audio"},
    "soundfile": {"audio"},
    "safetensors": {"checkpoint", "outputs"},
    "httpx": {"hub"},
    "typer": {"cli"},
    "rich": {"cli"},
    "matplotlib": {"plots"},
    "onnx": {"export"},
    "onnxscript": {"export"},
    "openvino": {"export"},
    "sqlalchemy": {"journal"},
    "fsspec": {"batch"},
    "ray": {"batch"},
    "fastapi": {"server"},
    "starlette": {"server"},
    "pydantic": {"server"},
    "python_multipart": {"server"},
    "PIL": {"server"},
    "uvicorn": {"server"},
    "pyarrow": {"batch"},
}


def floor(room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def imports() -> Iterator[tuple[Path, str, str]]:
    """Every import: file, room it stands in, module that is imported; also those under TYPE_CHECKING."""
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE)
        room = relative.parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield relative, room, alias.name
            elif isinstance(node, ast.ImportFrom) and node.module:
                assert node.level == 0, f"{relative}: relative import"
                for alias in node.names:
                    yield (
                        relative,
                        room,
                        node.module if node.module != "stemwise" else f"stemwise.{alias.name}",
                    )


def test_imports_point_down() -> None:
    wrong = []
    for path, room, module in imports():
        if room in ("__init__", "__main__") or not module.startswith("stemwise."):
            continue
        other = module.split(".")[1]
        if other == "__version__" or other == room:
            continue
        if floor(other) >= floor(room) and (room, other) not in SAME_FLOOR:
            wrong.append(f"{path} imports {module}")
        if room == "data" and other not in DATA_SEES:
            wrong.append(f"{path} imports {module}: data knows no models")
    assert wrong == []


def test_networks_do_not_import_each_other() -> None:
    for path, room, module in imports():
        if room == "models" and path.name != "__init__.py":
            assert not module.startswith("stemwise.models"), f"{path} imports {module}"


def test_every_package_has_one_home() -> None:
    wrong = [
        f"{path}: {module}"
        for path, room, module in imports()
        if room not in HOMES.get(module.split(".")[0], {room})
    ]
    assert wrong == []


def test_every_room_stands_on_a_floor() -> None:
    rooms = {
        path.name.removesuffix(".py")
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert rooms - {"__init__", "__main__"} == set.union(*FLOORS)


def test_broad_excepts_stand_where_one_song_of_many_is_done_only() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path in (PACKAGE / "worker" / "child.py", PACKAGE / "server" / "jobs.py"):
            continue  # a song that fails in a way that nobody foresaw is one song that fails
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler):
                name = getattr(node.type, "id", "")
                cleans_up = name == "BaseException" and isinstance(node.body[-1], ast.Raise)
                assert node.type is not None, f"{path.name}:{node.lineno}"
                assert name not in ("Exception", "BaseException") or cleans_up, f"{path.name}:{node.lineno}"


def fresh(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_import_is_light() -> None:
    heavy = "torch", "numpy", "av", "soundfile", "httpx", "typer", "rich", "matplotlib", "sqlalchemy"
    assert fresh(f"import sys, stemwise; print([m for m in {heavy} if m in sys.modules])").strip() == "[]"


def test_help_loads_no_torch() -> None:
    heavy = "torch", "numpy", "av", "matplotlib"
    code = f"import sys, stemwise.cli.spleeter; print([m for m in {heavy} if m in sys.modules])"
    assert fresh(code).strip() == "[]"


def test_the_parent_of_workers_loads_no_torch() -> None:
    heavy = "torch", "numpy", "av"
    code = f"import sys, stemwise.worker; print([m for m in {heavy} if m in sys.modules])"
    assert fresh(code).strip() == "[]"


def test_the_server_opens_no_sound_itself() -> None:
    heavy = "torch", "numpy", "av", "soundfile", "PIL"
    code = f"import sys, stemwise.server.app; print([m for m in {heavy} if m in sys.modules])"
    assert fresh(code).strip() == "[]"


def test_the_driver_of_a_batch_loads_no_torch() -> None:
    modules = "stemwise.cli.batch_view, stemwise.batch.run, stemwise.batch.trial, stemwise.batch.verify"
    code = f"import sys, {modules}; print([m for m in ('torch', 'fsspec', 'ray') if m in sys.modules])"
    assert fresh(code).strip() == "[]"


def test_separating_loads_nothing_to_download_or_draw_with() -> None:
    heavy = "httpx", "matplotlib", "stemwise.train", "stemwise.data", "stemwise.evaluate"
    code = f"import sys, stemwise.cli, stemwise.files; print([m for m in {heavy} if m in sys.modules])"
    assert fresh(code).strip() == "[]"


def test_public_names() -> None:
    expected = (
        "AudioError CheckpointError ChecksumError ConfigError DecodeError DownloadError EncodeError"
        " JournalError ModelError NonFiniteError Separator ShapeError StemwiseError StorageError UnknownModel"
        " __version__ load_model published_models separate_file"
    )
    assert sorted(stemwise.__all__) == sorted(expected.split())
    for name in stemwise.__all__:
        first, second = getattr(stemwise, name), getattr(stemwise, name)
        assert first is second
        assert callable(first) or name == "__version__"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        stemwise.nothing  # noqa: B018


def test_version_has_a_changelog_entry() -> None:
    assert re.search(
        rf"^## \[{re.escape(stemwise.__version__)}\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )


def test_every_vector_has_its_generator() -> None:
    tools = " ".join(path.read_text() for path in (ROOT / "tools").glob("make_*.py"))
    for vector in (ROOT / "tests" / "vectors").iterdir():
        assert vector.name in tools, f"no tool makes {vector.name}"
        assert vector.stat().st_size < 200_000


def test_docs_name_no_file_that_is_not_there() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for name in re.findall(
            r"`((?:src|docs|tools|tests|benchmarks|recipes|examples)/[\w./-]+)`", page.read_text()
        ):
            assert (ROOT / name).exists(), f"{page.name} names {name}"
