"""Sets of pictures as people really have them: from cameras, from a Mac, from Windows, packed twice, with typos.

A set is drawn so that it can be learned (discs and squares), is small, and is the same for the same name. Marks and boxes are in
`hostile_marks`.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tests.datasets.images.made import encoded

Files = dict[str, bytes | str]
KINDS = ("disc", "square")


@dataclass(frozen=True)
class Hostile:
    """Files, and what must come of them. `refused`: the code of the sentence instead."""

    files: Files
    task: str = "classify"
    labels: tuple[str, ...] = KINDS
    kept: int = 0
    lost: int = 0
    boxes: tuple[int, int] | None = None  # read, kept
    sides: Mapping[str, int] = field(default_factory=dict)
    codes: frozenset[str] = frozenset()  # findings that must be told
    certain: bool = True
    refused: str = ""
    roles: Mapping[str, str] = field(default_factory=dict)


Made = Callable[[], Hostile]


def drawn(kind: str, seed: int, width: int = 96, height: int = 72) -> Image.Image:
    """A disc or a square on noise, in a place and of a size that the seed says."""
    random = np.random.default_rng(seed)
    ground = Image.fromarray(random.integers(90, 150, (height, width, 3), dtype=np.uint8))
    box = place_of(seed, width, height)
    pen = ImageDraw.Draw(ground)
    if kind == "disc":
        pen.ellipse(box, fill=(240, 220, 60))
    else:
        pen.rectangle(box, fill=(20, 30, 120))
    return ground


def place_of(seed: int, width: int = 96, height: int = 72) -> tuple[int, int, int, int]:
    """Where the thing of a picture is: left, top, right, bottom."""
    random = np.random.default_rng([seed, 1])
    size = int(random.integers(20, 36))
    left, top = int(random.integers(2, width - size - 2)), int(random.integers(2, height - size - 2))
    return left, top, left + size, top + size


def shapes(each: int = 20, name: str = "{kind}/{n:02}.png", ending: str = ".png", start: int = 0) -> Files:
    """Pictures in a folder for each kind."""
    return {
        name.format(kind=kind, n=n): encoded(drawn(kind, start + 100 * at + n), ending)
        for at, kind in enumerate(KINDS)
        for n in range(each)
    }


def packed(path: Path, files: Files) -> Path:
    """A zip whose members are called exactly so, whatever the system."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo("x")
            member.filename = name
            archive.writestr(member, content)
    return path


