# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What every figure has to name, and how a document says it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lariat import __version__
from lariat.bench.plan import ROOT

__all__ = ["describe_run", "run_lines"]


def describe_run(command: Sequence[str]) -> dict[str, Any]:
    """What a figure has to name: command, commit, date, machine, versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "command": " ".join(command),
        "commit": _git("rev-parse", "--short", "HEAD") + ("+changes" if _git("status", "--porcelain") else ""),
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": {
            "processor": model or platform.processor() or platform.machine(),
            "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "system": f"{platform.system()} {platform.release()}",
            "load": list(os.getloadavg()),
        },
        "versions": {"lariat": __version__, "python": ".".join(map(str, sys.version_info[:3]))},
    }


def run_lines(about: dict[str, Any]) -> Iterator[str]:
    """Lines of a list: command and machine, and whether it was quiet."""
    machine = about["machine"]
    yield f"- command: `{about['command']}`, commit {about['commit']}, {about['date']}"
    yield (
        f"- machine: {machine['processor']}, {machine['processors']} processors, "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB, {machine['system']}, "
        f"load at the start {machine['load'][0]:.1f}"
    )
    if machine["load"][0] > machine["processors"] / 4:
        yield "- **the machine was not quiet: these are not figures to publish**"


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
    except OSError:
        return "unknown"
    return done.stdout.strip() if done.returncode == 0 else "unknown"
