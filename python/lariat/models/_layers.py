# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The pieces of Llama-like layers: attention through a cache, the gated feed-forward, their shape in config.json."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lariat._config import NUMBER, Config, Size, is_integer, one_of
from lariat._ir import arithmetic as math
from lariat._ir import attributes as attr
from lariat._ir import ops
from lariat._ir.attributes import Attribute
from lariat._ir.builder import Value
from lariat.models._model import Model

__all__ = ["AttentionShape", "LayerShape", "Place", "Project", "attend", "keys_and_values", "llama_layer",
           "own_cache", "read_layer_shape", "read_rope", "swiglu"]  # fmt: skip

Project = Callable[[Value, str, int, str], Value]
"""Multiply rows by the projection of the given name: (x, name, width, suggested name of the result)."""


@dataclass(frozen=True)
class AttentionShape:
    """Heads and rotation of an attention."""

    heads: Size
    kv_heads: Size
    head_dim: Size
    theta: float
    scaling: Attribute | None = None
    style: ops.RopeStyle | None = None

    @property
    def query_width(self) -> Size:
        return self.heads.times(self.head_dim)

    @property
    def kv_width(self) -> Size:
        return self.kv_heads.times(self.head_dim)


@dataclass(frozen=True)
class LayerShape:
    """Sizes of a layer."""

    width: Size
    inner: Size
    eps: float
    attention: AttentionShape


@dataclass(frozen=True)
class Place:
    """Where the keys and values of a layer go, and what its rows see."""

    cache: str
    layer: int
    slot: Value | None = None
    mask: Attribute = attr.mask("causal")


def read_layer_shape(config: Config, *, eps: float = 1e-6) -> LayerShape:
    """Sizes under the keys of Llama and its descendants."""
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
    config.unsupported("hidden_act", ("a string", lambda v: isinstance(v, str)), ["silu"])
    theta, scaling = read_rope(config)
    attention = AttentionShape(heads, kv_heads, head_dim, theta, scaling)
    return LayerShape(width, config.size("intermediate_size"), config.number("rms_norm_eps", eps), attention)


def read_rope(config: Config) -> tuple[float, Attribute | None]:
    """Theta and scaling, from `rope_theta` and `rope_scaling` or from `rope_parameters`."""
    theta = config.number("rope_theta", 10000.0)
    config.get("partial_rotary_factor", one_of(1, 1.0, None), None)
    scaling: Attribute | None = None
    for key in ("rope_parameters", "rope_scaling"):
        inner = config.inner(key)
        if inner is None:
            continue
        if "rope_theta" in inner:
            inside = inner.number("rope_theta")
            if "rope_theta" in config and inside != theta:
                raise config.error(f"'rope_theta' is {theta:g}, but '{key}.rope_theta' is {inside:g}")
            theta = inside
        scaling = _read_scaling(inner) or scaling
    return theta, scaling


def _read_scaling(inner: Config) -> Attribute | None:
    text = ("a string", lambda value: isinstance(value, str))
    key = "rope_type" if "rope_type" in inner else "type"
    kind = inner.get(key, text, "default")
    inner.same("type", text)
    inner.get("partial_rotary_factor", one_of(1, 1.0, None), None)
    scaling = None
    if kind == "linear":
        scaling = attr.rope_scaling("linear", inner.number("factor"))
    elif kind == "llama3":
        low, high = inner.number("low_freq_factor"), inner.number("high_freq_factor")
        if low >= high:
            raise inner.error(f"'low_freq_factor' is {low:g}, expected less than 'high_freq_factor', {high:g}")
        original = inner.size("original_max_position_embeddings")
        scaling = attr.rope_scaling("llama3", inner.number("factor"), (low, high, original))
    elif kind != "default":
        inner.unsupported(key, text, ["default", "linear", "llama3"])
        for other in ("factor", "original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow",
                      "short_factor", "long_factor", "mscale", "mscale_all_dim", "truncate"):  # fmt: skip
            inner.same(other, ("a value", lambda value: True))
        return None
    inner.finish({"factor": NUMBER})
    return scaling


def own_cache(model: Model, name: str, layers: int, shape: AttentionShape) -> str:
    """The cache of layers outside the loop."""
    return model.cache(name, layers, shape.kv_heads, shape.head_dim, 1, attr.own("skip"))


def rotate(model: Model, x: Value, heads: int, shape: AttentionShape, name: str) -> Value:
    f = model.f
    return ops.rope(f, x, f.rows_of(x), heads=heads, theta=shape.theta, scaling=shape.scaling,
                    style=shape.style, name=name)  # fmt: skip


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
    """What each layer of the loop would append for rows whose input is x: all that a row owes that does not run it."""
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
