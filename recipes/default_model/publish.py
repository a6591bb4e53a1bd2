"""From the end of a training run to the embedded weights: `python recipes/default_model/publish.py MODEL`.

Stores the weights in half precision, with the model configuration of `train.json` and with a card, whose
text is read from the page beside the weights.
"""

import sys
from pathlib import Path

from stemwise.checkpoint import Model, ModelCard, read_model, save_model
from stemwise.train.compose import read_config

CONFIG = Path(__file__).with_name("train.json")
WEIGHTS = Path(__file__).parents[2] / "src" / "stemwise" / "weights"


def main(path: Path) -> None:
    trained = read_model(path)
    page = (WEIGHTS / "4stems.md").read_text(encoding="utf-8")
    card = ModelCard(
        name="stemwise:4stems",
        description="one U-Net for vocals, drums, bass and other, full band, small",
        licence="MIT",
        training_data="free recordings and songs rendered from free ingredients: see the credits",
        credits=section(page, "Credits"),
        figures=section(page, "Figures"),
        source="recipes/default_model",
        training_tracks=tuple(name for name in trained.card.training_tracks if not name.isdigit()),
    )
    model = Model(read_config(CONFIG, []).model, trained.network, card)
    save_model(model, WEIGHTS / "4stems.safetensors", dtype="float16")
    print(f"{WEIGHTS / '4stems.safetensors'}: {(WEIGHTS / '4stems.safetensors').stat().st_size} bytes")


def section(page: str, title: str) -> str:
    return page.partition(f"## {title}\n")[2].partition("\n## ")[0].strip()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
