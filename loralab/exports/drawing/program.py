"""draw.py, the program beside an exported model that draws: what it does behind the pieces that are joined before it.

Invariant: it is run as it is on every export, by the check that compares its drawing with what was trained.
"""

from __future__ import annotations

MAIN = '''

def load(folder: Path, base: Path | None) -> Draws:
    """The model in a folder; an adapter needs the folder of its base model."""
    model = Draws()
    if base is None:
        model.load_state_dict(load_file(folder / "model.safetensors"))
        return model.eval()
    from peft import PeftModel

    model.load_state_dict({name: value.float() for name, value in load_file(base / "model.safetensors").items()})
    return PeftModel.from_pretrained(model, str(folder)).merge_and_unload().eval()


def main() -> None:
    asked = argparse.ArgumentParser(description="Draws a picture of some words.")
    asked.add_argument("words")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--out", type=Path, default=Path("drawn.png"))
    asked.add_argument("--base", type=Path, help="folder of the base model, for an adapter")
    asked.add_argument("--larger", type=int, default=8, help="times as large as it is drawn")
    options = asked.parse_args()
    here = Path(__file__).parent
    if options.base is None and not (here / "model.safetensors").is_file():
        asked.error("this is an adapter: say where its base model lies, with --base FOLDER")
    card = json.loads((here / "drawing.json").read_text("utf-8"))
    caption = with_trigger(options.words, card["trigger"])
    drawn = sample(load(here, options.base), [caption], [options.seed], steps=card["steps"], guidance=card["guidance"])[0]
    picture = Image.fromarray(drawn)
    if options.larger > 1:
        picture = picture.resize((options.larger * picture.width, options.larger * picture.height), Image.Resampling.BICUBIC)
    picture.save(options.out)


if __name__ == "__main__":
    import argparse
    import json
    from pathlib import Path

    from PIL import Image
    from safetensors.torch import load_file

    main()
'''
