"""Tables of files, as spreadsheets write them: comma-separated values, the first line naming the columns."""

import csv
from pathlib import Path

from stemwise.errors import ConfigError


def read_table(path: Path) -> list[dict[str, str]]:
    """Every line as `column -> value`; what a line lacks is empty.

    Raises:
        ConfigError: if the file cannot be read, or is no such table.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, restval="", strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read as a table: {error}") from error
    for number, row in enumerate(rows, start=2):
        if any(row.pop(None, ())):  # where csv puts what has no column
            raise ConfigError(
                f"{path}, line {number}: it has more values than there are columns:"
                " a value with a comma must stand in quotation marks"
            )
    return rows
