# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ALBERT: an encoder that applies one group of layers again and again, or a few groups one after the other.

Source: transformers' AlbertModel and AlbertForMaskedLM. All token types are 0. The pooler is not used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lariat._checkpoint import Checkpoint
from lariat._config import COUNT, OPTIONAL_SHARE, SHARE, Config, Size, one_of
from lariat._ir import arithmetic as math
from lariat._ir import attributes as attr
from lariat._ir import ops
from lariat._ir.builder import Builder, RowTensor, Tensor, Value
from lariat.models._exit import loop
from lariat.models._model import Entry, Model

_ACTIVATIONS = {"gelu_new": math.gelu_tanh, "gelu_pytorch_tanh": math.gelu_tanh, "gelu": math.gelu_erf}
_OTHER_KEYS = {
    "attention_probs_dropout_prob": SHARE, "classifier_dropout_prob": OPTIONAL_SHARE, "down_scale_factor": COUNT,
    "gap_size": COUNT, "hidden_dropout_prob": SHARE, "net_structure_type": COUNT, "num_memory_blocks": COUNT,
    "layers_to_keep": ("an empty list", lambda value: value == []),
}  # fmt: skip


@dataclass(frozen=True)
class _Shape:
    """Sizes of the encoder, read from its configuration."""

    vocab: Size
    context: Size
    width: Size
    narrow: Size
    heads: Size
    inner: Size
    visits: int
    groups: int
    layers_per_group: int
    token_types: Size
    eps: float
    activation: Callable[[Builder, Value], Value]

    @staticmethod
    def read(config: Config) -> _Shape:
        width, heads = config.size("hidden_size"), config.size("num_attention_heads")
        if width % heads:
            raise config.wrong("num_attention_heads", f"a divisor of 'hidden_size', {width}")
        visits, groups = config.layers("num_hidden_layers"), config.layers("num_hidden_groups", 1)
        if groups > visits:
            raise config.wrong("num_hidden_groups", f"at most {visits} of 'num_hidden_layers'")
        config.get("position_embedding_type", one_of("absolute"), "absolute")
        config.unsupported("hidden_act", ("a string", lambda v: isinstance(v, str)), list(_ACTIVATIONS))
        activation = str(config.get("hidden_act", ("a string", lambda v: True), "gelu_new"))
        config.get("tie_word_embeddings", one_of(True), True)
        return _Shape(
            vocab=config.size("vocab_size"),
            context=config.size("max_position_embeddings", 512),
            width=width,
            narrow=config.size("embedding_size"),
            heads=heads,
            inner=config.size("intermediate_size"),
            visits=visits,
            groups=groups,
            layers_per_group=config.layers("inner_group_num", 1),
            token_types=config.size("type_vocab_size", 2),
            eps=config.number("layer_norm_eps", 1e-12),
            activation=_ACTIVATIONS.get(activation, math.gelu_tanh),
        )


class _Encoder:
    """Writes the layers of a group: with one group a weight is itself, with more it is indexed by depth."""

    def __init__(self, model: Model, shape: _Shape, root: str) -> None:
        self.model, self.shape, self.root, self.f = model, shape, root, model.f

    def grouped(self, name: str, shape: Sequence[int]) -> str:
        visits, groups = self.shape.visits, self.shape.groups
        chosen = [int(visit / (visits / groups)) for visit in range(visits)]
        names = [f"{self.root}encoder.albert_layer_groups.{group}.{name}" for group in chosen]
        symbol = name.removesuffix(".weight")
        return self.model.weight(names[0], shape, symbol=symbol, stack=names if groups > 1 else None)

    def by(self, x: Value) -> Value | None:
        return self.f.rows_of(x) if self.shape.groups > 1 else None

    def linear(self, x: Value, name: str, out: int, as_: str) -> Value:
        weight, bias = self.grouped(f"{name}.weight", (out, x.width)), self.grouped(f"{name}.bias", (out,))
        with self.f.part(name):
            return ops.linear(
                self.f, x, weight=weight, bias=bias, by=self.by(x), result_type=x.rows.wide(out), name=as_
            )

    def norm(self, x: Value, name: str) -> Value:
        width = self.shape.width
        weight, bias = self.grouped(f"{name}.weight", (width,)), self.grouped(f"{name}.bias", (width,))
        with self.f.part(name):
            return ops.norm(
                self.f, x, kind="layer", weight=weight, bias=bias, eps=self.shape.eps, by=self.by(x), name="x"
            )

    def layer(self, x: Value, prefix: str) -> Value:
        f, width, heads = self.f, self.shape.width, self.shape.heads
        q, k, v = (self.linear(x, f"{prefix}.attention.{part}", width, part) for part in ("query", "key", "value"))
        with f.part(f"{prefix}.attention"):
            seen = ops.attention(f, q, k, v, f.rows_of(x), query_heads=heads, kv_heads=heads,
                                 mask=attr.mask("full"), name="seen")  # fmt: skip
        attended = self.linear(seen, f"{prefix}.attention.dense", width, "o")
        with f.part(f"{prefix}.attention"):
            attended = math.add(f, x, attended, "y")
        y = self.norm(attended, f"{prefix}.attention.LayerNorm")
        fed = self.linear(y, f"{prefix}.ffn", self.shape.inner, "inner")
        with f.part(f"{prefix}.ffn"):
            fed = self.shape.activation(f, fed)
        fed = self.linear(fed, f"{prefix}.ffn_output", width, "down")
        with f.part(prefix):
            fed = math.add(f, fed, y, "x")
        return self.norm(fed, f"{prefix}.full_layer_layer_norm")


