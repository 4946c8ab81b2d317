# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The builder: generated ops, names, labels and locations; every op is read back by lariat-opt."""

from __future__ import annotations

import inspect
import math
import shutil
import subprocess
import sys

import pytest

from lariat._ir import arithmetic, attributes, ops
from lariat._ir.builder import F32, INDEX, Builder, Region, Rows, RowTensor, Scalar, Tensor, Value
from tests.checkpoints import ROOT, verify

A = RowTensor((8,), "f32", "a")
COLUMN = RowTensor((), "f32", "a")


def test_generated_ops_match_the_records() -> None:
    if not shutil.which("llvm-config-22"):
        pytest.skip("llvm-config-22 is not installed")
    script = ROOT / "scripts" / "generate_python_ops.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_op_has_a_summary_and_types() -> None:
    for name in ops.__all__:
        function = getattr(ops, name)
        assert function.__doc__
        assert "return" in inspect.get_annotations(function)


def test_names_and_labels_are_unique() -> None:
    f = Builder()
    assert [f.value("x", F32).name for _ in range(3)] == ["%x", "%x_1", "%x_2"]
    assert f.value("x_1", F32).name not in ("%x_1", "%x_2")
    assert f.value("a.b", F32).name == "%a_b"
    assert [f.label("all") for _ in range(3)] == ["all", "all1", "all2"]


def test_location_names_the_part_and_this_line() -> None:
    f = Builder()
    with f.part("model.norm"):
        line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
        arithmetic.constant(f, 0.5, "f32", "half")
    assert f'loc("model.norm"("{__file__}":{line}:1))' in f.lines[-1]
    arithmetic.constant(f, 0.5, "f32", "half")
    assert f.lines[-1].count("loc(") == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1.0"), (1e-5, "1.0e-05"), (1.5e300, "1.5e+300"), (-0.0, "-0.0"), (7e7, "70000000.0"), (0.1, "0.1")],
)
def test_decimal(value: float, text: str) -> None:
    assert attributes.decimal(value) == text


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_decimal_refuses_what_has_none(value: float) -> None:
    with pytest.raises(ValueError, match="no decimal form"):
        attributes.decimal(value)


def test_quote_escapes() -> None:
    assert attributes.quote('a"b\\c\né') == '"a\\22b\\5Cc\\0A\\C3\\A9"'
    assert attributes.symbol("model.norm") == "@model.norm"
    assert attributes.symbol("0 odd") == '@"0 odd"'


def test_a_row_tensor_is_not_a_scalar() -> None:
    value = Value("%x", Scalar("f32"))
    with pytest.raises(TypeError, match="expected a row tensor"):
        _ = value.rows


def module(f: Builder, declarations: Builder, *inputs: Value) -> str:
    body = Region(f, inputs)
    body.lines = f.lines
    f.op("func.return")
    types = ", ".join(str(value.type) for value in inputs)
    name = {"sym_name": attributes.string("f"), "function_type": attributes.type(f"({types}) -> ()")}
    declarations.op("func.func", attributes=name, regions=[body])
    return '"builtin.module"() ({\n' + "\n".join(declarations.lines) + "\n}) : () -> ()\n"


