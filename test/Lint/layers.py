# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Who may include and link whom: the layer table of docs/architecture.md as a check.

Reads the #include lines of lib/, include/, tools/ and python/src, and the LINK lists of `lariat_add_library` and
`lariat_add_tool` in CMake. A layer may use itself and what TABLE names for it, nothing else. A file in a folder that
belongs to no layer is a finding, so that a new folder gets its line here first, and so is a layer without a folder.
scripts/generate_docs.py writes TABLE into docs/architecture.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import tree


class Layer(NamedTuple):
    rank: str  # a layer uses layers of lower ranks only; shown in docs/architecture.md
    folders: tuple[str, ...]  # below lib/ and include/lariat/, or from the root when it starts with "/"
    uses: tuple[str, ...]  # other layers, by name
    foreign: str  # "none": nothing of LLVM; "llvm": LLVM's ADT and Support; "mlir": everything of LLVM and MLIR


L_IR, K_IR = "Dialect/Lariat/IR", "Dialect/Kernel/IR"
L_PASSES, K_PASSES = "Dialect/Lariat/Transforms", "Dialect/Kernel/Transforms"
DESCRIPTION, REGISTRY = "Target/Description", "Target/Registry"
TO_KERNEL, TO_REFERENCE = "Conversion/LariatToKernel", "Conversion/LariatToReference"
CODEGEN, TO_HOST, TO_VECTOR = "Conversion/KernelCodegen", "Conversion/KernelToHost", "Conversion/KernelToVector"
# Grouping and storage do not know each other, and neither knows what is written.
MODEL, STORAGE, GROUPING, EMISSION = (f"{TO_KERNEL}/{part}" for part in ("Model", "Storage", "Grouping", "Emission"))
# The header that registers all conversions: it includes each of them, so none of them may include it.
REGISTRATION = "Conversion/Passes"
# Layers 0 to 4, and with the compiler 0 to 5.
BELOW_COMPILER = ("Artefact", "Support", DESCRIPTION, L_IR, K_IR, L_PASSES, K_PASSES, TO_KERNEL, REGISTRATION,
                  TO_REFERENCE, CODEGEN, TO_HOST, TO_VECTOR, REGISTRY, "Target/CPU")  # fmt: skip
UP_TO_COMPILER = (*BELOW_COMPILER, "Compiler")


def _library(rank: str, name: str, uses: tuple[str, ...], foreign: str = "mlir") -> tuple[str, Layer]:
    return name, Layer(rank, (name,), uses, foreign)


def _tool(name: str, uses: tuple[str, ...], foreign: str = "mlir") -> tuple[str, Layer]:
    return name, Layer("7", (f"/tools/{name}",), uses, foreign)


