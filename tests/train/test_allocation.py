"""What counts as memory that could not be had, and that a failed attempt leaves nothing behind."""

from __future__ import annotations

import errno
import gc
import weakref

import numpy as np
import pytest
import torch

from loralab.train import allocation
from loralab.train.allocation import attempt, is_allocation_failure
from tests.support.faults import CPU

LACK = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 GiB"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    RuntimeError(CPU),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:73] data. DefaultCPUAllocator: not enough memory: you tried to allocate 68719476736 bytes."
    ),
    RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("MPS backend out of memory (MPS allocated: 5.90 GB, other allocations: 3.00 GB, max allowed: 9.07 GB)."),
    RuntimeError("Invalid buffer size: 19.53 GB"),
    RuntimeError("Error out of memory at line 380 in file /src/csrc/ops.cu"),
    RuntimeError("std::bad_alloc"),
]
OTHER = [
    RuntimeError("mat1 and mat2 shapes cannot be multiplied (4x8 and 4x8)"),
    RuntimeError("CUDA error: an illegal memory access was encountered"),
    RuntimeError("CUDA error: device-side assert triggered"),
    RuntimeError("Expected all tensors to be on the same device; the memory format is channels_last"),
    RuntimeError("could not create a primitive"),  # while there is memory enough
    ValueError("out of memory"),
    OSError(errno.ENOSPC, "No space left on device"),
    KeyError("memory"),
]


@pytest.mark.parametrize("error", LACK, ids=lambda error: str(error)[:40] or type(error).__name__)
def test_what_allocators_say_is_understood(error: Exception) -> None:
    assert is_allocation_failure(error)


@pytest.mark.parametrize("error", OTHER, ids=lambda error: str(error)[:40])
def test_other_errors_are_not_taken_for_it(error: Exception) -> None:
    assert not is_allocation_failure(error)

    def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        attempt(fail)


@pytest.mark.parametrize("size", [2**62, 2**50])
def test_real_failures_of_torch_and_numpy_are_understood(size: int) -> None:
    for work in (lambda: torch.empty(size, dtype=torch.uint8), lambda: np.zeros(size, dtype=np.uint8), lambda: bytearray(size)):
        found, said = attempt(work)
        assert found is None
        assert said


def test_the_unsure_sentence_is_believed_when_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocation, "SHORT", 2**60)  # more than any computer gives at once
    assert is_allocation_failure(RuntimeError("could not create a primitive"))
    assert not is_allocation_failure(RuntimeError("could not create a reader"))


def test_nothing_of_the_failing_frames_lives_when_memory_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Held by a frame below, by the graph of a half-done pass, and by a cycle."""
    pinned: list[weakref.ref[torch.Tensor]] = []
    alive: list[int] = []

    def deeper(weight: torch.Tensor) -> None:
        hidden = weight * 2
        deep = hidden.exp()
        cycle = [deep]
        cycle.append(cycle)  # type: ignore[arg-type]
        pinned.extend(map(weakref.ref, (hidden, deep)))
        raise RuntimeError(CPU)

    def work() -> None:
        weight = torch.ones(1000, requires_grad=True)
        pinned.append(weakref.ref(weight))
        deeper(weight)

    real = allocation.gc.collect
    monkeypatch.setattr(allocation.gc, "collect", lambda: (real(), alive.append(sum(ref() is not None for ref in pinned))))
    gc.disable()
    try:
        assert attempt(work) == (None, f"RuntimeError: {CPU}")
    finally:
        gc.enable()
    assert len(pinned) == 3
    assert alive == [0]


def test_random_numbers_go_on_from_where_they_were() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)

    def work() -> None:
        torch.rand(100)
        raise MemoryError

    attempt(work)
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(5)
    attempt(lambda: torch.rand(3))
    assert not torch.equal(torch.rand(3), expected)  # what succeeded has drawn
