# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A model under construction: weights checked against the checkpoint, the entry function, the module around it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from lariat._checkpoint import Checkpoint, StoredTensor
from lariat._config import Config, Size
from lariat._ir import arithmetic as math_ops
from lariat._ir import attributes as attr
from lariat._ir import ops
from lariat._ir.attributes import Attribute
from lariat._ir.builder import F32, Builder, Rows, RowTensor, Tensor, Type, Value
from lariat._names import is_buffer
from lariat._tensors import same_values
from lariat.errors import CheckpointError

__all__ = ["Entry", "Model"]

_FLOATS = ("F32", "F16", "BF16", "F64")


@dataclass(frozen=True)
class Entry:
    """Inputs of `@forward`."""

    rows: Value
    ids: Value
    others: Mapping[str, Value]

    @property
    def loops(self) -> Value:
        return self.others["loops"]

    @property
    def threshold(self) -> Value:
        return self.others["threshold"]

    @property
    def capacity(self) -> Value:
        return self.others["capacity"]

    @property
    def initial_state(self) -> Value:
        return self.others["initial_state"]


class Model:
    """What an importer writes to. Problems with tensors are collected and raised by `finish`."""

    def __init__(self, config: Config, checkpoint: Checkpoint) -> None:
        self.config = config
        self.checkpoint = checkpoint
        self.f = Builder()
        self.attributes: dict[str, Attribute] = {}
        self.vocab, self.context = 0, 0
        self._module = Builder()
        self._symbols: dict[str, Tensor] = {}
        self._used: set[str] = set()
        self._tied: dict[str, str] = {}
        self._ignored: Callable[[str], bool] = lambda name: False
        self._problems: list[str] = []
        self._inputs: list[tuple[Value, str]] = []

    # Facts of the module.

    def describe(self, family: str, kind: str, vocab: Size, context: Size, eos: Sequence[int], shape: str) -> None:
        for id in eos:
            if id >= vocab:
                raise self.config.error(f"'eos_token_id' is {id}, expected an id below {vocab} from {vocab.key}")
        self.vocab, self.context = int(vocab), int(context)
        self.attributes["lariat.model"] = attr.model(family, kind, vocab, context, eos, shape)
        self.attributes["lariat.weights"] = attr.string(str(self.checkpoint.directory))

    def cache(self, name: str, layers: int, heads: int, dim: int, depths: int | None, policy: Attribute) -> str:
        ops.cache(self._module, sym_name=name, layers=layers, heads=heads, dim=dim, depths=depths,
                  type=F32, policy=policy)  # fmt: skip
        return name

    # Weights.

    def has(self, name: str) -> bool:
        return name in self.checkpoint.tensors

    def weight(
        self,
        name: str,
        shape: Sequence[int],
        *,
        symbol: str | None = None,
        stored: Sequence[int] | None = None,
        rows: tuple[int, int] | None = None,
        reshape: bool = False,
        stack: Sequence[str] | None = None,
    ) -> str:
        """Declare a weight of the given shape, stored as `stored` where that differs.

        Args:
            name: tensor of the checkpoint; with `stack` only the name of the weight.
            shape: shape of the weight (of one depth with `stack`), sizes with the config keys they come from.
            symbol: symbol in the module, by default `name` without `model.` and `.weight`.
            rows: half-open range of rows of the stored tensor.
            reshape: whether elements are taken in row-major order into `shape`.
            stack: one tensor per depth.
        """
        symbol = symbol or name.removeprefix("model.").removesuffix(".weight")
        if symbol in self._symbols:
            return symbol
        for key in stack or [name]:
            self._check(key, stored or shape, reshape)
        type = Tensor(tuple(map(int, shape)))
        with self._module.part(name):
            ops.weight(
                self._module,
                sym_name=symbol,
                type=type,
                depths=len(stack) if stack else None,
                source=attr.source(
                    [self._stored(key) for key in stack] if stack else self._stored(name), rows, reshape
                ),
            )
        self._symbols[symbol] = type
        return symbol

    def _stored(self, name: str) -> str:
        """The name of a tensor in its file."""
        return self.checkpoint.tensors[name].name if name in self.checkpoint.tensors else name

    def _check(self, key: str, shape: Sequence[int], reshape: bool) -> None:
        self._used.add(key)
        stored = self.checkpoint.tensors.get(key)
        sources = list(dict.fromkeys(size.key for size in shape if isinstance(size, Size)))
        origin = f" from {' and '.join(sources)}" if sources else ""
        expected = f"({', '.join(str(int(size)) for size in shape)}){origin}"
        if stored is None:
            hint = "" if key != "lm_head.weight" else ": config.json does not tie the head to the embedding"
            self._problems.append(f"tensor '{key}' is missing, expected shape {expected}{hint}")
        elif not _same_shape(stored, shape, reshape):
            found = f"({', '.join(map(str, stored.shape))})"
            self._problems.append(f"tensor '{stored.name}' of {stored.file} has shape {found}, expected {expected}")
        elif stored.dtype not in _FLOATS:
            self._problems.append(
                f"tensor '{stored.name}' of {stored.file} is {stored.dtype}, expected {', '.join(_FLOATS)}"
            )

    def tie(self, copy: str, original: str) -> str:
        """Which of two tensors to use for `copy`, which by config.json repeats `original` and may be stored or not.

        A stored one that differs is what the model was saved with: it is used, and a warning says so.
        """
        if copy not in self._tied:
            self._tied[copy] = copy if self._differ(copy, original) else original
        return self._tied[copy]

    def _differ(self, copy: str, original: str) -> bool:
        tensors = self.checkpoint.tensors
        if copy not in tensors or original not in tensors:
            return False
        found, expected = tensors[copy], tensors[original]
        if found.shape != expected.shape:
            self._problems.append(f"tensor '{copy}' has shape {found.shape}, expected {expected.shape} of '{original}'")
            return False
        if found.dtype not in _FLOATS or expected.dtype not in _FLOATS:
            return True  # refused by its type
        if same_values(self.checkpoint.directory, found, expected):
            return False
        warnings.warn(
            f"tensor '{found.name}' differs from '{expected.name}', to which config.json ties it: "
            "the stored one is used",
            stacklevel=5,
        )
        return True

    def ignore(self, test: Callable[[str], bool]) -> None:
        """Tensors that inference does not use."""
        self._ignored = test

    # Parts that every family has.

    def linear(self, x: Value, name: str, width: int, bias: bool = False, as_: str = "y") -> Value:
        """x W^T (+ b) with the tensors `name`.weight and `name`.bias."""
        weight = self.weight(f"{name}.weight", (width, x.width))
        offset = self.weight(f"{name}.bias", (width,)) if bias else None
        with self.f.part(name):
            return ops.linear(self.f, x, weight=weight, bias=offset, result_type=x.rows.wide(width), name=as_)

    def project(self, x: Value, name: str, width: int, as_: str) -> Value:
        """`linear` without a bias."""
        return self.linear(x, name, width, as_=as_)

    def score(self, x: Value, weight: str, bias: str | None = None, by: Value | None = None, as_: str = "z") -> Value:
        """One value per row."""
        with self.f.part(weight):
            return ops.linear(self.f, x, weight=weight, bias=bias, by=by, result_type=x.rows.wide(), name=as_)

    def norm(self, x: Value, name: str, eps: float, kind: ops.NormKind = "rms", bias: bool = False) -> Value:
        weight = self.weight(f"{name}.weight", (x.width,))
        offset = self.weight(f"{name}.bias", (x.width,)) if bias else None
        with self.f.part(name):
            return ops.norm(self.f, x, kind=kind, weight=weight, bias=offset, eps=eps, name="n")

    def embed(self, ids: Value, name: str, count: int, width: int) -> Value:
        weight = self.weight(f"{name}.weight", (count, width))
        with self.f.part(name):
            return ops.embed(self.f, ids, weight=weight, result_type=RowTensor((width,), "f32", ids.label), name="h")

    def head(self, x: Value, vocab: int, tied: bool, embedding: str = "model.embed_tokens") -> Value:
        """Logits by the embedding or by a weight of their own."""
        weight = self.tie("lm_head.weight", f"{embedding}.weight") if tied else "lm_head.weight"
        return self.linear(x, weight.removesuffix(".weight"), vocab, as_="logits")

    # The entry function.

    def begin(
        self,
        *,
        loops: bool = False,
        threshold: bool = False,
        capacity: int | None = None,
        initial_state: int | None = None,
    ) -> Entry:
        """Inputs of `@forward`, docs/function-contract.md; `capacity` is the number of depths that have one."""
        label = self.f.label("all")

        def column(element: str) -> RowTensor:
            return RowTensor((), element, label)

        rows = self._input("rows", Rows(label))
        ids = self._input("ids", column("i32"))
        others = {}
        if loops:
            others["loops"] = self._input("loops", column("index"))
        if threshold:
            others["threshold"] = self._input("threshold", column("f32"))
        if capacity:
            others["capacity"] = self._input("capacity", RowTensor((capacity,), "i32", label))
        if initial_state:
            others["initial_state"] = self._input("initial_state", RowTensor((initial_state,), "f32", label))
        return Entry(rows, ids, others)

    def _input(self, name: str, type: Type) -> Value:
        value = self.f.value("all" if name == "rows" else name, type)
        self.f.enter_rows(value)
        self._inputs.append((value, name))
        return value

    def wanted(self, x: Value, name: str = "x") -> Value:
        """The rows whose logits are wanted."""
        with self.f.part("wanted rows"):
            rows = ops.last(self.f, self.f.rows_of(x), result_type=Rows(self.f.label("wanted")), name="wanted")
            return math_ops.take(self.f, x, rows, name)

    def finish(self, **outputs: Value) -> str:
        """End `@forward` with these results and give the text of the module.

        Raises:
            CheckpointError: if a tensor is missing, misshaped or left over.
        """
        self._raise_problems()
        f, module = self.f, self._module
        f.op("func.return", operands=list(outputs.values()))
        body = module.region()
        body.arguments = tuple(value for value, _ in self._inputs)
        body.lines = f.lines
        inputs = ", ".join(str(value.type) for value, _ in self._inputs)
        results = ", ".join(str(value.type) for value in outputs.values())
        tags = {
            "arg_attrs": [attr.dictionary({"lariat.input": attr.string(name)}) for _, name in self._inputs],
            "res_attrs": [attr.dictionary({"lariat.output": attr.string(name)}) for name in outputs],
        }
        module.op(
            "func.func",
            attributes={
                "sym_name": attr.string("forward"),
                "function_type": attr.type(f"({inputs}) -> ({results})"),
                **{key: attr.array(value) for key, value in tags.items()},
            },
            regions=[body],
        )
        lines = ['"builtin.module"() ({', *(f"  {line}" for line in module.lines)]
        return "\n".join([*lines, f"}}) {attr.dictionary(self.attributes)} : () -> ()", ""])

    def _raise_problems(self) -> None:
        names = self.checkpoint.tensors
        left = [names[name] for name in names if name not in self._used and not self._may_stay(name)]
        unused = [f"tensor '{tensor.name}' of {tensor.file} is not used by this family" for tensor in left]
        problems = [*self._problems, *unused]
        if not problems:
            return
        more = len(problems) - 1
        tail = f", and {more} more problem{'s' if more > 1 else ''} with tensors" if more else ""
        raise CheckpointError(problems[0] + tail)

    def _may_stay(self, name: str) -> bool:
        return name in self._tied or is_buffer(name) or self._ignored(name)


def _same_shape(stored: StoredTensor, shape: Sequence[int], reshape: bool) -> bool:
    if reshape:
        return prod(stored.shape) == prod(map(int, shape))
    return [size for size in stored.shape if size != 1] == [int(size) for size in shape if size != 1]
