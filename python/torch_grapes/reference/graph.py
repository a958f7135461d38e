"""Scales errors inside a graph that PyTorch has built, by hooks on its nodes. The forward pass stays as it is."""
from __future__ import annotations

from collections import OrderedDict
from typing import Any, Callable, Iterator, List, Optional, Sequence, Tuple

import torch
from torch import Tensor

from ..context import TORCH
from .functions import along, require

Edge = Tuple[Any, int]  # a node of the graph, and the index of its output
Change = Callable[[Tensor], Tensor]

#: Operands that a node of a product saves. An error that passes a frozen weight is multiplied by the saved weight.
SAVED = {"AddmmBackward0": ("_saved_mat1", "_saved_mat2"), "MmBackward0": ("_saved_self", "_saved_mat2"), "MvBackward0": ("_saved_self",),
         "LinearBackward0": ("_saved_weight",), "ConvolutionBackward0": ("_saved_weight",)}


def _scaled(error: Tensor, scale: Tensor) -> Tensor:
    """Round once, to the dtype of the error. Under autocast the error is bfloat16 and the factor is not."""
    return (error * scale).to(error.dtype)


def _change_error(node: Any, output: int, change: Change) -> None:
    """Change the error that arrives at one output of a node."""
    if TORCH >= (2, 0):
        node.register_prehook(lambda errors: tuple(change(e) if k == output and e is not None else e for k, e in enumerate(errors)))
        return
    # Before PyTorch 2.0, Python reaches such a hook only through a tensor. Any tensor that is output 0 of its node will do.
    require(output == 0, lambda: f"attach: z must be the first output of {node.name()} before PyTorch 2.0")
    carrier = torch.empty(0)
    carrier._backward_hooks = OrderedDict({0: lambda error: None if error is None else change(error)})
    node._register_hook_dict(carrier)


def _first(node: Any, mark: Any) -> bool:
    """Whether a node does not have this mark yet. It has it afterwards."""
    marks = node.metadata.setdefault("torch_grapes", set())
    if mark in marks:
        return False
    marks.add(mark)
    return True


def _scale_edge(node: Any, edge: int, scale: Tensor) -> None:
    """Scale the error that a node sends over one of its edges, once."""
    if _first(node, edge):
        node.register_hook(lambda sent, _: tuple(_scaled(e, scale) if k == edge and e is not None else e for k, e in enumerate(sent)))


def _edge(tensor: Tensor) -> Edge:
    """Return where the gradient of a tensor goes."""
    if tensor.grad_fn is not None:
        return tensor.grad_fn, tensor.output_nr
    with torch.enable_grad():  # the node that accumulates a leaf's gradient has no name of its own
        accumulates: Any = tensor.expand_as(tensor).grad_fn
    edge: Edge = accumulates.next_functions[0]
    return edge


