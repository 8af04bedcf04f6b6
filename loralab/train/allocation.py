"""Owns what counts as memory that could not be had, and getting out of it. Invariant: after a failed attempt nothing of it is left: its
frames are gone, what they held is free, and the random numbers are where they were.
"""

from __future__ import annotations

import errno
import gc
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from loralab.train import checkpoint

# How allocators say it, where they have no exception of their own. Taken from their sources: each is the beginning of nothing else.
_SIGNS = (
    "DefaultCPUAllocator: can't allocate memory",  # torch, POSIX
    "DefaultCPUAllocator: not enough memory",  # torch, Windows
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUDA driver error: out of memory",
    "HIP out of memory",
    "XPU out of memory",
    "MPS backend out of memory",
    "Invalid buffer size:",  # MPS: one buffer larger than Metal gives
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUSOLVER_STATUS_ALLOC_FAILED",
    "Error out of memory at line",  # bitsandbytes
    "std::bad_alloc",
)
# oneDNN (bf16 on a processor) has one sentence for “no memory” and for “I cannot do this”: believed only while memory is short indeed
_UNSURE = ("could not create a primitive", "could not create a memory", "could not execute a primitive")
SHORT = 256 * 2**20  # bytes that a computer with memory to spare gives at once
_FOREIGN = (RuntimeError, MemoryError, OSError)  # what an allocation failure can be raised as

Found = TypeVar("Found")


def is_allocation_failure(error: BaseException) -> bool:
    """Whether `error` means that memory could not be had; any other error is a bug or somebody else's business."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if not isinstance(error, RuntimeError):
        return False
    said = str(error)
    return any(sign in said for sign in _SIGNS) or (any(sign in said for sign in _UNSURE) and memory_is_short())


def memory_is_short() -> bool:
    """Whether main memory cannot be had any more. To be asked while a failing step still holds its own."""
    try:
        torch.empty(SHORT, dtype=torch.uint8)
    except (RuntimeError, MemoryError):
        return True
    return False


def attempt(work: Callable[[], Found], undo: Callable[[], Any] | None = None) -> tuple[Found | None, str]:
    """What `work` gives, or (None, what the allocator said), and then it is as if it had not been tried.

    A traceback holds every frame it passed through, and those hold the tensors; so nothing is freed before the `except` is left.
    """
    before = checkpoint.random_state()
    try:
        return work(), ""
    except _FOREIGN as error:
        if not is_allocation_failure(error):
            raise
        said = f"{type(error).__name__}: {error}".strip().splitlines()[0][:600]
    if undo is not None:
        undo()
    make_room()
    checkpoint.restore_random_state(before)
    return None, said


def make_room() -> None:
    """Give back what nobody holds any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
