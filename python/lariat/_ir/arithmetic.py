# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Upstream ops on row tensors: `arith`, `math`, `scf.for`, and formulas made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from lariat._ir import attributes as attr
from lariat._ir import ops
from lariat._ir.builder import INDEX, Builder, Region, RowTensor, Scalar, Tensor, Type, Value

Comparison = Literal["eq", "sle", "oeq", "ogt", "oge", "olt"]

_PREDICATES: dict[str, tuple[str, int]] = {
    "eq": ("arith.cmpi", 0),
    "sle": ("arith.cmpi", 3),
    "oeq": ("arith.cmpf", 1),
    "ogt": ("arith.cmpf", 2),
    "oge": ("arith.cmpf", 3),
    "olt": ("arith.cmpf", 4),
}


def _elementwise(f: Builder, op: str, name: str, result: Type, *operands: Value) -> Value:
    (value,) = f.op(op, operands=operands, results=[(name, result)])
    return value


def add(f: Builder, a: Value, b: Value, name: str = "sum") -> Value:
    floats = isinstance(a.type, RowTensor) and a.type.element.startswith("f")
    return _elementwise(f, "arith.addf" if floats else "arith.addi", name, a.type, a, b)


def subtract(f: Builder, a: Value, b: Value, name: str = "difference") -> Value:
    return _elementwise(f, "arith.subf", name, a.type, a, b)


def multiply(f: Builder, a: Value, b: Value, name: str = "product") -> Value:
    floats = isinstance(a.type, RowTensor) and a.type.element.startswith("f")
    return _elementwise(f, "arith.mulf" if floats else "arith.muli", name, a.type, a, b)


def divide(f: Builder, a: Value, b: Value, name: str = "quotient") -> Value:
    return _elementwise(f, "arith.divf", name, a.type, a, b)


def negate(f: Builder, a: Value, name: str = "negated") -> Value:
    return _elementwise(f, "arith.negf", name, a.type, a)


def exp(f: Builder, a: Value, name: str = "exp") -> Value:
    return _elementwise(f, "math.exp", name, a.type, a)


def log(f: Builder, a: Value, name: str = "log") -> Value:
    return _elementwise(f, "math.log", name, a.type, a)


def absolute(f: Builder, a: Value, name: str = "absolute") -> Value:
    return _elementwise(f, "math.absf", name, a.type, a)


def tanh(f: Builder, a: Value, name: str = "tanh") -> Value:
    return _elementwise(f, "math.tanh", name, a.type, a)


def erf(f: Builder, a: Value, name: str = "erf") -> Value:
    return _elementwise(f, "math.erf", name, a.type, a)


def sqrt(f: Builder, a: Value, name: str = "root") -> Value:
    return _elementwise(f, "math.sqrt", name, a.type, a)


def both(f: Builder, a: Value, b: Value, name: str = "both") -> Value:
    return _elementwise(f, "arith.andi", name, a.type, a, b)


def either(f: Builder, a: Value, b: Value, name: str = "either") -> Value:
    return _elementwise(f, "arith.ori", name, a.type, a, b)


def choose(f: Builder, where: Value, a: Value, b: Value, name: str = "chosen") -> Value:
    return _elementwise(f, "arith.select", name, a.type, where, a, b)


def cast_to_i32(f: Builder, a: Value, name: str) -> Value:
    return _elementwise(f, "arith.index_cast", name, a.rows.of("i32"), a)


def cast_to_f32(f: Builder, a: Value, name: str) -> Value:
    return _elementwise(f, "arith.sitofp", name, a.rows.of("f32"), a)


def compare(f: Builder, a: Value, predicate: Comparison, b: Value, name: str) -> Value:
    op, number = _PREDICATES[predicate]
    attributes = {"predicate": attr.i64(number)}
    (value,) = f.op(op, operands=[a, b], attributes=attributes, results=[(name, a.rows.of("i1"))])
    return value


def constant(f: Builder, value: float, element: str, name: str) -> Value:
    attributes = {"value": attr.typed(value, element)}
    (result,) = f.op("arith.constant", attributes=attributes, results=[(name, Scalar(element))])
    return result


