# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Small modules around the op under test, and `lariat-reference` to run them.

The body of a program is IR text in a short spelling: `!a` is the row set "a", `!a:8` one f32 of 8 columns for each of
its rows, `!a:i32` one i32, `!a:2xi1` two bits. It finds the rows in `%all` and their token ids in `%ids`, and leaves
its result, a row tensor of `all`, in `%y`, which comes back as logits.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import safetensors.numpy
from numpy.typing import NDArray

from tests.checkpoints import OPT

if TYPE_CHECKING:
    from tests.integration.fast import Fast

Array = NDArray[Any]
Ids = list[int]

# Ids of every program; results of fewer columns are filled up with zeros.
VOCAB = 32
REFERENCE = OPT.with_name("lariat-reference")

# Set by the fixture of that name.
PIPELINE = "reference"

_TYPE = re.compile(r"!(\w+)\b(?!\.)(?::(\d+)?(?:(?<=\d)x)?([a-z]\w*)?)?")


def expand(text: str) -> str:
    """Writes types out."""

    def spelled(match: re.Match[str]) -> str:
        label, columns, element = match.groups()
        if not columns and not element:
            return f'!lariat.rows<"{label}">'
        return f'tensor<?x{f"{columns}x" if columns else ""}{element or "f32"}, #lariat.of<"{label}">>'

    return _TYPE.sub(spelled, text)


@dataclass(frozen=True)
class PerDepth:
    """Values of a depth-indexed weight, depth first."""

    values: Array
    beyond: str = "error"


@dataclass(frozen=True)
class Program:
    """A decoder whose logits are `%y`.

    Attributes:
        columns: of `%y`, None where it is one f32 per row.
        weights: inline values by name.
        declarations: caches and states.
        loops: default and largest number of loop steps; `%loops` has it per row.
        steps: value that holds the loop steps of each row.
        exit: whether the module declares an exit rule; `%threshold` has the threshold per row.
    """

    body: str
    columns: int | None
    weights: Mapping[str, Array | PerDepth] = field(default_factory=dict)
    declarations: str = ""
    loops: int = 4
    steps: str | None = None
    exit: bool = False

    def text(self) -> str:
        inputs = ['%all: !all {lariat.input = "rows"}', '%ids: !all:i32 {lariat.input = "ids"}']
        inputs += ['%loops: !all:index {lariat.input = "loops"}']
        inputs += ['%threshold: !all:f32 {lariat.input = "threshold"}'] if self.exit else []
        results = [f"!wanted:{VOCAB}"] + (["!all:i32"] if self.steps else [])
        outputs = [f'!wanted:{VOCAB} {{lariat.output = "logits"}}']
        outputs += ['!all:i32 {lariat.output = "steps"}'] if self.steps else []
        rule = ', lariat.exit = #lariat.exit<"test", never = 1.0, low = 0.0, high = 1.0>' if self.exit else ""
        return expand(
            f"""module attributes {{
  lariat.model = #lariat.model<"test", kind = "decoder", vocab = {VOCAB}, context = 64>,
  lariat.loops = #lariat.loops<default = {self.loops}, min = {self.loops}, max = {self.loops}>{rule}}} {{
{self.declarations}
{"".join(declare_weight(name, value) for name, value in self.weights.items())}
func.func @forward({", ".join(inputs)}) -> ({", ".join(outputs)}) {{
{self.body}
{self._widen()}
%wanted = lariat.last %all : !all to !wanted
%logits = lariat.take %filled of %all at %wanted : !all:{VOCAB} at !wanted
return {", ".join(["%logits"] + ([self.steps] if self.steps else []))} : {", ".join(results)}
}}
}}
"""
        )

    def _widen(self) -> str:
        columns = self.columns or 1
        lines = "" if self.columns else "%y1 = lariat.spread %y at %all : !all:f32 at !all to !all:1\n"
        result = "%y" if self.columns else "%y1"
        lines += full("%padding", 0.0, f"{VOCAB - columns}xf32")
        types = f"!all:{columns}, !all:{VOCAB - columns} to !all:{VOCAB}"
        return lines + f"%filled = lariat.concat {result}, %padding : {types}"


def full(name: str, value: float, type: str, rows: str = "all") -> str:
    """A number for every place of a row tensor `!rows:type`, rows being in `%rows`."""
    element = type.rpartition("x")[2] if type[0].isdigit() else type
    scalar = f"%scalar_{name[1:]}"
    number = float(value) if element.startswith("f") else int(value)
    return (
        f"{scalar} = arith.constant {number} : {element}\n"
        f"{name} = lariat.spread {scalar} at %{rows} : {element} at !{rows} to !{rows}:{type}\n"
    )


