# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The models that are measured: their sizes, their config.json, and what one call of them costs at least.

Counts are of the computation, not of an implementation: every weight matrix times every row, the causal half of
attention, the head on one row. A system that computes less than that can pass the limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

__all__ = ["SHAPES", "Shape", "Stream"]

BYTES = 4  # of a weight, a key or a value: f32


@dataclass(frozen=True)
class Stream:
    """Bytes that one call reads, and the working set that they are read from."""

    num_bytes: int
    working_set: int


@dataclass(frozen=True)
class Shape:
    """A model with a loop of `loops` steps over `shared` layers, between `prelude` and `coda` layers of their own.

    Attributes:
        family: that `lariat import` reads it as. `mor` weights each loop step's result by a router; its capacity is
            the whole sequence and its decode threshold is never missed, so that every row runs every loop step.
        embedding: width of the embedding table; 0 where it is `width`.
        rank: of the low-rank pair that `rrt` has for every loop step and projection; 0 for none.
    """

    name: str
    family: str
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    inner: int
    vocab: int
    prelude: int
    shared: int
    loops: int
    coda: int
    context: int = 1024
    embedding: int = 0
    rank: int = 0

    def with_loops(self, loops: int) -> Shape:
        return replace(self, loops=loops)

    @property
    def is_gated(self) -> bool:
        """Whether the feed-forward part is SwiGLU, with three matrices."""
        return self.family != "albert"

    @property
    def num_layer_weights(self) -> int:
        attention = self.width * self.head_dim * 2 * (self.heads + self.kv_heads)
        return attention + (3 if self.is_gated else 2) * self.width * self.inner

    def projections(self) -> Iterator[tuple[str, int, int]]:
        """Name, outputs and inputs of each matrix of a layer that is SwiGLU."""
        query, entry = self.heads * self.head_dim, self.kv_heads * self.head_dim
        yield "self_attn.q_proj", query, self.width
        yield "self_attn.k_proj", entry, self.width
        yield "self_attn.v_proj", entry, self.width
        yield "self_attn.o_proj", self.width, query
        yield "mlp.gate_proj", self.inner, self.width
        yield "mlp.up_proj", self.inner, self.width
        yield "mlp.down_proj", self.width, self.inner

    @property
    def num_pair_weights(self) -> int:
        """Of the low-rank pairs of one loop step."""
        return self.shared * sum(self.rank * (outputs + inputs) for _, outputs, inputs in self.projections())

    @property
    def num_layers(self) -> int:
        """Layers with weights of their own."""
        return self.prelude + self.shared + self.coda

    @property
    def num_applications(self) -> int:
        """Layers that a row passes, each with keys and values of its own."""
        return self.prelude + self.shared * self.loops + self.coda

    def prefill_flops(self, rows: int) -> int:
        linear = 2 * rows * self.num_layer_weights
        seen = 2 * rows * (rows + 1) * self.heads * self.head_dim
        return self.num_applications * (linear + seen) + 2 * self.width * self.vocab

    def decode_flops(self, context: int) -> int:
        """Of one row that sees `context` earlier ones and itself."""
        layer = 2 * self.num_layer_weights + 4 * (context + 1) * self.heads * self.head_dim
        return self.num_applications * layer + 2 * self.width * self.vocab

    def decode_streams(self, context: int) -> tuple[Stream, Stream]:
        """What a decode step reads: the block, again at each loop step; and everything else, once."""
        block = self.shared * self.num_layer_weights * BYTES
        entries = 2 * context * self.kv_heads * self.head_dim * self.num_applications * BYTES
        other = (self.prelude + self.coda) * self.num_layer_weights * BYTES + self.width * self.vocab * BYTES
        once = other + entries
        return Stream(block * self.loops, block), Stream(once, block + once)


SHAPES = {
    shape.name: shape
    for shape in (
        # SmolLM-135M's layers as Mixture-of-Recursions shares them: 1 + 10 x 3 + 1 of 32 layers.
        Shape("mor135", "mor", 576, 9, 3, 64, 1536, 49152, prelude=1, shared=10, loops=3, coda=1),
        # One layer that is a loop: its 12.8 MB fit in a cache that all its loop steps can read from.
        Shape("loop512", "nanbeige", 512, 8, 8, 64, 1408, 256, prelude=0, shared=1, loops=12, coda=0),
        # The same layer with a low-rank pair per loop step.
        Shape("lora512", "rrt", 512, 8, 8, 64, 1408, 256, prelude=0, shared=1, loops=4, coda=0, rank=64),
        # ALBERT base: one layer that is a loop, in an encoder.
        Shape(
            "albert",
            "albert",
            768,
            12,
            12,
            64,
            3072,
            30000,
            prelude=0,
            shared=1,
            loops=12,
            coda=0,
            context=512,
            embedding=128,
        ),
        # Ouro's layers and gate at a size that a processor serves.
        Shape("ouro-small", "ouro", 512, 8, 8, 64, 1408, 16384, prelude=0, shared=6, loops=4, coda=0),
        # Seconds on the reference path: for trying the command, not for figures.
        Shape("smoke", "mor", 64, 4, 2, 16, 128, 97, prelude=1, shared=2, loops=2, coda=1, context=256),
    )
}