def index(f: Builder, value: int, name: str) -> Value:
    return constant(f, value, "index", name)


def column_numbers(f: Builder, count: int) -> Value:
    """The tensor 0, 1, ... count - 1."""
    type = Tensor((count,), "i32")
    attributes = {"value": attr.dense(range(count), type)}
    (result,) = f.op("arith.constant", attributes=attributes, results=[("columns", type)])
    return result


def full(f: Builder, value: float, like: Value, name: str = "number") -> Value:
    """A number for every place of a row tensor."""
    scalar = constant(f, value, like.rows.element, name)
    return ops.spread(f, scalar, f.rows_of(like), result_type=like.type, name=name)


def scaled(f: Builder, a: Value, factor: float, name: str = "scaled") -> Value:
    return multiply(f, a, full(f, factor, a, "factor"), name)


def widen(f: Builder, a: Value, width: int, name: str) -> Value:
    """One value per row, repeated over columns."""
    return ops.spread(f, a, f.rows_of(a), result_type=a.rows.wide(width), name=name)


def take(f: Builder, value: Value, at: Value, name: str) -> Value:
    return ops.take(f, value, f.rows_of(value), at, result_type=value.rows.at(at.label), name=name)


def reduce(f: Builder, value: Value, kind: ops.ReduceKind, name: str) -> Value:
    return ops.row_reduce(f, value, kind=kind, result_type=value.rows.wide(), name=name)


def concat_columns(f: Builder, a: Value, b: Value, name: str) -> Value:
    return ops.concat(f, [a, b], result_type=a.rows.wide(a.width + b.width), name=name)


def for_loop(f: Builder, count: Value, body: Region, initial: Sequence[Value], names: Sequence[str]) -> list[Value]:
    """`scf.for` from 0 by 1; the body's first argument is the index, its last op `for_yield`."""
    bounds = [index(f, 0, "zero"), count, index(f, 1, "one")]
    results = [(name, value.type) for name, value in zip(names, initial, strict=True)]
    return list(f.op("scf.for", operands=[*bounds, *initial], results=results, regions=[body]))


def for_yield(f: Builder, *values: Value) -> None:
    f.op("scf.yield", operands=values)


def for_body(f: Builder, name: str, *carried: tuple[str, Type]) -> Region:
    return f.region((name, INDEX), *carried)


def sigmoid(f: Builder, x: Value, name: str = "sigmoid") -> Value:
    """1 / (1 + exp(-x))."""
    one = full(f, 1.0, x, "one")
    return divide(f, one, add(f, one, exp(f, negate(f, x))), name)


def silu(f: Builder, x: Value, name: str = "silu") -> Value:
    """x / (1 + exp(-x))."""
    return divide(f, x, add(f, full(f, 1.0, x, "one"), exp(f, negate(f, x))), name)


def gelu_tanh(f: Builder, x: Value, name: str = "gelu") -> Value:
    """x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))."""
    cubed = multiply(f, multiply(f, x, x), x, "cubed")
    inner = scaled(f, add(f, x, scaled(f, cubed, 0.044715)), math.sqrt(2 / math.pi))
    return multiply(f, scaled(f, x, 0.5), add(f, full(f, 1.0, x, "one"), tanh(f, inner)), name)


def gelu_erf(f: Builder, x: Value, name: str = "gelu") -> Value:
    """x / 2 * (1 + erf(x / sqrt(2)))."""
    inner = erf(f, scaled(f, x, math.sqrt(0.5)))
    return multiply(f, scaled(f, x, 0.5), add(f, full(f, 1.0, x, "one"), inner), name)


def softmax(f: Builder, x: Value, name: str = "softmax") -> Value:
    """Softmax over the columns of each row."""
    shifted = exp(f, subtract(f, x, widen(f, reduce(f, x, "max", "largest"), x.width, "largest")))
    return divide(f, shifted, widen(f, reduce(f, shifted, "sum", "total"), x.width, "total"), name)
