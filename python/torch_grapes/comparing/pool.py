"""Carries out runs, in this process or in several. A run and the process that started it share only the run's record."""
from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
from contextlib import contextmanager
from multiprocessing import connection
from typing import Any, Callable, Dict, Iterator, List

import torch

from .progress import Progress
from .run import ENDED, Run, clear, execute, state_of

Train = Callable[[Run], Any]


def _start_method() -> str:
    """Return "fork", which also works for functions of a notebook, unless it would break a GPU or macOS's libraries."""
    forks = "fork" in multiprocessing.get_all_start_methods() and sys.platform != "darwin"
    return "fork" if forks and not torch.cuda.is_initialized() else "spawn"


@contextmanager
def _held_back() -> Iterator[None]:
    """Hold an interrupt back for a with block. Python loses one that arrives while it forks, because it calls hooks there."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(run: Run, train: Train) -> None:
    """Carry out a run in a process of its own. What it prints goes to log.txt."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # it was held back while this process began
    log = open(run.folder / "log.txt", "a", buffering=1)
    sys.stdout.flush()
    sys.stderr.flush()
    for descriptor in (1, 2):
        os.dup2(log.fileno(), descriptor)
    sys.stdout = sys.stderr = log
    torch.set_num_threads(1)  # the threads of PyTorch do not survive a fork
    try:
        execute(run, train)
    except KeyboardInterrupt:
        pass  # the record says it


def _in_processes(runs: List[Run], train: Train, count: int, ended: Callable[[Run], None]) -> None:
    method = _start_method()
    if method == "spawn":
        try:
            pickle.dumps(train)
        except Exception as error:
            why = "PyTorch already uses the GPU in this process" if torch.cuda.is_initialized() else f"{sys.platform} cannot fork safely"
            raise ValueError(f"torch_grapes.compare: with jobs={count} the training function must be defined in a module that other processes "
                             f"can import, because {why} ({error}). Use jobs=1, or move the function to a file") from None
    context: Any = multiprocessing.get_context(method)
    waiting, working = list(runs), {}  # type: List[Run], Dict[Any, Any]
    try:
        while waiting or working:
            while waiting and len(working) < count:
                run = waiting.pop(0)
                process = context.Process(target=_work, args=(run, train), name=run.name)  # not a daemon: it may have children, as DataLoader does
                with _held_back():
                    process.start()
                    working[process.sentinel] = process, run
            for sentinel in connection.wait(list(working)):
                process, run = working.pop(sentinel)
                process.join()
                state = state_of(run.folder)["state"]
                if state == "interrupted":
                    raise KeyboardInterrupt
                if state not in (*ENDED, "failed"):
                    run.end("failed", f"its process ended with exit code {process.exitcode} before the run did")
                ended(run)
    finally:
        for process, _ in working.values():
            process.terminate()
        for process, _ in working.values():
            process.join(5)
            if process.is_alive():
                process.kill()
                process.join()


def carry_out(what: str, runs: List[Run], train: Train, jobs: int, progress: Progress) -> None:
    """Carry out those of the runs that have not ended yet. Raises KeyboardInterrupt if they are interrupted."""
    runs = [run for run in runs if state_of(run.folder)["state"] not in ENDED]
    progress.begin(what, len(runs))
    try:
        for run in runs:
            clear(run)
        if jobs > 1:
            _in_processes(runs, train, jobs, lambda run: progress.ended(run.name))
            return
        for run in runs:
            execute(run, train)
            progress.ended(run.name)
    finally:
        progress.end()
