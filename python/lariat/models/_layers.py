# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The pieces of Llama-like layers: attention through a cache, the gated feed-forward, their shape in config.json."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lariat._config import OPTIONAL_BOOLEAN, OPTIONAL_COUNT, OPTIONAL_TEXTS, Config, Size, is_integer
from lariat._ir import arithmetic as math
from lariat._ir import attributes as attr
from lariat._ir import ops
from lariat._ir.attributes import Attribute
from lariat._ir.builder import Value
from lariat._rope import Rope, limit, read_rope
from lariat.models._model import Model

__all__ = ["AttentionShape", "LayerShape", "Place", "Project", "attend", "keys_and_values", "llama_layer",
           "own_cache", "read_layer_shape", "swiglu"]  # fmt: skip

Project = Callable[[Value, str, int, str], Value]
"""Multiply rows by the projection of the given name: (x, name, width, suggested name of the result)."""


@dataclass(frozen=True)
class AttentionShape:
    """Heads and rotation of an attention."""

    heads: Size
    kv_heads: Size
    head_dim: Size
    rope: Rope
    style: ops.RopeStyle | None = None

    @property
    def query_width(self) -> Size:
        return self.heads.times(self.head_dim)

    @property
    def kv_width(self) -> Size:
        return self.kv_heads.times(self.head_dim)


@dataclass(frozen=True)
class LayerShape:
    """Sizes of a layer, and the positions of a sequence that its rotations are for."""

    width: Size
    inner: Size
    eps: float
    attention: AttentionShape
    context: Size


@dataclass(frozen=True)
class Place:
    """Where the keys and values of a layer go, and what its rows see."""

    cache: str
    layer: int
    slot: Value | None = None
    mask: Attribute = attr.mask("causal")


