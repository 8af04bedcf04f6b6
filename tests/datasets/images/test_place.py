"""Zips are unpacked once, safely and whole; writing with some pictures is left to those who read words."""

from __future__ import annotations

import contextlib
import random
import stat
import zipfile
from pathlib import Path

import pytest

from loralab.core.errors import UserError
from loralab.datasets.images import place as places
from loralab.datasets.images.door import is_pictures, load_pictures
from tests.datasets.images.made import adds_up, class_folders, coco, encoded, packed, pixels, png, voc, write

PICTURES = {f"p/IMG_{n}.png": png(n) for n in range(30)}


@pytest.mark.parametrize(
    "files",
    [
        class_folders(),
        class_folders() | {"README.md": "# Pets\n"},
        {f"a/{n}.png": png(n) for n in range(12)} | {f"a/{n}.txt": "0 0.5 0.5 0.1 0.1" for n in range(12)} | {"classes.txt": "cell"},
        {f"a/{n}.png": png(n) for n in range(12)} | {f"x/{n}.xml": voc(f"{n}.png", []) for n in range(12)},
        {f"a/{n}.png": png(n) for n in range(12)} | {"l.json": coco([(1, "0.png")], [], {1: "cell"})},
        {f"a/{n}.png": png(n) for n in range(12)} | {"l.csv": "\n".join(["file,label", *(f"{n}.png,cat" for n in range(12))])},
        {f"a/{n}.png": png(n) for n in range(12)} | {f"a/{n}.txt": "a dog in the snow" for n in range(12)},
        {f"train/images/{n}.png": png(n) for n in range(60)} | {"README.roboflow.txt": "Blood cells", "data.yaml": "names: [a]"},
        class_folders(each=30) | {"about these pictures.txt": "They were taken in May."},
    ],
)
def test_pictures_are_claimed(tmp_path: Path, files: dict[str, bytes | str]) -> None:
    assert is_pictures(packed(tmp_path / "a.zip", files))
    assert is_pictures(write(tmp_path / "folder", files))


@pytest.mark.parametrize(
    "files",
    [
        {"Notes 1f2e/Untitled.png": png(1), "Notes 1f2e.md": "# Notes\n![Untitled](Notes%201f2e/Untitled.png)"},
        PICTURES | {"Diary.md": "# Diary\nNothing happened. ![x](p/IMG_1.png)"},
        PICTURES | {f"{n}.html": "<p>words" for n in range(3)},
        PICTURES | {"_chat.txt": "[01.02.24, 10:11:12] Jo: hello"},
        PICTURES | {"messages.html": "<div>"},
        PICTURES | {"result.json": '{"messages": []}'},
        PICTURES | {"conversations.json": "[]", "chat.html": "x"},
        PICTURES | {"talk.jsonl": '{"image": "p/IMG_1.png", "conversations": []}\n' * 9},
        {"[Content_Types].xml": "x", "word/document.xml": "x", **{f"word/media/image{n}.png": png(n) for n in range(30)}},
        {"mimetype": "application/epub+zip", "META-INF/container.xml": "x", **{f"OEBPS/{n}.png": png(n) for n in range(30)}},
        {"logo.png": png(1), "README.md": "# Words"},
        {"a.csv": "question,answer\nwhy,so\n", "logo.png": png(1)},
        PICTURES | {f"{n}.pdf": b"%PDF" for n in range(3)},
        {"a.txt": "words"},
    ],
)
def test_writing_with_pictures_is_not(tmp_path: Path, files: dict[str, bytes | str]) -> None:
    assert not is_pictures(packed(tmp_path / "a.zip", files))
    if not any(name in files for name in ("mimetype", "[Content_Types].xml")):
        assert not is_pictures(write(tmp_path / "folder", files))


def test_single_files_are_known_by_name_and_by_what_is_in_them(tmp_path: Path) -> None:
    write(tmp_path, {"a.png": png(1), "b.txt": png(1), "c.png": "words", "d.csv": "a,b\n", "e.zip": b"PK\3\4 broken"})
    found = {path.name: is_pictures(path) for path in sorted(tmp_path.iterdir())}
    assert found == {"a.png": True, "b.txt": False, "c.png": False, "d.csv": False, "e.zip": False}
    assert not is_pictures(tmp_path / "gone")
    with pytest.raises(UserError) as refused:
        load_pictures(tmp_path / "a.png", tmp_path / "home")
    assert refused.value.problem.code == "too_few_pictures"


