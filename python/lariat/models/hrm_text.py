# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""HRM-Text: two stacks in nested loops of fixed length, gated attention, norms without weights.

Source: transformers' HrmTextForCausalLM. Reads the fused tensors of released files (`attn.gqkv_proj`, rows gate, q, k,
v; `mlp.gate_up_proj`, rows gate, up) and the split names of the class.
"""

from __future__ import annotations

from lariat._checkpoint import Checkpoint
from lariat._config import COUNTS, MOST_LAYERS, Config, Size, is_number
from lariat._ir import arithmetic as math
from lariat._ir import attributes as attr
from lariat._ir import ops
from lariat._ir.builder import INDEX, Builder, Tensor, Value
from lariat.models._layers import LayerShape, Place, Project, attend, read_layer_shape, swiglu
from lariat.models._model import Model

_FUSED = {
    "self_attn.gate_proj": ("attn.gqkv_proj", 0), "self_attn.q_proj": ("attn.gqkv_proj", 1),
    "self_attn.k_proj": ("attn.gqkv_proj", 2), "self_attn.v_proj": ("attn.gqkv_proj", 3),
    "self_attn.o_proj": ("attn.o_proj", 0), "mlp.gate_proj": ("mlp.gate_up_proj", 0),
    "mlp.up_proj": ("mlp.gate_up_proj", 1), "mlp.down_proj": ("mlp.down_proj", 0),
}  # fmt: skip
_PARTS = {"attn.gqkv_proj": 4, "mlp.gate_up_proj": 2}


def build(config: Config, checkpoint: Checkpoint) -> str:
    """IR text of an HRM-Text model."""
    # Config.
    model = Model(config, checkpoint)
    shape = read_layer_shape(config)
    vocab, context = config.size("vocab_size"), shape.context
    h_cycles, l_cycles = config.layers("H_cycles"), config.layers("L_cycles")
    num_layers = _read_num_layers(config, h_cycles, l_cycles)
    if shape.attention.kv_heads != shape.attention.heads:
        raise config.wrong("num_key_value_heads", f"{shape.attention.heads} of 'num_attention_heads'")
    scale = _read_embedding_scale(config)
    prefix_mask = config.flag("prefix_lm", True)
    tied = config.flag("tie_word_embeddings", False)
    summary = f"{h_cycles} x ({l_cycles} x L + H), {num_layers} layers each"
    model.describe("hrm_text", "decoder", vocab, context, config.eos(), summary)
    config.finish({"L_bp_cycles": COUNTS})
    model.attributes["lariat.loops"] = attr.loops(h_cycles, h_cycles, h_cycles)
    heads = shape.attention
    cache = model.cache("kv", num_layers, heads.kv_heads, heads.head_dim, (l_cycles + 1) * h_cycles, attr.own("skip"))
    mask = attr.mask("prefix" if prefix_mask else "causal")

    # Weight map.
    is_fused = any(name.endswith((".gqkv_proj.weight", ".gate_up_proj.weight")) for name in checkpoint.tensors)

    def project(x: Value, name: str, width: int, as_: str) -> Value:
        stack, _, local = name.partition("_module.layers.")
        layer, _, part = local.partition(".")
        fused, index = _FUSED[part]
        fused = f"{stack}_module.layers.{layer}.{fused}"
        if not is_fused:
            return model.linear(x, name, width, as_=as_)
        count = _PARTS.get(_FUSED[part][0], 1)
        stored = (Size(count * width, getattr(width, "key", "")), x.width)
        rows = (index * width, (index + 1) * width) if count > 1 else None
        symbol = name.removeprefix("model.")
        weight = model.weight(f"{fused}.weight", (width, x.width), symbol=symbol, stored=stored, rows=rows)
        with model.f.part(name):
            return ops.linear(model.f, x, weight=weight, result_type=x.rows.wide(width), name=as_)

    def stack(x: Value, name: str, slot: Value) -> Value:
        for layer in range(num_layers):
            place = Place(cache, layer, slot, mask)
            x = _layer(model, x, f"model.{name}_module.layers.{layer}", shape, place, project)
        return _norm(model, x, f"model.{name}_module.final_norm", shape.eps)

    # Prelude.
    f = model.f
    entry = model.begin()
    high = model.embed(entry.ids, "model.embed_tokens", vocab, shape.width)
    with f.part("model.embed_tokens"):
        high = math.scaled(f, high, scale, "high")
    initial = model.weight("model.z_L_init", (shape.width,))
    with f.part("model.z_L_init"):
        low = ops.value_of(f, weight=initial, result_type=Tensor((int(shape.width),)), name="initial")
        low = ops.spread(f, low, entry.rows, result_type=high.type, name="low")

    # Core: slot (L_cycles + 1) h + l, the H stack being l = L_cycles.
    with f.part("H cycles"):
        outer = math.for_body(f, "h", ("high", high.type), ("low", low.type))
    with outer:
        h, zh, zl = outer.arguments
        with f.part("H cycles"):
            base = _index(f, "arith.muli", h, math.index(f, l_cycles + 1, "passes"), "base")
            inner = math.for_body(f, "l", ("low", zl.type))
        with inner:
            index, z = inner.arguments
            with f.part("L cycles"):
                slot = _index(f, "arith.addi", base, index, "slot")
                z = math.add(f, z, zh, "low")
            z = stack(z, "L", slot)
            math.for_yield(f, z)
        with f.part("L cycles"):
            count = math.index(f, l_cycles, "l_cycles")
            (zl,) = math.for_loop(f, count, inner, [zl], ["low"])
            slot = _index(f, "arith.addi", base, count, "slot")
            zh = math.add(f, zh, zl, "high")
        zh = stack(zh, "H", slot)
        math.for_yield(f, zh, zl)
    with f.part("H cycles"):
        high, _ = math.for_loop(f, math.index(f, h_cycles, "h_cycles"), outer, [high, low], ["high", "low"])

    # Coda.
    return model.finish(logits=model.head(model.wanted(high), vocab, tied))


def _read_num_layers(config: Config, h_cycles: Size, l_cycles: Size) -> Size:
    """Layers of one stack. `num_hidden_layers` of a saved file counts every pass."""
    total = config.size("num_hidden_layers")
    if "num_layers_per_stack" not in config:
        return total if total <= MOST_LAYERS else config.layers("num_hidden_layers")
    num_layers = config.layers("num_layers_per_stack")
    passes = h_cycles * (l_cycles + 1)
    if total not in (num_layers * passes, num_layers):
        counted = "'num_layers_per_stack' * 'H_cycles' * ('L_cycles' + 1)"
        raise config.wrong("num_hidden_layers", f"{num_layers * passes}, which is {counted}")
    return num_layers


def _read_embedding_scale(config: Config) -> float:
    positive = ("a number above 0 or null", lambda value: value is None or (is_number(value) and value > 0))
    scale = config.get("embedding_scale", positive, None)
    return float(scale) if scale is not None else 1.0 / config.number("initializer_range", 0.02)


def _layer(model: Model, x: Value, prefix: str, shape: LayerShape, place: Place, project: Project) -> Value:
    """The output of attention is multiplied by a gate of its input."""
    f = model.f
    n = _norm(model, x, f"{prefix}.input_layernorm", shape.eps)
    gate = project(n, f"{prefix}.self_attn.gate_proj", shape.attention.query_width, "gate")
    seen = attend(model, n, f"{prefix}.self_attn", shape.attention, place, project)
    with f.part(f"{prefix}.self_attn"):
        seen = math.multiply(f, math.sigmoid(f, gate, "gate"), seen, "gated")
    attended = project(seen, f"{prefix}.self_attn.o_proj", shape.width, "o")
    with f.part(prefix):
        y = math.add(f, x, attended, "x")
    n = _norm(model, y, f"{prefix}.post_attention_layernorm", shape.eps)
    fed = swiglu(model, n, f"{prefix}.mlp", shape, project)
    with f.part(prefix):
        return math.add(f, y, fed, "x")


def _norm(model: Model, x: Value, name: str, eps: float) -> Value:
    with model.f.part(name):
        return ops.norm(model.f, x, kind="rms", eps=eps, name="n")


def _index(f: Builder, op: str, a: Value, b: Value, name: str) -> Value:
    (value,) = f.op(op, operands=[a, b], results=[(name, INDEX)])
    return value
