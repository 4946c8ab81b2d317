# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Mixture-of-Depths: a Llama in which some layers run for the rows with the largest scores only; the others pass.

Source: https://arxiv.org/abs/2404.02258. In a routed layer z = W x, the k = max(1, floor(capacity * S)) rows with the
largest z become z * Layer(x), Layer with its residuals; rows see those that the layer ran for. Top-k is not causal: to
generate, a predictor p(x) decides each row by sigmoid(p) > 1/2. Without one the model only scores.

Keys of config.json besides those of Llama; no file format is published, so they and the names of tensors are ours:

    mod_layers      numbers of the routed layers (default: every other one, from layer 1 on)
    mod_capacity    share "n/d" of a sequence (1/8)
    mod_predictor   linear, mlp (D -> 2D -> GELU -> 1), or null (default): none

Tensors of routed layer N: model.layers.N.mod_router.weight; model.layers.N.mod_predictor.weight, or `.0.weight` and
`.2.weight` of an MLP.
"""

from __future__ import annotations

from lariat._checkpoint import Checkpoint
from lariat._config import Config, Size, is_integer, one_of
from lariat._ir import arithmetic as math
from lariat._ir import attributes as attr
from lariat._ir import ops
from lariat._ir.builder import Value
from lariat.models._layers import Place, llama_layer, own_cache, read_layer_shape
from lariat.models._model import Model
from lariat.models._routers import Rule, capacity_of, is_share, keep, score


def build(config: Config, checkpoint: Checkpoint) -> str:
    """IR text of a Mixture-of-Depths model."""
    # Config.
    model = Model(config, checkpoint)
    f = model.f
    shape = read_layer_shape(config, context=2048)
    vocab, context = config.size("vocab_size"), shape.context
    num_layers = config.layers("num_hidden_layers")
    routed = _read_layers(config, num_layers)
    share = config.get("mod_capacity", ('a share like "1/8"', is_share), "1/8")
    predictor = config.get("mod_predictor", one_of("linear", "mlp", None), None)
    tied = config.flag("tie_word_embeddings", False)
    summary = f"{num_layers} layers, {len(routed)} of them for {share} of the rows"
    model.describe("mod", "decoder", vocab, context, config.eos(), summary)
    config.finish()
    capacity = capacity_of(config, "mod_capacity", [share])
    model.attributes["lariat.loops"] = attr.loops(1, 1, 1)
    heads = shape.attention
    # A slot per routed layer, for each has rows of its own.
    slots = model.cache("kv_routed", 1, heads.kv_heads, heads.head_dim, len(routed), attr.own("skip"))
    plain = own_cache(model, "kv", num_layers - len(routed), heads) if len(routed) < num_layers else ""

    # Layers.
    entry = model.begin(capacity=1)
    x = model.embed(entry.ids, "model.embed_tokens", vocab, shape.width)

    def predict(layer: int, x: Value) -> Value:
        name = f"model.layers.{layer}.mod_predictor"
        return score(model, x, predictor, name, symbol=name.removeprefix("model."))

    def routed_layer(x: Value, layer: int) -> Value:
        name = f"model.layers.{layer}"
        z = score(model, x, "linear", f"{name}.mod_router", symbol=f"layers.{layer}.mod_router")
        with f.part(f"{name}.mod_router"):
            rule = None if predictor is None else Rule(0.0, lambda rows: predict(layer, x), strict=True)
            kept = keep(model, entry, z, entry.rows, capacity, rule)
            chosen = math.take(f, x, kept, "x")
            slot = math.index(f, routed.index(layer), "slot")
        y = llama_layer(model, chosen, name, shape, Place(slots, 0, slot), model.project)
        with f.part(f"{name}.mod_router"):
            gate = math.widen(f, math.take(f, z, kept, "z"), y.width, "gate")
            return ops.put(f, math.multiply(f, gate, y, "y"), kept, x, entry.rows, name="x")

    for layer in range(num_layers):
        if layer in routed:
            x = routed_layer(x, layer)
        else:
            place = Place(plain, layer - sum(other < layer for other in routed))
            x = llama_layer(model, x, f"model.layers.{layer}", shape, place, model.project)

    # Head.
    x = model.norm(model.wanted(x), "model.norm", shape.eps)
    return model.finish(logits=model.head(x, vocab, tied))


def _read_layers(config: Config, num_layers: Size) -> list[int]:
    """Numbers of the routed layers, ascending."""

    def fits(value: object) -> bool:
        numbers = value if isinstance(value, list) else []
        inside = all(is_integer(number) and 0 <= number < num_layers for number in numbers)
        return bool(numbers) and inside and sorted(set(numbers)) == numbers

    words = f"different layer numbers below {num_layers}, ascending"
    layers = list(config.get("mod_layers", (words, fits), list(range(1, num_layers, 2))))
    if not layers:
        raise config.error("'num_hidden_layers' is 1, expected 'mod_layers' to name the routed layer")
    return layers
