"""A training run in pieces for the way between machines, and out of them again.

    python recipes/default_model/pieces.py split runs/default -o pieces
    python recipes/default_model/pieces.py join pieces -o runs/default

Brought along is what `--resume` needs (weights, their average, the optimizer's moments, counters), the best
model so far, and what is written down of the run.
"""

import argparse
import io
import json
import sys
import tarfile
from hashlib import sha256
from pathlib import Path

from stemwise.errors import ConfigError, StemwiseError
from stemwise.replacing import replacing

FILES = ("state.safetensors", "model.safetensors", "config.json", "environment.json", "metrics.jsonl")
PIECE_BYTES = 15 * 2**20
LIST = "pieces.json"


def split(run: Path, output: Path, piece_bytes: int = PIECE_BYTES) -> list[str]:
    """Write the pieces and the list of their checksums; pieces that are there are replaced.

    Raises:
        ConfigError: if the run has no state.
    """
    if not (run / FILES[0]).exists():
        raise ConfigError(f"{run} has no {FILES[0]}: there is nothing to go on with")
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for name in FILES:
            if (run / name).exists():
                archive.add(run / name, name)
    output.mkdir(parents=True, exist_ok=True)
    for old in output.glob("piece-*"):
        old.unlink()
    content, listed = whole.getbuffer(), {}
    for number, start in enumerate(range(0, len(content), piece_bytes)):
        piece = content[start : start + piece_bytes]
        name = f"piece-{number:02}"
        listed[name] = sha256(piece).hexdigest()
        with replacing(output / name) as file:
            file.write(piece)
    with replacing(output / LIST) as file:
        file.write(json.dumps(listed, indent=1).encode())
    return list(listed)


def join(pieces: Path, run: Path) -> None:
    """The files of the run out of its pieces, all of which are checked before one is written.

    Raises:
        ConfigError: if a piece is missing or damaged.
    """
    try:
        listed: dict[str, str] = json.loads((pieces / LIST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{pieces} holds no {LIST}: {error}") from error
    content = b"".join(_checked(pieces / name, digest) for name, digest in listed.items())
    run.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in reversed(archive.getmembers()):  # the state comes last
            if member.name in FILES and (source := archive.extractfile(member)):
                with replacing(run / member.name) as file:
                    file.write(source.read())


def _checked(path: Path, digest: str) -> bytes:
    if not path.exists():
        raise ConfigError(f"{path} is missing: copy it here")
    content = path.read_bytes()
    if sha256(content).hexdigest() != digest:
        raise ConfigError(f"{path} is damaged: its sha256 is not that of {LIST}; copy it again")
    return content


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("verb", choices=("split", "join"))
    parser.add_argument("source", type=Path, help="the run, or the pieces")
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    try:
        (split if given.verb == "split" else join)(given.source, given.output)
    except StemwiseError as error:
        sys.exit(f"pieces: {error}")


if __name__ == "__main__":
    main()