def _stretch(outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> List[Any]:
    """Return the nodes from the outputs down to the inputs, without the nodes of the inputs."""
    seen = {_edge(x)[0] for x in inputs if x.requires_grad}
    nodes: List[Any] = []
    for y in outputs:
        if y.grad_fn is not None and y.grad_fn not in seen:
            seen.add(y.grad_fn)
            nodes.append(y.grad_fn)
    for node in nodes:  # which grows inside the loop
        for below, _ in node.next_functions:
            if below is not None and below not in seen:
                seen.add(below)
                nodes.append(below)
    return nodes


def _casts(node: Any, parameter: Edge) -> bool:
    """Whether a node only passes the parameter on in another dtype, as autocast does."""
    return node is not None and node.name() == "ToCopyBackward0" and node.next_functions[0] == parameter


def _edges_to(nodes: Sequence[Any], parameter: Tensor) -> Iterator[Edge]:
    """Give every node and its edge that leads to the parameter, directly or through a cast.

    Autocast caches casts, so several calls of a layer can share one. The nodes before the cast belong to a single call.
    """
    if not parameter.requires_grad:
        return
    target = _edge(parameter)
    for node in nodes:
        if not _casts(node, target):
            for k, edge in enumerate(node.next_functions):
                if edge == target or _casts(edge[0], target):
                    yield node, k


def _is_weight(weight: Tensor, saved: Any) -> bool:
    """Whether a saved operand is this weight or its transpose."""
    if not isinstance(saved, Tensor) or saved.data_ptr() != weight.data_ptr() or saved.dtype != weight.dtype:
        return False
    forms = [(weight.shape, weight.stride())]
    if weight.dim() == 2:
        forms.append((weight.t().shape, weight.t().stride()))
    return (saved.shape, saved.stride()) in forms


def attach(z: Tensor, m: Tensor, dim: int) -> None:
    """Scale the error at z by m [unit], whose units lie along `dim`, when the graph of z runs backward."""
    require(z.is_floating_point() and m.is_floating_point(), lambda: f"attach: z and factor must be floating point; got {z.dtype} and {m.dtype}")
    require(0 <= dim < z.dim(), lambda: f"attach: dim must be an axis of z; got {dim} for shape {list(z.shape)}")
    require(m.dim() == 1 and m.shape[0] == z.shape[dim],
            lambda: f"attach: factor must be [{z.shape[dim]}], the units along axis {dim} of z; got {list(m.shape)}")
    require(m.device == z.device, lambda: f"attach: factor must be on the device of z, {z.device}; got {m.device}")
    if not z.requires_grad:
        return
    require(z.grad_fn is not None, lambda: "attach: z must be the output of a layer; got a leaf of the graph")
    scale = along(m.detach(), z.dim() - dim, 0)
    base = z._base if z._is_view() else None
    if base is None or base.grad_fn is None:
        _change_error(z.grad_fn, z.output_nr, lambda error: _scaled(error, scale))
        return
    require(base.numel() == z.numel(),
            lambda: f"attach: z must not be a view of a part of a tensor; got a view of shape {list(z.shape)} of {list(base.shape)}")
    last = dim + 1 == z.dim() and base.dim() > 0 and base.shape[-1] == z.shape[-1] and z.is_contiguous() and base.is_contiguous()
    change = (lambda error: _scaled(error, scale)) if last else _through_view(base, z, scale)
    _change_error(base.grad_fn, base.output_nr, change)


def _through_view(base: Tensor, z: Tensor, scale: Tensor) -> Change:
    """Return a function that scales an error at the base in the layout of its view z."""
    whole, seen = (base.shape, base.stride()), (z.shape, z.stride())
    offset = z.storage_offset() - base.storage_offset()

    def change(error: Tensor) -> Tensor:
        own = torch.empty_strided(*whole, dtype=error.dtype, device=error.device)
        own.copy_(error)
        view = own.as_strided(*seen, own.storage_offset() + offset)
        view.copy_(_scaled(view, scale))
        return own

    return change


def attach_parameter(outputs: Sequence[Tensor], inputs: Sequence[Tensor], parameter: Tensor, scale: Tensor) -> int:
    """Scale the gradient that the calls between inputs and outputs send to a parameter. Returns the number of its uses."""
    require(torch.broadcast_shapes(scale.shape, parameter.shape) == parameter.shape,
            lambda: f"attach_parameter: scale must broadcast to the parameter, {list(parameter.shape)}; got {list(scale.shape)}")
    found = list(_edges_to(_stretch(outputs, inputs), parameter))
    for node, edge in found:
        _scale_edge(node, edge, scale.detach())
    return len(found)


def _products(nodes: Sequence[Any], weight: Tensor, what: str, change: str) -> List[Any]:
    """Return the nodes of the matrix products with a weight. what, change: for messages."""
    products: List[Any] = []
    transposes = []
    if not weight.requires_grad:
        products += [node for node in nodes
                     if any(_is_weight(weight, getattr(node, name, None)) for name in SAVED.get(node.name(), ()))]
    for node, _ in _edges_to(nodes, weight):
        require(node.name() in ("TBackward0", "TransposeBackward0"), lambda: f"{what}: the layer runs as one fused node, "
                f"{node.name()}, inside which the error at the product with the weight cannot be {change}")
        transposes.append(node)
    for node in nodes:
        if any(below in transposes for below, _ in node.next_functions):
            require(node.name() in ("MmBackward0", "AddmmBackward0"),
                    lambda: f"{what}: the weight must be used in a matrix product; it is used by {node.name()}")
            products.append(node)
    return products


def attach_product(outputs: Sequence[Tensor], inputs: Sequence[Tensor], weight: Tensor, bias: Optional[Tensor], m: Tensor) -> int:
    """Scale the error at every product with a weight between inputs and outputs. Returns the number of products."""
    require(m.dim() == 1 and weight.dim() == 2 and m.shape[0] == weight.shape[0],
            lambda: f"attach_product: factor must be [{weight.shape[0]}], one per row of the weight; got {list(m.shape)}")
    nodes, scale = _stretch(outputs, inputs), m.detach()
    products = _products(nodes, weight, "attach_product", "scaled")
    for node in products:
        if _first(node, "error"):
            _change_error(node, 0, lambda error: _scaled(error, scale))
    if bias is not None and (products or not weight.requires_grad):
        for node, edge in _edges_to(nodes, bias):  # the error at the node of the product is already scaled
            if node not in products:
                _scale_edge(node, edge, scale)
    return len(products)


def attach_path(outputs: Sequence[Tensor], inputs: Sequence[Tensor], weight: Tensor, B: Tensor) -> int:
    """Send the error at every product with a weight to its other operand through B [in, unit]. Returns the number of products."""
    require(B.dim() == 2 and weight.dim() == 2 and B.shape == weight.t().shape,
            lambda: f"attach_path: B must be {list(weight.t().shape)}, one row per column of the weight; got {list(B.shape)}")
    products = _products(_stretch(outputs, inputs), weight, "attach_path", "redirected")
    for node in products:
        if _first(node, "path"):
            operand = 1 if node.name() == "AddmmBackward0" else 0
            node.register_hook(lambda sent, errors, k=operand: tuple(
                torch.mm(errors[0], B.detach().t().to(errors[0].dtype)) if i == k and e is not None else e for i, e in enumerate(sent)))
    return len(products)
