"""Owns the programs that lie beside an exported model for pictures: predict.py, and for PyTorch model.py, each joined from our own pieces.

Invariant: they import nothing of LoRALab; what is written here is run by the parity gate on every export.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from pathlib import Path

from loralab.core.paths import CHECKOUT
from loralab.runtimes.vision.picture_model import PictureCard

PROGRAM, MODEL = "predict.py", "model.py"
_OURS = "loralab"
_RUNTIME = CHECKOUT / "loralab" / "runtimes" / "vision"
_PIECES = Path(__file__).parent / "program"
_ASIDE = re.compile(r"  # (noqa|type: ignore|pyright).*$", re.MULTILINE)  # remarks to the tools this code is checked with
_HEADS = {"classify": ("classes", "ClassHead"), "segment": ("masks", "MaskHead"), "detect": ("boxes", "BoxHead")}

ERROR = '''
class UserError(ValueError):
    """Something cannot be used as it is: what, and what to do."""

    def __init__(self, what: str, todo: str = "", code: str = "") -> None:
        super().__init__(f"{what} {todo}".strip())
'''
_MADE = '''
def made(card: dict[str, Any], base: Path | None = None) -> PictureModel:
    """The model that pictures.json describes, with fresh weights where no base is given."""
    return PictureModel(load_backbone(base) if base else Backbone(), {head}(CHANNELS, len(card["labels"]))).eval()
'''
_MADE_TOKENS = '''
def made(card: dict[str, Any], base: Path | None = None) -> PictureModel:
    """The model that pictures.json describes, on the base in a folder, or with fresh weights where none is given."""
    folder, size = base or Path(__file__).parent, (card["width"], card["height"])
    backbone = load_tokens(folder, size, pooled=card["task"] == "classify", weights=base is not None)
    return PictureModel(backbone, {head}(backbone.channels, len(card["labels"]))).eval()
'''
_MADE_WHOLE = '''
def made(card: dict[str, Any], base: Path | None = None) -> Whole:
    """The model that pictures.json describes, on the base in a folder, or with fresh weights where none is given."""
    folder, size = base or Path(__file__).parent, (card["width"], card["height"])
    return load_whole(folder, len(card["labels"]), size, weights=base is not None).eval()
'''
_MAIN = {
    "classify": '        print(json.dumps({"picture": name, **answer(model, Path(name))}, ensure_ascii=False))\n',
    "detect": '        print(json.dumps({"picture": name, **answer(model, Path(name))}, ensure_ascii=False))\n',
    "segment": """\
        said = answer(model, Path(name))
        place = Path(name).with_name(f"{Path(name).stem}-marked.png")
        Image.fromarray((said.pop("mask") * (255 // len(model.card["labels"]))).astype(np.uint8)).save(place)
        print(json.dumps({"picture": name, **said, "mask": str(place)}, ensure_ascii=False))
""",
}


def program(card: PictureCard, by: str) -> str:
    """predict.py. `by`: onnx, merged or adapter."""
    task = card.task
    usage = "python predict.py " + ("FOLDER_OF_THE_BASE_MODEL " if by == "adapter" else "") + "PICTURE ..."
    folders = "Path(__file__).parent, Path(sys.argv[1])" if by == "adapter" else "Path(__file__).parent"
    main = f'\n\nif __name__ == "__main__":\n    import sys\n\n    model = load({folders})\n'
    main += f"    for name in sys.argv[{2 if by == 'adapter' else 1}:]:\n{_MAIN[task]}"
    pieces = [_PIECES / f"{name}.py" for name in (f"by_{by}", "seen", "detect_queries" if card.own_head and task == "detect" else task)]
    return joined(f"What this model says of a picture: {usage}", pieces) + main


def model(card: PictureCard) -> str:
    """model.py: backbone, head and what is told, in PyTorch."""
    file, head = _HEADS[card.task]
    title, heads = "The model in PyTorch: what sees, what answers, and what is told of it.", _RUNTIME / "heads"
    told = _RUNTIME / "told.py"
    if card.own_head:
        read = [heads / f"{name}.py" for name in ("boxes", "queries", "masks", "masks_of_queries")]
        text = joined(title, [_RUNTIME / "tokens.py", *read, _RUNTIME / "whole.py", told], before=ERROR)
        return f"{text}\n\n{_MADE_WHOLE.strip()}\n"
    if card.base:
        text = joined(title, [_RUNTIME / "tokens.py", heads / f"{file}.py", told], before=ERROR)
        return f"{text}\n\n{_class(_RUNTIME / 'picture_model.py', 'PictureModel')}\n\n\n{_MADE_TOKENS.format(head=head).strip()}\n"
    whole = _RUNTIME / "picture_model.py"
    text = joined(title, [_RUNTIME / "backbone.py", _RUNTIME / "heads" / f"{file}.py", _RUNTIME / "told.py"], before=ERROR)
    return f"{text}\n\n{_class(whole, 'PictureModel')}\n\n\n{_MADE.format(head=head).strip()}\n"


def joined(title: str, files: Sequence[Path], before: str = "") -> str:
    """Several modules as one: their imports first and once, then what each holds."""
    imports: set[str] = set()
    bodies: list[str] = []
    for file in files:
        text = file.read_text("utf-8")
        lines = text.splitlines()
        for node in ast.parse(text).body:
            place = slice(node.lineno - 1, node.end_lineno or node.lineno)
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if isinstance(node, ast.Import | ast.ImportFrom):
                imports |= {ast.unparse(node)} if _foreign(node) else set()
            elif not docstring:
                continue
            lines[place] = [""] * (place.stop - place.start)
        bodies.append("\n".join(lines).strip())
    bodies = [_ASIDE.sub("", body) for body in bodies]
    first = sorted(line for line in imports if "__future__" not in line)
    parts = [f'"""{title}"""', "from __future__ import annotations", "\n".join(first), *filter(None, [before.strip()]), *bodies]
    return "\n\n".join(parts[:3]) + "\n\n\n" + "\n\n\n".join(parts[3:]) + "\n"


def _foreign(node: ast.Import | ast.ImportFrom) -> bool:
    return not (isinstance(node, ast.ImportFrom) and str(node.module).startswith(_OURS))


def _class(file: Path, name: str) -> str:
    text = file.read_text("utf-8")
    node = next(one for one in ast.parse(text).body if isinstance(one, ast.ClassDef) and one.name == name)
    return ast.get_source_segment(text, node) or ""
