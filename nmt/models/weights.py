"""The file of a network's weights, as floats or rounded to 8 bits; read by mapping it."""

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nmt.models.quantization import dequantize, quantize, refuse_infinite, tensors_of
from nmt.models.seq2seq import Seq2Seq

StoredPrecision = Literal["fp32", "int8"]
STORED_PRECISIONS: tuple[StoredPrecision, ...] = get_args(StoredPrecision)


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
        # safetensors' own `save_model` keeps another of a tied tensor's names each time.
        tensors = quantize(model) if precision == "int8" else tensors_of(model)
        safetensors.torch.save_file(tensors, path)
    except safetensors.SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from None


@contextlib.contextmanager
def shapes_only() -> Iterator[None]:
    """Let networks that are made in a block have shapes, on the meta device, and no weights."""
    with torch.device("meta"), _NoValues():
        yield


def load_weights(path: Path, model: Seq2Seq, precision: StoredPrecision) -> None:
    """Give a network the weights of a file.

    Those of an fp32 file on a processor stay in the file: its pages are mapped, privately, and
    read when they are needed. Changing a weight changes memory, never the file. Who replaces the
    file while it is in use must put another one in its place, not write into it.

    Args:
        path: what `save_weights` wrote.
        model: the network; it may be of `shapes_only`.
        precision: how the file holds the weights.

    Raises:
        OSError, SafetensorError: the file cannot be read, or is damaged.
        RuntimeError, ValueError: it holds other weights than the network has.
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
        found = [name for name in aliases if name in weights]
        if len(found) > 1:
            raise ValueError(f"{found[0]} and {found[1]} should be one tensor, and are two")
        if found:
            tied = nn.Parameter(_as_float(found[0], weights.pop(found[0])))
            state |= dict.fromkeys(aliases, tied)
    model.load_state_dict(state | weights, assign=True)
    refuse_infinite(model)


def _as_float(name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        raise ValueError(f"{name} holds {tensor.dtype}, not numbers with a fraction")
    return tensor.to(torch.float32)


class _NoValues(TorchFunctionMode):
    """Skips what gives tensors their first values.

    On the meta device torch would import its compiler for that, which takes a second.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init" and "tensor" in kwargs:
            return kwargs["tensor"]
        if func is torch.eye and "out" in kwargs:
            return kwargs["out"]
        return func(*args, **kwargs)
