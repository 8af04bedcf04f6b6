"""Boxes, outlines and masks as people really have them: ids from anywhere, sizes that are not the picture's, files that are gone."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from tests.datasets.images.made import encoded, voc
from tests.support.hostile_pictures import KINDS, Files, Hostile, Made, drawn, place_of

W, H = 96, 72
N = 24


def _pictures(name: str = "images/{n:02}.jpg", n: int = N) -> Files:
    ending = ".png" if name.lower().endswith("png") else ".jpg"
    return {name.format(n=at): encoded(drawn(KINDS[at % 2], at), ending) for at in range(n)}


def _polygon(n: int) -> list[tuple[float, float]]:
    left, top, right, bottom = place_of(n)
    middle = (left + right) / 2
    return [(middle, top), (right, (top + bottom) / 2), (middle, bottom), (left, (top + bottom) / 2)]


def _mask(n: int, value: int = 255) -> Image.Image:
    mask = Image.new("L", (W, H))
    (ImageDraw.Draw(mask).ellipse if n % 2 == 0 else ImageDraw.Draw(mask).rectangle)(place_of(n), fill=value)
    return mask


def _line(n: int, kind: int | None = None) -> str:
    left, top, right, bottom = place_of(n)
    middle = (left + right) / 2 / W, (top + bottom) / 2 / H
    return f"{n % 2 if kind is None else kind} {middle[0]:.4f} {middle[1]:.4f} {(right - left) / W:.4f} {(bottom - top) / H:.4f}"


def _coco(file: str, ids: Sequence[Any] = (0, 1), n: int = N, **more: Any) -> dict[str, Any]:
    """A list of pictures, things and classes. `file`: how pictures are named in it."""
    things = []
    for at in range(n):
        left, top, right, bottom = place_of(at)
        things.append({"id": at, "image_id": at, "category_id": ids[at % 2], "bbox": [left, top, right - left, bottom - top], **more})
    return {
        "images": [{"id": at, "file_name": file.format(n=at), "width": W, "height": H} for at in range(n)],
        "annotations": things,
        "categories": [{"id": one, "name": name} for one, name in zip(ids, KINDS, strict=True)],
    }


# ---- boxes ---------------------------------------------------------------------------------------------------------------------


def coco_from_windows() -> Hostile:
    """Ids with holes, as texts; backslashes; boxes of no area, outside, of no picture, of no class; pictures not listed, or gone."""
    listing = _coco("C:\\data\\{n:02}.JPG", ("7", "90"))
    for one in listing["annotations"]:
        one["category_id"] = int(one["category_id"])
    wrong = [
        (0, 7, [5, 5, 0, 9]),
        (1, 7, [500, 5, 9, 9]),
        (777, 7, [1, 1, 9, 9]),
        (2, 8, [1, 1, 9, 9]),
        (3, 7, ["x", 1, 2, 3]),
        (4, 7, [1]),
    ]
    listing["annotations"] += [{"image_id": image, "category_id": kind, "bbox": box} for image, kind, box in wrong]
    listing["images"].append({"id": 50, "file_name": "gone.jpg"})
    files = _pictures("set/pics/{n:02}.jpg", N + 1) | {"set/annotations.json": json.dumps(listing)}
    return Hostile(files, "detect", kept=N, lost=2, boxes=(N + 6, N), codes=frozenset({"boxes_left_out"}))


def coco_same_names() -> Hostile:
    """The same names in train and val, with a list for each in a folder of lists."""
    files: Files = {}
    for side, n in (("train2017", N), ("val2017", 10)):
        files |= _pictures(f"coco/{side}/{{n:02}}.jpg", n) | {
            f"coco/annotations/instances_{side}.json": json.dumps(_coco("{n:02}.jpg", n=n))
        }
    return Hostile(files, "detect", kept=N + 10, boxes=(N + 10, N + 10), sides={"learn": N, "watch": 10})


def voc_mixed() -> Hostile:
    """Endings in capitals, another folder inside, things within things, exchanged corners, sizes of nought, one file without a picture."""
    files: Files = {}
    for n in range(N):
        files[f"VOC/Images/Photo {n}.JPEG"] = encoded(drawn(KINDS[n % 2], n), ".jpg")
        left, top, right, bottom = place_of(n)
        box = (KINDS[n % 2] if n else "Disc", *((right, bottom, left, top) if n % 5 == 0 else (left, top, right, bottom)))
        words = voc(f"C:\\x\\{n}.png", [box], (0, 0) if n % 3 else (W, H))
        part = "<part><name>edge</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></part></object>"
        files[f"VOC/Labels/Photo {n}.XML"] = words.replace("</object>", part) if n % 4 == 0 else words
    files["VOC/Labels/Photo 99.XML"] = voc("99.png", [("disc", 1, 2, 30, 40)])
    return Hostile(files, "detect", kept=N, lost=1, boxes=(N + 1, N), codes=frozenset({"classes_joined", "boxes_turned"}))


def turned_boxes() -> Hostile:
    """Photographs that EXIF turns; their boxes are for the picture as it is stored."""
    files: Files = {}
    for n in range(N):
        exif = Image.Exif()
        exif[0x0112] = (1, 6, 8)[n % 3]
        files[f"{n:02}.jpg"] = encoded(drawn(KINDS[n % 2], n), ".jpg", exif=exif)
        files[f"{n:02}.xml"] = voc(f"{n:02}.jpg", [(KINDS[n % 2], *place_of(n))], (W, H))
    return Hostile(files, "detect", kept=N, boxes=(N, N))


def yolo_from_windows() -> Hostile:
    """Lines that end as in Windows, classes from 1, some files gone or empty, some lines of words; “lables” is no word."""
    files = _pictures("data/images/train/{n:02}.JPG", N)
    files |= {f"data/lables/train/{n:02}.TXT": f"{_line(n, n % 2 + 1)}\r\n" for n in range(N - 2)}
    files["data/lables/train/03.TXT"] = f"{_line(3, 2)}\r\n1 0.5 0.5 0 0.1\r\nwhat is this\r\n9 0.5 0.5 0.1 0.1\r\n"
    files["data/data.yaml"] = "path: C:\\x\r\nnames:\r\n  1: disc\r\n  2: square\r\n"
    return Hostile(files, "detect", kept=N, boxes=(N + 1, N - 2), codes=frozenset({"no_label_file"}))


def yolo_two_parts() -> Hostile:
    """The same names in train, valid and test, each in a zip of its own."""
    files: Files = {}
    for side, start, n in (("train", 0, 20), ("valid", 100, 6), ("test", 200, 8)):
        for at in range(start, start + n):
            files[f"{side}/images/{at - start}.jpg"] = encoded(drawn(KINDS[at % 2], at), ".jpg")
            files[f"{side}/labels/{at - start}.txt"] = _line(at)
    return Hostile(
        files | {"data.yaml": "names: [disc, square]"}, "detect", kept=34, boxes=(34, 34), sides={"learn": 20, "watch": 6, "heldout": 8}
    )


def yolo_and_voc() -> Hostile:
    """The same boxes written in two ways, one of them for a few pictures only."""
    files = _pictures("{n:02}.jpg")
    files |= {f"{n:02}.txt": _line(n) for n in range(N)} | {"classes.txt": "disc\nsquare\n"}
    files |= {f"{n:02}.xml": voc(f"{n:02}.jpg", [(KINDS[n % 2], *place_of(n))], (W, H)) for n in range(5)}
    return Hostile(files, "detect", kept=N, boxes=(N, N), codes=frozenset({"two_layouts"}))


def folders_and_coco() -> Hostile:
    """Class folders with a list of boxes: two tasks are possible, and a person is asked."""
    listing = _coco("{n:02}.jpg")
    files = {f"{KINDS[n % 2]}/{n:02}.jpg": encoded(drawn(KINDS[n % 2], n), ".jpg") for n in range(N)}
    return Hostile(files | {"boxes.json": json.dumps(listing)}, "detect", kept=N, boxes=(N, N), certain=False)


def labelme_from_windows() -> Hostile:
    """Rectangles and points, backslashes, pictures within the files, one without a file."""
    files = _pictures("photos/{n:02}.jpg", N + 1)
    for n in range(N):
        left, top, right, bottom = place_of(n)
        shapes_ = [{"label": KINDS[n % 2], "points": [[right, bottom], [left, top]], "shape_type": "rectangle"}]
        shapes_ += [{"label": "tip", "points": [[1, 1]], "shape_type": "point"}] if n == 4 else []
        said = {"version": "5", "shapes": shapes_, "imagePath": f"..\\photos\\{n:02}.jpg", "imageData": "x" * 50}
        files[f"labels/{n:02}.JSON"] = json.dumps(said | {"imageWidth": W, "imageHeight": H})
    return Hostile(files, "detect", kept=N, lost=1, boxes=(N + 1, N))


def table_of_boxes() -> Hostile:
    """Open Images' way: shares, a row per box, no ending, no folder."""
    rows = ["ImageID,LabelName,XMin,XMax,YMin,YMax"]
    for n in range(N):
        left, top, right, bottom = place_of(n)
        rows.append(f"{n:02},{KINDS[n % 2]},{left / W:.4f},{right / W:.4f},{top / H:.4f},{bottom / H:.4f}")
    rows += ["00,disc,0.2,0.2,0.1,0.3", "00,disc,,,,", "88,disc,0.1,0.2,0.1,0.2"]
    return Hostile(_pictures("all/{n:02}.jpg") | {"boxes.csv": "\n".join(rows)}, "detect", kept=N, lost=1, boxes=(N + 2, N))


