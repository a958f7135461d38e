"""convert() and enable(): a learning rule for an existing model. Its forward pass, weights and optimizer stay unchanged."""
from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, Optional, Tuple, Union, cast

from torch import Tensor, nn

from . import layers
from .clock import Begin, Clock, End, Watch
from .context import TORCH, guard_hooks
from .hooks import Fuse, Modulate, ModulatePlain, ModulateRecurrent, Unfuse
from .rule import Modulation, Rule, routes
from .selection import Names, Selection, select
from .transport import Close, Expect, Send, SendDirect, SendPlain, SendRecurrent, Take, weights_of

Custom = Union[str, Modulation, Callable[[Tensor], Tensor]]


class Handle:
    """Returned by convert() and enable(). It shows which layers follow the rule, and can remove the rule again."""

    def __init__(self, model: nn.Module, rule: Rule, hooks: Dict[str, Modulate], sends: Dict[str, Send], clock: Clock, found: Selection) -> None:
        self.model, self.rule = model, rule
        self.states = found.states  #: "modulated", "local", "output", "sending", "excluded" or "unmatched", by name of the module
        self.unmatched = found.unmatched  #: modules with weights that do not follow the rule, and why
        self._hooks, self._sends, self._clock, self._found = hooks, sends, clock, found

    def factors(self) -> Dict[str, Tensor]:
        """Compute the factors [unit] of each modulated layer from the current weights. A layer of an RNN has a name like "lstm.l0"."""
        modules = dict(self.model.named_modules())
        return {name: m.clone() for hook in self._hooks.values() for name, m in hook.factors(modules[hook.name]).items()}

    def feedback(self) -> Dict[str, Tensor]:
        """Return the matrix or kernel that carries the error at each layer to its input, by name of the layer.

        For Linear its shape is [in, unit], for a convolution that of the weight, and for an RNN [in, gates · unit]. On a direct route
        the shape is [in, outputs], and the matrix is known after the first forward pass.
        """
        modules, found = dict(self.model.named_modules()), {}
        for name, send in self._sends.items():
            for weight in weights_of(modules[name]):
                full = ".".join(part for part in (name, weight.feedback.partition("_")[2]) if part)
                if not isinstance(send, SendDirect):
                    found[full] = send.path(modules[name], weight).detach()
                elif send.owned:
                    found[full] = getattr(modules[name], "feedback")
        return found

    @property
    def batch(self) -> int:
        """Number of forward passes that recorded a graph. "shuffled" and "brsf" draw by it. Set it when you resume from a checkpoint."""
        return self._clock.batch + 1

    @batch.setter
    def batch(self, count: int) -> None:
        self._clock.batch = count - 1

    def revert(self) -> None:
        """Remove all hooks and feedback weights. The model then learns by plain backpropagation."""
        revert(self.model)
        self._hooks, self._sends = {}, {}

    disable = revert  #: the same, for a handle of enable()

    @property
    def modulated(self) -> Tuple[str, ...]:
        """Names of the modules whose error or gradient is scaled."""
        return tuple(self._hooks)

    @property
    def sending(self) -> Tuple[str, ...]:
        """Names of the modules that send their error along a route other than backpropagation."""
        return tuple(self._sends)

    def __repr__(self) -> str:
        if (self.rule.modulates or self.rule.sends) and not self._hooks and not self._sends:
            return f"{self.rule}\n  reverted"
        return self._found.describe(self.rule)


