"""Products with fixed matrices in fp32 or 8-bit integers, the leaf modules of the fast engine."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.models.products import Product, prepared_product
from nmt.models.quantization import LEVELS, round_rows
from nmt.models.stacks import concat

_ZERO = LEVELS + 1
"""The byte of the value 0 in packed values from [-1, 1]."""
_EXACT = 2**24 // LEVELS**2
"""Number of products of two bytes whose sum is always exact in fp32."""
_ROWS = 8
"""Smallest row count of a product of more than one row; see `in_blocks`."""
_VECTORS = 32
"""A multiple of the floats that torch's vector kernels take at once: two vectors of AVX-512."""
_SERIAL = 2**15 - 1
"""The largest tensor that torch does not share between threads."""
_BLOCK = 64
"""Rows of an `InputTable` that are computed together."""


@dataclass(frozen=True)
class Matrix:
    """A weight matrix as an engine multiplies it.

    Attributes:
        values: `(outputs, inputs)`, fp32 or int8.
        scale: factor of the int8 values of each output, `(outputs,)`.
    """

    values: Tensor
    scale: Tensor | None = None

    @property
    def floats(self) -> Tensor:
        """The weights in fp32."""
        return self.values if self.scale is None else self.values.float() * self.scale[:, None]

    def beside(self, other: "Matrix") -> "Matrix":
        """Concatenate the inputs of two matrices whose outputs have the same scales."""
        return Matrix(torch.cat([self.values, other.values], dim=1), self.scale)

    def columns(self, start: int, end: int | None = None) -> "Matrix":
        """Select inputs; `end` is that of the matrix by default."""
        return Matrix(self.values[:, start:end], self.scale)

    def rows(self, rows: slice | Tensor) -> "Matrix":
        """Select outputs."""
        return Matrix(self.values[rows], None if self.scale is None else self.scale[rows])

    def times(self, factor: float | Tensor) -> "Matrix":
        """Multiply all weights, or the weights of each output, `(outputs,)`, by a factor."""
        if self.scale is not None:
            return Matrix(self.values, self.scale * factor)
        return Matrix(self.values * (factor[:, None] if isinstance(factor, Tensor) else factor))


class Floats:
    """Arithmetic in fp32: packed values are the values."""

    def matrices(self, *weights: Tensor) -> list[Matrix]:
        """Return the matrices of one layer as they are multiplied."""
        return [Matrix(weight.detach()) for weight in weights]

    def product(self, matrix: Matrix, bias: Tensor | None = None) -> Product:
        """Make a product of values, packed or not, with a matrix."""
        return in_blocks(prepared_product(matrix.floats, bias))

    wide_product = product

    def pack(self, values: Tensor) -> Tensor:
        """Pack values in [-1, 1]."""
        return values

    def unpack(self, packed: Tensor) -> Tensor:
        """Return fp32 values."""
        return packed