def read_layer_shape(
    config: Config, *, eps: float = 1e-6, context: int | None = None, may_have_bias: bool = False
) -> LayerShape:
    """Sizes under the keys of Llama and its descendants; `context` where config.json has none.

    Biases, unless the family has them, and windows are refused.
    """
    _refuse_other_layers(config, may_have_bias)
    width = config.size("hidden_size")
    heads = config.size("num_attention_heads")
    kv_heads = config.size("num_key_value_heads", heads, nullable=True)
    if heads % kv_heads:
        raise config.error(
            f"'num_attention_heads' is {heads}, expected a multiple of 'num_key_value_heads', {kv_heads}"
        )
    if config.get("head_dim", ("an integer or null", lambda v: v is None or is_integer(v)), None) is None:
        if width % heads:
            raise config.error(f"'hidden_size' is {width}, expected a multiple of 'num_attention_heads', {heads}")
        head_dim = Size(width // heads, "hidden_size / num_attention_heads")
    else:
        head_dim = config.size("head_dim")
    if head_dim % 2:
        raise config.error(f"'head_dim' is {head_dim}, expected an even number for rotary positions")
    config.unsupported("hidden_act", ("a string", lambda v: isinstance(v, str)), ["silu", "swish"])
    key = "max_position_embeddings"
    declared = config.size(key) if context is None else config.size(key, context)
    attention = AttentionShape(heads, kv_heads, head_dim, read_rope(config, head_dim, declared))
    longest = limit(declared, attention.rope)
    return LayerShape(width, config.size("intermediate_size"), config.number("rms_norm_eps", eps), attention, longest)


def _refuse_other_layers(config: Config, may_have_bias: bool) -> None:
    for key in () if may_have_bias else ("attention_bias", "mlp_bias"):
        config.unsupported(key, OPTIONAL_BOOLEAN, [False, None])
    types = config.get("layer_types", OPTIONAL_TEXTS, None)
    if any(one != "full_attention" for one in types or []):
        config.unsupported("layer_types", OPTIONAL_TEXTS, [None])
    # A window that is switched off is none, whatever its size.
    config.same("max_window_layers", OPTIONAL_COUNT)
    if config.get("use_sliding_window", OPTIONAL_BOOLEAN, None) is False:
        config.same("sliding_window", OPTIONAL_COUNT)
    else:
        config.unsupported("sliding_window", OPTIONAL_COUNT, [None])


def own_cache(model: Model, name: str, layers: int, shape: AttentionShape) -> str:
    """The cache of layers outside the loop."""
    return model.cache(name, layers, shape.kv_heads, shape.head_dim, 1, attr.own("skip"))


def rotate(model: Model, x: Value, heads: int, shape: AttentionShape, name: str) -> Value:
    f, rope = model.f, shape.rope
    frequencies = None if rope.frequencies is None else attr.numbers(rope.frequencies)
    return ops.rope(f, x, f.rows_of(x), heads=heads, theta=rope.theta, frequencies=frequencies,
                    magnitude=rope.magnitude, dims=rope.dims, scaling=rope.scaling, style=shape.style,
                    name=name)  # fmt: skip


def keys_and_values(
    model: Model, n: Value, prefix: str, shape: AttentionShape, project: Project
) -> tuple[Value, Value]:
    """Rotated keys, and values, of normed rows."""
    key = project(n, f"{prefix}.k_proj", shape.kv_width, "k")
    value = project(n, f"{prefix}.v_proj", shape.kv_width, "v")
    with model.f.part(f"{prefix}.k_proj"):
        return rotate(model, key, shape.kv_heads, shape, "k"), value


def store(model: Model, n: Value, prefix: str, shape: AttentionShape, place: Place, project: Project) -> None:
    """Append the keys and values of normed rows."""
    key, value = keys_and_values(model, n, prefix, shape, project)
    with model.f.part(prefix):
        ops.append(model.f, key, value, model.f.rows_of(n), cache=place.cache, layer=place.layer, slot=place.slot)


def store_all(model: Model, x: Value, num_layers: int, shape: LayerShape, cache: str, project: Project) -> None:
    """Append, for every layer of the loop, the keys and values of rows that stopped before it, from their input x."""
    for layer in range(num_layers):
        prefix = f"model.layers.{layer}"
        n = model.norm(x, f"{prefix}.input_layernorm", shape.eps)
        store(model, n, f"{prefix}.self_attn", shape.attention, Place(cache, layer), project)


def attend(model: Model, n: Value, prefix: str, shape: AttentionShape, place: Place, project: Project) -> Value:
    """Rows of normed inputs see the cache, to which their own keys and values are appended first."""
    query = project(n, f"{prefix}.q_proj", shape.query_width, "q")
    with model.f.part(f"{prefix}.q_proj"):
        query = rotate(model, query, shape.heads, shape, "q")
    store(model, n, prefix, shape, place, project)
    with model.f.part(prefix):
        return ops.attend(model.f, query, model.f.rows_of(n), cache=place.cache, layer=place.layer,
                          heads=shape.heads, mask=place.mask, slot=place.slot, name="seen")  # fmt: skip


def self_attention(model: Model, n: Value, prefix: str, shape: LayerShape, place: Place, project: Project) -> Value:
    seen = attend(model, n, prefix, shape.attention, place, project)
    return project(seen, f"{prefix}.o_proj", shape.width, "o")


def swiglu(model: Model, n: Value, prefix: str, shape: LayerShape, project: Project) -> Value:
    """W_down(silu(W_gate n) * (W_up n))."""
    gate = project(n, f"{prefix}.gate_proj", shape.inner, "gate")
    up = project(n, f"{prefix}.up_proj", shape.inner, "up")
    with model.f.part(prefix):
        inner = math.multiply(model.f, math.silu(model.f, gate), up, "inner")
    return project(inner, f"{prefix}.down_proj", shape.width, "down")


def llama_layer(model: Model, x: Value, prefix: str, shape: LayerShape, place: Place, project: Project) -> Value:
    """x + attention(rms(x)), then the same with the feed-forward."""
    n = model.norm(x, f"{prefix}.input_layernorm", shape.eps)
    attended = self_attention(model, n, f"{prefix}.self_attn", shape, place, project)
    with model.f.part(prefix):
        y = math.add(model.f, x, attended, "x")
    n = model.norm(y, f"{prefix}.post_attention_layernorm", shape.eps)
    fed = swiglu(model, n, f"{prefix}.mlp", shape, project)
    with model.f.part(prefix):
        return math.add(model.f, y, fed, "x")