def objects_of_the_hub() -> Hostile:
    """A line per picture with its boxes and the numbers of their classes, as the Hub's own folders have them; one box is none."""
    rows: list[str] = []
    for n in range(N):
        left, top, right, bottom = place_of(n)
        held: dict[str, Any] = {"bbox": [[left, top, right - left, bottom - top]], "categories": [KINDS[n % 2]]}
        held["bbox"] += [["?", 1, 2, 3]] if n == 3 else []
        rows.append(json.dumps({"file_name": f"{n:02}.jpg", "objects": held}))
    return Hostile(_pictures("train/{n:02}.jpg") | {"train/metadata.jsonl": "\n".join(rows)}, "detect", kept=N, boxes=(N + 1, N))


# ---- outlines and masks ----------------------------------------------------------------------------------------------------------


def yolo_outlines() -> Hostile:
    """Outlines as YOLO writes them, a box among them, one without a file: marked, and boxes where that is chosen."""
    files = _pictures("images/{n:02}.jpg")
    for n in range(N - 1):
        points = " ".join(f"{x / W:.5f} {y / H:.5f}" for x, y in _polygon(n))
        files[f"labels/{n:02}.txt"] = f"{n % 2} {points}\n" + ("1 0.5 0.5 0.1 0.1\n" if n == 2 else "") + ("0 0.1 nan\n" if n == 3 else "")
    return Hostile(files | {"data.yaml": "names: [disc, square]"}, "segment", kept=N, codes=frozenset({"no_outline"}))


