"""The ingredients: where they come from, under which terms, and where they lie on this machine.

`ingredients.json` lists them. Repositories are cloned to a folder, `$STEMWISE_LIBRARY`:

    python recipes/corpus/library.py
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LIST = Path(__file__).with_name("ingredients.json")


class Missing(Exception):
    """An ingredient is not on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredient:
    """Something that songs are made of.

    Attributes:
        name: its key in the list.
        stems: the stems that it is heard in.
        licence: what allows its use, for weights that are published.
        credit: the line of CREDITS that it asks for.
        repository: "owner/name" on GitHub; "" if it is not from there.
        package: the Debian package that brings it; "" if none does. What has neither needs no files.
        path: where that package puts it.
    """

    name: str
    stems: tuple[str, ...]
    licence: str
    credit: str
    repository: str = ""
    package: str = ""
    path: str = ""

    @property
    def folder(self) -> Path:
        """Where it lies.

        Raises:
            Missing: if it does not.
        """
        place = Path(self.path) if self.package else library() / Path(self.repository).name
        if not place.exists():
            how = f"apt-get install {self.package}" if self.package else "python recipes/corpus/library.py"
            raise Missing(f"{self.name} is not at {place}: {how}")
        return place


def library() -> Path:
    """The folder of the repositories.

    Raises:
        Missing: if the environment does not name it.
    """
    name = os.environ.get("STEMWISE_LIBRARY")
    if not name:
        raise Missing("set STEMWISE_LIBRARY to the folder of the ingredients, a new one of 10 GB for example")
    return Path(name)


@cache
def ingredients() -> dict[str, Ingredient]:
    """All of the list, by name."""
    entries = json.loads(LIST.read_text(encoding="utf-8"))
    return {
        name: Ingredient(name=name, **{**values, "stems": tuple(values["stems"])})
        for name, values in entries.items()
    }


def folder(name: str) -> Path:
    """Where the ingredient of that name lies. Raises `Missing` if it is not there."""
    return ingredients()[name].folder


def is_present(name: str) -> bool:
    """Whether it can be used here; what needs no files always can."""
    ingredient = ingredients()[name]
    if not ingredient.repository and not ingredient.package:
        return True
    try:
        folder(name)
    except Missing:
        return False
    return True


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True)


def clone() -> None:
    """Bring all repositories that are not there yet; say which Debian packages are wanting."""
    for ingredient in ingredients().values():
        if is_present(ingredient.name):
            continue
        if ingredient.package:
            print(f"{ingredient.name}: apt-get install {ingredient.package}")
            continue
        target = library() / Path(ingredient.repository).name
        partial = target.with_name(f".{target.name}.partial")  # a clone that was cut short is not there
        shutil.rmtree(partial, ignore_errors=True)
        source = f"https://github.com/{ingredient.repository}.git"
        git("clone", "--quiet", "--depth", "1", "--no-checkout", source, str(partial))
        # Some repositories have git change line ends, in recordings too.
        (partial / ".git" / "info" / "attributes").write_text("* -text\n")
        git("-C", str(partial), "checkout", "--quiet")
        partial.rename(target)
        print(f"{ingredient.name}: {target}")


if __name__ == "__main__":
    try:
        clone()
    except (Missing, subprocess.CalledProcessError) as error:
        sys.exit(str(error))
