"""Choice of device and precision."""

import torch

from nmt.errors import UsageError


def find_device(wanted: str, origin: str = "device") -> torch.device:
    """Return the device that a setting names.

    Args:
        wanted: auto, cpu or cuda.
        origin: the setting's name in errors.

    Raises:
        UsageError: an unknown device, or no GPU.
    """
    has_cuda = torch.cuda.is_available()
    if wanted == "cuda" and not has_cuda:
        raise UsageError(f"{origin}: cuda needs a GPU, and torch finds none; use cpu or auto")
    if wanted not in ("auto", "cpu", "cuda"):
        raise UsageError(f"{origin}: {wanted!r} is not one of auto, cpu, cuda")
    return torch.device("cuda" if has_cuda and wanted != "cpu" else "cpu")


def describe_device(device: torch.device) -> str:
    """Return a readable name of a device."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"cpu ({torch.get_num_threads()} threads)"


def find_precision(wanted: str, device: torch.device, origin: str = "precision") -> str:
    """Return fp32, bf16 or int8; auto is bf16 on a GPU that supports it, else fp32.

    Raises:
        UsageError: the device does not support the precision.
    """
    if wanted == "int8" and device.type != "cpu":
        raise UsageError(f"{origin}: int8 needs a CPU; on a GPU use fp32 or bf16")
    if wanted == "bf16" and device.type == "cpu" and not cpu_has_bf16():
        raise UsageError(f"{origin}: bf16 is not supported by this processor; use fp32")
    if wanted != "auto":
        return wanted
    fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16" if fast else "fp32"


def cpu_has_bf16() -> bool:
    """Return whether torch's recurrent kernels support bf16 on this processor."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def arithmetic(precision: str, device: torch.device) -> torch.autocast:
    """Return the autocast context of a precision."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