def convert(
    model: nn.Module,
    route: str = "bp",
    modulation: Custom = "none",
    *,
    include: Optional[Names] = None,
    exclude: Optional[Names] = None,
    output: Optional[Names] = None,
    local: Optional[Names] = None,
    warn: bool = True,
    **rule: Any,
) -> Handle:
    """Let a model learn by a rule: a route, which says how errors reach the layers, and a modulation, which scales them there.

        fa             dL/dx = B δ      instead of Wᵀ δ, from each layer to its input x; B fixed and random (Lillicrap et al. 2016)
        dfa            dL/dx = B e      at the input of each layer, e the error at the model's output (Nøkland 2016)
        kolen-pollack  dL/dx = B δ      B receives W's gradient (Akrout et al. 2019)
        sign-symmetric, usf, brsf, frsf: dL/dx = (s ⊙ sign Wᵀ) δ, with s the mean |W|; one fixed number; |R|, redrawn for every
                       batch; |R|, fixed (Liao et al. 2016)

    The forward pass, its values and the names of the weights do not change. Supported layers are those of enable(). A layer that is
    called twice sends both errors through the same B. In RNN, LSTM and GRU, every layer and direction sends its error to its input
    through its own B, and the error runs back in time through R as in backpropagation. On dfa the input of such a module receives the
    error at the output at every time step, and inside the module the error is that of backpropagation. A layer of another kind, such
    as normalization or attention, passes the error on as in backpropagation. The last layer follows the route too.

    Feedback weights are drawn from `seed`, uniform in ±1/√n for n units that send, and stored as the buffer "feedback" ("feedback_l0"
    in an RNN) in the module of the layer's weight. state_dict() contains them under this name. To resume a run, call convert() and then
    load_state_dict(). Load a checkpoint of the plain model before convert(), or with strict=False. On kolen-pollack "feedback" is a
    parameter: make the optimizer after convert(), with the same weight decay above 0 for W and B, so that B converges to W.

    route       a name in `routes`, but not eprop (see torch_grapes.nn.Snu) and not ifa, which only `grapes train` supports
    modulation  as in enable(); "none": do not scale the error
    include     the layers that follow the rule; None: all
    exclude     layers that learn by plain backpropagation
    output      the output layers, which are not modulated; local: layers with the local version; warn: as in enable()
    rule        other fields of Rule; clip is None by default on fa and dfa, as in the authors' program

    The model is changed in place; Handle.revert() undoes this. Raises ValueError for an invalid option or a layer that the route does
    not support, RuntimeError if the model already has a rule.
    """
    guard_hooks()
    model = getattr(model, "_orig_mod", model)  # what torch.compile was called with
    how = rule_of(route=route, modulation=modulation, **rule)
    for name, module in model.named_modules():
        if any(isinstance(hook, layers.Hook) for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values())):
            raise RuntimeError(f"torch_grapes: {name or 'the model'} has a rule already; call revert() first")
    found = select(model, how, include=include, exclude=exclude, output=output, local=local, warn=warn)
    _require_supported(model, how, found)
    hooks: Dict[str, Modulate] = {}
    sends: Dict[str, Send] = {}
    clock = Clock(found.outputs, found.chosen, found.guessed, warn)
    if how.modulates or how.sends:
        model.register_forward_pre_hook(Begin(clock))
        index = 0
        for name in found.chosen:
            hooks[name] = _modulate(found, name, index, how, clock)
            index += len(list(layers.recurrent_rows(found.modules[name]))) if layers.is_recurrent(found.modules[name]) else 1
        for index, name in enumerate(found.sending):
            sends[name] = _send(found, name, index, how, clock, hooks.get(name))
        for name in found.outputs if how.modulates else []:
            found.modules[name].register_forward_hook(Watch(name, clock))
        model.register_forward_hook(End(clock))
        if routes[route].feedback == "direct":
            model.register_forward_hook(Close(sends, clock))  # type: ignore[arg-type]
    return Handle(model, how, hooks, sends, clock, found)


def rule_of(**fields: Any) -> Rule:
    """Return the rule with these fields. Raises ValueError if a field is invalid, or if existing models cannot follow the route."""
    rule = Rule(**fields)
    if routes[rule.route].local_in_time or routes[rule.route].feedback == "first":
        raise ValueError(f"torch_grapes: route {rule.route} is not supported for existing models, because it needs the layers' order and time "
                         "steps; torch_grapes.nn.Snu supports eprop and eprop-symmetric, and `grapes train` supports all routes")
    return rule


def _require_supported(model: nn.Module, rule: Rule, found: Selection) -> None:
    """Raise ValueError if the route does not support a layer that would follow it."""
    for name in found.sending:
        module = found.modules[name]
        reason = ""
        if layers.is_adapted(module):
            reason = "it has LoRA, whose weights have no route of their own"
        elif any(isinstance(p, nn.parameter.UninitializedParameter) for p in module.parameters(recurse=False)):
            reason = "its weight has no shape yet; call the model once before convert()"
        elif routes[rule.route].weights == "learned" and layers.is_recurrent(module):
            reason = "its feedback weights cannot learn, because a recurrent layer uses its weights in many products"
        elif routes[rule.route].weights == "learned" and "weight" not in layers.core(module)._parameters:
            reason = "its weight is computed from other parameters, which its feedback weight does not follow"
        elif routes[rule.route].weights == "learned" and _is_shared(model, module):
            reason = "another layer shares its weight, so its feedback weight would miss a part of the updates"
        if reason:
            raise ValueError(f"torch_grapes: {name or 'the model'} cannot follow route {rule.route}: {reason}; use another route, or exclude the layer")


def _is_shared(model: nn.Module, module: nn.Module) -> bool:
    return sum(p is module._parameters.get("weight") for other in model.modules() for p in other._parameters.values()) > 1


def _modulate(found: Selection, name: str, index: int, rule: Rule, clock: Clock) -> Modulate:
    module = found.modules[name]
    kind = ModulateRecurrent if layers.is_recurrent(module) else ModulatePlain
    hook = kind(name, index, rule, found.states[name] == "local", clock, module)
    _add_first(module, hook)
    _make_visible(module)
    return hook


