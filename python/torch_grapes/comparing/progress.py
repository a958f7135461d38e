"""A bar that shows how many runs have ended, by tqdm if it is installed, on a terminal or in a notebook."""
from __future__ import annotations

import sys
from typing import Any


def in_notebook() -> bool:
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


class Progress:
    def __init__(self, shown: bool) -> None:
        self._bar: Any = None
        self._shown = shown and (in_notebook() or sys.stderr.isatty())

    def begin(self, what: str, total: int) -> None:
        self.end()
        if not self._shown or total == 0:
            return
        try:
            from tqdm.auto import tqdm
        except ImportError:
            return
        self._bar = tqdm(total=total, desc=what, unit="run")

    def ended(self, name: str) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(name, refresh=False)
            self._bar.update()

    def end(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
