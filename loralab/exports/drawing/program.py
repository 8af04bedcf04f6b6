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

LIBRARY = '''"""Draws a picture of some words, with the library diffusers: python draw.py {where}WORDS"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from diffusers import DiffusionPipeline
from PIL import Image

TYPES = {{"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}}


def load(folder, base, precision):
    """The pipeline: of this folder, or of a base with what lies here put into it."""
    more = {{"torch_dtype": TYPES[precision], "use_safetensors": True}}
    if base is None:
        return DiffusionPipeline.from_pretrained(folder, **more)
    more |= {{"safety_checker": None}} if (base / "safety_checker").is_dir() else {{}}
    pipe = DiffusionPipeline.from_pretrained(base, **more)
    if (folder / "lora.safetensors").is_file():
        pipe.load_lora_weights(folder, weight_name="lora.safetensors")
        return pipe
    from peft import PeftModel

    net = "unet" if hasattr(pipe, "unet") else "transformer"
    setattr(pipe, net, PeftModel.from_pretrained(getattr(pipe, net), folder).merge_and_unload())
    return pipe


def drawn(pipe, caption, seed, card):
    """A picture as PIL's; the noise is made by numpy from the seed."""
    net = pipe.unet if hasattr(pipe, "unet") else pipe.transformer
    one = pipe.vae_scale_factor * (1 if hasattr(pipe, "unet") else 2)
    shape = (1, net.config.in_channels, card["side"] // one, card["side"] // one)
    noise = torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)).to(net.device, net.dtype)
    pipe.vae.to(torch.float32)
    size = {{"height": card["side"], "width": card["side"], "guidance_scale": card["guidance"], "num_inference_steps": card["steps"]}}
    latents = pipe(prompt=caption, latents=noise, output_type="latent", **size).images.float()
    if hasattr(pipe, "unet"):
        latents = latents / pipe.vae.config.scaling_factor
    with torch.no_grad():
        pixels = pipe.vae.decode(latents, return_dict=False)[0].clamp(-1, 1)
    return Image.fromarray(((pixels + 1) * 127.5).round().byte()[0].permute(1, 2, 0).cpu().numpy())


def main():
    """Read what is asked, and draw it."""
    asked = argparse.ArgumentParser(description="Draws a picture of some words.")
    asked.add_argument("words")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--out", type=Path, default=Path("drawn.png"))
    asked.add_argument("--base", type=Path, help="folder of the base model, for an adapter")
    asked.add_argument("--larger", type=int, default=1, help="times as large as it is drawn")
    options = asked.parse_args()
    here = Path(__file__).parent
    if options.base is None and not (here / "model_index.json").is_file():
        asked.error("this is an adapter: say where its base model lies, with --base FOLDER")
    card = json.loads((here / "drawing.json").read_text("utf-8"))
    words = options.words.replace("[trigger]", card["trigger"])
    caption = words if card["trigger"].casefold() in words.casefold().split() else card["trigger"] + " " + words
    pipe = load(here, options.base, card["precision"])
    pipe.to("cuda" if torch.cuda.is_available() else "cpu")
    picture = drawn(pipe, caption, options.seed, card)
    picture.resize((options.larger * picture.width, options.larger * picture.height)).save(options.out)


if __name__ == "__main__":
    main()
'''
