"""Reads and writes safetensors files, the format of `grapes export`, `grapes import` and the program's checkpoints.

The functions have the same names as in the package safetensors, which you can use instead.
Layout: u64 little-endian length of the header, JSON header {name: {"dtype", "shape", "data_offsets"}}, bytes.
"""
from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Dict, Mapping, Optional, Tuple, Union

import torch
from torch import Tensor

_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
           "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


def bytes_of(tensor: Tensor) -> bytes:
    flat = tensor.detach().cpu().contiguous().flatten()
    buffer = bytearray(flat.numel() * flat.element_size())
    if buffer:
        torch.frombuffer(buffer, dtype=torch.uint8).copy_(flat.view(torch.uint8))
    return bytes(buffer)


def save_file(tensors: Mapping[str, Tensor], filename: Union[str, Path], metadata: Optional[Mapping[str, str]] = None) -> None:
    """Write the tensors in order of name. An existing file is replaced only if writing succeeds."""
    header: Dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    pieces, end = [], 0
    for name in sorted(tensors):
        tensor = tensors[name]
        if tensor.dtype not in _NAMES:
            raise ValueError(f"torch_grapes.safetensors: {name}: {tensor.dtype} is not supported by the safetensors format")
        pieces.append(bytes_of(tensor))
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [end, end + len(pieces[-1])]}
        end += len(pieces[-1])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path = Path(filename)
    half = path.with_name(path.name + ".part")
    half.write_bytes(b"".join((struct.pack("<Q", len(text)), text, *pieces)))
    os.replace(half, path)


def load_with_metadata(filename: Union[str, Path]) -> Tuple[Dict[str, Tensor], Dict[str, str]]:
    """Return the tensors and the text dictionary of a file. Raises ValueError with the file's name if it is invalid."""
    content = Path(filename).read_bytes()
    try:
        (length,) = struct.unpack_from("<Q", content)
        if length > len(content) - 8:
            raise ValueError("it ends within its header")
        header = json.loads(content[8:8 + length])
        metadata = header.pop("__metadata__", {})
        buffer, tensors = content[8 + length:], {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            dtype, shape = _DTYPES[entry["dtype"]], entry["shape"]
            if not 0 <= begin <= end <= len(buffer):
                raise ValueError(f"it ends within the tensor '{name}'")
            own = bytearray(buffer[begin:end])
            tensors[name] = (torch.frombuffer(own, dtype=dtype) if own else torch.empty(0, dtype=dtype)).reshape(shape)
    except (struct.error, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(f"torch_grapes.safetensors: {filename} is not a safetensors file: {error}") from None
    return tensors, metadata


def load_file(filename: Union[str, Path]) -> Dict[str, Tensor]:
    """Return the tensors of a file."""
    return load_with_metadata(filename)[0]