def _send(found: Selection, name: str, index: int, rule: Rule, clock: Clock, modulate: Optional[Modulate]) -> Send:
    """Add the hooks of a route. The error is scaled before it is sent, except in the local version."""
    module, direct = found.modules[name], routes[rule.route].feedback == "direct"
    kind = SendDirect if direct else SendRecurrent if layers.is_recurrent(module) else SendPlain
    local = modulate if isinstance(modulate, ModulatePlain) and modulate.local else None
    send = kind(name, index, rule, clock, module, local)
    module.register_forward_pre_hook(Take(send))
    _add_first(module, send)
    if local is not None:
        _to_front(module, local)
    if modulate is None:
        _make_visible(module)
    if direct:
        module._register_load_state_dict_pre_hook(Expect(send), with_module=True)
    return send


def _add_first(module: nn.Module, hook: layers.Hook) -> None:
    """Add a hook before the module's other hooks, which then receive what it returns."""
    cast(Any, module._forward_hooks).move_to_end(module.register_forward_hook(cast(Any, hook)).id, last=False)


def _to_front(module: nn.Module, hook: layers.Hook) -> None:
    hooks = cast(Any, module._forward_hooks)
    hooks.move_to_end(next(key for key, known in hooks.items() if known is hook), last=False)


def _make_visible(module: nn.Module) -> None:
    """Let hooks see the products inside a recurrent layer, and the weight that a parametrization computed."""
    if layers.is_recurrent(module) and TORCH >= (2, 2):
        module.register_forward_pre_hook(Unfuse())
        module.register_forward_hook(Fuse(), always_call=True)
    for parametrization in layers.parametrizations(module).values():
        parametrization.register_forward_hook(layers.Remember())


def enable(
    model: nn.Module,
    modulation: Custom = "grapes",
    *,
    include: Optional[Names] = None,
    exclude: Optional[Names] = None,
    output: Optional[Names] = None,
    local: Optional[Names] = None,
    warn: bool = True,
    **rule: Any,
) -> Handle:
    """Scale the error at the units of every hidden layer by their factors (Dellaferrera et al. 2022). It is convert() with route "bp".

        r[n] = Σ |W[n, ...]|,   m[n] = clip(gain · r[n] / max r, low, high),   δ[n] <- m[n] · δ[n]

    Supported layers are Linear; Conv1d, Conv2d, Conv3d and their transposed forms, with or without groups (a unit is an output
    channel); RNN, LSTM, GRU and their cells (all gates of a unit share one factor, see layers.py). The result of backward() is
    no longer the gradient of the loss, in training mode and in evaluation mode. A frozen layer scales the error that passes
    through it like any other layer.

    modulation  a name in `modulations`: "grapes"; "grapes-local", which scales each layer's own gradient only; the controls
                "uniform", "shuffled", "shuffled-fixed", "inverse", "mean-one", "power" and "constant"; "none". Or a Modulation, or a
                function that takes factors [unit] and returns factors [unit]
    include     modulate only these layers, even if they look like output layers; None: all except the output layers
    exclude     do not modulate these layers
    output      the output layers, which are not modulated; None: the last layer of the model, checked in the first forward pass
    local       layers with the local version: their own gradient is scaled, the error that they pass on is not
    warn        whether to warn about layers that are not modulated
    rule        other fields of Rule: constants, responsibility, reduction, gain, clip, every, factor_bits, seed, per_gate, compounding

    include, exclude, output and local take the name of a module, which includes all of its submodules; a shell pattern of such
    names ("*.0"); or a list of these. grapes::backward of the C++ library takes the same names.

    Raises ValueError for an invalid option, RuntimeError if the model already has a rule.
    """
    return convert(model, modulation=modulation, include=include, exclude=exclude, output=output, local=local, warn=warn, **rule)


def revert(model: nn.Module) -> None:
    """Remove the rule from a model, also from a copy or from a model that was loaded with its rule."""
    for module in model.modules():
        hooks = (module._forward_hooks, module._forward_pre_hooks)
        for send in {id(hook): hook for kind in hooks for hook in kind.values() if isinstance(hook, Send)}.values():
            send.disown(module)
        for kind in hooks:
            for key in [key for key, hook in kind.items() if isinstance(hook, layers.Hook)]:
                del kind[key]
                getattr(module, "_forward_hooks_always_called", {}).pop(key, None)
        for key in [key for key, hook in module._load_state_dict_pre_hooks.items() if isinstance(getattr(hook, "hook", None), Expect)]:
            del module._load_state_dict_pre_hooks[key]


disable = revert  #: the same, for a model after enable()


@contextmanager
def converted(model: nn.Module, *args: object, **options: object) -> Iterator[Handle]:
    """Call convert() for the duration of a with block."""
    handle = convert(model, *args, **options)  # type: ignore[arg-type]
    try:
        yield handle
    finally:
        handle.revert()


@contextmanager
def enabled(model: nn.Module, *args: object, **options: object) -> Iterator[Handle]:
    """Call enable() for the duration of a with block."""
    handle = enable(model, *args, **options)  # type: ignore[arg-type]
    try:
        yield handle
    finally:
        handle.disable()