def coco_outlines() -> Hostile:
    """Polygons and packed rows, ids from 0, one list entry without an outline."""
    listing = _coco("{n:02}.png")
    for n, one in enumerate(listing["annotations"]):
        one["segmentation"] = [[value for point in _polygon(n) for value in point]] if n else []
    files = _pictures("images/{n:02}.png") | {"labels.json": json.dumps(listing)}
    return Hostile(files, "segment", kept=N, roles={"task": "segment"}, codes=frozenset({"no_outline"}))


def masks_of_all_kinds() -> Hostile:
    """Of 0 and 1, of 0 and 255, a palette, one bit, see-through, twice as large; some are gone, and some mark nothing."""
    files = _pictures("Images/{n:02}.JPG")
    for n in range(N - 2):
        mask = _mask(n)
        made = [mask, mask.convert("1"), mask.convert("RGBA"), mask.resize((2 * W, 2 * H), Image.Resampling.NEAREST)][n % 4]
        files[f"Masks/{n:02}.PNG"] = encoded(Image.new("L", (W, H)) if n == 9 else made)
    files["Masks/77.PNG"] = encoded(_mask(1))
    return Hostile(files, "segment", ("marked",), kept=N - 2, lost=3)


def masks_by_number() -> Hostile:
    """Palettes whose places are the classes, in a folder with a slip of the pen, beside the pictures of another ending."""
    files = _pictures("Images/{n:02}.jpg")
    for n in range(N):
        mask = _mask(n, n % 2 + 1).convert("P")
        mask.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
        files[f"mask/{n:02}.png"] = encoded(mask)
    return Hostile(files | {"classes.txt": "background\ndisc\nsquare\n"}, "segment", kept=N)


