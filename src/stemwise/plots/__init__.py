"""Pictures, one file per kind: the only home of matplotlib (extra `plot`), loaded when one is drawn."""

import warnings
from pathlib import Path
from typing import Any

from stemwise.errors import ConfigError
from stemwise.replacing import replacing


def require_matplotlib() -> Any:
    """Matplotlib's `Figure`.

    Raises:
        ConfigError: if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("a picture needs matplotlib: pip install 'stemwise[plot]'") from error
    return Figure


def new_figure(width: float, height: float, title: str) -> Any:
    """An empty `Figure` of so many inches, with a title that is no formula; no title if it is empty.

    Raises:
        ConfigError: if matplotlib is not installed.
    """
    figure = require_matplotlib()(figsize=(width, height), layout="constrained")
    if title:
        title = title.encode(errors="replace").decode()  # the name of a file need not be UTF-8
        figure.suptitle(title, parse_math=False, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure


def save_figure(figure: Any, path: Path, *, format: str = "png", dpi: int = 110) -> None:
    """Write a `Figure` to a file, whole or not at all; letters that the font lacks are left out.

    Raises:
        OSError: if it cannot be written.
    """
    with warnings.catch_warnings(), replacing(path) as file:
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure.savefig(file, format=format, dpi=dpi)
