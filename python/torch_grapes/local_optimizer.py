"""LocalOptimizer: the local version of GRAPES for any optimizer and any model. It scales the gradients after a plain backward pass."""
from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, Union

import torch
from torch import Tensor, nn

from . import layers, library
from .hooks import Modulate
from .rule import Modulation, Rule
from .selection import Names, select


class LocalOptimizer(torch.optim.Optimizer):
    """Wraps an optimizer: each step multiplies the gradients of every hidden weight and bias by the factors of their units.

        G[n, ...] <- m[n] · G[n, ...],   m[n] = clip(gain · r[n] / max r, low, high)   (Dellaferrera et al. 2022)

    Call loss.backward() as usual. After the step the gradients have the values that they had before it. Schedulers, GradScaler,
    Lightning, accelerate and Hugging Face's Trainer accept it as an optimizer; param_groups and state are those of the wrapped
    optimizer. With Adam and RMSprop, a factor that is equal for a whole layer has no effect. The rule's route must be bp; every
    modulation is local.

    optimizer   any torch.optim.Optimizer
    model       the model whose parameters it updates; layers are found as by enable()
    modulation  as in enable(); include, exclude, output: as in enable(); rule: other fields of Rule

    Raises ValueError for an invalid option, a name that matches no layer, or a parameter that layers with different factors share;
    step() raises ValueError, with the layer's name, if a weight is not finite, and RuntimeError if enable() scales the same layer.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, model: nn.Module,
                 modulation: Union[str, Modulation, Callable[[Tensor], Tensor]] = "grapes", *, include: Optional[Names] = None,
                 exclude: Optional[Names] = None, output: Optional[Names] = None, **rule: Any) -> None:
        self.optimizer, self.rule = optimizer, Rule(modulation=modulation, **rule)
        if self.rule.sends:
            raise ValueError("torch_grapes: LocalOptimizer: the route must be bp, because the gradients have their errors already; use "
                             f"convert(model, {self.rule.route!r}) for the route; got {self.rule.route}")
        model = getattr(model, "_orig_mod", model)  # what torch.compile was called with
        self._found = select(model, self.rule, include=include, exclude=exclude, output=output, local="*", warn=True)
        for name in self._found.chosen:
            module = self._found.modules[name]
            if not any(p.requires_grad for p in module.parameters(recurse=False)):
                self._found.states[name] = "frozen"
        self._require_separable(model)
        self._require_unscaled()
        self._steps = 0
        self._factors: Dict[str, Tensor] = {}
        #: parameters with their unscaled gradients and their factors, while the scaled gradients are in use
        self._plain: Dict[int, Tuple[Tensor, Tensor, Tensor]] = {}
        super().__setstate__({})  # the hooks that every optimizer has; param_groups and state stay with the wrapped one

    @property
    def states(self) -> Dict[str, str]:
        """How each layer is treated: "local", "output", "excluded", "frozen" or "unmatched"."""
        return self._found.states

    @property
    def param_groups(self) -> List[Dict[str, Any]]:  # type: ignore[override]
        return self.optimizer.param_groups

    @property
    def state(self) -> Any:  # type: ignore[override]
        return self.optimizer.state

    @property
    def defaults(self) -> Dict[str, Any]:  # type: ignore[override]
        return self.optimizer.defaults

    def add_param_group(self, param_group: Dict[str, Any]) -> None:
        self.optimizer.add_param_group(param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.optimizer.zero_grad(set_to_none=set_to_none)

    def step(self, closure: Optional[Callable[[], Any]] = None) -> Any:
        """Take one step of the wrapped optimizer with the scaled gradients.

        closure  computes the loss and its gradients; LBFGS calls it several times
        """
        def scaled_closure() -> Any:
            self._restore()  # a closure that accumulates gradients must add to the unscaled ones
            with torch.enable_grad():
                loss = closure()  # type: ignore[misc]
            self._scale()
            return loss

        try:
            if closure is None:
                self._scale()
                result = self.optimizer.step()
            else:
                result = self.optimizer.step(scaled_closure)
        finally:
            self._restore()
        self._steps += 1
        return result

    def state_dict(self) -> Dict[str, Any]:
        """Return the state of the wrapped optimizer and, under "grapes", the number of steps and the factors that `every` keeps."""
        return {**self.optimizer.state_dict(), "grapes": {"layers": self._names(), "steps": self._steps, "factors": dict(self._factors)}}

    def load_state_dict(self, state_dict: Dict[str, Any]) -> None:
        """Raises ValueError if the state was saved by another optimizer, or for other layers."""
        own = {**state_dict}
        grapes = own.pop("grapes", None)
        if grapes is None:
            raise ValueError("torch_grapes.LocalOptimizer: the state must be saved by a LocalOptimizer; got one without an entry 'grapes'")
        if list(grapes["layers"]) != self._names():
            raise ValueError(f"torch_grapes.LocalOptimizer: the state must be saved for the layers {', '.join(self._names())}; got "
                             f"{', '.join(grapes['layers'])}")
        self.optimizer.load_state_dict(own)
        self._steps, self._factors = grapes["steps"], dict(grapes["factors"])

    def __getstate__(self) -> Dict[str, Any]:
        return dict(self.__dict__)

    def __repr__(self) -> str:
        return f"{self._found.describe(self.rule)}\n{self.optimizer!r}"

    def _names(self) -> List[str]:
        return [name for name, state in self.states.items() if state == "local"]

    def _require_separable(self, model: nn.Module) -> None:
        """Raise ValueError if a layer shares a parameter with one that is not scaled: the gradient is the sum of both parts."""
        names = self._names()
        holders = [(name, p) for name, module in model.named_modules() for p in module._parameters.values() if p is not None]
        for name in names:
            for p in self._found.modules[name].parameters(recurse=False):
                other = next((other for other, q in holders if q is p and other not in names), None)
                if other is not None and p.requires_grad:
                    raise ValueError(f"torch_grapes.LocalOptimizer: {name} shares a parameter with {other}, which is not scaled, and the gradient "
                                     f"does not say which part of it is whose; exclude {name}, or use enable(model, 'grapes-local')")

    def _require_unscaled(self) -> None:
        """Raise RuntimeError if enable() or convert() scales a layer already: its gradient would be scaled twice."""
        for name in self._names():
            if any(isinstance(hook, Modulate) for hook in self._found.modules[name]._forward_hooks.values()):
                raise RuntimeError(f"torch_grapes.LocalOptimizer: {name} is modulated by enable() or convert() too, so that its gradient would be "
                                   "scaled twice; use one of them, or exclude the layer in one of them")

    @torch.no_grad()
    def _scale(self) -> None:
        self._require_unscaled()
        due = self._steps % self.rule.every == 0
        for number, (name, parts) in enumerate(self._parts()):
            axis, groups, gates, weight, recurrent, biases = parts
            if due or name not in self._factors:
                self._factors[name] = self.rule.factor(layers.whole(weight), None if recurrent is None else layers.whole(recurrent), axis=axis,
                                                       groups=groups, gates=gates, layer=number, batch=self._steps, name=name)
            m = self._factors[name].to(weight.device)
            for W in (weight, recurrent):
                if W is not None:
                    self._scale_gradient(name, W, library.over_weight(m, W, axis, groups))
            for bias in biases:
                self._scale_gradient(name, bias, m)

    def _parts(self) -> Iterator[Tuple[str, Tuple[int, int, int, Tensor, Optional[Tensor], List[Tensor]]]]:
        """Give name, axis and groups of the units, gates, weight, recurrent weight and biases of every layer that is scaled."""
        for name in self._names():
            module = self._found.modules[name]
            if layers.is_recurrent(module):
                for rows in layers.recurrent_rows(module):
                    biases = [bias for bias in (rows.input_bias, rows.recurrent_bias) if bias is not None]
                    full = ".".join(part for part in (name, rows.suffix) if part)
                    yield full, (0, 1, layers.gates(module), rows.input_weight, rows.recurrent_weight, biases)
            else:
                bias = module._parameters.get("bias")
                weight = module._parameters.get("weight")
                if weight is None:
                    raise ValueError(f"torch_grapes.LocalOptimizer: {name}: its weight is computed from other parameters, which have no "
                                     "rows of units; exclude the layer, or use enable(model, 'grapes-local')")
                yield name, (*layers.layout(module), 1, weight, None, [] if bias is None else [bias])

    def _scale_gradient(self, name: str, parameter: Tensor, by: Tensor) -> None:
        """Scale a gradient once, also if several layers share the parameter. Raises ValueError if their factors differ."""
        gradient = parameter.grad
        if gradient is None:
            return
        if id(parameter) in self._plain:
            if not torch.equal(self._plain[id(parameter)][2], by):
                raise ValueError(f"torch_grapes.LocalOptimizer: {name} shares a parameter with a layer that has other factors, and the gradient "
                                 "does not say which part of it is whose; exclude both, or use enable(model, 'grapes-local')")
            return
        self._plain[id(parameter)] = parameter, gradient, by
        parameter.grad = (gradient * layers.beside(by, gradient)).to(gradient.dtype)

    def _restore(self) -> None:
        for parameter, gradient, _ in self._plain.values():
            parameter.grad = gradient
        self._plain.clear()
