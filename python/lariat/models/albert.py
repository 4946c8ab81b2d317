# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ALBERT: an encoder that applies one group of layers again and again, or a few groups one after the other.

Source: transformers' AlbertModel and AlbertForMaskedLM. All token types are 0. The pooler is not used.
"""

from __future__ import annotations

from collections.abc import Sequence

from lariat._checkpoint import Checkpoint
from lariat._config import COUNT, OPTIONAL_SHARE, SHARE, Config, one_of
from lariat._ir import arithmetic as math
from lariat._ir import attributes as attr
from lariat._ir import ops
from lariat._ir.builder import RowTensor, Tensor, Value
from lariat.models._exit import loop
from lariat.models._model import Model

_ACTIVATIONS = {"gelu_new": math.gelu_tanh, "gelu_pytorch_tanh": math.gelu_tanh, "gelu": math.gelu_erf}
_OTHER_KEYS = {
    "attention_probs_dropout_prob": SHARE, "classifier_dropout_prob": OPTIONAL_SHARE, "down_scale_factor": COUNT,
    "gap_size": COUNT, "hidden_dropout_prob": SHARE, "net_structure_type": COUNT, "num_memory_blocks": COUNT,
    "layers_to_keep": ("an empty list", lambda value: value == []),
}  # fmt: skip


def build(config: Config, checkpoint: Checkpoint) -> str:
    """IR text of an ALBERT encoder, with logits where the checkpoint has a masked-language head."""
    # Config.
    model = Model(config, checkpoint)
    vocab, context = config.size("vocab_size"), config.size("max_position_embeddings", 512)
    width, narrow = config.size("hidden_size"), config.size("embedding_size")
    heads = config.size("num_attention_heads")
    if width % heads:
        raise config.wrong("num_attention_heads", f"a divisor of 'hidden_size', {width}")
    num_visits, num_groups = config.layers("num_hidden_layers"), config.layers("num_hidden_groups", 1)
    if num_groups > num_visits:
        raise config.wrong("num_hidden_groups", f"at most {num_visits} of 'num_hidden_layers'")
    num_inner = config.layers("inner_group_num", 1)
    inner, eps = config.size("intermediate_size"), config.number("layer_norm_eps", 1e-12)
    types = config.size("type_vocab_size", 2)
    config.get("position_embedding_type", one_of("absolute"), "absolute")
    config.unsupported("hidden_act", ("a string", lambda v: isinstance(v, str)), list(_ACTIVATIONS))
    activation = _ACTIVATIONS.get(
        str(config.get("hidden_act", ("a string", lambda v: True), "gelu_new")), math.gelu_tanh
    )
    config.get("tie_word_embeddings", one_of(True), True)
    summary = f"{num_groups} x {num_inner} layers x {num_visits} loop steps"
    model.describe("albert", "encoder", vocab, context, config.eos(), summary)
    config.finish(_OTHER_KEYS)
    model.attributes["lariat.loops"] = attr.loops(num_visits, num_visits, num_visits)

    # Weight map: with one group a weight is itself, with more it is indexed by depth.
    root = "albert." if any(name.startswith("albert.") for name in checkpoint.tensors) else ""
    model.ignore(lambda name: name.startswith((f"{root}pooler.", "sop_classifier.")))
    f = model.f

    def grouped(name: str, shape: Sequence[int]) -> str:
        groups = [int(visit / (num_visits / num_groups)) for visit in range(num_visits)]
        names = [f"{root}encoder.albert_layer_groups.{group}.{name}" for group in groups]
        symbol = name.removesuffix(".weight")
        return model.weight(names[0], shape, symbol=symbol, stack=names if num_groups > 1 else None)

    def by(x: Value) -> Value | None:
        return f.rows_of(x) if num_groups > 1 else None

    def linear(x: Value, name: str, out: int, as_: str) -> Value:
        weight, bias = grouped(f"{name}.weight", (out, x.width)), grouped(f"{name}.bias", (out,))
        with f.part(name):
            return ops.linear(f, x, weight=weight, bias=bias, by=by(x), result_type=x.rows.wide(out), name=as_)

    def norm(x: Value, name: str) -> Value:
        weight, bias = grouped(f"{name}.weight", (width,)), grouped(f"{name}.bias", (width,))
        with f.part(name):
            return ops.norm(f, x, kind="layer", weight=weight, bias=bias, eps=eps, by=by(x), name="x")

    def layer(x: Value, prefix: str) -> Value:
        q, k, v = (linear(x, f"{prefix}.attention.{part}", width, part) for part in ("query", "key", "value"))
        with f.part(f"{prefix}.attention"):
            seen = ops.attention(f, q, k, v, f.rows_of(x), query_heads=heads, kv_heads=heads,
                                 mask=attr.mask("full"), name="seen")  # fmt: skip
        attended = linear(seen, f"{prefix}.attention.dense", width, "o")
        with f.part(f"{prefix}.attention"):
            attended = math.add(f, x, attended, "y")
        y = norm(attended, f"{prefix}.attention.LayerNorm")
        fed = linear(y, f"{prefix}.ffn", inner, "inner")
        with f.part(f"{prefix}.ffn"):
            fed = activation(f, fed)
        fed = linear(fed, f"{prefix}.ffn_output", width, "down")
        with f.part(prefix):
            fed = math.add(f, fed, y, "x")
        return norm(fed, f"{prefix}.full_layer_layer_norm")

    # Prelude.
    entry = model.begin(loops=True)
    names = f"{root}embeddings"
    x = model.embed(entry.ids, f"{names}.word_embeddings", vocab, narrow)
    with f.part(f"{names}.position_embeddings"):
        type = RowTensor((), "index", entry.rows.label)
        position = ops.position_of(f, entry.rows, result_type=type, name="position")
    positions = model.embed(position, f"{names}.position_embeddings", context, narrow)
    token_type = model.weight(f"{names}.token_type_embeddings.weight", (narrow,), stored=(types, narrow), rows=(0, 1))
    with f.part(names):
        zero = ops.value_of(f, weight=token_type, result_type=Tensor((int(narrow),)), name="token_type")
        x = math.add(f, x, ops.spread(f, zero, entry.rows, result_type=x.type, name="token_type"))
        x = math.add(f, x, positions)
    x = model.norm(x, f"{names}.LayerNorm", eps, "layer", bias=True)
    x = model.linear(x, f"{root}encoder.embedding_hidden_mapping_in", width, bias=True, as_="x")

    # Core.
    def step(rows: Value, carried: Sequence[Value]) -> tuple[Value, Sequence[Value], None]:
        (x,) = carried
        for index in range(num_inner):
            x = layer(x, f"albert_layers.{index}")
        return rows, [x], None

    (x,), steps = loop(model, entry, [("x", x)], step)

    # Coda.
    if not any(name.startswith("predictions.") for name in checkpoint.tensors):
        return model.finish(hidden=x, steps=steps)
    y = model.linear(model.wanted(x), "predictions.dense", narrow, bias=True)
    with f.part("predictions"):
        y = activation(f, y)
    y = model.norm(y, "predictions.LayerNorm", eps, "layer", bias=True)
    weight = model.weight(model.tie("predictions.decoder.weight", f"{names}.word_embeddings.weight"), (vocab, narrow))
    bias = model.weight(model.tie("predictions.decoder.bias", "predictions.bias"), (vocab,))
    with f.part("predictions.decoder"):
        logits = ops.linear(f, y, weight=weight, bias=bias, result_type=y.rows.wide(vocab), name="logits")
    return model.finish(logits=logits, hidden=x, steps=steps)