def _embed(model: Model, entry: Entry, shape: _Shape, root: str) -> Value:
    """Words, positions and the token type, normalised and widened."""
    f, names = model.f, f"{root}embeddings"
    x = model.embed(entry.ids, f"{names}.word_embeddings", shape.vocab, shape.narrow)
    with f.part(f"{names}.position_embeddings"):
        type = RowTensor((), "index", entry.rows.label)
        position = ops.position_of(f, entry.rows, result_type=type, name="position")
    positions = model.embed(position, f"{names}.position_embeddings", shape.context, shape.narrow)
    token_type = model.weight(
        f"{names}.token_type_embeddings.weight",
        (shape.narrow,),
        stored=(shape.token_types, shape.narrow),
        rows=(0, 1),
    )
    with f.part(names):
        zero = ops.value_of(f, weight=token_type, result_type=Tensor((shape.narrow,)), name="token_type")
        x = math.add(f, x, ops.spread(f, zero, entry.rows, result_type=x.type, name="token_type"))
        x = math.add(f, x, positions)
    x = model.norm(x, f"{names}.LayerNorm", shape.eps, "layer", bias=True)
    return model.linear(x, f"{root}encoder.embedding_hidden_mapping_in", shape.width, bias=True, as_="x")


def _predict(model: Model, x: Value, shape: _Shape, root: str) -> Value:
    """Logits of the wanted rows by the masked-language head."""
    f = model.f
    y = model.linear(model.wanted(x), "predictions.dense", shape.narrow, bias=True)
    with f.part("predictions"):
        y = shape.activation(f, y)
    y = model.norm(y, "predictions.LayerNorm", shape.eps, "layer", bias=True)
    words = model.tie("predictions.decoder.weight", f"{root}embeddings.word_embeddings.weight")
    weight = model.weight(words, (shape.vocab, shape.narrow))
    bias = model.weight(model.tie("predictions.decoder.bias", "predictions.bias"), (shape.vocab,))
    with f.part("predictions.decoder"):
        return ops.linear(f, y, weight=weight, bias=bias, result_type=y.rows.wide(shape.vocab), name="logits")


def build(config: Config, checkpoint: Checkpoint) -> str:
    """IR text of an ALBERT encoder, with logits where the checkpoint has a masked-language head."""
    model, shape = Model(config, checkpoint), _Shape.read(config)
    summary = f"{shape.groups} x {shape.layers_per_group} layers x {shape.visits} loop steps"
    model.describe("albert", "encoder", shape.vocab, shape.context, config.eos(), summary)
    config.finish(_OTHER_KEYS)
    model.attributes["lariat.loops"] = attr.loops(shape.visits, shape.visits, shape.visits)

    root = "albert." if any(name.startswith("albert.") for name in checkpoint.tensors) else ""
    model.ignore(lambda name: name.startswith((f"{root}pooler.", "sop_classifier.")))
    encoder = _Encoder(model, shape, root)

    def step(rows: Value, carried: Sequence[Value]) -> tuple[Value, Sequence[Value], None]:
        (x,) = carried
        for index in range(shape.layers_per_group):
            x = encoder.layer(x, f"albert_layers.{index}")
        return rows, [x], None

    entry = model.begin(loops=True)
    (x,), steps = loop(model, entry, [("x", _embed(model, entry, shape, root))], step)
    if not any(name.startswith("predictions.") for name in checkpoint.tensors):
        return model.finish(hidden=x, steps=steps)
    return model.finish(logits=_predict(model, x, shape, root), hidden=x, steps=steps)
