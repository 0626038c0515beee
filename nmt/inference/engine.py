"""The fast engine: a trained network with faster leaf modules, for translation on a CPU.

Products run in oneDNN's weight order, in fp32 or int8. A layer's gates are one product; the first
layer looks up its input product in a table. In encoders without recurrence only the linear map is
replaced.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from nmt.errors import UsageError
from nmt.inference.engine_layer import FastLayer
from nmt.inference.engine_products import Arithmetic, FastLinear, FastReadout, Floats, Integers
from nmt.models.attention import Attention
from nmt.models.bridge import Bridge
from nmt.models.cells import CELLS
from nmt.models.decoder import Decoder
from nmt.models.encoder import Encoder
from nmt.models.feedforward_encoder import FeedforwardEncoder
from nmt.models.products import Product
from nmt.models.quantization import refuse_infinite
from nmt.models.seq2seq import Seq2Seq, embedding_scale
from nmt.models.stacks import Layer, LayerStack, ModuleT, stack_layers, swap
from nmt.models.weights import StoredPrecision


@torch.inference_mode(False)
def fast_engine(model: Seq2Seq, precision: StoredPrecision) -> Seq2Seq:
    """Return a network that computes the same function faster, on the CPU.

    In int8 every product is one of integers: results do not depend on batch composition, bit for
    bit. Attention averages in fp32; results with attention are as reproducible as in fp32.

    Args:
        model: the network, on the CPU, in evaluation mode. Do not change it while the engine is in
            use.
        precision: fp32 or int8.

    Raises:
        UsageError: int8 with the relu cell.
        NmtError: int8 with a weight that is not finite.
    """
    arithmetic: Arithmetic = Floats()
    if precision == "int8":
        if not fits_integers(model):
            raise UsageError(
                f"--precision: int8 needs bounded states, and those of model.cell "
                f"{model.config.cell} are not; use fp32"
            )
        refuse_infinite(model)
        arithmetic = Integers()
    return swap(
        model,
        encoder=_encoder(model, arithmetic),
        bridge=_bridge(model.bridge, arithmetic),
        decoder=_decoder(model, arithmetic),
    )


def fits_integers(model: Seq2Seq) -> bool:
    """Return whether the hidden states lie in [-1, 1], as int8 requires."""
    return CELLS[model.config.cell].squash is torch.tanh


def _encoder(model: Seq2Seq, arithmetic: Arithmetic) -> Encoder | FeedforwardEncoder:
    encoder, config = model.encoder, model.config
    if isinstance(encoder, FeedforwardEncoder):
        states = FastLinear.of(encoder.states, arithmetic, wide=True)
        return swap(encoder, embedding=_rounded(encoder.embedding, arithmetic), states=states)
    keep_outputs = config.attention != "none" or config.pool != "none"
    stack = _stack(model, encoder, arithmetic, keep_outputs=keep_outputs)
    return swap(encoder, embedding=nn.Identity(), stack=stack)


def _bridge(bridge: Bridge, arithmetic: Arithmetic) -> Bridge:
    leaves: dict[str, nn.Module] = {}
    for name, child in bridge.named_children():
        # Only hidden states are bounded.
        if isinstance(child, nn.Linear):
            leaves[name] = FastLinear.of(child, arithmetic, wide=True)
        elif isinstance(child, nn.ModuleList):
            wide = name != "hidden"
            parts = [part for part in child if isinstance(part, nn.Linear)]
            leaves[name] = nn.ModuleList(
                FastLinear.of(part, arithmetic, wide=wide) for part in parts
            )
    return swap(bridge, **leaves)


def _decoder(model: Seq2Seq, arithmetic: Arithmetic) -> Decoder:
    decoder = model.decoder
    return swap(
        decoder,
        embedding=nn.Identity(),
        stack=_stack(model, decoder, arithmetic),
        attention=decoder.attention and _PackedAttention(decoder.attention, arithmetic),
        readout=decoder.readout
        and FastReadout(decoder.readout, model.config.hidden_size, decoder.context, arithmetic),
        projection=FastLinear.of(decoder.projection, arithmetic),
    )


def _stack(
    model: Seq2Seq, network: Encoder | Decoder, arithmetic: Arithmetic, keep_outputs: bool = True
) -> LayerStack:
    """Return a network's stack with fast layers."""
    (embedding,) = arithmetic.matrices(network.embedding.weight)
    embedding = embedding.times(embedding_scale(model.config.embedding_size))
    first: dict[str, Any] = {"embedding": embedding}
    if isinstance(network, Decoder):
        feed = network.width if network.input_feeding else 0
        first |= {"context": network.context, "input_feed": feed}
    kind = model.config.cell
    layers: list[list[Layer]] = []
    for directions in stack_layers(network.stack):
        options = {} if layers else first
        layers.append([FastLayer(kind, each.weights, arithmetic, **options) for each in directions])
    return LayerStack(layers, keep_outputs=keep_outputs)


class _PackedAttention(nn.Module):
    """Attention with packed queries and results, and fp32 arithmetic.

    In the general form the map applies to the queries, not to the keys: half the memory to read.
    """

    def __init__(self, attention: Attention, arithmetic: Arithmetic):
        super().__init__()
        self.attention, self.pack = _rounded(attention, arithmetic), arithmetic.pack
        self.keys = self.attention.keys
        self.queries: Product = arithmetic.unpack
        if attention.kind == "general":
            # Rounded twice, as the weights of an int8 bundle are.
            (matrix,) = arithmetic.matrices(self.attention.key.weight.t())
            self.attention.kind = "dot"
            self.queries = arithmetic.product(matrix)
            del self.attention.key

    def forward(
        self, queries: Tensor, memory: Tensor, keys: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        attended: tuple[Tensor, Tensor] = self.attention(queries, memory, keys, mask)
        return attended


def _rounded(module: ModuleT, arithmetic: Arithmetic) -> ModuleT:
    """Copy a module, and round its matrices to the arithmetic's precision."""
    rounded = copy.deepcopy(module)
    for parameter in rounded.parameters():
        if parameter.dim() == 2:
            parameter.data = arithmetic.matrices(parameter)[0].floats
    return rounded
