"""Print what pyproject.toml's `dev` group and its extras need, one argument each, for pip before 25.1.

(From 25.1 on, `pip install --group dev` does the same.)
"""

from pathlib import Path

import tomllib

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
extras = project["project"]["optional-dependencies"]
wanted = [*project["dependency-groups"]["dev"], *extras["export"], *extras["postgres"], *extras["train"]]
print(*(requirement for requirement in wanted if not requirement.startswith("stemwise")))