TABLE: dict[str, Layer] = dict(
    [
        # 0: no dialect anywhere below; a target description is data.
        _library("0", "Artefact", (), "none"),
        _library("0", "Support", ("Artefact",), "llvm"),
        _library("0", DESCRIPTION, ("Artefact",), "llvm"),
        # 0b: what both paths say about requests.
        _library("0b", "Runtime/Base", ("Artefact",), "none"),
        _library("0b", "Requests", ("Artefact", "Runtime/Base"), "none"),
        # 1: the two levels of IR meet in one conversion only. What artefacts hold too, they have from there.
        _library("1", L_IR, ("Support", "Artefact")),
        _library("1", K_IR, ("Support", "Artefact")),
        # 2: the model level does not know the machine; numbers arrive as pass options.
        _library("2", L_PASSES, ("Support", L_IR, "Artefact")),
        _library("2", K_PASSES, ("Support", K_IR, DESCRIPTION)),
        # 3: conversions never use passes, targets or each other.
        (
            REGISTRATION,
            Layer("3", ("/include/lariat/Conversion/Passes.h",), (TO_KERNEL, TO_REFERENCE), "mlir"),
        ),
        _library("3a", MODEL, (L_IR, K_IR)),
        _library("3b", STORAGE, (MODEL, L_IR, K_IR)),
        _library("3b", GROUPING, (MODEL, L_IR, K_IR)),
        _library("3c", EMISSION, (GROUPING, STORAGE, MODEL, L_IR, K_IR, "Artefact")),
        _library("3", TO_KERNEL, (EMISSION, GROUPING, STORAGE, MODEL, "Support", L_IR, K_IR, DESCRIPTION)),
        # What compiled code and the runtime agree on is the artefact's.
        _library("3", TO_REFERENCE, ("Support", L_IR, DESCRIPTION, "Artefact")),
        # Host code and bodies of kernels know each other by one interface.
        (CODEGEN, Layer("3a", ("/include/lariat/Conversion/KernelCodegen.h",), (), "mlir")),
        _library("3", TO_HOST, (CODEGEN, K_IR, "Artefact")),
        _library("3", TO_VECTOR, (CODEGEN, K_IR, DESCRIPTION, "Artefact")),
        # 4: code for one family of machines.
        _library("4a", REGISTRY, (CODEGEN, K_IR, "Support", "Artefact")),
        _library("4", "Target/CPU", (REGISTRY, TO_VECTOR, CODEGEN, K_IR, DESCRIPTION, "Support", "Artefact")),
        # 4b: kernels in this process, for unit tests and benchmarks only.
        _library("4b", "Testing", BELOW_COMPILER),
        # 5: all that a tool or a binding calls.
        _library("5", "Compiler", BELOW_COMPILER),
        # 5b: in-process execution of the reference path.
        _library("5b", "Reference", (*UP_TO_COMPILER, "Requests", "Runtime/Base")),
        # R: stands alone, with what is below it. Threads are the CPU's, one device among others.
        _library("R1", "Runtime/Threads", ("Runtime/Base",), "none"),
        _library("R2", "Runtime/Device", ("Artefact", "Runtime/Base", "Runtime/Threads"), "none"),
        _library("R3", "Runtime", ("Artefact", "Requests", "Runtime/Base", "Runtime/Device"), "none"),
        # 6: the C interface, a shared library.
        (
            "RuntimeC",
            Layer(
                "6",
                ("/lib/CAPI/Runtime", "/include/lariat-c/Runtime", "/include/lariat-c/Experimental"),
                ("Requests", "Runtime", "Runtime/Base"),
                "none",
            ),
        ),  # fmt: skip
        # 7: compiler and runtime never share a binary.
        _tool("lariat-opt", UP_TO_COMPILER),
        _tool("lariat-lsp-server", UP_TO_COMPILER),
        _tool("lariat-reduce", UP_TO_COMPILER),
        _tool("lariat-reference", (*UP_TO_COMPILER, "Reference")),
        _tool("lariat-compile", ("Compiler", "Artefact", "Support")),
        ("python", Layer("7", ("/python/src",), ("RuntimeC",), "none")),
    ]
)
FOREIGN = {"none": "nothing", "llvm": "ADT and Support of LLVM", "mlir": "everything"}


def describe_table() -> str:
    """TABLE as docs/architecture.md shows it, in Markdown."""
    lines = ["| | layer | may use | of LLVM and MLIR |", "|---|---|---|---|"]
    names = {BELOW_COMPILER: "layers 0 to 4", UP_TO_COMPILER: "layers 0 to 5"}
    for name, layer in TABLE.items():
        uses = layer.uses
        shown = next(
            (", ".join((text, *uses[len(known) :])) for known, text in reversed(names.items())
             if uses[: len(known)] == known),
            ", ".join(uses) or "-",
        )  # fmt: skip
        place = layer.folders[0].removeprefix("/")
        label = name if place.endswith(name) else f"{name} ({place})"
        lines.append(f"| {layer.rank} | {label} | {shown} | {FOREIGN[layer.foreign]} |")
    return "\n".join(lines) + "\n"


INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
TARGET = re.compile(r"\blariat_add_(?:library|tool|\w+)\s*\(\s*(\w[\w-]*)([^)]*)\)", re.S)
FOREIGN_ROOTS = ("llvm/", "llvm-c/", "mlir/", "mlir-c/", "clang/")
LLVM_BASE = ("llvm/ADT/", "llvm/Support/", "llvm/Config/")


def layer_of(path: str) -> str | None:
    """The layer of a path from the root; the longest folder that fits wins."""
    best: tuple[int, str] | None = None
    for name, layer in TABLE.items():
        for folder in layer.folders:
            roots = [folder[1:]] if folder.startswith("/") else [f"lib/{folder}", f"include/lariat/{folder}"]
            for root in roots:
                # "lib/CAPI/Compiler" covers Compiler.cpp, CompilerC/ and Compiler/.
                exact = path == root or path.startswith(root + "/")
                stem = folder.startswith("/") and "tools/" not in folder and path.startswith(root)
                if (exact or stem) and (best is None or len(root) > best[0]):
                    best = (len(root), name)
    return best[1] if best else None


def foreign_problem(layer: str, target: str) -> str | None:
    allowed = TABLE[layer].foreign
    if not target.startswith(FOREIGN_ROOTS) or allowed == "mlir":
        return None
    if allowed == "llvm" and target.startswith(LLVM_BASE):
        return None
    what = "only llvm/ADT and llvm/Support" if allowed == "llvm" else "nothing of LLVM or MLIR"
    return f"'{layer}' includes '{target}', but it may use {what}"


