# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The models that are measured: their sizes, their config.json, and what one call of them costs at least.

Counts are of the computation, not of an implementation: every weight matrix times every row, the causal half of
attention, the head on one row. A system that computes less than that can pass the limit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

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

    def with_loops(self, loops: int) -> Shape:
        return replace(self, loops=loops)

    @property
    def num_layer_weights(self) -> int:
        attention = self.width * self.head_dim * 2 * (self.heads + self.kv_heads)
        return attention + 3 * self.width * self.inner

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

    def config(self) -> dict[str, Any]:
        """config.json of a checkpoint."""
        common: dict[str, Any] = {
            "model_type": self.family,
            "hidden_size": self.width,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "intermediate_size": self.inner,
            "vocab_size": self.vocab,
            "max_position_embeddings": self.context,
            "rope_theta": 10000.0,
            "rms_norm_eps": 1e-5,
            "tie_word_embeddings": True,
            "torch_dtype": "float32",
            "bos_token_id": 0,
            "eos_token_id": 1,
        }
        if self.family == "nanbeige":
            own: dict[str, Any] = {
                "num_hidden_layers": self.shared,
                "num_loops": self.loops,
                "skip_loop_final_norm": True,
            }
        else:
            own = {
                "num_shared_layers": self.shared,
                "num_recursions": self.loops,
                "sharing": "middle_cycle",
                "router_type": "expert",
                "router_func": "sigmoid",
                "router_alpha": 0.1,
                "capacity": ["1/1"] * self.loops,
                "decode_threshold": 1e-30,
                "kv_policy": "recursion-wise",
            }
        return {**common, **own}

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Names and shapes of the stored tensors."""
        yield "model.embed_tokens.weight", (self.vocab, self.width)
        yield "model.norm.weight", (self.width,)
        query, entry = self.heads * self.head_dim, self.kv_heads * self.head_dim
        for layer in range(self.num_layers):
            prefix = f"model.layers.{layer}"
            yield f"{prefix}.input_layernorm.weight", (self.width,)
            yield f"{prefix}.post_attention_layernorm.weight", (self.width,)
            yield f"{prefix}.self_attn.q_proj.weight", (query, self.width)
            yield f"{prefix}.self_attn.k_proj.weight", (entry, self.width)
            yield f"{prefix}.self_attn.v_proj.weight", (entry, self.width)
            yield f"{prefix}.self_attn.o_proj.weight", (self.width, query)
            yield f"{prefix}.mlp.gate_proj.weight", (self.inner, self.width)
            yield f"{prefix}.mlp.up_proj.weight", (self.inner, self.width)
            yield f"{prefix}.mlp.down_proj.weight", (self.width, self.inner)
        if self.family == "mor":
            for depth in range(self.loops):
                yield f"model.routers.{depth}.weight", (1, self.width)

    @property
    def num_weights(self) -> int:
        return sum(math.prod(shape) for _, shape in self.tensors())


SHAPES = {
    shape.name: shape
    for shape in (
        # SmolLM-135M's layers as Mixture-of-Recursions shares them: 1 + 10 x 3 + 1 of 32 layers.
        Shape("mor135", "mor", 576, 9, 3, 64, 1536, 49152, prelude=1, shared=10, loops=3, coda=1),
        # One layer that is a loop: its 12.8 MB fit in a cache that all its loop steps can read from.
        Shape("loop512", "nanbeige", 512, 8, 8, 64, 1408, 256, prelude=0, shared=1, loops=12, coda=0),
        # Seconds on the reference path: for trying the command, not for figures.
        Shape("smoke", "mor", 64, 4, 2, 16, 128, 97, prelude=1, shared=2, loops=2, coda=1, context=256),
    )
}
