"""Links to the songs that are sung in one way, for a comparison of the ways.

    python recipes/corpus/sung.py corpus/rendered corpus/singers --by singers --songs 84

`singers`: the lead is strung together of real phrases; `banks`: it is sung by a voice bank, and no real
phrase is heard beside it. In the order of their numbers; instrumental and spoken songs are neither.
"""

import argparse
from pathlib import Path

from pool import INGREDIENT
from report import Manifest, manifests


def sung_by(song: Manifest) -> str:
    """Which of the two ways; empty for neither."""
    voices = [part for part in song["parts"] if part["stem"] == "vocals"]
    leads = {part["ingredient"] for part in voices if part["role"] == "lead"}
    if leads == {INGREDIENT}:
        return "singers"
    sources = {part["ingredient"] for part in voices}
    manners = {part["manner"] for part in voices if part["role"] == "lead"}
    return "banks" if leads and manners == {""} and INGREDIENT not in sources else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("output", type=Path, help="folder of links")
    parser.add_argument("--by", choices=("singers", "banks"), required=True)
    parser.add_argument("--songs", type=int, required=True, help="how many at most")
    parser.add_argument("--without", nargs="*", default=[], metavar="NUMBER", help="songs that are held out")
    given = parser.parse_args()
    found = [f"{song['number']:05}" for song in manifests(given.corpus) if sung_by(song) == given.by]
    chosen = [name for name in found if name not in given.without][: given.songs]
    given.output.mkdir(parents=True)
    for name in chosen:
        (given.output / name).symlink_to((given.corpus / name).resolve())
    print(f"{len(chosen)} songs in {given.output}")


if __name__ == "__main__":
    main()
