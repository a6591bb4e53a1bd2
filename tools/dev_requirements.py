"""Print what pyproject.toml's `dev` group and its extras need, one argument each, for pip before 25.1.

(From 25.1 on, `pip install --group dev` does the same.)
"""

from pathlib import Path

import tomllib

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
group, extras = project["dependency-groups"]["dev"], project["project"]["optional-dependencies"]
names = next(entry for entry in group if entry.startswith("stemwise[")).removeprefix("stemwise[").rstrip("]")
wanted = group + [requirement for name in names.split(",") for requirement in extras[name]]
print(*(requirement for requirement in wanted if not requirement.startswith("stemwise")))
