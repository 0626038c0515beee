"""Which device to compute on, and how precisely."""

from contextlib import AbstractContextManager, nullcontext

import torch

from nmt.errors import UsageError


def find_device(wanted: str, origin: str = "device") -> torch.device:
    """Return the device that a setting names.

    Args:
        wanted: auto, cpu or cuda.
        origin: the setting, for the error.

    Raises:
        UsageError: it is not there.
    """
    has_cuda = torch.cuda.is_available()
    if wanted == "cuda" and not has_cuda:
        raise UsageError(f"{origin}: cuda was asked for, but torch finds no GPU; use cpu or auto")
    if wanted not in ("auto", "cpu", "cuda"):
        raise UsageError(f"{origin}: {wanted!r} is not one of auto, cpu, cuda")
    return torch.device("cuda" if has_cuda and wanted != "cpu" else "cpu")


def describe_device(device: torch.device) -> str:
    """Name a device for people."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"cpu ({torch.get_num_threads()} threads)"


def find_precision(wanted: str, device: torch.device, origin: str = "precision") -> str:
    """Return fp32, bf16 or int8; auto is bf16 on a GPU that computes in it.

    Raises:
        UsageError: the device does not compute in it.
    """
    if wanted == "int8" and device.type != "cpu":
        raise UsageError(f"{origin}: int8 is for processors; on a GPU use fp32 or bf16")
    if wanted == "bf16" and device.type == "cpu" and not cpu_has_bf16():
        raise UsageError(f"{origin}: bf16 was asked for, but this processor lacks it; use fp32")
    if wanted != "auto":
        return wanted
    fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16" if fast else "fp32"


def cpu_has_bf16() -> bool:
    """Tell whether torch's recurrent kernels compute in bf16 on this processor."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def arithmetic(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which a model computes at a precision."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()
