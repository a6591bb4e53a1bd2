"""The notebook in examples/ runs from top to bottom and shows what it promises; no outputs are committed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import nbclient
import nbformat
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
NOTEBOOK = EXAMPLES / "getting_started.ipynb"


def shown(notebook: nbformat.NotebookNode, kind: str) -> Iterator[str]:
    """All outputs of one MIME type."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if kind in output.get("data", {}):
                yield output.data[kind]


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> nbformat.NotebookNode:
    """The notebook after a run in a folder of its own, beside a copy of the song."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copy(EXAMPLES / "example_song.mp3", folder)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}})
    return client.execute()


def test_it_is_committed_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


def test_it_plays_every_stem_and_the_accompaniment(executed):
    assert sum("<audio" in html for html in shown(executed, "text/html")) == 5


def test_it_shows_the_picture(executed):
    assert len(list(shown(executed, "image/png"))) == 1


def test_its_stems_add_up(executed):
    differences = [text for text in shown(executed, "text/plain") if text[0].isdigit()]
    assert len(differences) == 1
    assert float(differences[0]) <= 1e-5
