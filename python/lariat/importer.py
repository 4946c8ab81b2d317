# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From a checkpoint directory to IR."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence

from lariat._checkpoint import Checkpoint, read_checkpoint
from lariat._config import LARGEST, TEXT, Config, one_of, read_config
from lariat._names import is_quantised, is_unmerged, resolve_names
from lariat._process import find_tool, read_diagnostics, run_tool
from lariat._values import read_path, read_texts
from lariat.errors import CompileError, ImportFailure, UnsupportedError

__all__ = ["FAMILIES", "import_checkpoint", "import_text", "import_to_file"]

FAMILIES = {
    "albert": "albert",
    "hrm_text": "hrm_text",
    "huginn": "huginn",
    "huginn_raven": "huginn",
    "llama": "llama",
    "mod": "mod",
    "mor": "mor",
    "nanbeige": "nanbeige",
    "ouro": "ouro",
    "rrt": "rrt",
}
"""`model_type` of config.json, and the module of `lariat.models` that imports it."""

EXIT_FAMILIES = ("huginn", "nanbeige", "ouro", "rrt")
"""Modules whose loop carries one state that can be read out, so that any exit rule can end it."""


ROOTS = {"albert": "", "huginn_raven": "transformer"}
"""By `model_type`, what stands before the names of tensors; `model` where it is not named here."""


def import_checkpoint(
    directory: str | os.PathLike[str],
    *,
    exit_rule: str | None = None,
    ignore_config_keys: Sequence[str] = (),
    rope_length: int | None = None,
) -> str:
    """IR text of the model in a checkpoint directory, in generic form.

    Args:
        directory: holds config.json and model.safetensors (or shards and their index). Weights stay there: the IR
            names them.
        exit_rule: rule in place of the one that the checkpoint declares, as `NAME[:option=value,...]`;
            docs/exit-rules.md lists them. A warning says that this changes the model, where it does.
        ignore_config_keys: keys of config.json to pass over, `OBJECT.KEY` inside of an object. Keys that decide nothing
            are passed over without.
        rope_length: longest sequence of a model whose rotary frequencies depend on the length of a sequence (`dynamic`,
            `longrope`); docs/checkpoints.md says what each length means.

    Raises:
        ConfigError: a key of config.json is missing, unknown, of the wrong type, or inconsistent with another.
        CheckpointError: a tensor is missing, misshaped or left over, or a file is damaged or a pickle.
        ImportFailure: there is no such exit rule, or an option of it is unknown or out of range.
        UnsupportedError: the family, or something config.json or `exit_rule` asks of it, is not built.
    """
    path = read_path(directory, "directory", ImportFailure).resolve()
    ignored = read_texts(ignore_config_keys, "ignore_config_keys", ImportFailure)
    config = read_config(path, ignored)
    config.rope_length = _read_rope_length(rope_length)
    family = config.get("model_type", TEXT)
    if family not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise UnsupportedError(f"config.json: 'model_type' is \"{family}\", expected one of {known}", [family])
    module = FAMILIES[family]
    config.same("family", one_of(family, module))
    build = importlib.import_module(f"lariat.models.{module}").build
    if exit_rule is not None and module not in EXIT_FAMILIES:
        raise UnsupportedError(
            f"exit rule '{exit_rule}' is asked for, but family '{module}' takes none, expected one of "
            f"{', '.join(EXIT_FAMILIES)}",
            [exit_rule],
        )
    if rope_length is not None and module == "albert":
        raise UnsupportedError(
            f"rope length {rope_length} is asked for, but family '{module}' has no rotary position", [family]
        )
    stored = read_checkpoint(path)
    _refuse_other_forms(stored, config)
    checkpoint = resolve_names(stored, ROOTS.get(family, "model"))
    return str(build(config, checkpoint) if exit_rule is None else build(config, checkpoint, exit_rule))


def _read_rope_length(length: int | None) -> int | None:
    if length is None or (isinstance(length, int) and not isinstance(length, bool) and 0 < length <= LARGEST):
        return length
    raise ImportFailure(f"the rope length is {length!r}, expected an integer from 1 to {LARGEST}")


def _refuse_other_forms(checkpoint: Checkpoint, config: Config) -> None:
    """Raise UnsupportedError for tensors that are no plain weights: quantised, or of an adapter that is not merged."""
    for tensor in checkpoint.tensors.values():
        if is_quantised(tensor):
            method = config.quantiser()
            by = f" by {method}" if method else ""
            raise UnsupportedError(
                f"tensor '{tensor.name}' of {tensor.file} is quantised{by} ({tensor.dtype}): quantised checkpoints "
                "are not built, save the model in bfloat16, float16 or float32",
                [method or "quantised"],
            )
        if is_unmerged(tensor.name):
            raise UnsupportedError(
                f"tensor '{tensor.name}' of {tensor.file} belongs to an adapter that is not merged: merge it, "
                "with peft by merge_and_unload(), and save the model",
                ["adapter"],
            )


def import_to_file(
    directory: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    exit_rule: str | None = None,
    ignore_config_keys: Sequence[str] = (),
    rope_length: int | None = None,
) -> None:
    """Import a checkpoint directory, verify the IR with `lariat-opt` and write it in its readable form.

    Raises:
        ImportFailure: as `import_checkpoint`.
        CompileError: if `lariat-opt` refuses the IR or cannot be run.
        RuntimeFault: if `lariat-opt` is not built.
    """
    text = import_text(directory, exit_rule=exit_rule, ignore_config_keys=ignore_config_keys, rope_length=rope_length)
    target = read_path(output, "output", CompileError)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text)
        temporary.replace(target)
    except OSError as failure:
        raise CompileError(f"cannot write {target}: {failure.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)


def import_text(
    directory: str | os.PathLike[str],
    *,
    exit_rule: str | None = None,
    ignore_config_keys: Sequence[str] = (),
    rope_length: int | None = None,
) -> str:
    """What `import_to_file` writes.

    Raises:
        LariatError: as `import_to_file`.
    """
    return _pretty(
        import_checkpoint(
            directory, exit_rule=exit_rule, ignore_config_keys=ignore_config_keys, rope_length=rope_length
        )
    )


def _pretty(text: str) -> str:
    tool = find_tool("lariat-opt")
    try:
        done = run_tool([tool, "--mlir-print-debuginfo", "-"], text=text)
    except OSError as failure:
        raise CompileError(f"cannot run {tool}: {failure.strerror}") from None
    if done.status:
        found = read_diagnostics(done.messages)
        first = found[0].message if found else f"exit status {done.status}"
        raise CompileError(f"lariat-opt refuses the imported IR: {first}", found)
    return done.output
