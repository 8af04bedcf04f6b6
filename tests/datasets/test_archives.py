"""What cannot be read is refused in plain words; folders and archives are opened safely."""

from __future__ import annotations

import gzip
import stat
import zipfile
from pathlib import Path

import pytest

from loralab.core.errors import UserError
from loralab.datasets.loading import load_examples
from loralab.datasets.readers import read_bytes
from tests.support.files import load, table_text
from tests.support.mutations import OLD_WORKBOOK

LOCKS = (b"\xe1\0\2\0", b"\x2f\0\2\0")  # the second record of a workbook of the old kind becomes the one that says it is encrypted

# ---- what cannot be read ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("empty.csv", b"", "empty_file"),
        ("blank.jsonl", b"\n \n\t\n", "empty_file"),
        ("bom.txt", b"\xef\xbb\xbf\n", "empty_file"),
        ("header.csv", b"question,answer\n", "empty_file"),
        ("picture.txt", bytes(range(256)) * 40, "not_text"),
        ("picture.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40, "picture"),
        ("zeros.bin", bytes([0, 0, 255, 1]) * 999, "not_text"),
        ("broken.json", b'{"question": ', "bad_json"),
        ("broken.parquet", b"PAR1 and then nothing PAR1", "bad_parquet"),
        ("broken.xlsx", b"PK\x03\x04 this is no workbook", "bad_archive"),
        ("old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "bad_excel"),
        ("old.xls", OLD_WORKBOOK.read_bytes()[:4000], "bad_excel"),
        ("locked.xls", OLD_WORKBOOK.read_bytes().replace(*LOCKS, 1), "locked_file"),
        ("broken.zip", b"PK\x03\x04 nonsense", "bad_archive"),
        ("broken.gz", b"\x1f\x8b nonsense", "bad_archive"),
        ("unanswered.csv", b"question,answer\nwhy?,\nhow?,\n", "no_examples"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_in_plain_words(tmp_path: Path, name: str, content: bytes, code: str) -> None:
    with pytest.raises(UserError) as refused:
        load(tmp_path, name, content)
    assert refused.value.problem.code == code
    assert refused.value.problem.todo


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing\.csv"):
        load_examples(tmp_path / "nothing.csv")


# ---- folders and archives --------------------------------------------------------------------------------------------------


def make_zip(path: Path, files: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


MIXED = {
    "a/qa.csv": table_text().encode(),
    "b/chat.jsonl": b'{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}\n',
    "notes.txt": b"A story begins here.\n\nAnd it ends.",
    "README.md": b"# About this data\n\nIt is nice.",
    "photo.jpg": b"\xff\xd8\xff\xe0" + bytes(range(256)) * 9,
    "empty.csv": b"",
    "__MACOSX/a/._qa.csv": b"\0\5\x16\7",
    ".DS_Store": b"\0\0\0\1Bud1",
}


def check_mixed(path: Path) -> None:
    examples, loaded = load_examples(path)
    assert sorted(example.source for example in examples) == ["a/qa.csv"] * 3 + ["b/chat.jsonl", "notes.txt"]
    assert {lost.source for lost in loaded.left_out} == {"README.md", "photo.jpg", "empty.csv"}
    assert loaded.n_read == 8


def test_a_folder_of_mixed_files(tmp_path: Path) -> None:
    for name, content in MIXED.items():
        (tmp_path / "mixed" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mixed" / name).write_bytes(content)
    check_mixed(tmp_path / "mixed")


def test_a_zip_of_mixed_files_gives_the_same(tmp_path: Path) -> None:
    check_mixed(make_zip(tmp_path / "mixed.zip", MIXED))


def test_archives_lying_in_a_folder_are_opened(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    make_zip(folder / "a.zip", {"qa.csv": table_text().encode(), "bad.csv": b""})
    (folder / "b.csv.gz").write_bytes(gzip.compress(table_text().encode()))
    examples, loaded = load_examples(folder)
    assert [example.source for example in examples] == ["a.zip/qa.csv"] * 3 + ["b.csv.gz/b.csv"] * 3
    assert [lost.source for lost in loaded.left_out] == ["a.zip/bad.csv"]
    assert loaded.n_read == 7


def test_a_folder_without_examples_says_why(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "dog.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9)
    with pytest.raises(UserError, match=r"pictures holds a picture\. Pictures are learned from together: put many into one zip"):
        load_examples(tmp_path / "pictures")


def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside.csv").write_text(table_text())
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "own.csv").write_text(table_text())
    (inside / "link.csv").symlink_to(tmp_path / "outside.csv")
    (inside / "up").symlink_to(tmp_path, target_is_directory=True)
    examples, _ = load_examples(inside)
    assert {example.source for example in examples} == {"own.csv"}


def test_paths_out_of_the_archive_and_links_are_left_out(tmp_path: Path) -> None:
    evil = {
        "../evil.csv": b"x",
        "/etc/evil.csv": b"x",
        "C:\\evil.csv": b"x",
        "a\\..\\..\\evil.csv": b"x",
        "good.csv": table_text().encode(),
    }
    path = make_zip(tmp_path / "slip.zip", evil)
    link = zipfile.ZipInfo("link.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    examples, loaded = load_examples(path)
    assert len(examples) == 3
    assert len(loaded.left_out) == 5
    assert {lost.reason for lost in loaded.left_out} == {"Its path points outside the archive.", "It is a link, not a file."}
    assert not list(tmp_path.rglob("evil.csv"))
    assert not (tmp_path.parent / "evil.csv").exists()


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "bomb.zip", {"bomb.csv": b"a" * (64 << 20)})
    with pytest.raises(UserError) as refused:
        load_examples(path)
    assert refused.value.problem.code == "unsafe_archive"
    with pytest.raises(UserError) as refused:
        read_bytes(gzip.compress(b"a" * (64 << 20)), "bomb.csv.gz")
    assert refused.value.problem.code == "unsafe_archive"


def test_a_member_that_lies_about_its_size_is_not_believed(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "liar.zip", {"a.csv": table_text().encode() * 50})
    raw = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = raw.index(mark) + place
        raw[at : at + 4] = (10).to_bytes(4, "little")
    path.write_bytes(raw)
    with pytest.raises(UserError, match=r"a\.csv"):
        load_examples(path)


def test_an_archive_in_an_archive_is_left_out(tmp_path: Path) -> None:
    inner = make_zip(tmp_path / "inner.zip", {"a.csv": table_text().encode()}).read_bytes()
    examples, loaded = load_examples(make_zip(tmp_path / "outer.zip", {"inner.zip": inner, "b.csv": table_text().encode()}))
    assert len(examples) == 3
    assert "archive inside an archive" in loaded.left_out[0].reason
