"""What a corpus is made of: credits, and the counts that show its variety."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from library import ingredients

Manifest = Mapping[str, Any]


def manifests(folder: Path) -> list[Manifest]:
    """Of all songs in a folder, in order."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*/manifest.json"))]


def used_ingredients(songs: Sequence[Manifest]) -> set[str]:
    """Of everything that is heard, and of the performances of drums."""
    parts = [part for song in songs for part in song["parts"]]
    names = {name for part in parts for name in part.get("ingredients", [part["ingredient"]])}
    return names | {"groove" for song in songs if song["groove"]}


def write_credits(folder: Path) -> None:
    """`CREDITS.md`: every ingredient that was used, its licence, and the credit that it asks for."""
    known = ingredients()
    lines = ["# Credits", "", "The songs in this folder were made from:", ""]
    for name in sorted(used_ingredients(manifests(folder))):
        item = known[name]
        source = f", github.com/{item.repository}" if item.repository else ""
        lines.append(f"- {item.credit}{source} ({item.licence})")
    (folder / "CREDITS.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_report(folder: Path) -> str:
    """`REPORT.md`: hours, styles, and for every stem how many sounds it has and the largest share of one.

    Returns:
        Its text.
    """
    songs = manifests(folder)
    hours = sum(song["duration_s"] for song in songs) / 3600
    styles = Counter(song["style"] for song in songs)
    lines = [
        "# The corpus",
        "",
        f"{len(songs)} compositions, {hours:.2f} hours."
        f" Styles: {', '.join(f'{style} {count}' for style, count in styles.most_common())}.",
        "",
        "| stem | sounds | ingredients | most used sound | most used ingredient |",
        "|---|---|---|---|---|",
    ]
    for stem, sounds, sources in shares(songs):
        lines.append(
            f"| {stem} | {len(sounds)} | {len(sources)} | {_largest(sounds)} | {_largest(sources)} |"
        )
    text = "\n".join(lines) + "\n"
    (folder / "REPORT.md").write_text(text, encoding="utf-8")
    return text


def shares(songs: Iterable[Manifest]) -> list[tuple[str, Counter[str], Counter[str]]]:
    """For every stem: in how many parts each sound is heard, and each ingredient."""
    sounds: dict[str, Counter[str]] = defaultdict(Counter)
    sources: dict[str, Counter[str]] = defaultdict(Counter)
    for song in songs:
        for part in song["parts"]:
            sounds[part["stem"]][part["instrument"]] += 1
            sources[part["stem"]][part["ingredient"]] += 1
    return [(stem, sounds[stem], sources[stem]) for stem in sounds]


def _largest(counts: Counter[str]) -> str:
    name, count = counts.most_common(1)[0]
    return f"{name} {count / counts.total():.0%}"
