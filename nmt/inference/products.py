"""Products with fixed matrices, in fp32 or in 8-bit integers: what an engine is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from nmt.models.products import Product, prepared_product
from nmt.models.quantization import LEVELS

_ZERO = LEVELS + 1
"""The byte that stands for 0 where values in [-1, 1] are packed."""
_EXACT = 2**24 // LEVELS**2
"""Products of two bytes whose sum is exact in fp32, whatever they are."""
_BLOCK = 64
"""Tokens whose rows of an `InputTable` are computed together."""


@dataclass(frozen=True)
class Matrix:
    """A weight matrix as an engine multiplies it.

    Attributes:
        values: `(outputs, inputs)`, fp32 or int8.
        scale: what the int8 values of each output are multiples of, `(outputs,)`.
    """

    values: Tensor
    scale: Tensor | None = None

    @classmethod
    def named(cls, weights: Mapping[str, Tensor], name: str) -> "Matrix":
        """Take a matrix from a model's weights, rounded by `quantize` or not."""
        return cls(weights[name], weights.get(f"{name}.scale"))

    @property
    def floats(self) -> Tensor:
        """The weights in fp32."""
        if self.scale is None:
            return self.values
        return self.values.float() * self.scale[:, None]

    def beside(self, other: "Matrix") -> "Matrix":
        """Join the inputs of two matrices whose outputs have the same scales."""
        return Matrix(torch.cat([self.values, other.values], dim=1), self.scale)

    def columns(self, start: int, end: int) -> "Matrix":
        """Keep some of the inputs."""
        return replace(self, values=self.values[:, start:end])

    def rows(self, part: slice) -> "Matrix":
        """Keep some of the outputs."""
        return Matrix(self.values[part], None if self.scale is None else self.scale[part])

    def times(self, factor: float) -> "Matrix":
        """Multiply all weights."""
        if self.scale is None:
            return Matrix(self.values * factor)
        return replace(self, scale=self.scale * factor)

    def arranged(self, order: Tensor, factor: Tensor) -> "Matrix":
        """Put the outputs into another order, then multiply each by a factor, `(outputs,)`."""
        values = self.values[order]
        if self.scale is None:
            return Matrix(values * factor[:, None])
        return Matrix(values, self.scale[order] * factor)


class Floats:
    """Arithmetic in fp32: values are packed as they are."""

    def product(self, matrix: Matrix, bias: Tensor | None = None) -> Product:
        """Make a product of packed values with a matrix."""
        return prepared_product(matrix.floats, bias)

    def wide_product(self, matrix: Matrix, bias: Tensor) -> Product:
        """Make a product of fp32 values of any size with a matrix."""
        return self.product(matrix, bias)

    def pack(self, values: Tensor) -> Tensor:
        """Pack values in [-1, 1]."""
        return values

    def unpack(self, packed: Tensor) -> Tensor:
        """Return fp32 values."""
        return packed

    def zeros(self, rows: int, size: int) -> Tensor:
        """Return packed zeros, `(rows, size)`."""
        return torch.zeros(rows, size)


class Integers:
    """Arithmetic in 8-bit integers: values in [-1, 1] are packed as multiples of 1/127.

    The scale is fixed, so what becomes of a row depends on no other row; sums of integers are
    exact, so it does not depend on their order either.
    """

    def product(self, matrix: Matrix, bias: Tensor | None = None) -> Product:
        """Make a product with a matrix."""
        assert matrix.scale is not None
        sums, steps = self._sums(matrix.values), matrix.scale / LEVELS
        if bias is None:
            return lambda packed: sums(packed).mul_(steps)
        return lambda packed: sums(packed).mul_(steps).add_(bias)

    def _sums(self, values: Tensor) -> Product:
        """Make a product of packed values with an int8 matrix, `(outputs, inputs)`, in steps of 1.

        Kernels differ in how they scale what they have summed, and their choice depends on the
        number of rows: they are left nothing to scale.
        """
        if not has_integer_kernels():
            # Whole numbers are exact in fp32, too, up to 2²⁴.
            wide = torch.float32 if values.shape[1] <= _EXACT else torch.float64
            whole = values.to(wide)
            return lambda packed: F.linear(packed.to(wide) - _ZERO, whole).float()
        weight = torch.ops.onednn.qlinear_prepack(values.contiguous(), None)
        ones, zeros = torch.ones(len(values)), torch.zeros(len(values), dtype=torch.int64)
        multiply = torch.ops.onednn.qlinear_pointwise

        def integer_sums(packed: Tensor) -> Tensor:
            read = (packed, 1.0, _ZERO, weight, ones, zeros, None)
            output: Tensor = multiply(*read, 1.0, 0, torch.float32, "none", [], "")
            return output

        return integer_sums

    def wide_product(self, matrix: Matrix, bias: Tensor) -> Product:
        """Make a product of fp32 values of any size with a matrix, each row at its own scale."""
        product = self.product(matrix)

        def multiply(values: Tensor) -> Tensor:
            largest = values.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo().tiny)
            return product(self.pack(values / largest)) * largest + bias

        return multiply

    def pack(self, values: Tensor) -> Tensor:
        """Pack values in [-1, 1], each rounded to the nearest multiple of 1/127; uint8."""
        return (values * LEVELS).add_(_ZERO + 0.5).to(torch.uint8)

    def unpack(self, packed: Tensor) -> Tensor:
        """Return fp32 values."""
        return (packed.float() - _ZERO) / LEVELS

    def zeros(self, rows: int, size: int) -> Tensor:
        """Return packed zeros, `(rows, size)`."""
        return torch.full((rows, size), _ZERO, dtype=torch.uint8)


Arithmetic = Floats | Integers


def has_integer_kernels() -> bool:
    """Tell whether this processor multiplies bytes without overflow (AVX-512 VNNI)."""
    return torch.backends.mkldnn.is_available() and bool(torch.cpu._is_vnni_supported())


class InputTable:
    """What each token adds to the gates of the first layer: embedding × input weights + bias.

    A row is computed when its token first comes up, so the table costs nothing to make and memory
    only for the tokens in use.

    Args:
        embedding: `(vocabulary, embedding_size)`.
        weight: `(gates, embedding_size)`.
        bias: `(gates,)`.
    """

    def __init__(self, embedding: Matrix, weight: Matrix, bias: Tensor):
        self._embedding, self._bias = embedding, bias.double()
        self._weight = weight.floats.double().t()
        vocabulary = len(embedding.values)
        self._rows = torch.empty(vocabulary, len(bias))
        self._known = torch.zeros(-(-vocabulary // _BLOCK), dtype=torch.bool)

    def __call__(self, tokens: Tensor) -> Tensor:
        """Return the rows of token ids, `(tokens, gates)`."""
        blocks = tokens // _BLOCK
        known = self._known[blocks]
        if not bool(known.all()):
            for block in blocks[~known].unique().tolist():
                part = slice(block * _BLOCK, (block + 1) * _BLOCK)
                # In double precision, so that a row's fp32 value does not depend on who asks.
                rows = self._embedding.rows(part).floats.double() @ self._weight + self._bias
                self._rows[part] = rows.float()
                self._known[block] = True
        return self._rows.index_select(0, tokens)
