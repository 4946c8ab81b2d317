# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""lit configuration: tests are .mlir and .test files, run with the tools of one build.

Features for REQUIRES: `long` (with --param long=1), `asan`, `ubsan`, `tsan`, `fuzz`, `torch`.
"""

import importlib.util
import os
import re
import shutil

import lit.formats
import lit.util

config.name = "Lariat"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "models", "CMakeLists.txt"]
config.test_source_root = os.path.join(config.lariat_source_dir, "test")
config.test_exec_root = os.path.join(config.lariat_binary_dir, "test")

bin_dir = os.path.join(config.lariat_binary_dir, "bin")


def llvm_tool(name: str) -> str:
    """A tool of the LLVM that the build uses, or the versioned command of the distribution."""
    inside = os.path.join(config.llvm_tools_dir, name)
    found = inside if os.path.exists(inside) else shutil.which(f"{name}-22") or shutil.which(name)
    if not found:
        lit_config.fatal(f"cannot find '{name}' in {config.llvm_tools_dir} or on the path")
    return found


def substitute_tool(name: str, path: str) -> None:
    """Replace NAME where it stands as a command, not inside a path, an option or a longer name."""
    pattern = rf"(?<![\w./%-]){re.escape(name)}(?![\w./-])"
    config.substitutions.append((pattern, path))


# A sanitised build is slow to start, and a test may not use the machine's own settings.
for variable in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS"):
    if variable in os.environ:
        config.environment[variable] = os.environ[variable]
config.environment["PATH"] = os.pathsep.join([bin_dir, config.llvm_tools_dir, config.environment.get("PATH", "")])
config.environment["LARIAT_BIN_DIR"] = bin_dir
config.environment["PYTHONPATH"] = os.path.join(config.lariat_source_dir, "python")
config.environment["PYTHONDONTWRITEBYTECODE"] = "1"

# Longer names first: lit applies substitutions in order.
config.substitutions.append(("%lariat_src", config.lariat_source_dir))
config.substitutions.append(("%models", os.path.join(config.test_source_root, "models")))
config.substitutions.append((r"%lariat\b", os.path.join(bin_dir, "lariat")))
config.substitutions.append(("%python", config.python))
config.substitutions.append(("%fuzz", os.path.join(config.lariat_binary_dir, "fuzz")))
config.substitutions.append((r"%bin\b", bin_dir))
for tool in ("lariat-opt", "lariat-reference", "lariat-compile", "lariat-reduce", "lariat-lsp-server"):
    substitute_tool(tool, os.path.join(bin_dir, tool))
for tool in ("FileCheck", "split-file"):
    substitute_tool(tool, llvm_tool(tool))
# `not` and `count` are words of ordinary text too: they are found on the PATH above.

sanitizers = config.lariat_sanitize.split(";")
for sanitizer, feature in (("address", "asan"), ("undefined", "ubsan"), ("thread", "tsan")):
    if sanitizer in sanitizers:
        config.available_features.add(feature)
if config.lariat_fuzz == "ON":
    config.available_features.add("fuzz")
if lit_config.params.get("long") == "1":
    config.available_features.add("long")
if importlib.util.find_spec("torch"):
    config.available_features.add("torch")
