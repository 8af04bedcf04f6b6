"""Owns a pretraining corpus: documents -> tokenizer -> token file. Invariant: whole documents are held out, never pieces of one."""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from loralab.core.errors import UserError

END_OF_TEXT, PAD, START_OF_TURN, END_OF_TURN = "<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>"
SPECIAL = (END_OF_TEXT, PAD, START_OF_TURN, END_OF_TURN)  # ids 0..3
# GPT-2's word split with digits one by one, so that sums do not depend on how numbers were glued in the corpus
SPLIT = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


@dataclass
class Corpus:
    """Token ids of all documents, one after the other, each ending in end-of-text."""

    train: np.ndarray  # uint16 [n]
    heldout: np.ndarray  # uint16 [m]
    tokenizer: Tokenizer
    n_documents: int
    n_heldout_documents: int


def documents(path: Path) -> Iterator[str]:
    """Texts of a .jsonl or .jsonl.xz file with a `text` field. Raises UserError for anything else."""
    if not path.is_file():
        raise UserError(f"There is no file {path}.", "Give a .jsonl or .jsonl.xz file with a “text” field per line.", code="no_file")
    with lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield json.loads(line)["text"]
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(
                    f"Line {number} of {path.name} has no “text”.", "Every line must be a JSON object with a text.", code="bad_corpus"
                ) from error


def build(path: Path, folder: Path, vocabulary: int, share: float, note: Callable[[str, float | None], None]) -> Corpus:
    """Train the tokenizer and encode the corpus into `folder`, or reuse what an earlier attempt left there whole."""
    done = folder / "corpus.json"
    if done.exists():
        about = json.loads(done.read_text())
    else:
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer_file = folder / "tokenizer.json"
        if not tokenizer_file.exists():
            note("learning the pieces of words", None)
            train_tokenizer(path, vocabulary).save(str(tokenizer_file))
        about = _encode(path, folder, Tokenizer.from_file(str(tokenizer_file)), share, note)
        done.write_text(json.dumps(about))  # written last: its presence proves the token files whole
    return Corpus(
        train=np.memmap(folder / "train.bin", dtype=np.uint16, mode="r"),
        heldout=np.memmap(folder / "heldout.bin", dtype=np.uint16, mode="r"),
        tokenizer=Tokenizer.from_file(str(folder / "tokenizer.json")),
        **about,
    )


def train_tokenizer(path: Path, vocabulary: int, characters: int = 40_000_000) -> Tokenizer:
    """Byte-level BPE on an evenly spread `characters` of the corpus."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(_spread(path, characters), trainer)
    return tokenizer


def _spread(path: Path, characters: int) -> Iterator[str]:
    """About `characters` of the corpus: short documents whole, of long ones the beginning."""
    texts = list(documents(path))
    each = 1000
    while sum(min(len(t), 2 * each) for t in texts) < characters and each < 10_000_000:
        each *= 2
    for text in texts:
        yield text[:each]


def is_heldout(text: str, share: float) -> bool:
    """Whether a document is kept aside: by its own content, so that adding documents moves no other."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") < share * 2**32


def _encode(path: Path, folder: Path, tokenizer: Tokenizer, share: float, note: Callable[[str, float | None], None]) -> dict[str, int]:
    end = tokenizer.token_to_id(END_OF_TEXT)
    counts = {"n_documents": 0, "n_heldout_documents": 0}
    with (folder / "train.bin").open("wb") as train, (folder / "heldout.bin").open("wb") as heldout:
        for text in documents(path):
            aside = is_heldout(text, share)
            ids = np.array([*_encode_long(tokenizer, text), end], dtype=np.uint16)
            (heldout if aside else train).write(ids.tobytes())
            counts["n_documents"] += 1
            counts["n_heldout_documents"] += aside
            if counts["n_documents"] % 50 == 0:
                note("reading the corpus", None)
    return counts


def _encode_long(tokenizer: Tokenizer, text: str, piece: int = 200_000) -> Iterator[int]:
    """Token ids of a whole book, cut at paragraph ends so that the tokenizer can use every core and little memory."""
    pieces, start = [], 0
    while start < len(text):
        end = text.find("\n\n", start + piece)
        end = len(text) if end < 0 else end
        pieces.append(text[start:end])
        start = end
    for encoded in tokenizer.encode_batch(pieces, add_special_tokens=False):
        yield from encoded.ids
