"""Pictures, one file per kind: the only home of matplotlib (extra `plot`), loaded when one is drawn."""

from typing import Any

from stemwise.errors import ConfigError


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
