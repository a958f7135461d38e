"""The hooks by which convert() sends the error along a route. The forward pass of the model stays as it is.

A layer computes z from a detached input, so it sends no error through its own weights. Instead, a product of the input with the
feedback weights is added to the graph: z' = join(z, B x), whose value is z. Autograd then sends the error at z' to x through
B, for every layer that can be computed again with another weight. On route dfa the same product takes the place of the logits.
"""
from __future__ import annotations

import math
import threading
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import layers, library
from .clock import Clock
from .context import has_backward, is_traced, is_transformed, refuse, uncompiled
from .hooks import ModulatePlain, require_tensor, scale_own, tensors_given
from .reference.functions import Function
from .reference.graph import attach_path
from .reference.random import stream_seed
from .routed import magnitude
from .rule import Rule, routes


class Join(Function):
    """y = z, and the error at y goes both to z and to `carrier`, whose value is not used."""

    @staticmethod
    def forward(z: Tensor, carrier: Tensor) -> Tensor:
        return z.clone()  # not a view of z, so that the next operation may work in place

    @staticmethod
    def setup_context(ctx: Any, inputs: Tuple[Any, ...], output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> Any:
        return error, error


def join(z: Tensor, carrier: Tensor) -> Tensor:
    return Join.apply(z, carrier)


class Weight(NamedTuple):
    """A weight whose product receives the layer's input."""

    feedback: str  # name of the buffer or parameter with its feedback weight
    W: Tensor  # [unit, in]; for convolutions as PyTorch stores it
    units: int  # number of units that send an error to one input


def weights_of(module: nn.Module) -> Iterator[Weight]:
    if layers.is_recurrent(module):
        for rows in layers.recurrent_rows(module):
            yield Weight(f"feedback_{rows.suffix}" if rows.suffix else "feedback", rows.input_weight, rows.input_weight.shape[0])
        return
    W = layers.used(module, "weight")
    assert W is not None
    if layers.is_conv1d(module):
        W = W.t()
    transposed = layers.layout(module)[0] == 1 and W.dim() > 2
    senders = W.shape[1] if transposed else W.shape[0] // getattr(module, "groups", 1)
    yield Weight("feedback", W, senders * math.prod(W.shape[2:]))


class Send(layers.Hook):
    """The hooks of one layer. Before the layer runs, it detaches the input; afterwards it sends the error to the input."""

    def __init__(self, name: str, index: int, rule: Rule, clock: Clock, module: nn.Module, local: Optional[ModulatePlain]) -> None:
        self.name, self.index, self.rule, self.clock, self.local = name, index, rule, clock, local
        self.route = routes[rule.route]
        self.inputs: Dict[int, Optional[Tensor]] = {}  # of the call that runs in each thread
        self.drawn: Dict[str, Tuple[int, Tensor]] = {}  # feedback weights of one batch
        self.owned: List[str] = []  # names of the feedback weights in the module
        if self.route.feedback == "above" and self.route.weights != "redrawn":
            for weight in weights_of(module):
                self.own(module, weight.feedback, self.draw(weight.W, weight.units, weight.feedback))

    def __getstate__(self) -> Dict[str, Any]:
        return {**self.__dict__, "inputs": {}, "drawn": {}}

    def own(self, module: nn.Module, feedback: str, B: Tensor) -> None:
        """Store a feedback weight in the module, and so in state_dict()."""
        if hasattr(module, feedback) and feedback not in self.owned:
            raise ValueError(f"torch_grapes: {self.name} already has an attribute {feedback!r}, which is the name of its feedback weight; "
                             "rename it, or exclude the layer")
        if self.route.weights == "learned":
            learns = any(p.requires_grad for p in module.parameters(recurse=False))
            module.register_parameter(feedback, nn.Parameter(B, requires_grad=learns))
        else:
            module.register_buffer(feedback, B)
        self.owned += [feedback] * (feedback not in self.owned)

    def disown(self, module: nn.Module) -> None:
        for feedback in self.owned:
            delattr(module, feedback)
        self.owned = []

    def draw(self, W: Tensor, units: int, feedback: str, batch: int = -1) -> Tensor:
        """Draw the feedback weight for a weight, uniform in ±1/√units. Dense ones are [in, unit], others have W's shape."""
        seed = stream_seed(self.rule.seed, feedback, self.index, batch + 1)
        generator = torch.Generator(W.device).manual_seed(seed >> 1)
        B = torch.empty(W.t().shape if W.dim() == 2 else W.shape, dtype=W.dtype, device=W.device)
        B.uniform_(-1 / math.sqrt(units), 1 / math.sqrt(units), generator=generator)
        return magnitude(B) if self.route.weights == "scale" else B

    def feedback(self, module: nn.Module, weight: Weight) -> Optional[Tensor]:
        """Return the feedback weight of this batch, or None if the route has none."""
        if self.route.feedback != "above":
            return None
        if self.route.weights != "redrawn":
            return getattr(module, weight.feedback)
        if is_traced():
            refuse(f"torch_grapes: {self.name}: the route {self.route.name} draws its feedback weights again for every batch, but code "
                   "under torch.compile and torch.func does not count batches; use frsf, or call the model without them")
        batch, B = self.drawn.get(weight.feedback, (-1, None))
        if B is None or batch != self.clock.batch or B.device != weight.W.device:
            B = self.draw(weight.W, weight.units, weight.feedback, max(self.clock.batch, 0))
            self.drawn[weight.feedback] = max(self.clock.batch, 0), B
        return B

    def path(self, module: nn.Module, weight: Weight) -> Tensor:
        """Return the matrix [in, unit] or kernel that carries the error."""
        _, matrix = library.error_path(self.route.name, weight.W, self.feedback(module, weight))
        assert matrix is not None
        return matrix

    def take(self, module: nn.Module, inputs: Tuple[Any, ...]) -> Optional[Tuple[Any, ...]]:
        """Before the layer runs: replace its input by a detached one."""
        if is_traced():
            return None
        thread = threading.get_ident()
        self.inputs[thread] = None
        if not torch.is_grad_enabled() or torch.jit.is_tracing():
            return None
        x = tensors_given(self.name, inputs)[0]
        if not x.requires_grad and self.route.weights != "learned":
            return None
        self.inputs[thread] = x
        return (x.detach(), *inputs[1:])

    def __call__(self, module: nn.Module, inputs: Tuple[Any, ...], output: Any) -> Any:
        raise NotImplementedError


class SendPlain(Send):
    """The hooks of a layer that returns its pre-activation, on a route where each layer sends its error to the layer below."""

    def __call__(self, module: nn.Module, inputs: Tuple[Any, ...], output: Any) -> Optional[Tensor]:
        require_tensor(self.name, output)
        x = None if is_traced() else self.inputs.pop(threading.get_ident(), None)
        if is_traced() and has_backward():
            if self.local is not None:
                refuse(f"torch_grapes: {self.name}: the local version on route {self.route.name} is not supported under torch.compile "
                       "and torch.func; use the propagating version, or call the model without them")
            x, *others = inputs
            W = layers.used(module, "weight")
            assert W is not None
            output = layers.again(module, (x.detach(), *others), W, layers.used(module, "bias"))
        if x is not None:
            output = join(output, self.carrier(module, x))
        self.clock.saw(self.name, False, output)
        return None if x is None else output

    def carrier(self, module: nn.Module, x: Tensor) -> Tensor:
        (weight,) = weights_of(module)
        B = self.path(module, weight)
        product = layers.again(module, (x,), B.t() if B.dim() == 2 and not layers.is_conv1d(module) else B, None)
        if self.local is not None and self.route.weights == "learned":  # B gets the same update as W
            m = self.local.factor(self.local.index, "", weight.W, None)
            scale_own(product, [x], B, m.view(1, -1) if B.dim() == 2 else library.over_weight(m, weight.W, *layers.layout(module)))
        return product


class SendRecurrent(Send):
    """The hooks of a recurrent layer. The error leaves each of its layers and directions through B; in time it runs back through R."""

    def take(self, module: nn.Module, inputs: Tuple[Any, ...]) -> Optional[Tuple[Any, ...]]:
        return None

    def __call__(self, module: nn.Module, inputs: Tuple[Any, ...], output: Any) -> None:
        self.clock.saw(self.name, True, output)
        if is_traced() and not has_backward():
            return
        if is_transformed():
            raise RuntimeError(f"torch_grapes: {self.name}: a recurrent layer has no route inside torch.func; exclude the layer")
        self._attach(module, inputs, output)

    @uncompiled
    def _attach(self, module: nn.Module, inputs: Any, output: Any) -> None:
        outputs = [t for t in layers.tensors(output) if t.requires_grad]
        if not outputs or torch.jit.is_tracing():
            return
        given = tensors_given(self.name, inputs)
        for weight in weights_of(module):
            try:
                found = attach_path(outputs, given, weight.W, self.path(module, weight))
            except RuntimeError as error:
                raise RuntimeError(f"torch_grapes: {self.name}: {str(error).splitlines()[0]}; run it without cuDNN "
                                   "(torch.backends.cudnn.flags(enabled=False)), or exclude the layer") from None
            if found == 0:
                raise RuntimeError(f"torch_grapes: {self.name}: the product with its weights was not found in the graph of its output; "
                                   "exclude the layer")


class SendDirect(Send):
    """The hooks of a layer on a route where the logits send their error to the input of every layer. Close sends it."""

    def take(self, module: nn.Module, inputs: Tuple[Any, ...]) -> Optional[Tuple[Any, ...]]:
        if is_traced() and has_backward():
            refuse(f"torch_grapes: {self.name}: route {self.route.name} is not supported under torch.compile and torch.func, which "
                   "do not say to which layers the output must send its error; call the model without them")
        if not is_traced() and inputs and isinstance(inputs[0], nn.utils.rnn.PackedSequence):
            raise RuntimeError(f"torch_grapes: {self.name}: route {self.route.name} cannot reach a packed sequence, in which the examples have "
                               "no axis of their own; pass a padded tensor, or exclude the layer")
        return super().take(module, inputs)

    def __call__(self, module: nn.Module, inputs: Tuple[Any, ...], output: Any) -> None:
        x = None if is_traced() else self.inputs.pop(threading.get_ident(), None)
        if x is not None:
            self.clock.reached.setdefault(threading.get_ident(), []).append((self.name, x))
        self.clock.saw(self.name, layers.is_recurrent(module), output)

    def carrier(self, module: nn.Module, x: Tensor, logits: Tensor) -> Tensor:
        """Return a product of x and B of the logits' shape, through which the logits' error reaches x."""
        axes = layers.axes_after_units(module)
        h = x.flatten(1) if axes else x
        per_position = h.shape[:-1] == logits.shape[:-1]
        batch = 0 if not layers.is_recurrent(module) or getattr(module, "batch_first", False) or h.dim() == 2 else 1
        if not per_position and (logits.dim() != 2 or h.dim() < 2 or h.shape[batch] != logits.shape[0]):
            raise RuntimeError(f"torch_grapes: {self.name}: route {self.route.name} needs one error per example, or one per position of the "
                               f"layer's input {list(x.shape)}; the model's output is {list(logits.shape)}; exclude the layer")
        if not per_position:  # every position of an example receives the example's error
            h = h.sum([axis for axis in range(h.dim() - 1) if axis != batch])
        if "feedback" not in self.owned or getattr(module, "feedback").numel() == 0:
            self.own(module, "feedback", self.draw(h.new_empty(logits.shape[-1], h.shape[-1]), logits.shape[-1], "direct"))
        B: Tensor = getattr(module, "feedback")
        if list(B.shape) != [h.shape[-1], logits.shape[-1]]:
            raise RuntimeError(f"torch_grapes: {self.name}: its feedback weight is {list(B.shape)}, but it receives the error of "
                               f"{logits.shape[-1]} outputs at {h.shape[-1]} inputs; route {self.route.name} needs inputs of one size")
        return F.linear(h.to(B.dtype), B.t())


class Take(layers.Hook):
    """Runs before a layer with a route."""

    def __init__(self, send: Send) -> None:
        self.send = send

    def __call__(self, module: nn.Module, inputs: Tuple[Any, ...]) -> Optional[Tuple[Any, ...]]:
        return self.send.take(module, inputs)


class Expect:
    """Runs before a layer's state is loaded. The size of a direct feedback weight is not known before the first pass."""

    def __init__(self, send: Send) -> None:
        self.send = send

    def __call__(self, module: nn.Module, state: Dict[str, Any], prefix: str, *rest: Any) -> None:
        B = state.get(prefix + "feedback")
        if B is not None and "feedback" not in self.send.owned:
            weight = next(weights_of(module))
            self.send.own(module, "feedback", torch.empty_like(B, dtype=weight.W.dtype, device=weight.W.device))


class Close(layers.Hook):
    """Runs after the whole model on a direct route: the error at its output goes to the inputs of the layers."""

    def __init__(self, sends: Dict[str, SendDirect], clock: Clock) -> None:
        self.sends, self.clock = sends, clock

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> Any:
        reached = [] if is_traced() else self.clock.reached.pop(threading.get_ident(), [])
        if not reached:
            return None
        if not isinstance(output, Tensor) or output.dim() < 2 or not output.is_floating_point():
            what = f"a tensor of shape {list(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
            raise RuntimeError("torch_grapes: a direct route sends the error of the model's output to its layers; the output must be one tensor "
                               f"[batch, ..., outputs]; the model returns {what}. Wrap it in a module that returns the logits, and convert that")
        for name, x in reached:
            output = join(output, self.sends[name].carrier(module.get_submodule(name), x, output).to(output.dtype))
        return output
