"""A callback for Hugging Face's Trainer: Trainer(..., callbacks=[torch_grapes.transformers.GrapesCallback()])."""
from __future__ import annotations

from typing import Any, Optional

from transformers import TrainerCallback

from .attach import Handle, enable


class GrapesCallback(TrainerCallback):
    """Enables GRAPES while a Trainer trains a model.

    modulation  as in torch_grapes.enable()
    options     the other options of torch_grapes.enable()
    """

    def __init__(self, modulation: Any = "grapes", **options: Any) -> None:
        self.modulation, self.options = modulation, options
        self.handle: Optional[Handle] = None  #: what enable() returned, while the Trainer trains

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **others: Any) -> None:
        self.handle = enable(model, self.modulation, **self.options)

    def on_train_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        if self.handle is not None:
            self.handle.disable()
            self.handle = None
