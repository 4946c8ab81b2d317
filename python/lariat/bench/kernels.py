# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Matrix products as compiled code runs them, beside the machine's limits, from `lariat-bench-kernels`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

from lariat._process import find_tool, status_text
from lariat.bench.shapes import Shape
from lariat.errors import RuntimeFault

__all__ = ["measure_kernels", "products_of", "render_kernels"]


def products_of(shape: Shape) -> list[str]:
    """The products of a model, as `lariat-bench-kernels` takes them: K:N, or K:N:2 for two side by side."""
    attended = shape.heads * shape.head_dim
    projected = attended + 2 * shape.kv_heads * shape.head_dim
    return [
        f"{shape.width}:{projected}",
        f"{attended}:{shape.width}",
        f"{shape.width}:{shape.inner}" + (":2" if shape.is_gated else ""),
        f"{shape.inner}:{shape.width}",
        f"{shape.embedding or shape.width}:{shape.vocab}",
    ]


def measure_kernels(products: Sequence[str], *, rounds: int, isas: Sequence[str] = ()) -> dict[str, Any]:
    """What `lariat-bench-kernels` prints; all ISAs of this machine where none is given.

    Raises:
        RuntimeFault: if the program is not built, or fails.
    """
    command = [str(find_tool("lariat-bench-kernels")), "--product", ",".join(products), "--rounds", str(rounds)]
    command += ["--isa", ",".join(isas)] if isas else []
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        said = " ".join(done.stderr.split()).removeprefix("error: ")
        raise RuntimeFault(f"lariat-bench-kernels failed (status {status_text(done.returncode)}): {said}")
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def render_kernels(measured: dict[str, Any], about: Sequence[str]) -> str:
    """A table per type of weights: percent of the limit, best (median) round."""
    types = dict.fromkeys(product["type"] for product in measured["products"])
    lines = ["# Kernels", "", *about]
    for type in types:
        products = [product for product in measured["products"] if product["type"] == type]
        rows = list(dict.fromkeys(entry["rows"] for product in products for entry in product["entries"]))
        lines += ["", f"## {type} weights", ""]
        lines += [f"| K, N | weights MB | read GB/s | ISA | {' | '.join(f'M = {count}' for count in rows)} |"]
        lines += ["|" + "---|" * (4 + len(rows))]
        lines += [line for product in products for line in _lines(product, rows)]
    return "\n".join(lines) + "\n"


def _lines(product: dict[str, Any], rows: Sequence[int]) -> Iterator[str]:
    name = f"{product['k']}, {product['n']}" + (" x 2, norm + SwiGLU" if product["sides"] == 2 else "")
    place = f"{product['bytes'] / 1e6:.1f} | {product['read_bytes_per_second']['max'] / 1e9:.1f}"
    for isa in dict.fromkeys(entry["isa"] for entry in product["entries"]):
        seconds = {entry["rows"]: entry["seconds"] for entry in product["entries"] if entry["isa"] == isa}
        cells = [
            f"{100 * least_seconds(product, count) / seconds[count]['min']:.0f} "
            f"({100 * least_seconds(product, count) / seconds[count]['median']:.0f})"
            for count in rows
        ]
        yield f"| {name} | {place} | {isa} | {' | '.join(cells)} |"


def least_seconds(product: dict[str, Any], rows: int) -> float:
    """By the limits: arithmetic at the peak, or the weights at the bandwidth of the level that holds them."""
    arithmetic: float = rows * product["flops_per_row"] / product["fma_flops"]["max"]
    reading: float = product["bytes"] / product["read_bytes_per_second"]["max"]
    return max(arithmetic, reading)
