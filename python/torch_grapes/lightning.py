"""A callback for Lightning: Trainer(callbacks=[torch_grapes.lightning.Grapes()])."""
from __future__ import annotations

from typing import Any, Optional

try:
    from lightning.pytorch import Callback
except ImportError:
    from pytorch_lightning import Callback  # type: ignore[assignment]

from .attach import Handle, enable


class Grapes(Callback):
    """Enables GRAPES while a Trainer fits a LightningModule. The Trainer, the module and its optimizers do not change.

    modulation  as in torch_grapes.enable()
    module      name of the submodule that training_step calls, if it does not call self(x); empty: the LightningModule
    options     the other options of torch_grapes.enable()
    """

    def __init__(self, modulation: Any = "grapes", *, module: str = "", **options: Any) -> None:
        self.modulation, self.module, self.options = modulation, module, options
        self.handle: Optional[Handle] = None  #: what enable() returned, while the Trainer fits

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        self.handle = enable(pl_module.get_submodule(self.module), self.modulation, **self.options)

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        if self.handle is not None:
            self.handle.disable()
            self.handle = None
