"""Tables and pages on a terminal, in a file or in a pipe: no figure of theirs is cut off."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

FOLDED_NAME = 16  # characters that a name has at least, on a terminal however narrow
UNBOUNDED = 10_000


def print_table(console: "Console", table: "Table") -> None:
    """Print a table whose first column holds names and all others what must not be cut off.

    On a narrow terminal names are folded, and lines run over its edge if that is not enough.
    """
    from rich.cells import cell_len
    from rich.measure import Measurement

    first, *others = table.columns
    first.overflow = "fold"
    for column in others:
        column.no_wrap = True
    needed = Measurement.get(console, console.options.update(max_width=UNBOUNDED), table).maximum
    longest = max(cell_len(str(name)) for name in (first.header, *first.cells))
    if console.is_terminal:
        needed -= max(0, longest - FOLDED_NAME)
    width = console.width
    console.width = max(width, needed)  # rich cuts off what it has no room for
    console.print(table)
    console.width = width


def show_page(page: str) -> None:
    """Print Markdown, laid out on a terminal and as it is elsewhere; nothing for an empty page."""
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    if page and console.is_terminal:
        console.print("", Markdown(page))
    elif page:
        print("", page, sep="\n", end="")


def clock(seconds: float) -> str:
    """`3:07` or `1:02:07`."""
    minutes, rest = divmod(round(seconds), 60)
    full, minutes = divmod(minutes, 60)
    return f"{full}:{minutes:02}:{rest:02}" if full else f"{minutes}:{rest:02}"
