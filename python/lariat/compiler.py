# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From a checkpoint directory or IR to an artefact, by `lariat-compile`."""

from __future__ import annotations

import os
import subprocess
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lariat._process import find_tool, one_line_of, read_diagnostics, run_tool, status_text
from lariat._progress import CompileProgress, listening
from lariat._values import instance_of, read_fields, read_path
from lariat.artefact import Artefact
from lariat.errors import CompileError

__all__ = ["DEFAULT_PIPELINE", "PIPELINES", "CompileOptions", "CompileProgress", "compile"]

PIPELINES = ("reference", "fast")
DEFAULT_PIPELINE = "fast"

# Files of a checkpoint, which are taken for the whole of it.
_PARTS = (".bin", ".gguf", ".json", ".pt", ".pth", ".safetensors")


@dataclass(frozen=True)
class CompileOptions:
    """How to compile.

    Attributes:
        weights: checkpoint directory, where it is not the source and not the one the IR names.
        dtype: how weights are stored: a format for all, such as `bf16`, or rules such as `ffn=bf16,head=f32`
            (docs/weight-formats.md lists formats); as the IR declares where none is given, which is `f32` from
            importers. Values are rounded to it, arithmetic is f32.
        exit_rule: exit rule in place of the one that a checkpoint directory declares, as `NAME[:option=value,...]`;
            docs/exit-rules.md lists them. A warning says that this changes the model, where it does.
        ignore_config_keys: keys of a checkpoint's config.json to pass over, which this version does not know; keys that
            decide nothing about the function are passed over without.
        kv_dtype: `f32` or `bf16` keys and values; what the IR declares (`f32` from importers) where none is given.
        override_kv_policy: KV policy of the caches of loops in place of the one that the IR declares, as an attribute
            without `#lariat.`, such as `ring<2, order = sequential>`. It changes what the model computes, and a warning
            says so.
        pipeline: `reference`, naive lowering by upstream patterns, or `fast`, fused kernels for each target.
        target: of the fast pipeline: ISAs separated by commas, `native` (the best that this machine runs) or `all`; all
            that run on machines of this kind where none is given.
        print_memory: print bytes of keys and values, and of the fast pipeline's weights and calls, on standard output;
            `"all"` prints calls of every mode that a request may pick, not only the largest.
        rope_length: longest sequence of a checkpoint whose rotary frequencies depend on the length of a sequence
            (`dynamic`, `longrope`; docs/checkpoints.md).
        report: JSON file to write with seconds per stage and bytes of code.
        force: replace an artefact that is there.
        progress: is called with how far compiling is, some ten times a second, on another thread. What it raises is
            raised by `compile` at its end.
    """

    weights: Path | None = None
    dtype: str | None = None
    kv_dtype: str | None = None
    exit_rule: str | None = None
    ignore_config_keys: Sequence[str] = ()
    override_kv_policy: str | None = None
    pipeline: str = DEFAULT_PIPELINE
    target: str | None = None
    rope_length: int | None = None
    report: Path | None = None
    print_memory: bool | Literal["all"] = False
    force: bool = False
    progress: Callable[[CompileProgress], None] | None = None

    def __post_init__(self) -> None:
        """Reads the values.

        Raises:
            CompileError: for one of a wrong type, by its name.
        """
        read_fields(self, CompileError)


def compile(
    source: str | os.PathLike[str], output: str | os.PathLike[str], options: CompileOptions | None = None
) -> Artefact:
    """Compile a checkpoint directory, or IR in a file, to the artefact `output`.

    Raises:
        ImportFailure: if a directory cannot be imported.
        CompileError: if the compiler refuses, `output` exists without `force`, or it cannot be written.

    >>> compile("test/models/ouro", "new.lariat").family
    'ouro'
    """
    options = CompileOptions() if options is None else instance_of(CompileOptions, options, "options")
    path, target = read_path(source, "source", CompileError), read_path(output, "output", CompileError)
    if target.exists() and not options.force:
        raise CompileError(f"{target} is there already: --force replaces it")
    if not path.is_dir():
        if not path.exists():
            raise CompileError(f"{path}: no such file or directory")
        if path.suffix in _PARTS:
            raise CompileError(f"{path} is not IR: give the directory that holds config.json and model.safetensors")
        if options.exit_rule is not None:
            raise CompileError(f"{path} is IR, which has its exit rule: --exit-rule takes a checkpoint directory")
        if options.ignore_config_keys:
            raise CompileError(
                f"{path} is IR, which has no config.json: --ignore-config-key takes a checkpoint directory"
            )
        _run(path, target, options, options.weights)
        return Artefact.open(target)
    from lariat.importer import import_text

    # By a pipe: a file would stay behind where this process is killed.
    text = import_text(
        path,
        exit_rule=options.exit_rule,
        ignore_config_keys=options.ignore_config_keys,
        rope_length=options.rope_length,
    )
    _run("-", target, options, options.weights or path, text)
    return Artefact.open(target)


def _run(
    source: str | Path, target: Path, options: CompileOptions, weights: Path | None, text: str | None = None
) -> None:
    command: list[str | Path] = [find_tool("lariat-compile"), source, "-o", target, "--pipeline", options.pipeline]
    if weights is not None:
        command += ["--weights", weights.resolve()]
    if options.dtype is not None:
        command += ["--dtype", options.dtype]
    if options.kv_dtype is not None:
        command += ["--kv-dtype", options.kv_dtype]
    if options.override_kv_policy is not None:
        command += ["--override-kv-policy", options.override_kv_policy]
    if options.target is not None:
        command += ["--target", options.target]
    if options.report is not None:
        command += ["--report", options.report]
    if options.print_memory:
        command += ["--print-memory=all" if options.print_memory == "all" else "--print-memory"]
    command += ["--force"] if options.force else []
    output = None if options.print_memory else subprocess.DEVNULL
    try:
        with listening(options.progress) as pipe:
            done = run_tool([*command, *pipe.arguments], text=text, stdout=output, descriptors=pipe.descriptors)
    except OSError as failure:
        raise CompileError(f"cannot run {command[0]}: {failure.strerror}") from None
    found = read_diagnostics(done.messages)
    errors = [one for one in found if one.severity == "error"]
    if done.status < 0 or (done.status and not errors):
        raise CompileError(f"lariat-compile ended unexpectedly (status {status_text(done.status)})", found)
    if done.status:
        raise CompileError(one_line_of(errors), found)
    for one in found:
        warnings.warn(one_line_of([one]), stacklevel=3)
