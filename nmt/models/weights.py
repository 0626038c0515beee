"""The file of a network's weights, in fp32 or int8, which is read by memory-mapping."""

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nmt.models.quantization import dequantize, quantize, refuse_infinite, tensors_of
from nmt.models.seq2seq import Seq2Seq

StoredPrecision = Literal["fp32", "int8"]


def save_weights(path: Path, model: Seq2Seq, precision: StoredPrecision) -> None:
    """Write a network's weights; the same weights give the same bytes.

    Args:
        path: the file.
        model: the network.
        precision: fp32, or int8 for a file of about a quarter of the size.

    Raises:
        NmtError: a weight is not finite.
        OSError: the system refused.
    """
    refuse_infinite(model)
    try:
        # safetensors' own `save_model` picks a tied tensor's name at random.
        tensors = quantize(model) if precision == "int8" else tensors_of(model)
        safetensors.torch.save_file(tensors, path)
    except safetensors.SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from None


@contextlib.contextmanager
def shapes_only() -> Iterator[None]:
    """Make networks on the meta device in a block: they have shapes, but no weights."""
    with torch.device("meta"), _NoValues():
        yield


def load_weights(path: Path, model: Seq2Seq, precision: StoredPrecision) -> None:
    """Load a network's weights from a file.

    The pages of an fp32 file are mapped privately, and read on demand. Changing a weight changes
    memory, never the file. To replace the file while it is in use, rename another over it; do not
    write into it.

    Args:
        path: written by `save_weights`.
        model: the network; may be made in `shapes_only`.
        precision: of the file.

    Raises:
        OSError, SafetensorError: the file cannot be read, or is damaged.
        RuntimeError, ValueError: its weights do not match the network.
        NmtError: a weight is not finite.
    """
    tensors = safetensors.torch.load_file(path)
    if any(tensor.dtype == torch.int8 for tensor in tensors.values()) != (precision == "int8"):
        raise ValueError(f"the weights are not {precision}")
    weights = dequantize(tensors)
    names: dict[int, list[str]] = {}  # of each tensor: a tied one has several
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    state: dict[str, Tensor] = {}
    for aliases in names.values():
        stored = [name for name in aliases if name in weights]
        if len(stored) > 1:
            raise ValueError(f"{stored[0]} and {stored[1]} should be one tensor, but are two")
        if stored:
            tensor = weights.pop(stored[0])
            if not tensor.is_floating_point():
                raise ValueError(f"{stored[0]} holds {tensor.dtype}, not floating-point numbers")
            state |= dict.fromkeys(aliases, nn.Parameter(tensor.to(torch.float32)))
    model.load_state_dict(state | weights, assign=True)
    refuse_infinite(model)


class _NoValues(TorchFunctionMode):
    """Skips the initialization of tensors.

    On the meta device torch would import its compiler for it, which takes a second.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init" and "tensor" in kwargs:
            return kwargs["tensor"]
        if func is torch.eye and "out" in kwargs:
            return kwargs["out"]
        return func(*args, **kwargs)