class Integers:
    """Arithmetic in 8-bit integers: values in [-1, 1] are packed as multiples of 1/127.

    The scale is fixed, so a row's result depends on no other row; sums of integers are exact, so it
    does not depend on their order either.
    """

    def matrices(self, *weights: Tensor) -> list[Matrix]:
        """Return the matrices of one layer as they are multiplied, with the same scales."""
        values, scale = round_rows(*(weight.detach() for weight in weights))
        return [Matrix(value, scale) for value in values]

    def product(self, matrix: Matrix, bias: Tensor | None = None) -> Product:
        """Make a product of values in [-1, 1], packed or not, with a matrix."""
        assert matrix.scale is not None
        multiply = self.packed_product(matrix.values, matrix.scale / LEVELS, bias)
        return lambda values: multiply(values if values.dtype == torch.uint8 else self.pack(values))

    def packed_product(self, values: Tensor, steps: Tensor, bias: Tensor | None = None) -> Product:
        """Make a product of packed values with an int8 matrix, `(outputs, inputs)`.

        Args:
            values: the matrix.
            steps: factor of each sum of integers, `(outputs,)`.
            bias: `(outputs,)`.
        """
        if not has_integer_kernels():
            # Integers up to 2²⁴ are also exact in fp32.
            wide = torch.float32 if values.shape[1] <= _EXACT else torch.float64
            whole, bias = values.to(wide), torch.zeros(()) if bias is None else bias
            return lambda packed: (
                F.linear(packed.to(wide) - _ZERO, whole).float().mul_(steps).add_(bias)
            )
        weight = torch.ops.onednn.qlinear_prepack(values.contiguous(), None)
        zeros, multiply = torch.zeros(len(values)).long(), torch.ops.onednn.qlinear_pointwise

        def integer_product(packed: Tensor) -> Tensor:
            inputs = (packed, 1.0, _ZERO, weight, steps, zeros, bias)
            output: Tensor = multiply(*inputs, 1.0, 0, torch.float32, "none", [], "")
            return output

        return in_blocks(integer_product)

    def wide_product(self, matrix: Matrix, bias: Tensor | None = None) -> Product:
        """Make a product of fp32 values of any size with a matrix, each row at its own scale."""
        product = self.product(matrix)

        def multiply(values: Tensor) -> Tensor:
            largest = values.abs().amax(dim=-1, keepdim=True).clamp(min=torch.finfo().tiny)
            outputs = product(self.pack(values / largest)) * largest
            return outputs if bias is None else outputs + bias

        return multiply

    def pack(self, values: Tensor) -> Tensor:
        """Pack values in [-1, 1], each rounded to the nearest multiple of 1/127; uint8."""
        # By way of int32: conversion from floats to bytes is not vectorized.
        return (values * LEVELS).add_(_ZERO + 0.5).to(torch.int32).to(torch.uint8)

    def unpack(self, packed: Tensor) -> Tensor:
        """Return fp32 values."""
        return packed.float().sub_(_ZERO).div_(LEVELS)


Arithmetic = Floats | Integers


def in_blocks(product: Product) -> Product:
    """Return a product that pads its rows with zeros to one of a few row counts.

    oneDNN makes a kernel for each shape in about 0.4 ms, the time of multiplying 200 rows, and
    searches meet new row counts all the time. Padding adds at most an eighth to more than 8 rows.
    """

    def padded(values: Tensor) -> Tensor:
        rows = len(values)
        block = max(_ROWS, 1 << max(0, rows.bit_length() - 4))
        if rows == 1 or rows % block == 0:
            return product(values)
        full = values.new_zeros(rows - rows % block + block, *values.shape[1:])
        full[:rows] = values
        return product(full)[:rows]

    return padded


def sigmoid_(values: Tensor) -> Tensor:
    """Replace x by σ(x), in place; a value's result does not depend on its position.

    torch takes another kernel for up to 31 values at the end of a tensor, or of a thread's share of
    a large one. Tensors of whole vectors that one thread works on have no such end.

    Args:
        values: `(rows, width)`, contiguous.
    """
    width = values.shape[1]
    if width % _VECTORS or width > _SERIAL:
        return values.neg_().exp_().add_(1).reciprocal_()  # slower, the same at every position
    rows = _SERIAL // width if torch.get_num_threads() > 1 else len(values) or 1
    for block in values.split(rows):
        block.sigmoid_()
    return values


def tanh_of_half_(values: Tensor) -> Tensor:
    """Replace x by tanh(x / 2) = 2 σ(x) - 1, in place; see `sigmoid_`."""
    return sigmoid_(values).mul_(2).sub_(1)


def has_integer_kernels() -> bool:
    """Return whether this processor multiplies bytes without overflow (AVX-512 VNNI)."""
    return torch.backends.mkldnn.is_available() and bool(torch.cpu._is_vnni_supported())