def masks_in_colours() -> Hostile:
    """Colours with a table, in the pictures' own folder."""
    files = _pictures("{n:02}.jpg")
    for n in range(N):
        colour = ((255, 0, 0), (0, 0, 255))[n % 2]
        grey = np.asarray(_mask(n)) > 0
        files[f"{n:02}_mask.png"] = encoded(np.where(grey[..., None], np.array(colour, np.uint8), np.uint8(0)).astype(np.uint8))
    files["classes.csv"] = "name,r,g,b\nbackground,0,0,0\ndisc,255,0,0\nsquare,0,0,255\n"
    return Hostile(files, "segment", kept=N)


def masks_as_jpegs() -> Hostile:
    """JPEGs blur the classes: refused."""
    return Hostile(_pictures() | {f"masks/{n:02}.jpg": encoded(_mask(n), ".jpg") for n in range(N)}, refused="lossy_masks")


def one_jpeg_mask() -> Hostile:
    """A JPEG among masks that are PNGs, and a picture that EXIF turns with its mask as it is stored."""
    files = _pictures()
    files |= {f"masks/{n:02}.png": encoded(_mask(n)) for n in range(N)}
    del files["masks/05.png"]
    files["masks/05.jpg"] = encoded(_mask(5), ".jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    files["images/06.jpg"] = encoded(drawn("disc", 6), ".jpg", exif=exif)
    return Hostile(files, "segment", ("marked",), kept=N)


def masks_for_each_thing() -> Hostile:
    """A folder for each picture, with a mask for each thing, as in the nuclei."""
    files: Files = {}
    for n in range(N):
        files[f"stage1_train/a{n}/images/a{n}.png"] = encoded(drawn(KINDS[n % 2], n))
        files[f"stage1_train/a{n}/masks/{n}b.png"] = encoded(_mask(n))
        files[f"stage1_train/a{n}/masks/{n}c.png"] = encoded(Image.new("L", (W, H)))
    return Hostile(files, "segment", ("marked",), kept=N)


def misspelt_masks() -> Hostile:
    """A folder “maks” beside “images”."""
    files = _pictures("images/{n:02}.png") | {f"maks/{n:02}.png": encoded(_mask(n)) for n in range(N)}
    return Hostile(files, "segment", ("marked",), kept=N)


# ---- a clinic --------------------------------------------------------------------------------------------------------------------


def clinic_files(people: int = 12, each: int = 3, below: str = "Roebuckson Janette\\") -> Files:
    """DICOM files with a person's name wherever one can stand: folders, names of files, tags; letters and a table beside them."""
    from tests.datasets.images.dicoms import NAME, NUMBER, dicom

    files: Files = {}
    for person in range(people):
        for n in range(each):
            grey = np.asarray(drawn(KINDS[person % 2], 10 * person + n).convert("L")).astype(np.uint16) * 16
            made = dicom(grey, PatientID=f"{NUMBER}-{person}", PatientName=f"{NAME}{chr(97 + person)}")
            files[f"{below}{('ill', 'well')[person % 2]}\\Roebuckson_{person}_{n}{('.DCM', '')[n % 2]}"] = made
    files["__MACOSX/._Roebuckson"] = b"Roebuckson"
    return files | {"Letter to Roebuckson.pdf": b"%PDF Roebuckson", "Roebuckson.txt": "Roebuckson fell", "DICOMDIR": _index()}


def _index() -> bytes:
    return b"\0" * 128 + b"DICM Roebuckson"


def clinic() -> Hostile:
    """From a clinic's computer: backslashes, half without an ending."""
    return Hostile(clinic_files(), labels=("ill", "well"), kept=36)


def clinic_in_a_zip() -> Hostile:
    """The same, packed into a zip within."""
    file = io.BytesIO()
    import zipfile

    with zipfile.ZipFile(file, "w") as archive:
        for name, raw in clinic_files(below="Janette/").items():
            archive.writestr(name.replace("\\", "/"), raw)
    return Hostile({"Roebuckson 1956.zip": file.getvalue()}, labels=("ill", "well"), kept=36)


SETS: dict[str, Made] = {
    made.__name__: made
    for made in (
        *(coco_from_windows, coco_same_names, voc_mixed, turned_boxes, yolo_from_windows, yolo_two_parts, yolo_and_voc, folders_and_coco),
        *(
            labelme_from_windows,
            table_of_boxes,
            objects_of_the_hub,
            yolo_outlines,
            coco_outlines,
            masks_of_all_kinds,
            masks_by_number,
            masks_in_colours,
        ),
        *(masks_as_jpegs, one_jpeg_mask, masks_for_each_thing, misspelt_masks, clinic, clinic_in_a_zip),
    )
}
