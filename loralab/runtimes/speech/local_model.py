"""Owns the app's end of the language model: starting its process when there is something to say, streaming, stopping, giving up in time.

Invariants: a caller gets words or a LabError, never anything else and never later than promised; a model that breaks down twice is left
alone; one question at a time; no child outlives `close`.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

import psutil

from loralab.core import parts
from loralab.core.errors import LabError, Unavailable, UserError
from loralab.runtimes.llama.parent import Child, backend
from loralab.runtimes.speech.labels import trie, weights

MODULE = "loralab.runtimes.speech.child"
NO_CARD = {"CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": "", "ROCR_VISIBLE_DEVICES": "", "GGML_VK_VISIBLE_DEVICES": ""}
CONTEXT = 1024  # tokens: prompt, answer and room to spare
PATIENCE, OPENING = 60.0, 120.0  # seconds for one answer; for loading the file
CRASHES = 2  # after which the model is left alone until the app is started again
IDLE = 300.0  # seconds without a question after which its memory is let go
NOT_AGREED = (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, MemoryError, OverflowError, RecursionError)  # garbage
POLITE = 10  # how far it stands back from other programs


Messages = Sequence[dict[str, str]]


class LocalModel:
    """A GGUF file that speaks. Cheap to make: nothing is loaded before the first question."""

    def __init__(self, path: Path, runtime: str = "", *, busy: Callable[[], bool] = lambda: False, patience: float = PATIENCE) -> None:
        self.path, self.runtime, self.patience = path, runtime, patience
        self.crashes = 0
        self.version = ""
        self._busy = busy
        self._threads = 0
        self._child: Child | None = None
        self._turn = threading.Lock()
        self._stopping = threading.Event()
        self._waiting = False
        self._idle: threading.Timer | None = None

    # ---- what it can do --------------------------------------------------------------------------------------------------
    def count(self, messages: Messages) -> int:
        """Tokens of a prompt."""
        with self._working() as child:
            return len(child.ask("chat_ids", messages=list(messages))[0])

    def speak(self, messages: Messages, limit: int) -> Iterator[str]:
        """Words as they come. Closing the iterator or `cancel` stops it. Raises LabError where it cannot or takes too long."""
        self._stopping.clear()
        with self._working() as child:
            ids = child.ask("chat_ids", messages=list(messages))[0][: CONTEXT - limit]
            try:
                child.ask("begin", ids=ids, limit=limit)
                while not self._stopping.is_set():
                    self._waiting = True
                    piece = child.ask("more")[0]
                    self._waiting = False
                    if piece is None:
                        return
                    if piece:
                        yield str(piece)
            finally:
                self._waiting = False
                with contextlib.suppress(LabError):  # it may be gone already, and that was told
                    child.ask("stop")

    def weigh(self, messages: Messages, labels: Sequence[str]) -> list[float]:
        """Log-probability of each label as the answer, all others being impossible: a trie of their tokens is walked."""
        self._stopping.clear()
        with self._working() as child:
            ids = child.ask("chat_ids", messages=list(messages))[0][:CONTEXT]
            tokens = [child.ask("tokenize", text=label, added=False)[0] for label in labels]

            def among(path: list[int], allowed: list[int]) -> list[float]:
                self._waiting = True
                try:
                    return child.ask("among", ids=[*ids, *path], allowed=allowed)[0]
                finally:
                    self._waiting = False

            try:
                root = trie(tokens)
            except ValueError as error:
                raise LabError(f"The labels cannot be told apart: {error}.", "Use another model.", code="labels") from error
            return weights(root, len(labels), among)

    def cancel(self) -> None:
        """Stop speaking, from any thread: between two words at once, while it still reads the question by ending its process."""
        self._stopping.set()
        if self._waiting and self._child:
            threading.Timer(0.5, self._kill_waiting, (self._child,)).start()

    def close(self) -> None:
        """Free the model's memory. It is loaded again with the next question."""
        if self._idle:
            self._idle.cancel()
        child, self._child = self._child, None
        if child:
            child.close()

    # ---- its process -----------------------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def _working(self) -> Generator[Child, None, None]:
        """The child, for one question. What it breaks with is counted; what is left of it is cleared away."""
        if not self._turn.acquire(timeout=self.patience):
            raise Unavailable("The language model is still busy with another question.", "Ask again in a moment.", code="assistant_busy")
        child: Child | None = None
        try:
            child = self._loaded()
            child.seconds = self.patience
            watch = threading.Timer(self.patience, child.kill)  # for all of it, however many pieces there are
            watch.start()
            try:
                yield child
            finally:
                watch.cancel()
            self._restart_idle_timer()
        except LabError as error:
            raise self._judged(error) from error
        except NOT_AGREED as error:
            raise self._judged(LabError(f"the answer made no sense ({type(error).__name__})", code="llama_crashed")) from error
        finally:
            self._turn.release()

    def _judged(self, error: LabError) -> LabError:
        """What a failure is told as; a breakdown is counted."""
        if error.problem.code not in ("llama_crashed", "llama_late", "llama_refused", "no_llama_cpp"):
            return error
        self.close()
        if self._stopping.is_set():
            return Unavailable("You stopped the language model.", code="assistant_stopped")
        self.crashes += 1
        left = " It will not be asked again until the app is started again." if self.crashes >= CRASHES else ""
        return Unavailable(f"The language model broke down or took too long.{left}", "Choose another model.", code="assistant_broke")

    def _loaded(self) -> Child:
        """The child with the model loaded; started anew where it has gone, or where a job now needs the cores it took."""
        if self.crashes >= CRASHES:
            raise Unavailable("The language model broke down twice and is left alone.", "Choose another model.", code="assistant_off")
        if not (self.runtime or backend()):
            problem = parts.unavailable("llama_cpp", "There is nothing on this computer that can run a language model.").problem
            raise Unavailable(problem.what, problem.todo, code="no_llama_cpp_here", part=problem.part)
        threads = cores(busy=self._busy())
        if self._child and threads < self._threads:
            self.close()
        if self._child is None:
            _whole(self.path)
            child = Child(self.runtime, MODULE, NO_CARD)
            self._child = child
            _stand_back(child.pid)
            child.seconds = OPENING
            child.ask("open", model=str(self.path), adapter="", context=CONTEXT, threads=threads)
            self._threads, self.version = threads, child.version
        return self._child

    def _restart_idle_timer(self) -> None:
        if self._idle:
            self._idle.cancel()
        self._idle = threading.Timer(IDLE, self._unload_if_idle)
        self._idle.daemon = True
        self._idle.start()

    def _unload_if_idle(self) -> None:
        if self._turn.acquire(blocking=False):
            try:
                self.close()
            finally:
                self._turn.release()

    def _kill_waiting(self, child: Child) -> None:
        if self._waiting and self._child is child:
            child.kill()


def cores(*, busy: bool) -> int:
    """Processor cores for the model: all real ones, or half of them while a job runs."""
    real = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    return max(1, real // 2) if busy else real


def _stand_back(pid: int) -> None:
    with contextlib.suppress(psutil.Error, OSError):  # then it runs like any other program
        psutil.Process(pid).nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else POLITE)


def _whole(path: Path) -> None:
    """A file that is not there or no GGUF is told before a process is started for it."""
    todo = "Choose another model."
    if not path.is_file():
        raise UserError(f"The language model {path.name} is not there any more.", todo, code="no_file")
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise UserError(f"{path.name} is not a GGUF file.", todo, code="damaged_gguf")