class FastLinear(nn.Module):
    """An `nn.Linear` with the products of the fast engine.

    Args:
        matrix: its weights.
        bias: `(outputs,)`.
        arithmetic: fp32 or integers.
        wide: whether inputs may lie outside [-1, 1].
    """

    def __init__(self, matrix: Matrix, bias: Tensor, arithmetic: Arithmetic, *, wide: bool = False):
        super().__init__()
        self.matrix, self.bias, self.arithmetic = matrix, bias.detach(), arithmetic
        product = arithmetic.wide_product if wide else arithmetic.product
        self.product = product(matrix, self.bias)

    @classmethod
    def of(cls, linear: nn.Linear, arithmetic: Arithmetic, *, wide: bool = False) -> "FastLinear":
        """Return the fast form of a module."""
        (matrix,) = arithmetic.matrices(linear.weight)
        return cls(matrix, linear.bias, arithmetic, wide=wide)

    def rows(self, rows: Tensor) -> "FastLinear":
        """Return the map to some of the outputs."""
        return FastLinear(self.matrix.rows(rows), self.bias[rows], self.arithmetic)

    def forward(self, values: Tensor) -> Tensor:
        """Return `(…, outputs)` for `(…, inputs)`, packed or not."""
        return self.product(values)


class FastReadout(nn.Module):
    """A `Readout` with the products of the fast engine; the context's part is computed once.

    Args:
        readout: to copy.
        outputs: columns of the decoder's outputs, the first ones.
        context: columns of the fed context, after those of the outputs.
        arithmetic: fp32 or integers.
    """

    def __init__(self, readout: nn.Linear, outputs: int, context: int, arithmetic: Arithmetic):
        super().__init__()
        (matrix,) = arithmetic.matrices(readout.weight)
        matrix, bias = matrix.times(2), readout.bias.detach() * 2
        if context:
            end = outputs + context
            self.read_context = arithmetic.product(matrix.columns(outputs, end), bias)
            rest = matrix.columns(0, outputs).beside(matrix.columns(end))
            self._product = arithmetic.product(rest)
        else:
            self._product = arithmetic.product(matrix, bias)

    def forward(self, outputs: Tensor, context: Tensor | None, attended: Tensor | None) -> Tensor:
        """Return readouts, `(rows, width)`; see `Readout`."""
        sums = self._product(concat(outputs, attended))
        return tanh_of_half_(sums if context is None else sums.add_(context))


class InputTable:
    """The input product of each token in the first layer: embedding × input weights + bias.

    A row is computed when its token first occurs, so the table costs nothing to make, and memory
    only for tokens in use.

    Args:
        embedding: `(vocabulary, embedding_size)`.
        weight: `(gates, embedding_size)`.
        bias: `(gates,)`.
    """

    def __init__(self, embedding: Matrix, weight: Matrix, bias: Tensor):
        self._embedding, self._bias = embedding, bias
        vocabulary = len(embedding.values)
        self._rows = torch.empty(vocabulary, len(bias))
        self._known = torch.zeros(-(-vocabulary // _BLOCK), dtype=torch.bool)
        # The fp32 value of a row must not depend on the call: integers, or double precision.
        if weight.scale is None:
            wide = weight.values.double().t()
            self._product = lambda matrix: (matrix.values.double() @ wide).float()
        else:
            sums = Integers().packed_product(weight.values, weight.scale)
            self._product = lambda matrix: (
                sums((matrix.values.int() + _ZERO).to(torch.uint8)) * matrix.scale[:, None]
            )

    def __call__(self, tokens: Tensor) -> Tensor:
        """Return the rows of token ids, `(tokens, gates)`."""
        blocks = tokens // _BLOCK
        known = self._known[blocks]
        if not bool(known.all()):
            for block in blocks[~known].unique().tolist():
                part = slice(block * _BLOCK, (block + 1) * _BLOCK)
                self._rows[part] = self._product(self._embedding.rows(part)) + self._bias
                self._known[block] = True
        return self._rows.index_select(0, tokens)
