# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Huginn: prelude, a core with the prelude's output injected at every loop step, coda; six exit rules.

Source: https://arxiv.org/abs/2502.05171. Reads the fixtures' format and two of `huginn_raven`. That of the released
model has fused projections, a bias of queries and keys and rotary pairs of neighbouring columns. Models made from
layers of a Llama (https://arxiv.org/abs/2511.07384) have its layers, with two norms instead of four, grouped queries,
rotary pairs of half a head, and no norm between loop and coda; their config.json still names the blocks of the former,
so what is stored tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

from lariat._checkpoint import Checkpoint
from lariat._config import BOOLEAN, COUNT, NUMBER, NUMBERS, TEXT, Config, Size, one_of
from lariat._ir import arithmetic as math
from lariat._ir import attributes as attr
from lariat._ir import ops
from lariat._ir.builder import Value
from lariat._rope import limit, read_rope
from lariat.exits import ignore_heads, pick
from lariat.models._exit import exit_loop, exit_policy
from lariat.models._layers import (
    AttentionShape,
    LayerShape,
    Place,
    own_cache,
    read_layer_shape,
    self_attention,
    store,
    swiglu,
)
from lariat.models._model import Model

# The criteria of the released code; files say which one, else it is the first.
_RULES = ("latent-diff", "entropy-diff", "kl", "minp-kl", "argmax-stability", "cosine")
_RAVEN_CHOICES = {
    "architecture_class_name": "RecurrentGPT", "block_class_name": "SandwichBlock", "injection_type": "linear",
    "mlp_class_name": "GatedMLP", "nonlin_name": "SiLU", "norm_class_name": "RMSNorm_llama",
}  # fmt: skip
_OTHER_KEYS = {
    "activation_checkpoint_impl": TEXT, "effective_expected_depth": COUNT, "exit_thresholds": NUMBERS,
    "init_orthogonal": BOOLEAN, "init_strategy": TEXT, "mean_backprop_depth": COUNT, "n_layers": COUNT,
    "padding_multiple": COUNT, "sampling_scheme": TEXT, "state_init": TEXT, "state_std": NUMBER,
    "test_time_noise_type": TEXT,
}  # fmt: skip


@dataclass(frozen=True)
class _Facts:
    """What both formats say."""

    shape: LayerShape
    vocab: Size
    context: Size
    num_layers: tuple[int, int, int]
    mean: int
    most: int
    scale: float
    tied: bool
    layer: type[_FixtureLayer]
    qk_bias: bool
    rule: str


def build(config: Config, checkpoint: Checkpoint, exit_rule: str | None = None) -> str:
    """IR text of a Huginn model."""
    # Config.
    model = Model(config, checkpoint)
    is_raven = config.get("model_type", TEXT) == "huginn_raven"
    facts = _read_raven(config, model) if is_raven else _read_fixture(config)
    policy = exit_policy(config, "copy-last")
    shape, heads = facts.shape, facts.shape.attention
    num_prelude, num_core, num_coda = facts.num_layers
    summary = f"{num_prelude} + {num_core} layers x {facts.mean} loop steps + {num_coda}"
    model.describe("huginn", "decoder", facts.vocab, facts.context, config.eos(), summary)
    config.finish(_OTHER_KEYS)
    model.attributes["lariat.loops"] = attr.loops(facts.mean, 1, 0, facts.most)
    rule = pick(exit_rule, [facts.rule, *_RULES], None)
    model.attributes["lariat.exit"] = rule.declare()
    ignore_heads(model)
    layer = facts.layer(model, facts)
    before = own_cache(model, "kv_prelude", num_prelude, heads) if num_prelude else ""
    after = own_cache(model, "kv_coda", num_coda, heads) if num_coda else ""
    cache = model.cache("kv", num_core, heads.kv_heads, heads.head_dim, None, policy)

    # Prelude.
    f = model.f
    entry = model.begin(loops=True, threshold=True, initial_state=shape.width)
    x = model.embed(entry.ids, layer.embedding, facts.vocab, shape.width)
    with f.part(layer.embedding):
        x = math.scaled(f, x, facts.scale, "e")
    for index in range(num_prelude):
        x = layer(x, f"{layer.root}.prelude.{index}", Place(before, index))
    embedded = x

    # Core.
    def inject(rows: Value, state: Value) -> Value:
        weight = model.weight(f"{layer.root}.adapter.weight", (shape.width, shape.width.times(2)))
        with f.part(f"{layer.root}.adapter"):
            both = math.concat_columns(f, state, math.take(f, embedded, rows, "e"), "both")
            return ops.linear(f, both, weight=weight, result_type=state.type, name="u")

    def step(rows: Value, state: Value) -> Value:
        x = inject(rows, state)
        for index in range(num_core):
            x = layer(x, f"{layer.root}.{layer.core}.{index}", Place(cache, index))
        return x

    def fill(rows: Value, state: Value) -> None:
        x = inject(rows, state)
        for index in range(num_core):
            layer.fill(x, f"{layer.root}.{layer.core}.{index}", Place(cache, index))

    # Coda: the same norm before, where the format has that, and after its layers.
    def finish(x: Value, after: str) -> Value:
        if layer.norm_before_coda:
            x = model.norm(x, layer.final_norm, shape.eps)
        for index in range(num_coda):
            x = layer(x, f"{layer.root}.coda.{index}", Place(after, index))
        return x

    def head(x: Value) -> Value:
        x = model.norm(x, layer.final_norm, shape.eps)
        return model.head(x, facts.vocab, facts.tied, layer.embedding)

    # Where a rule reads logits, the coda runs in each step: a row sees what earlier rows had at its depth, or last.
    def readout(x: Value) -> Value:
        if num_coda:
            model.cache("kv_readout", num_coda, heads.kv_heads, heads.head_dim, None, attr.latest())
        return head(finish(x, "kv_readout"))

    start = ("state", entry.initial_state)
    x, steps = exit_loop(model, entry, rule, start, step, fill=fill, readout=readout)
    return model.finish(logits=head(model.wanted(finish(x, after))), steps=steps)


class _FixtureLayer:
    """Names of the fixtures."""

    root, core, embedding, final_norm = "model", "core", "model.embed_tokens", "model.norm"
    attention, mlp = "self_attn", "mlp"
    norm_before_coda = True

    def __init__(self, model: Model, facts: _Facts) -> None:
        self.model = model
        self.shape = facts.shape
        self.qk_bias = facts.qk_bias

    def project(self, x: Value, name: str, width: int, as_: str) -> Value:
        return self.model.project(x, name, width, as_)

    def __call__(self, x: Value, prefix: str, place: Place) -> Value:
        """The second norm of each half acts on the sum."""
        model, shape = self.model, self.shape
        n = model.norm(x, f"{prefix}.norm_1", shape.eps)
        y = self_attention(model, n, f"{prefix}.{self.attention}", shape, place, self.project)
        with model.f.part(prefix):
            y = math.add(model.f, x, y, "x")
        y = model.norm(y, f"{prefix}.norm_2", shape.eps)
        n = model.norm(y, f"{prefix}.norm_3", shape.eps)
        z = swiglu(model, n, f"{prefix}.{self.mlp}", shape, self.project)
        with model.f.part(prefix):
            z = math.add(model.f, y, z, "x")
        return model.norm(z, f"{prefix}.norm_4", shape.eps)

    def fill(self, x: Value, prefix: str, place: Place) -> None:
        n = self.model.norm(x, f"{prefix}.norm_1", self.shape.eps)
        store(self.model, n, f"{prefix}.{self.attention}", self.shape.attention, place, self.project)


class _RavenLayer(_FixtureLayer):
    """Names of the released model, and its fused projections as ranges of rows."""

    root, core, embedding, final_norm = "transformer", "core_block", "transformer.wte", "transformer.ln_f"
    attention = "attn"

    def project(self, x: Value, name: str, width: int, as_: str) -> Value:
        part, _, projection = name.rpartition(".")
        fused, index = {"q_proj": ("Wqkv", 0), "k_proj": ("Wqkv", 1), "v_proj": ("Wqkv", 2), "o_proj": ("proj", 0),
                        "gate_proj": ("fc", 0), "up_proj": ("fc", 1), "down_proj": ("proj", 0)}[projection]  # fmt: skip
        heads = self.shape.attention
        widths = {"Wqkv": [heads.query_width, heads.kv_width, heads.kv_width], "fc": [self.shape.inner] * 2}
        pieces = widths.get(fused, [width])
        key = " + ".join(dict.fromkeys(piece.key for piece in pieces if isinstance(piece, Size)))
        stored = (Size(sum(map(int, pieces)), key), x.width)
        begin = sum(map(int, pieces[:index]))
        rows = (begin, begin + width) if len(pieces) > 1 else None
        model = self.model
        symbol = name.removeprefix("transformer.")
        weight = model.weight(f"{part}.{fused}.weight", (width, x.width), symbol=symbol, stored=stored, rows=rows)
        bias = self._bias(part, index, width, symbol) if fused == "Wqkv" and index < 2 and self.qk_bias else None
        with model.f.part(name):
            return ops.linear(model.f, x, weight=weight, bias=bias, result_type=x.rows.wide(width), name=as_)

    def _bias(self, part: str, index: int, width: int, symbol: str) -> str:
        """Plane `index` of a tensor (2, 1, heads, width of a head)."""
        heads = self.shape.attention
        stored = (2, 1, heads.heads, heads.head_dim)
        return self.model.weight(f"{part}.qk_bias", (width,), symbol=f"{symbol}.bias", stored=stored,
                                 rows=(index, index + 1), reshape=True)  # fmt: skip


class _RetrofitLayer(_RavenLayer):
    """Layers of a Llama, under the names of the released model."""

    norm_before_coda = False

    def __call__(self, x: Value, prefix: str, place: Place) -> Value:
        """Both norms act on the branch."""
        model, shape = self.model, self.shape
        n = model.norm(x, f"{prefix}.norm_1", shape.eps)
        attended = self_attention(model, n, f"{prefix}.{self.attention}", shape, place, self.project)
        with model.f.part(prefix):
            y = math.add(model.f, x, attended, "x")
        n = model.norm(y, f"{prefix}.norm_2", shape.eps)
        fed = swiglu(model, n, f"{prefix}.{self.mlp}", shape, self.project)
        with model.f.part(prefix):
            return math.add(model.f, y, fed, "x")


def _read_fixture(config: Config) -> _Facts:
    shape = read_layer_shape(config)
    mean = config.layers("mean_recurrence")
    most = config.layers("max_recurrence", mean)
    return _Facts(
        shape=shape,
        vocab=config.size("vocab_size"),
        context=shape.context,
        num_layers=(config.count("num_prelude_layers"), config.layers("num_core_layers"),
                    config.count("num_coda_layers")),
        mean=mean,
        most=most,
        scale=config.number("embedding_scale"),
        tied=config.flag("tie_word_embeddings"),
        layer=_FixtureLayer,
        qk_bias=False,
        rule=config.choice("exit_rule", _RULES),
    )  # fmt: skip


def _read_raven(config: Config, model: Model) -> _Facts:
    is_retrofit = _has_two_norms(model)
    for key, value in _RAVEN_CHOICES.items():
        config.unsupported(key, ("a string", lambda v: isinstance(v, str)), [value])
    config.unsupported("bias", BOOLEAN, [False])
    config.unsupported("test_time_noise", NUMBER, [0])
    shape = _read_raven_shape(config, is_retrofit)
    heads = shape.attention
    qk_bias = config.flag("qk_bias", True)
    if qk_bias and heads.kv_heads != heads.heads:
        config.reject(f"'qk_bias' is true with 'num_key_value_heads' {heads.kv_heads}, fewer than 'n_heads'")
    vocab = config.size("vocab_size")
    mean = config.layers("mean_recurrence")
    initial = config.inner("init_values")
    width = shape.width
    return _Facts(
        shape=shape,
        vocab=config.size("padded_vocab_size", vocab),
        context=shape.context,
        num_layers=(config.count("n_layers_in_prelude"), config.layers("n_layers_in_recurrent_block"),
                    config.count("n_layers_in_coda")),
        mean=mean,
        most=mean,
        scale=initial.number("embed_scale", float(width) ** 0.5) if initial else float(width) ** 0.5,
        tied=_is_tied(config, model),
        layer=_RetrofitLayer if is_retrofit else _RavenLayer,
        qk_bias=qk_bias,
        rule=_RULES[0],
    )  # fmt: skip


def _has_two_norms(model: Model) -> bool:
    """Whether layers are those of a Llama. A checkpoint without any norms is missing those of the released model."""
    norms = {name.rpartition(".norm_")[2] for name in model.checkpoint.tensors if ".norm_" in name}
    return norms == {"1.weight", "2.weight"}


def _read_raven_shape(config: Config, is_retrofit: bool) -> LayerShape:
    width, heads = config.size("n_embd"), config.size("n_heads")
    config.get("num_attention_heads", one_of(int(heads)), heads)
    kv_heads = config.size("num_key_value_heads", heads, nullable=True)
    if heads % kv_heads:
        raise config.error(f"'n_heads' is {heads}, expected a multiple of 'num_key_value_heads', {kv_heads}")
    if config.has_value("head_dim"):
        head_dim = config.size("head_dim")
    elif width % heads:
        raise config.wrong("n_heads", f"a divisor of 'n_embd', {width}")
    else:
        head_dim = Size(width // heads, "n_embd / n_heads")
    if head_dim % 2:
        raise config.error(
            f"heads have {head_dim} columns from {head_dim.key}, expected an even number for rotary positions"
        )
    # What config.json has of a Llama's positions besides counts where the layers are a Llama's.
    theirs = [key for key in ("max_position_embeddings", "block_size") if config.has_value(key)]
    context = config.size(theirs[0 if is_retrofit else -1] if theirs else "block_size")
    keys = [key for key in ("rope_theta", "rope_base") if config.has_value(key)]
    rope = read_rope(config, head_dim, context, keys[0 if is_retrofit else -1] if keys else "rope_base", 50000.0)
    style: ops.RopeStyle = "half" if is_retrofit else "interleaved"
    attention = AttentionShape(heads, kv_heads, head_dim, rope, style)
    eps = config.number("norm_eps", 1e-6)
    return LayerShape(width, config.size("intermediate_size"), eps, attention, limit(context, rope))


def _is_tied(config: Config, model: Model) -> bool:
    """Two keys say it; where they differ, one of them is a leftover, and a head that is stored is used."""
    keys = [key for key in ("tie_embeddings", "tie_word_embeddings") if config.has_value(key)]
    said = {config.flag(key) for key in keys}
    return not model.has("lm_head.weight") if len(said) > 1 else said != {False}
