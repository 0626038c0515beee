"""8-bit quantization of a network's weights, for int8 bundles and the int8 engine."""

import itertools

import torch
from torch import Tensor

from nmt.errors import NmtError
from nmt.models.seq2seq import Seq2Seq

LEVELS = 127
"""Steps from zero to the largest weight of a row."""
_SCALE = ".scale"
_SMALLEST = torch.finfo(torch.float32).tiny


def tensors_of(model: Seq2Seq) -> dict[str, Tensor]:
    """Return a network's tensors by name; a tensor with several names is under its first."""
    tensors = itertools.chain(model.named_parameters(), model.named_buffers())
    return {name: tensor.detach() for name, tensor in tensors}


def quantize(model: Seq2Seq) -> dict[str, Tensor]:
    """Round the matrices of a network to 8 bits, symmetrically, with a scale for each row.

    A matrix NAME becomes the int8 tensor `NAME` and the float32 tensor `NAME.scale`, `(rows,)`; a
    weight is about value × scale. Input and recurrent matrix of one layer and direction share their
    scales, so an engine may multiply them as one. Vectors stay float32. A tensor with several names
    is stored under its first.

    Quantizing the output of `dequantize` gives the same tensors, bit for bit.

    Source: Jacob et al. 2018, section 2.1 (symmetric, one scale for each output).
    """
    weights = {name: tensor.float() for name, tensor in tensors_of(model).items()}
    quantized: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if weight.dim() != 2:
            quantized[name] = weight.clone()
            continue
        (values, *_), scale = round_rows(weight, *(weights[other] for other in _partners(name)))
        quantized[name], quantized[name + _SCALE] = values, scale
    return quantized


def refuse_infinite(model: Seq2Seq) -> None:
    """Raise NmtError if a weight is not finite."""
    for name, weight in tensors_of(model).items():
        # Cheap test first: a finite sum proves finite weights, and needs no memory.
        if not (weight.sum().isfinite() or weight.isfinite().all()):
            raise NmtError(
                f"{name} holds a weight that is not finite: the model is damaged, or its training "
                "diverged"
            )


def dequantize(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the rounded weights of `quantize` in float32: value × scale, exactly.

    Raises:
        ValueError: an int8 tensor without matching scales.
    """
    weights: dict[str, Tensor] = {}
    rounded = {name for name, tensor in tensors.items() if tensor.dtype == torch.int8}
    for name, tensor in tensors.items():
        if name in rounded:
            scale = tensors.get(name + _SCALE)
            if scale is None or tensor.dim() != 2 or scale.shape != tensor.shape[:1]:
                raise ValueError(f"{name} has no scales that fit it")
            weights[name] = tensor.float() * scale[:, None]
        elif name.removesuffix(_SCALE) not in rounded:
            weights[name] = tensor
    return weights


def round_rows(*matrices: Tensor) -> tuple[list[Tensor], Tensor]:
    """Round matrices to 8 bits with one scale a row, which all of them share.

    Returns:
        The int8 matrices, and the scales, `(rows,)`.
    """
    scale = _scale(*matrices)
    rounded = [(matrix / scale[:, None]).round().clamp(-LEVELS, LEVELS) for matrix in matrices]
    return [matrix.to(torch.int8) for matrix in rounded], scale


def _partners(name: str) -> list[str]:
    """Return the names of matrices that share a matrix's scales, in the same recurrent layer."""
    pairs = {"weight_ih_l": "weight_hh_l", "weight_hh_l": "weight_ih_l"}
    return [name.replace(kind, other) for kind, other in pairs.items() if f".{kind}" in name]


def _scale(*matrices: Tensor) -> Tensor:
    """Return one scale for each row, `(rows,)`: the largest weight ÷ 127; 1 if all round to zero.

    A scale has 17 significant bits; the last 7 are cleared. Its product with 7 bits is then exact
    in float32, division recovers both factors, and the largest weight is still ±127.
    """
    largest = torch.stack([matrix.abs().amax(dim=1) for matrix in matrices]).amax(dim=0)
    scale = (largest / LEVELS).clamp(min=_SMALLEST)  # subnormal numbers have fewer bits
    scale = (scale.view(torch.int32) & -(LEVELS + 1)).view(torch.float32)
    return torch.where((largest / scale).round() == 0, 1.0, scale)