def every_op() -> str:
    f, d = Builder(), Builder()
    r, x = f.value("a", Rows(f.label("a"))), f.value("x", A)
    ids, n = f.value("ids", COLUMN.of("i32")), f.value("n", INDEX)
    f.enter_rows(r)
    ops.weight(d, sym_name="w", type=Tensor((8, 8)), source=attributes.source("w", rows=(8, 16)))
    ops.weight(d, sym_name="q", type=Tensor((8,)), depths=2, beyond="clamp", source=attributes.source(["q0", "q1"]))
    ops.weight(d, sym_name="b", type=Tensor((8,)), source=attributes.source("b", reshape=True))
    ops.weight(d, sym_name="ra", type=Tensor((2, 8)), source=attributes.source("ra"))
    ops.weight(d, sym_name="rb", type=Tensor((8, 2)), source=attributes.source("rb"))
    ops.cache(d, sym_name="kv", layers=1, heads=1, dim=8, depths=3, type=F32,
              policy=attributes.own("copy_last", ["propagate"]))  # fmt: skip
    ops.state(d, sym_name="s", layers=1, width=8, type=F32)
    ops.embed(f, ids, weight="w", result_type=A)
    y = ops.linear(f, x, weight="w", bias="b", low_rank_a="ra", low_rank_b="rb", scale=0.5, result_type=A)
    z = ops.linear(f, x, weight="q", by=r, result_type=COLUMN)
    ops.norm(f, x, kind="layer", weight="b", bias="b", eps=1e-5)
    ops.norm(f, x, kind="rms", weight="q", eps=1e-5, weight_order="before_cast", by=r)
    ops.norm(f, x, kind="l2", eps=1e-5, groups=2)
    ops.rope(f, x, r, heads=2, theta=1e4, dims=2, style="interleaved", angles=F32,
             scaling=attributes.rope_scaling("llama3", 8.0, (1.0, 4.0, 64)))  # fmt: skip
    ops.attention(f, x, x, x, r, query_heads=2, kv_heads=2, mask=attributes.mask("full"), scale=0.5, softcap=30.0)
    ops.append(f, x, x, r, cache="kv", layer=0, slot=n)
    ops.attend(f, x, r, cache="kv", layer=0, heads=1, mask=attributes.mask("prefix"), slot=n)
    ops.shift(f, x, r, state="s", layer=0)
    ops.scan(f, y, x, r, state="s", layer=0)
    ops.count(f, r, result_type=INDEX)
    ops.position_of(f, r, result_type=COLUMN.of("index"))
    ops.generated_of(f, r, result_type=COLUMN.of("index"))
    ops.depth_of(f, r, result_type=COLUMN.of("index"))
    ops.advance(f, r)
    ops.advance(f, r, to=n)
    ops.argmax(f, x, result_type=COLUMN.of("i32"))
    ops.concat(f, [x, x], result_type=x.rows.wide(2 * x.width))
    b = ops.value_of(f, weight="b", result_type=Tensor((8,)))
    ops.spread(f, b, r, result_type=A)
    ops.seq_reduce(f, z, r, kind="mean")
    second = arithmetic.reduce(f, x, "second_max", "second")
    where = arithmetic.compare(f, second, "oge", z, "where")
    chosen = ops.select(f, r, where, result_type=Rows(f.label("chosen")))
    taken = arithmetic.take(f, x, chosen, "taken")
    ops.put(f, taken, chosen, x, r, kind="add")
    ops.last(f, r, result_type=Rows(f.label("wanted")))
    decode = f.region(("r", r.type), ("first", COLUMN.of("i1")), ("z", COLUMN))
    with decode:
        ops.end(f, go=decode.arguments[1])
    ops.top_k(f, z, r, capacity=attributes.capacity([2, 1], 2), result_type=Rows(f.label("kept")), decode=decode)
    body, fill = (f.region((label, Rows(label)), ("h", A.at(label))) for label in ("active", "stopped"))
    with body:
        ops.next(f, body.arguments[0], body.arguments[1:])
    with fill:
        ops.append(f, fill.arguments[1], fill.arguments[1], fill.arguments[0], cache="kv", layer=0)
        ops.end(f)
    ops.recur(f, n, r, [x], from_=n, finals_types=[A], steps_type=COLUMN.of("i32"), body=body, fill=fill)
    ops.recur(f, n, r, [x], finals_types=[A], steps_type=COLUMN.of("i32"), body=_keep_all(f))
    return module(f, d, r, x, ids, n)


def _keep_all(f: Builder) -> Region:
    body = f.region(("again", Rows("again")), ("h", A.at("again")))
    with body:
        ops.next(f, body.arguments[0], body.arguments[1:])
    return body


def test_every_op_is_used_and_read_back() -> None:
    text = every_op()
    for name in ops.__all__:
        assert f'"lariat.{name}"(' in text
    printed = verify(text)
    assert verify(printed) == printed


def test_arithmetic_is_read_back() -> None:
    f = Builder()
    r, x, n = f.value("a", Rows(f.label("a"))), f.value("x", A), f.value("n", INDEX)
    f.enter_rows(r)
    for formula in (arithmetic.silu, arithmetic.sigmoid, arithmetic.softmax, arithmetic.gelu_tanh, arithmetic.gelu_erf):
        formula(f, x)
    arithmetic.concat_columns(f, x, x, "both")
    body = arithmetic.for_body(f, "i", ("h", A))
    with body:
        arithmetic.for_yield(f, arithmetic.sqrt(f, body.arguments[1]))
    arithmetic.for_loop(f, n, body, [x], ["h"])
    verify(module(f, Builder(), r, x, n))