def inner(files: Files) -> bytes:
    """A zip, to lie in another one."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def turned() -> Hostile:
    """Photographs turned in every way there is, and in some there are not, of two sizes."""
    files: Files = {}
    for n in range(40):
        exif = Image.Exif()
        exif[0x0112] = n % 12  # 0, 9, 10 and 11 are no way of holding a camera
        size = (96, 72) if n % 3 else (72, 128)
        files[f"{KINDS[n % 2]}/IMG_{n:04}.JPG"] = encoded(drawn(KINDS[n % 2], n, *size), ".jpg", exif=exif, quality=92)
    return Hostile(files, kept=40)


def modes() -> Hostile:
    """CMYK, see-through, grey, a palette, sixteen bits, one bit, moving, numbers with a point."""
    made: list[tuple[str, bytes]] = []
    for n in range(40):
        picture, kind = drawn(KINDS[n % 2], n), KINDS[n % 2]
        grey = np.asarray(picture.convert("L"))
        ways: list[tuple[str, Callable[[Image.Image, np.ndarray], bytes]]] = [
            (".jpg", lambda p, _: encoded(p.convert("CMYK"), ".jpg")),
            (".png", lambda p, _: encoded(p.convert("RGBA"), ".png")),
            (".png", lambda p, _: encoded(p.convert("LA"), ".png")),
            (".png", lambda p, _: encoded(p.quantize(64), ".png", transparency=0)),
            (".tif", lambda _, g: encoded(g.astype(np.uint16) * 200, ".tif")),
            (".tiff", lambda _, g: encoded(Image.fromarray(g.astype(np.float32)), ".tif")),
            (".gif", lambda p, _: encoded(p, ".gif", save_all=True, append_images=[p.rotate(90)])),
            (".webp", lambda p, _: encoded(p, ".webp")),
            (".bmp", lambda p, _: encoded(p.convert("1"), ".bmp")),
            (".png", lambda _, g: encoded(g.astype(np.uint16) * 100, ".png")),
        ]
        ending, way = ways[(n // 2) % len(ways)]
        made.append((f"{kind}/{n:02}{ending}", way(picture, grey)))
    return Hostile(dict(made), kept=40, codes=frozenset({"several_frames"}))


def mac() -> Hostile:
    """What a Mac, Windows and a camera leave behind."""
    files = shapes(name="My Pictures/{kind}/{n:02}.JPG", ending=".jpg")
    junk: Files = {f"__MACOSX/{name.replace('/0', '/._0')}": b"\0\5\26\7" for name in list(files)[:9]}
    junk |= {"My Pictures/.DS_Store": b"Bud1", "My Pictures/disc/Thumbs.db": b"\xd0\xcf", "My Pictures/desktop.ini": "[x]"}
    return Hostile(files | junk, kept=40)


def windows() -> Hostile:
    """Backslashes in the names of the zip."""
    return Hostile({name.replace("/", "\\"): raw for name, raw in shapes(name="Bilder/{kind}/{n:02}.png").items()}, kept=40)


def zips_in_a_zip() -> Hostile:
    """One zip for each part, in a zip."""
    return Hostile(
        {"set/train.zip": inner(shapes(16)), "set/test.zip": inner(shapes(8, start=500)), "set/README.txt": "Two parts."},
        kept=48,
        sides={"heldout": 16},
    )


def a_zip_for_each_class() -> Hostile:
    """disc.zip and square.zip: what a picture shows is the name of its zip."""
    files = shapes(name="{kind} {n:02}.png")
    return Hostile({f"{kind}.zip": inner({name: raw for name, raw in files.items() if name.startswith(kind)}) for kind in KINDS}, kept=40)


def broken() -> Hostile:
    """Cut short, empty, a page called a picture, formats that do not open; the rest is learned from."""
    files = shapes(20)
    files["disc/90.jpg"] = encoded(drawn("disc", 90), ".jpg")[:700]
    files["disc/91.jpg"] = b""
    files["square/92.jpg"] = "<html><body>404</body></html>"
    files["square/93.heic"] = b"\0\0\0\x18ftypheic"
    return Hostile(files, kept=40, lost=4, codes=frozenset({"pictures_left_out"}))


def typos() -> Hostile:
    """A folder “trian”, a class that is written in two ways, an empty one."""
    files = shapes(14, name="trian/{kind}/{n:02}.png") | shapes(8, name="test/{kind}/{n:02}.png", start=500)
    files = {name.replace("test/disc", "test/Disc") if "test" in name else name: raw for name, raw in files.items()}
    return Hostile(
        files | {"trian/triangle/": b""},
        kept=44,
        sides={"heldout": 16, "learn": 28},
        codes=frozenset({"folder_misspelt", "classes_joined"}),
    )


def similar_names() -> Hostile:
    """Two folders whose names hardly differ: a person is told, nothing is joined."""
    files = shapes(16)
    files |= {name.replace("square/", "sqaure/"): raw for name, raw in shapes(8, start=700).items() if name.startswith("square")}
    return Hostile(files, labels=("disc", "sqaure", "square"), kept=40, codes=frozenset({"similar_classes"}))


def masks_as_classes() -> Hostile:
    """Classes that are called like masks."""
    files = shapes(name="data/{kind}/{kind}_{n:02}.png")
    files = {name.replace("disc", "with_mask").replace("square", "without_mask"): raw for name, raw in files.items()}
    return Hostile(files, labels=("with_mask", "without_mask"), kept=40)


def one_of_each() -> Hostile:
    """Thirty classes of one picture."""
    files: Files = {f"kind {n}/a.png": encoded(drawn(KINDS[n % 2], n)) for n in range(30)}
    return Hostile(files, refused="one_of_each")


def alone() -> Hostile:
    """A class with a single picture beside two with many, and an empty folder."""
    files = shapes() | {"rare/only.png": encoded(drawn("disc", 999)), "none/": b""}
    return Hostile(files, labels=("disc", "rare", "square"), kept=41, codes=frozenset({"rare_classes"}))


def same_names() -> Hostile:
    """The same names in every folder, in train, val and test."""
    files: Files = {}
    for side, start, each in (("Train", 0, 12), ("VALIDATION", 400, 5), ("test", 800, 8)):
        files |= shapes(each, name=f"{side}/{{kind}}/{{n}}.png", start=start)
    return Hostile(files, kept=50, sides={"learn": 24, "watch": 10, "heldout": 16})


def _listed(row: Callable[[str, int], str], head: str, name: str = "labels.csv", folder: str = "set/images/") -> Files:
    files = {f"{folder}{kind[0]}{n:02}.jpg": encoded(drawn(kind, 100 * at + n), ".jpg") for at, kind in enumerate(KINDS) for n in range(20)}
    rows = [row(kind, n) for kind in KINDS for n in range(20)]
    return {**files, name: "\r\n".join([head, *rows])}


def table_without_folders() -> Hostile:
    """A table that names pictures without their folders, some twice, some that are gone; one picture that it does not name."""
    files = _listed(lambda kind, n: f"{kind[0]}{n:02}.jpg;{kind}", "Datei;Klasse")
    files["labels.csv"] = f"{files['labels.csv']}\r\nd00.jpg;disc\r\ngone.jpg;disc\r\n"
    files["set/images/extra.jpg"] = encoded(drawn("disc", 77), ".jpg")
    return Hostile(files, kept=40, lost=3)


def table_from_windows() -> Hostile:
    """Whole paths of another computer, in UTF-16, endings in capitals."""
    files = _listed(lambda kind, n: f"C:\\Users\\me\\Desktop\\{kind[0].upper()}{n:02}.JPG\t{kind}", "image\tlabel", "labels.tsv")
    files["labels.tsv"] = str(files["labels.tsv"]).encode("utf-16")
    return Hostile(files, kept=40)


def table_of_two_folders() -> Hostile:
    """A table whose names lie in two folders each: it means none of them, and says so."""
    files: Files = {}
    for folder in ("a", "b"):
        files |= {f"{folder}/{n:02}.png": encoded(drawn(KINDS[n % 2], n + (500 if folder == "b" else 0))) for n in range(20)}
    rows = [f"{folder}/{n:02}.png,{KINDS[n % 2]}" for folder in "ab" for n in range(20)]
    return Hostile(files | {"labels.csv": "\n".join(["file,label", *rows])}, kept=40)


def tables_of_same_names() -> Hostile:
    """A table for each part whose names, without folders, are the same in both."""
    files: Files = {}
    for side, start in (("train", 0), ("test", 500)):
        files |= {f"{side}/{n}.jpg": encoded(drawn(KINDS[n % 2], start + n), ".jpg") for n in range(20)}
        files[f"{side}.csv"] = "\n".join(["image,label", *(f"{n}.jpg,{KINDS[n % 2]}" for n in range(20))])
    return Hostile(files, kept=40, sides={"learn": 20, "heldout": 20})


def table_with_parts() -> Hostile:
    """One table of both, which says the part in a column; one name is in neither."""
    files, rows = tables_of_same_names().files, ["image,label,split"]
    files = {name: raw for name, raw in files.items() if not name.endswith(".csv")}
    rows += [f"{n}.jpg,{KINDS[n % 2]},{side}" for side in ("train", "test") for n in range(20)]
    return Hostile(files | {"labels.csv": "\n".join([*rows, "3.jpg,disc,"])}, kept=40, lost=1, sides={"learn": 20, "heldout": 20})


def folders_and_table() -> Hostile:
    """Class folders with a table that says the same of some."""
    files = shapes(name="{kind}/{kind[0]}{n:02}.png")
    rows = "\n".join(["file,label", *(f"{kind[0]}{n:02}.png,{kind}" for kind in KINDS for n in range(10))])
    return Hostile(files | {"notes.csv": rows}, kept=40, codes=frozenset({"two_layouts"}))


def captioned() -> Hostile:
    """Captions in text files, some empty, one in another coding, one without a picture."""
    files: Files = {}
    for n in range(24):
        files[f"img/{n:02}.PNG"] = encoded(drawn(KINDS[n % 2], n))
        files[f"img/{n:02}.txt"] = (
            "" if n == 3 else f"a yellow disc, number {n}".encode("latin-1") if n == 5 else f"a {KINDS[n % 2]} on grey"
        )
    return Hostile(files | {"img/77.txt": "gone"}, task="draw", labels=(), kept=24)


def twice_in_the_zip() -> Hostile:
    """Names that differ in case only."""
    files = shapes(16)
    return Hostile(files | {name.replace(".png", ".PNG"): raw for name, raw in shapes(4, start=300).items()}, kept=40)


SETS: dict[str, Made] = {
    made.__name__: made
    for made in (
        *(turned, modes, mac, windows, zips_in_a_zip, a_zip_for_each_class, broken, typos, similar_names, masks_as_classes, one_of_each),
        *(alone, same_names, table_without_folders, table_from_windows, table_of_two_folders, folders_and_table, captioned),
        *(tables_of_same_names, table_with_parts),
        *(twice_in_the_zip,),
    )
}