def test_a_zip_is_unpacked_once_whatever_it_is_called(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", class_folders())
    first = load_pictures(path, tmp_path / "home")
    stamp = (first.root / first.examples[0].source).stat().st_mtime_ns
    second = load_pictures(path.rename(tmp_path / "other name.zip"), tmp_path / "home")
    assert second.root == first.root
    assert (first.root / first.examples[0].source).stat().st_mtime_ns == stamp
    assert (tmp_path / "home") in first.root.parents
    assert [example.media for example in first.examples] == [example.media for example in second.examples]


def test_a_folder_is_used_where_it_lies_and_a_changed_picture_is_looked_at_again(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", class_folders())
    found = load_pictures(folder, tmp_path / "home")
    assert found.root == folder
    write(folder, {"cat/000.png": encoded(pixels(77, 50, 40))})
    again = load_pictures(folder, tmp_path / "home")
    assert (again.facts[0].width, again.facts[0].height) == (50, 40)
    assert again.facts[1:] == found.facts[1:]


def test_what_a_zip_must_not_do_is_counted_and_not_done(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", class_folders() | {"../../escape.png": png(1), "/root.png": png(2), "C:/x.png": png(3)})
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("cat/link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    found = load_pictures(path, tmp_path / "home")
    adds_up(found)
    assert len(found.examples) == 24
    assert len(found.loaded.left_out) == 4
    assert not list(tmp_path.rglob("escape.png"))
    assert not list(tmp_path.rglob("root.png"))
    assert not any(file.is_symlink() for file in tmp_path.rglob("*"))


def test_links_in_folders_are_not_followed(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", class_folders())
    write(tmp_path / "elsewhere", {"secret.png": png(500)})
    (folder / "cat" / "link.png").symlink_to(tmp_path / "elsewhere" / "secret.png")
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    assert len(load_pictures(folder, tmp_path / "home").examples) == 24


def test_a_bomb_is_refused_before_anything_is_unpacked(tmp_path: Path) -> None:
    path = packed(tmp_path / "bomb.zip", class_folders() | {"cat/huge.bmp": bytes(60 << 20)})
    with pytest.raises(UserError) as refused:
        load_pictures(path, tmp_path / "home")
    assert refused.value.problem.code == "unsafe_archive"
    assert not list((tmp_path / "home").rglob("*.bmp"))


def test_where_unpacking_ends_early_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path / "a.zip", class_folders())

    def full(*_: object) -> list[str]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(places, "_unpack", full)
    with pytest.raises(Exception, match="full"):
        load_pictures(path, tmp_path / "home")
    assert not [file for file in (tmp_path / "home").rglob("*") if file.is_file()]
    monkeypatch.undo()
    assert len(load_pictures(path, tmp_path / "home").examples) == 24


def test_damaged_facts_are_looked_up_again(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", class_folders())
    found = load_pictures(path, tmp_path / "home")
    (file,) = (tmp_path / "home").rglob("*.facts.json")
    for damage in ("", "{}", "[1]", '{"version": 2, "pictures": {"a": 3}, "masks": {}}', file.read_text()[:200]):
        file.write_text(damage)
        assert load_pictures(path, tmp_path / "home").facts == found.facts


# ---- whatever is in a zip --------------------------------------------------------------------------------------------------


def sets() -> dict[str, dict[str, bytes | str]]:
    """A small set of each kind."""
    pictures: dict[str, bytes | str] = {f"images/{n}.png": png(n) for n in range(14)}
    mask = encoded((pixels(5)[..., 0] > 120).astype("uint8") * 255)
    rows = "\n".join(["file,label,split", *(f"{n}.png,{'ab'[n % 2]},{'train' if n % 4 else 'test'}" for n in range(14))])
    return {
        "folders": class_folders(each=8),
        "masks": pictures | {f"masks/{n}.png": mask for n in range(14)},
        "voc": pictures | {f"Annotations/{n}.xml": voc(f"{n}.png", [("a", 1, 2, 9, 9)]) for n in range(14)},
        "coco": pictures | {"a.json": coco([(n, f"{n}.png") for n in range(14)], [(n, 1, (1, 2, 8, 9)) for n in range(14)], {1: "a"})},
        "yolo": pictures | {f"labels/{n}.txt": "0 0.5 0.5 0.2 0.2" for n in range(14)} | {"data.yaml": "names: [a]"},
        "table": pictures | {"labels.csv": rows},
    }


ODD = ("x" * 300 + ".png", "a\\b\\c.png", "ünïcode/ß.png", "a:b.png", "line\n.png", ".hidden.png", " .png", "a" * 200 + "/b.png", "cat")


def mutated(files: dict[str, bytes | str], seed: int) -> dict[str, bytes | str]:
    """Files with something wrong: cut, noise, odd names, exchanged, gone."""
    chance = random.Random(seed)
    made = {name: content.encode() if isinstance(content, str) else content for name, content in files.items()}
    for _ in range(chance.randint(1, 6)):
        name = chance.choice(sorted(made))
        raw = made[name]
        match chance.randint(0, 8):
            case 0:
                made[name] = raw[: chance.randint(0, len(raw))]
            case 1:
                at = chance.randrange(len(raw) + 1)
                made[name] = raw[:at] + chance.randbytes(chance.randint(1, 40)) + raw[at:]
            case 2:
                made[name] = chance.randbytes(200)
            case 3:
                made[
                    chance.choice(["x" * 300 + ".png", "a\\b\\c.png", "ünïcode/ß.png", "a:b.png", "nul\n.png", ".hidden.png", " .png"])
                ] = raw
            case 4:
                del made[name]
            case 5:
                made[name] = made[chance.choice(sorted(made))]
            case 6:
                made[name.upper()] = raw
            case 7:
                made[name] = raw.replace(b"0.5", b"nan").replace(b"<xmin>1<", b"<xmin>1e999<").replace(b'"bbox": [1', b'"bbox": ["?"')
            case _:
                made[name] = raw.replace(b"1", b"99", 3)
    return dict(made)


@pytest.mark.parametrize("kind", sorted(sets()))
@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_wrong_nothing_is_lost_without_a_word(tmp_path: Path, kind: str, seed: int) -> None:
    path = packed(tmp_path / "a.zip", mutated(sets()[kind], 1000 * seed + len(kind)))
    if seed % 3 == 0:  # the zip itself is damaged, too
        chance = random.Random(seed)
        raw = bytearray(path.read_bytes())
        for _ in range(5):
            raw[chance.randrange(len(raw) * 2 // 3)] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(raw))
    is_pictures(path)
    with contextlib.suppress(UserError):  # what is refused is refused with a sentence; anything else is an error here
        adds_up(load_pictures(path, tmp_path / "home"))
