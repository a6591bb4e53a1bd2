"""From the ends of a training run to the embedded weights: `python recipes/4stems/publish.py MODEL…`.

Stores the mean of the models' weights in half precision, with the model configuration of `train.json` and
with a card, whose text is read from the page beside the weights.
"""

import sys
from pathlib import Path

import torch

from stemwise.checkpoint import Model, ModelCard, read_model, save_model
from stemwise.train.config import read_config

CONFIG = Path(__file__).with_name("train.json")
WEIGHTS = Path(__file__).parents[2] / "src" / "stemwise" / "weights"


def main(paths: list[Path]) -> None:
    page = (WEIGHTS / "4stems.md").read_text(encoding="utf-8")
    card = ModelCard(
        name="stemwise:4stems",
        description="one U-Net for vocals, drums, bass and other, full band, small",
        licence="MIT",
        training_data="free recordings and synthetic songs: see the credits",
        credits=section(page, "Credits"),
        figures=section(page, "Figures"),
        source="recipes/4stems",
    )
    networks = [read_model(path).network for path in paths]
    states = [network.state_dict() for network in networks]
    mean = {name: torch.stack([s[name].double() for s in states]).mean(dim=0) for name in states[0]}
    networks[0].load_state_dict(mean)
    model = Model(read_config(CONFIG, []).model, networks[0], card)
    save_model(model, WEIGHTS / "4stems.safetensors", dtype="float16")
    print(f"{WEIGHTS / '4stems.safetensors'}: {(WEIGHTS / '4stems.safetensors').stat().st_size} bytes")


def section(page: str, title: str) -> str:
    return page.partition(f"## {title}\n")[2].partition("\n## ")[0].strip()


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
