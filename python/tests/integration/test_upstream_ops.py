# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Upstream ops on row tensors, and helper functions, compiled, run on both pipelines, and compared with numpy."""

from __future__ import annotations

import numpy as np
import pytest

from lariat.errors import LariatError
from tests.integration.programs import (
    VOCAB,
    Array,
    Program,
    assert_equal,
    assert_near,
    embed,
    execute,
    expand,
    full,
    open_text,
    ragged,
    table,
)

pytest_plugins = ["tests.integration.seeds"]
pytestmark = pytest.mark.usefixtures("pipeline")

Generator = np.random.Generator

COUNT = "%n = lariat.count %all : !all\n"


def empty(name: str, type: str) -> str:
    return f"{name} = tensor.empty(%n) : !all:{type}\n"


def parallel(*maps: str, loops: str = '"parallel", "parallel"') -> str:
    """The attributes of a linalg.generic over rows and columns."""
    dims = ", ".join(f"d{number}" for number in range(loops.count('"') // 2))
    written = ", ".join(f"affine_map<({dims}) -> ({one})>" for one in maps)
    return f"{{indexing_maps = [{written}], iterator_types = [{loops}]}}"


def softmax(x: Array, axis: int = -1) -> Array:
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


# linalg.generic.


def test_a_generic_between_model_and_head_is_elementwise(rng: Generator) -> None:
    x, batch = table(rng, 24), ragged(rng)
    body = f"""{embed(24)}{COUNT}{empty("%i", "24")}
%y = linalg.generic {parallel("d0, d1", "d0, d1")} ins(%x : !all:24) outs(%i : !all:24) {{
^bb0(%p: f32, %q: f32):
  %c = arith.constant 2.0 : f32
  %t = math.tanh %p : f32
  %u = arith.mulf %t, %c : f32
  linalg.yield %u : f32
}} -> !all:24
"""
    assert_near(execute(Program(body, 24, {"x": x}), batch), [2 * np.tanh(x[ids]) for ids in batch])


def test_a_generic_inside_the_loop(rng: Generator) -> None:
    x, batch = table(rng, 6), ragged(rng)
    body = f"""{embed(6)}
%y, %steps = lariat.recur max(%loops : !all:index) over %all : !all as %a : !a carry(%h = %x : !all:6) {{
  %n = lariat.count %a : !a
  %i = tensor.empty(%n) : !a:6
  %next = linalg.generic {parallel("d0, 5 - d1", "d0, d1")} ins(%h : !a:6) outs(%i : !a:6) {{
  ^bb0(%p: f32, %q: f32):
    %u = arith.addf %p, %p : f32
    linalg.yield %u : f32
  }} -> !a:6
  lariat.next keep %a : !a carry(%next : !a:6)
}}
"""
    found = execute(Program(body, 6, {"x": x}, loops=3, steps="%steps"), batch)
    assert_equal(found, [8 * x[ids][:, ::-1] for ids in batch])


def test_a_generic_of_two_results_with_a_value_per_row_and_a_constant(rng: Generator) -> None:
    x, batch = table(rng, 4), ragged(rng)
    maps = parallel("d0, d1", "d0", "d1", "d0, d1", "d0, d1")
    body = f"""{embed(4)}{COUNT}{empty("%i", "4")}
%m = lariat.row_reduce max %x : !all:4
%c = arith.constant dense<[1.0, 2.0, 4.0, 8.0]> : tensor<4xf32>
%u, %v = linalg.generic {maps} ins(%x, %m, %c : !all:4, !all:f32, tensor<4xf32>) outs(%i, %i : !all:4, !all:4) {{
^bb0(%a: f32, %b: f32, %k: f32, %p: f32, %q: f32):
  %s = arith.subf %b, %a : f32
  %t = arith.mulf %a, %k : f32
  linalg.yield %s, %t : f32, f32
}} -> (!all:4, !all:4)
%y = tensor.concat dim(1) %u, %v : (!all:4, !all:4) -> !all:8
"""
    scale = np.float32([1, 2, 4, 8])
    expected = [np.concatenate([x[ids].max(1, keepdims=True) - x[ids], x[ids] * scale], 1) for ids in batch]
    assert_equal(execute(Program(body, 8, {"x": x}), batch), expected)


def test_a_generic_that_reduces_columns_with_a_matrix(rng: Generator) -> None:
    x, w, batch = table(rng, 5), rng.integers(-3, 4, (7, 5)).astype(np.float32), ragged(rng)
    x = np.round(x * 8)
    maps = parallel("d0, d2", "d1, d2", "d0, d1", loops='"parallel", "parallel", "reduction"')
    body = f"""{embed(5)}
%w = lariat.value_of @w : tensor<7x5xf32>
{full("%i", 0, "7xf32")}
%y = linalg.generic {maps} ins(%x, %w : !all:5, tensor<7x5xf32>) outs(%i : !all:7) {{
^bb0(%a: f32, %b: f32, %o: f32):
  %p = arith.mulf %a, %b : f32
  %s = arith.addf %p, %o : f32
  linalg.yield %s : f32
}} -> !all:7
"""
    assert_equal(execute(Program(body, 7, {"x": x, "w": w}), batch), [x[ids] @ w.T for ids in batch])


def test_a_named_product_with_a_computed_matrix(rng: Generator) -> None:
    x, w, batch = np.round(table(rng, 3) * 8), rng.integers(-3, 4, (3, 4)).astype(np.float32), ragged(rng)
    body = f"""{embed(3)}{COUNT}{empty("%i", "4")}
%w = lariat.value_of @w : tensor<3x4xf32>
%double = arith.addf %w, %w : tensor<3x4xf32>
%part = tensor.extract_slice %double[0, 1] [3, 2] [1, 1] : tensor<3x4xf32> to tensor<3x2xf32>
%zero = arith.constant 0.0 : f32
%j = tensor.empty(%n) : !all:2
%z = linalg.fill ins(%zero : f32) outs(%j : !all:2) -> !all:2
%y = linalg.matmul ins(%x, %part : !all:3, tensor<3x2xf32>) outs(%z : !all:2) -> !all:2
"""
    assert_equal(execute(Program(body, 2, {"x": x, "w": w}), batch), [x[ids] @ (2 * w[:, 1:3]) for ids in batch])


@pytest.mark.parametrize("element", ["f16", "bf16", "f64", "i8", "i16", "i64", "index"])
def test_a_generic_on_elements_of_other_types(rng: Generator, element: str) -> None:
    x, batch = rng.integers(-9, 10, (VOCAB, 4)).astype(np.float32), ragged(rng)
    narrow = {"f64": "arith.extf"}.get(element, "arith.truncf")
    if element.startswith(("i", "bi")):
        convert, back, add = "arith.fptosi", "arith.sitofp", "arith.addi"
    else:
        convert, back, add = narrow, "arith.truncf" if element == "f64" else "arith.extf", "arith.addf"
    word = "i64" if element == "index" else element
    cast = f"%k = arith.index_cast %k0 : {word} to index" if element == "index" else ""
    uncast = f"%s1 = arith.index_cast %s : index to {word}" if element == "index" else ""
    body = f"""{embed(4)}{COUNT}{empty("%i", f"4x{element}")}{empty("%j", "4xf32")}
%k = linalg.generic {parallel("d0, 3 - d1", "d0, d1")} ins(%x : !all:4) outs(%i : !all:4x{element}) {{
^bb0(%a: f32, %o: {element}):
  %k0 = {convert} %a : f32 to {word}
  {cast}
  linalg.yield %{"k" if cast else "k0"} : {element}
}} -> !all:4x{element}
%d = {add} %k, %k : !all:4x{element}
%y = linalg.generic {parallel("d0, d1", "d0, d1")} ins(%d : !all:4x{element}) outs(%j : !all:4) {{
^bb0(%s: {element}, %o: f32):
  {uncast}
  %r = {back} %{"s1" if uncast else "s"} : {word} to f32
  linalg.yield %r : f32
}} -> !all:4
"""
    assert_equal(execute(Program(body, 4, {"x": x}), batch), [2 * x[ids][:, ::-1] for ids in batch])


# Other structured ops.


def test_softmax_over_columns(rng: Generator) -> None:
    x, batch = table(rng, 9), ragged(rng)
    body = f"""{embed(9)}{COUNT}{empty("%i", "9")}
%y = linalg.softmax dimension(1) ins(%x : !all:9) outs(%i : !all:9) -> !all:9
"""
    assert_near(execute(Program(body, 9, {"x": x}), batch), [softmax(x[ids]) for ids in batch])


def test_softmax_inside_heads(rng: Generator) -> None:
    x, batch = table(rng, 12), ragged(rng)
    heads = 'tensor<?x3x4xf32, #lariat.of<"all">>'
    body = f"""{embed(12)}{COUNT}
%h = tensor.expand_shape %x [[0], [1, 2]] output_shape [%n, 3, 4] : !all:12 into {heads}
%i = tensor.empty(%n) : {heads}
%s = linalg.softmax dimension(1) ins(%h : {heads}) outs(%i : {heads}) -> {heads}
%y = tensor.collapse_shape %s [[0], [1, 2]] : {heads} into !all:12
"""
    expected = [softmax(x[ids].reshape(-1, 3, 4), 1).reshape(-1, 12) for ids in batch]
    assert_near(execute(Program(body, 12, {"x": x}), batch), expected)


def test_map_reduce_and_broadcast(rng: Generator) -> None:
    x, batch = table(rng, 5), ragged(rng)
    body = f"""{embed(5)}{COUNT}{empty("%i", "5")}{empty("%one", "f32")}
%s = linalg.map {{ arith.mulf }} ins(%x, %x : !all:5, !all:5) outs(%i : !all:5)
%low = arith.constant -1.0 : f32
%start = linalg.fill ins(%low : f32) outs(%one : !all:f32) -> !all:f32
%m = linalg.reduce {{ arith.maximumf }} ins(%s : !all:5) outs(%start : !all:f32) dimensions = [1]
%b = linalg.broadcast ins(%m : !all:f32) outs(%i : !all:5) dimensions = [1]
%y = arith.subf %b, %s : !all:5
"""
    expected = [(x[ids] ** 2).max(1, keepdims=True) - x[ids] ** 2 for ids in batch]
    assert_equal(execute(Program(body, 5, {"x": x}), batch), expected)


def test_transpose_of_columns(rng: Generator) -> None:
    x, batch = table(rng, 6), ragged(rng)
    wide, tall = ('tensor<?x2x3xf32, #lariat.of<"all">>', 'tensor<?x3x2xf32, #lariat.of<"all">>')
    body = f"""{embed(6)}{COUNT}
%w = tensor.expand_shape %x [[0], [1, 2]] output_shape [%n, 2, 3] : !all:6 into {wide}
%i = tensor.empty(%n) : {tall}
%t = linalg.transpose ins(%w : {wide}) outs(%i : {tall}) permutation = [0, 2, 1]
%y = tensor.collapse_shape %t [[0], [1, 2]] : {tall} into !all:6
"""
    expected = [x[ids].reshape(-1, 2, 3).transpose(0, 2, 1).reshape(-1, 6) for ids in batch]
    assert_equal(execute(Program(body, 6, {"x": x}), batch), expected)


# Columns.


@pytest.mark.parametrize("width", [4, 12, 16])
def test_parts_of_one_product(rng: Generator, width: int) -> None:
    """Queries, keys and values of one product; parts of 16 columns start where panels do."""
    x, batch = table(rng, 3 * width), ragged(rng)
    source, part = f"!all:{3 * width}", f"!all:{width}"
    slices = "".join(
        f"%p{place} = tensor.extract_slice %x[0, {place * width}] [%n, {width}] [1, 1] : {source} to {part}\n"
        for place in range(3)
    )
    body = f"""{embed(3 * width)}
%c0 = arith.constant 0 : index
%n = tensor.dim %x, %c0 : {source}
{slices}
%product = arith.mulf %p1, %p2 : {part}
%y = arith.subf %product, %p0 : {part}
"""
    parts = [np.split(x[ids], 3, 1) for ids in batch]
    assert_equal(execute(Program(body, width, {"x": x}), batch), [k * v - q for q, k, v in parts])


def test_slices_with_strides_and_of_one_column(rng: Generator) -> None:
    x, batch = table(rng, 9), ragged(rng)
    body = f"""{embed(9)}{COUNT}
%odd = tensor.extract_slice %x[0, 1] [%n, 4] [1, 2] : !all:9 to !all:4
%one = tensor.extract_slice %x[0, 8] [%n, 1] [1, 1] : !all:9 to !all:f32
%b = lariat.spread %one at %all : !all:f32 at !all to !all:4
%y = arith.addf %odd, %b : !all:4
"""
    assert_equal(execute(Program(body, 4, {"x": x}), batch), [x[ids][:, 1:9:2] + x[ids][:, 8:] for ids in batch])


def test_insert_slice_replaces_columns(rng: Generator) -> None:
    x, batch = table(rng, 8), ragged(rng)
    body = f"""{embed(8)}{COUNT}
%p = tensor.extract_slice %x[0, 0] [%n, 3] [1, 1] : !all:8 to !all:3
%m = arith.negf %p : !all:3
%y = tensor.insert_slice %m into %x[0, 4] [%n, 3] [1, 1] : !all:3 into !all:8
"""
    expected = [np.concatenate([x[ids][:, :4], -x[ids][:, :3], x[ids][:, 7:]], 1) for ids in batch]
    assert_equal(execute(Program(body, 8, {"x": x}), batch), expected)


def test_rows_of_several_dimensions_in_the_loop(rng: Generator) -> None:
    x, batch = table(rng, 4), ragged(rng)
    square, inner = ('tensor<?x2x2xf32, #lariat.of<"all">>', 'tensor<?x2x2xf32, #lariat.of<"a">>')
    body = f"""{embed(4)}{COUNT}
%s = tensor.expand_shape %x [[0], [1, 2]] output_shape [%n, 2, 2] : !all:4 into {square}
%r, %steps = lariat.recur max(%loops : !all:index) over %all : !all as %a : !a carry(%h = %s : {square}) {{
  %g = lariat.take %s of %all at %a : {square} at !a
  %next = arith.addf %h, %g : {inner}
  lariat.next keep %a : !a carry(%next : {inner})
}}
%y = tensor.collapse_shape %r [[0], [1, 2]] : {square} into !all:4
"""
    found = execute(Program(body, 4, {"x": np.round(x * 8)}, loops=3, steps="%steps"), batch)
    assert_equal(found, [4 * np.round(x * 8)[ids] for ids in batch])


# Helper functions.


def test_helpers_are_inlined_wherever_they_are_called(rng: Generator) -> None:
    """Nested, several times, with a scalar, with two results, from the loop; one that nobody calls."""
    x, batch = np.round(table(rng, 4) * 8), ragged(rng)
    helpers = """
func.func @unused(%p: tensor<3xi7>) -> tensor<3xi7> {
  return %p : tensor<3xi7>
}
func.func private @scale(%p: !a:4, %r: !a, %c: f32) -> !a:4 {
  %s = lariat.spread %c at %r : f32 at !a to !a:4
  %m = arith.mulf %p, %s : !a:4
  return %m : !a:4
}
func.func private @both(%p: !a:4, %r: !a) -> (!a:4, !a:4) {
  %two = arith.constant 2.0 : f32
  %three = arith.constant 3.0 : f32
  %u = func.call @scale(%p, %r, %two) : (!a:4, !a, f32) -> !a:4
  %v = func.call @scale(%p, %r, %three) : (!a:4, !a, f32) -> !a:4
  return %u, %v : !a:4, !a:4
}
func.func private @positive(%p: !all:4, %r: !all) -> !all:4 {
  %m = lariat.row_reduce max %p : !all:4
  %c = arith.constant 0.0 : f32
  %z = lariat.spread %c at %r : f32 at !all to !all:f32
  %bit = arith.cmpf ogt, %m, %z : !all:f32
  %k = lariat.select %r where %bit : !all to !k
  %t = lariat.take %p of %r at %k : !all:4 at !k
  %n = arith.negf %t : !k:4
  %o = lariat.put %n of %k into %p of %r : !k:4 into !all:4
  return %o : !all:4
}
"""
    body = f"""{embed(4)}
%first = func.call @positive(%x, %all) : (!all:4, !all) -> !all:4
%second = func.call @positive(%first, %all) : (!all:4, !all) -> !all:4
%y, %steps = lariat.recur max(%loops : !all:index) over %all : !all as %a : !a carry(%h = %second : !all:4) {{
  %u, %v = func.call @both(%h, %a) : (!a:4, !a) -> (!a:4, !a:4)
  %next = arith.subf %v, %u : !a:4
  lariat.next keep %a : !a carry(%next : !a:4)
}}
"""

    def turn(values: Array) -> Array:
        return np.where((values.max(1) > 0)[:, None], -values, values)

    program = Program(body, 4, {"x": x}, declarations=helpers, loops=2, steps="%steps")
    assert_equal(execute(program, batch), [turn(turn(x[ids])) for ids in batch])


# Refusals, when compiling and at their line.

REFUSED = {
    "a count as a value": (
        f"{COUNT}%i = arith.index_cast %n : index to i32\n%f = arith.sitofp %i : i32 to f32\n"
        "%y = lariat.spread %f at %all : f32 at !all to !all:4\n",
        "'lariat.count' is used by 'arith.index_cast'",
    ),
    "rows put one after the other": (
        f"{COUNT}%t = tensor.concat dim(0) %x, %x : (!all:4, !all:4) -> !all:4\n%y = arith.negf %t : !all:4\n",
        "'tensor.concat' mixes rows",
    ),
    "rows from the second on": (
        f"{COUNT}%y = tensor.extract_slice %x[1, 0] [%n, 4] [1, 1] : !all:4 to !all:4\n",
        "'tensor.extract_slice' mixes rows",
    ),
    "a row of its own choice": (
        "%c = arith.constant 0 : index\n%f = tensor.extract %x[%c, %c] : !all:4\n"
        "%y = lariat.spread %f at %all : f32 at !all to !all:4\n",
        "'tensor.extract' mixes rows",
    ),
    "the row's number": (
        f"{COUNT}{empty('%i', '4xindex')}%k = linalg.generic {parallel('d0, d1')} outs(%i : !all:4xindex) {{\n"
        "^bb0(%o: index):\n  %r = linalg.index 0 : index\n  linalg.yield %r : index\n} -> !all:4xindex\n"
        "%j = arith.index_cast %k : !all:4xindex to !all:4xi32\n%y = arith.sitofp %j : !all:4xi32 to !all:4\n",
        "'linalg.generic' mixes rows",
    ),
    "a sum over rows": (
        "%c = arith.constant dense<0.0> : tensor<4xf32>\n"
        "%s = linalg.reduce { arith.addf } ins(%x : !all:4) outs(%c : tensor<4xf32>) dimensions = [0]\n"
        "%y = lariat.spread %s at %all : tensor<4xf32> at !all to !all:4\n",
        "'linalg.reduce' mixes rows",
    ),
    "columns that are not there": (
        f"{COUNT}{empty('%i', '6')}%z = linalg.generic {parallel('d0, d1', 'd0, d1')} ins(%x : !all:4) "
        "outs(%i : !all:6) {\n"
        "^bb0(%a: f32, %o: f32):\n  linalg.yield %a : f32\n} -> !all:6\n"
        "%y = tensor.extract_slice %z[0, 2] [%n, 4] [1, 1] : !all:6 to !all:4\n",
        "'linalg.generic' reads or writes operand 1",
    ),
    "an element of another width": (
        "%k = arith.fptosi %x : !all:4 to !all:4xi7\n%y = arith.sitofp %k : !all:4xi7 to !all:4\n",
        "'arith.fptosi' has a value of type",
    ),
    "an op of another dialect": (
        "%m = memref.alloc() : memref<f32>\n%c = arith.constant 1.0 : f32\nmemref.store %c, %m[] : memref<f32>\n"
        "%y = arith.negf %x : !all:4\n",
        "'memref.alloc' has no place in an entry function",
    ),
    "a circle of calls": (
        "%y = func.call @f(%x) : (!all:4) -> !all:4\n",
        "functions call each other in a circle: @f -> @g -> @f",
    ),
    "a function that is only declared": (
        "%y = func.call @outside(%x) : (!all:4) -> !all:4\n",
        "function @outside is only declared",
    ),
}  # fmt: skip

HELPERS = """
func.func private @outside(!all:4) -> !all:4
func.func private @f(%p: !all:4) -> !all:4 {
  %q = func.call @g(%p) : (!all:4) -> !all:4
  return %q : !all:4
}
func.func private @g(%p: !all:4) -> !all:4 {
  %q = func.call @f(%p) : (!all:4) -> !all:4
  return %q : !all:4
}
"""


@pytest.mark.parametrize("name", REFUSED)
def test_what_mixes_rows_is_refused_at_its_line(rng: Generator, name: str, pipeline: str) -> None:
    body, said = REFUSED[name]
    text = Program(embed(4) + body, 4, {"x": table(rng, 4)}, declarations=HELPERS).text()
    if pipeline == "reference":
        with pytest.raises(pytest.fail.Exception, match="lariat-reference ended with status 1") as failure:
            open_text(text).request("info")
        found = str(failure.value)
    else:
        with pytest.raises(LariatError) as error:
            open_text(text)
        found = str(error.value)
    assert said in found
    assert "model.mlir:" in found
    assert expand(said) == said
