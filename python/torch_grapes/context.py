"""How PyTorch runs the current code: eagerly, or while compiling, exporting or transforming it."""
from __future__ import annotations

import warnings
from typing import Any, Callable, NoReturn, TypeVar

import torch
from torch.autograd import forward_ad

TORCH = tuple(int(part) for part in torch.__version__.split(".")[:2])
T = TypeVar("T")
_compiler: Any = getattr(torch, "compiler", None)


def is_compiling() -> bool:
    """Whether torch.compile or torch.export traces this code. Python's state must then be neither read nor written."""
    if hasattr(_compiler, "is_compiling"):  # from PyTorch 2.2
        return bool(_compiler.is_compiling())
    return False


def is_exporting() -> bool:
    """Whether torch.export traces this code. An exported model has no backward pass."""
    if hasattr(_compiler, "is_exporting"):  # from PyTorch 2.7
        return bool(_compiler.is_exporting())
    if not is_compiling():
        return False
    return bool(_is_traced_for_export() if _compiler.is_dynamo_compiling() else True)


def is_transformed() -> bool:
    """Whether this code runs inside torch.func.grad, vmap or another transform, whose tensors have no graph to attach to."""
    if TORCH < (2, 0) or is_compiling():  # torch.compile traces code as if it ran eagerly
        return False
    return bool(torch._C._are_functorch_transforms_active())


def is_traced() -> bool:
    """Whether the operations must be functions of tensors alone: without hooks on the graph, and without reading values."""
    if TORCH < (2, 7) and is_compiling() and _is_transformed_while_tracing():
        refuse("torch_grapes: torch.compile cannot trace autograd functions inside torch.func before PyTorch 2.7; call torch.func without torch.compile")
    return is_compiling() or is_transformed()


def has_backward() -> bool:
    """Whether the code that runs gets a backward pass. An exported model has none; torch.func takes derivatives whatever the mode."""
    return not is_exporting() and (is_transformed() or torch.is_grad_enabled())


def uncompiled(function: Callable[..., T]) -> Callable[..., T]:
    """Let torch.compile call the function uncompiled, between two compiled parts. With fullgraph=True that is an error."""
    return torch._disable_dynamo(function) if TORCH >= (2, 2) else function


def _while_tracing(function: Callable[..., T]) -> Callable[..., T]:
    """Let torch.compile call a function while it traces, instead of tracing it. The arguments must be constants.

    It is torch.compiler.assume_constant_result, which would import the compiler when it is called.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


@_while_tracing
def _is_traced_for_export() -> bool:
    from torch._dynamo.symbolic_convert import InstructionTranslator

    return bool(InstructionTranslator.current_tx().export)


@_while_tracing
def _is_transformed_while_tracing() -> bool:
    return bool(torch._C._are_functorch_transforms_active())


@_while_tracing
def _raise_while_tracing(message: str) -> NoReturn:
    raise RuntimeError(message)


def refuse(message: str) -> NoReturn:
    """Raise RuntimeError, with a message that a user of torch.compile sees too.

    Before PyTorch 2.7, torch.compile hides the message of an exception that traced code raises, but not of one that the compiler raises.
    """
    if TORCH < (2, 7) and is_compiling():
        _raise_while_tracing(message)
    raise RuntimeError(message)


@_while_tracing
def _warn_while_tracing(message: str) -> None:
    warnings.warn(message)


def warn_of_export(training: bool) -> None:
    """Warn if a model in training mode is exported or traced."""
    if training and (is_exporting() or torch.jit.is_tracing()):
        _warn_while_tracing("torch_grapes: the exported model has no rule, and would learn by plain backpropagation; train the model before you "
                            "export it, and call its eval() if you export it for inference")


def refuse_forward_mode(name: str, output: torch.Tensor) -> None:
    """Raise RuntimeError if the output has a tangent: a derivative in forward mode, which has no error that could be scaled."""
    if forward_ad.unpack_dual(output).tangent is not None:
        raise RuntimeError(f"torch_grapes: {name}: derivatives in forward mode (torch.autograd.forward_ad) do not follow a rule; use a backward "
                           "pass, or call disable() before")


def guard_hooks() -> None:
    """Make torch.compile compile again when a module's hooks have changed.

    By default it assumes that hooks do not change. Code that was compiled for a model without hooks would then be used for a model
    with hooks, which would learn by plain backpropagation without a warning. The first call discards all compiled code.
    """
    if TORCH < (2, 2):
        return
    import torch._dynamo  # PyTorch's optimizers import it too

    if torch._dynamo.config.skip_nnmodule_hook_guards:
        torch._dynamo.config.skip_nnmodule_hook_guards = False
        torch._dynamo.reset()