def included_path(root: Path, path: Path, target: str) -> str | None:
    """Path from the root of a header of ours; None for a foreign or system header."""
    if target.startswith(("lariat/", "lariat-c/")):
        return f"include/{target}"
    beside = (path.parent / target).resolve()
    if beside.is_file() and beside.is_relative_to(root):
        return beside.relative_to(root).as_posix()
    return None


def generated_problem(layer: str, target: str) -> str | None:
    """Generated files lie in the folder above their layers: the includer or a layer it uses must be of that folder."""
    folder = target.removeprefix("lariat/").rpartition("/")[0]
    for name in (layer, *TABLE[layer].uses):
        if any(part.removeprefix("/include/lariat/").startswith(folder) for part in TABLE[name].folders):
            return None
    return f"'{layer}' includes '{target}', generated for layers that it must not use"


def check_includes(root: Path) -> Iterator[tree.Finding]:
    for path in tree.files(root, "lib", "include", "tools", "python/src", suffixes=(".h", ".cpp", ".c", ".inc")):
        shown = path.relative_to(root).as_posix()
        layer = layer_of(shown)
        if layer is None:
            yield shown, 1, "file belongs to no layer: give its folder a line in TABLE of test/Lint/layers.py"
            continue
        for number, line in enumerate((tree.text(path) or "").splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            target = match[2]
            if path.suffix == ".h" and target == "mlir/InitAllDialects.h":
                yield shown, number, "header includes 'mlir/InitAllDialects.h': name the dialects that are used"
            if problem := foreign_problem(layer, target):
                yield shown, number, problem
            ours = included_path(root, path, target)
            if ours is None:
                continue
            other = layer_of(ours)
            if other is None and target.endswith(".inc") and not (root / ours).exists():
                if problem := generated_problem(layer, target):
                    yield shown, number, problem
            elif other is None:
                yield shown, number, f"'{target}' belongs to no layer"
            elif other != layer and other not in TABLE[layer].uses:
                yield shown, number, f"'{layer}' includes '{target}' of layer '{other}', which it must not use"


def cmake_targets(root: Path) -> Iterator[tuple[Path, int, str, list[str]]]:
    """Each target with file, line, name and the libraries of its LINK lists."""
    for path in tree.files(root, "lib", "tools", "python/src", suffixes=("CMakeLists.txt",)):
        source = re.sub(r"#[^\n]*", "", tree.text(path) or "")
        for match in TARGET.finditer(source):
            words = match[2].split()
            links: list[str] = []
            linking = False
            for word in words:
                if word in ("LINK", "LINK_PUBLIC", "LINK_PRIVATE", "LINK_LIBS"):
                    linking = True
                elif word.isupper() and word not in ("MLIR", "LLVM"):
                    linking = False
                elif linking:
                    links.append(word)
            yield path, source[: match.start()].count("\n") + 1, match[1], links


def target_layer(root: Path, path: Path, name: str) -> str | None:
    folder = path.parent.relative_to(root).as_posix()
    return layer_of(f"tools/{name}" if folder == "tools" else folder)


def check_links(root: Path) -> Iterator[tree.Finding]:
    targets = list(cmake_targets(root))
    layers = {name: target_layer(root, path, name) for path, _, name, _ in targets}
    for path, line, name, links in targets:
        shown = path.relative_to(root).as_posix()
        layer = layers[name]
        if layer is None:
            yield shown, line, f"target '{name}' belongs to no layer"
            continue
        for link in links:
            other = layers.get(link)
            if other and other != layer and other not in TABLE[layer].uses:
                problem = f"'{name}' of layer '{layer}' links '{link}' of layer '{other}', which it must not use"
                yield shown, line, problem
            if TABLE[layer].foreign == "none" and link.startswith(("LLVM", "MLIR")):
                yield shown, line, f"'{name}' of layer '{layer}' links '{link}', but it may use nothing of LLVM or MLIR"


def check_folders(root: Path) -> Iterator[tree.Finding]:
    for name, layer in TABLE.items():
        for folder in layer.folders:
            roots = [folder[1:]] if folder.startswith("/") else [f"lib/{folder}", f"include/lariat/{folder}"]
            if not any(any(path.parent.glob(f"{path.name}*")) for path in (root / one for one in roots)):
                yield "test/Lint/layers.py", 1, f"layer '{name}' has no folder {' or '.join(roots)}"


def check(root: Path) -> Iterator[tree.Finding]:
    yield from check_includes(root)
    yield from check_links(root)
    yield from check_folders(root)


if __name__ == "__main__":
    tree.run("layers", check)