def computed(value: int, name: str = "far") -> str:
    """An index that a loop counts up to `value`: code has it, and no fold of constants."""
    return (
        f"%{name}_0 = arith.constant 0 : index\n"
        f"%{name}_1 = arith.constant 1 : index\n"
        f"%{name}_3 = arith.constant 3 : index\n"
        f"%{name}_from = arith.constant {value - 3} : index\n"
        f"%{name} = scf.for %{name}_i = %{name}_0 to %{name}_3 step %{name}_1 iter_args(%{name}_so_far = %{name}_from)"
        " -> (index) {\n"
        f"  %{name}_next = arith.addi %{name}_so_far, %{name}_1 : index\n"
        f"  scf.yield %{name}_next : index\n"
        "}\n"
    )


def declare_weight(name: str, value: Array | PerDepth) -> str:
    depths = ""
    array = np.asarray(value.values if isinstance(value, PerDepth) else value, dtype="<f4")
    shape = "x".join(map(str, array.shape))
    one = shape
    if isinstance(value, PerDepth):
        depths = f" depths({len(array)}, beyond = {value.beyond})"
        one = shape.partition("x")[2]
    data = f'dense<"0x{array.tobytes().hex().upper()}">'
    return f"lariat.weight @{name} : tensor<{one}xf32>{depths} value {data} : tensor<{shape}xf32>\n"


@dataclass(frozen=True)
class Outcome:
    """Result of one sequence."""

    logits: Array
    steps: list[int]
    slots: dict[str, list[list[tuple[int, int]]]]
    """Computed and filled entries by cache, layer, slot."""

    def same_bits(self, other: Outcome) -> bool:
        return self.steps == other.steps and self.logits.tobytes() == other.logits.tobytes()


@dataclass(frozen=True)
class Continuation:
    """What was generated for one prompt."""

    tokens: list[int]
    steps: list[int]
    finish: str
    slots: dict[str, list[list[tuple[int, int]]]]


def _read_slots(answer: Mapping[str, Any]) -> dict[str, list[list[tuple[int, int]]]]:
    return {
        name: [[(slot["computed"], slot["filled"]) for slot in layer] for layer in layers]
        for name, layers in answer.items()
    }


class Reference:
    """A running `lariat-reference`; a context manager."""

    def __init__(self, model: str | Path, weights: Path | None = None) -> None:
        """`model` is the text of a module, or a file."""
        if not REFERENCE.exists():
            pytest.skip("lariat-reference is not built")
        self._folder = tempfile.TemporaryDirectory(prefix="lariat-test-")
        path = Path(self._folder.name) / "model.mlir"
        if isinstance(model, str):
            path.write_text(model)
        else:
            path = model
        command = [str(REFERENCE), str(path), *(["--weights", str(weights)] if weights else [])]
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 closed with the process
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )

    def __enter__(self) -> Reference:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=60)
        self._errors.close()
        self._folder.cleanup()

    def request(self, call: str, **arguments: Any) -> dict[str, Any]:
        """The last answer; fails the test where the request is refused."""
        answer = self.ask(call, **arguments)
        assert "error" not in answer, answer["error"]
        return answer

    def ask(self, call: str, **arguments: Any) -> dict[str, Any]:
        """The last answer, also where it is an error."""
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(json.dumps({"call": call, **arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pytest.fail(self._last_words())
        while True:
            line = self._process.stdout.readline()
            if not line:
                pytest.fail(self._last_words())
            answer: dict[str, Any] = json.loads(line)
            if "ok" in answer or "error" in answer:
                return answer

    def score(self, sequences: Sequence[Ids], **options: Any) -> list[Outcome]:
        output = Path(self._folder.name) / "out.safetensors"
        answer = self.request("score", sequences=sequences, output=str(output), **options)
        tensors = safetensors.numpy.load_file(output)
        outcomes = []
        for at, _ in enumerate(sequences):
            steps = tensors[f"steps.{at}"].tolist()
            assert steps == answer["steps"][at]
            outcomes.append(Outcome(tensors[f"logits.{at}"], steps, _read_slots(answer["slots"][at])))
        return outcomes

    def encode(self, sequences: Sequence[Ids]) -> list[Array]:
        output = Path(self._folder.name) / "out.safetensors"
        self.request("encode", sequences=sequences, output=str(output))
        tensors = safetensors.numpy.load_file(output)
        return [tensors[f"hidden.{at}"] for at, _ in enumerate(sequences)]

    def generate(self, sequences: Sequence[Ids], count: int, **options: Any) -> list[Continuation]:
        answer = self.request("generate", sequences=sequences, max_new_tokens=count, **options)
        return [
            Continuation(one["tokens"], one["steps"], one["finish"], _read_slots(slots))
            for one, slots in zip(answer["results"], answer["slots"], strict=True)
        ]

    def _last_words(self) -> str:
        self._process.wait(timeout=60)
        self._errors.seek(0)
        return f"lariat-reference ended with status {self._process.returncode}: {self._errors.read()}"


def open_text(text: str) -> Reference | Fast:
    """The module on the pipeline that the fixture `pipeline` chose."""
    if PIPELINE == "reference":
        return Reference(text)
    from tests.integration.fast import Fast

    return Fast(text)


def execute(program: Program, sequences: Sequence[Ids], **options: Any) -> list[Outcome]:
    """Score one batch; logits have the columns of the program's result only."""
    with open_text(program.text()) as opened:
        outcomes = opened.score(sequences, **options)
    columns = program.columns or 1
    return [Outcome(one.logits[:, :columns], one.steps, one.slots) for one in outcomes]


def ragged(rng: np.random.Generator, lengths: Sequence[int] = (5, 1, 9), below: int = VOCAB) -> list[Ids]:
    """A batch of random ids."""
    return [rng.integers(0, below, length).tolist() for length in lengths]


def normal(rng: np.random.Generator, *shape: int) -> Array:
    """float32 values whose products of a few stay near 1."""
    scale = 1 / math.sqrt(shape[-1]) if len(shape) > 1 else 1.0
    return np.asarray(rng.standard_normal(shape) * scale, np.float32)


def assert_equal(found: Sequence[Outcome], expected: Sequence[Array]) -> None:
    """Bit for bit."""
    for number, (outcome, array) in enumerate(zip(found, expected, strict=True)):
        np.testing.assert_array_equal(outcome.logits, array.reshape(len(array), -1), f"sequence {number}")


def assert_near(found: Sequence[Outcome], expected: Sequence[Array], error: float = 1e-5) -> None:
    """`error` is relative to the largest expected value, and absolute below 1."""
    for number, (outcome, array) in enumerate(zip(found, expected, strict=True)):
        array = array.reshape(len(array), -1)
        assert outcome.logits.shape == array.shape
        difference = np.abs(outcome.logits - array)
        assert not np.isnan(difference).any(), f"sequence {number}: not a number"
        row, column = np.unravel_index(np.argmax(difference), difference.shape)
        limit = error * max(1.0, float(np.abs(array).max()))
        assert difference[row, column] <= limit, (
            f"sequence {number}, row {row}, column {column}, steps {outcome.steps[row]}: "
            f"{outcome.logits[row, column]} instead of {array[row, column]}, "
            f"off by {difference[row, column]:.3g}, allowed {limit:.3g}"
        )


def assert_sums(found: Sequence[Outcome], expected: Sequence[Array]) -> None:
    """Float32 sums in ascending order: bit for bit on the reference path; the fast one sums in lanes."""
    if PIPELINE == "reference":
        assert_equal(found, expected)
    else:
        assert_near(found, expected, 1e-6)


# Pieces of programs.


def embed(columns: int, name: str = "x") -> str:
    return f"%{name} = lariat.embed %ids, @{name} : !all:i32 to !all:{columns}\n"


# Bit per row: its id is even.
EVEN = (
    full("%two", 2, "i32")
    + full("%zero", 0, "i32")
    + "%rest = arith.remui %ids, %two : !all:i32\n%even = arith.cmpi eq, %rest, %zero : !all:i32\n"
)


def is_even(ids: Ids) -> Array:
    return np.asarray(np.equal(np.array(ids) % 2, 0))


def remainder(divisor: int, name: str) -> str:
    """id mod divisor as an index."""
    return (
        full(f"%{name}_divisor", divisor, "i32")
        + f"%{name}_rest = arith.remui %ids, %{name}_divisor : !all:i32\n"
        + f"%{name} = arith.index_cast %{name}_rest : !all:i32 to !all:index\n"
    )


def to_float(source: str, result: str, rows: str = "all") -> str:
    """An index per row as f32."""
    return (
        f"%{result}_i32 = arith.index_cast %{source} : !{rows}:index to !{rows}:i32\n"
        f"%{result} = arith.sitofp %{result}_i32 : !{rows}:i32 to !{rows}:f32\n"
    )


def table(rng: np.random.Generator, columns: int) -> Array:
    """What `embed` looks ids up in."""
    return np.asarray(rng.standard_normal((VOCAB, columns)), np.float32)


def to_bf16(values: Array) -> Array:
    """Rounded to nearest, ties to even."""
    bits = np.asarray(values, np.float32).view(np.uint32)
    rounded: Array = ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)
    return rounded
