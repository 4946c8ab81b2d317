# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Progress of compiling: reports of the compiler, and what is shown where."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import lariat
from lariat._progress import CompileProgress, ProgressPrinter, listening, progress_on
from tests.checkpoints import MODELS
from tests.integration.conftest import require_tools

STAGES = ["read", "kernels", "code", "weights", "checksums"]


def compile_command(output: Path, *options: str) -> list[str]:
    command = [sys.executable, "-m", "lariat", "compile", str(MODELS / "ouro"), "-o", str(output)]
    return [*command, "--target", "native", *options]


def test_reports_of_all_stages(tmp_path: Path) -> None:
    """In order; the weights end with all their bytes."""
    require_tools()
    reports: list[CompileProgress] = []
    lariat.compile(
        MODELS / "ouro", tmp_path / "a.lariat", lariat.CompileOptions(target="native", progress=reports.append)
    )
    assert list(dict.fromkeys(report.stage for report in reports)) == STAGES
    weights = [report for report in reports if report.stage == "weights"]
    assert weights[0].done == 0
    assert weights[-1].done == weights[-1].total == (tmp_path / "a.lariat" / "weights.bin").stat().st_size
    assert all(before.done <= after.done for before, after in zip(weights, weights[1:], strict=False))


def test_what_a_listener_raises_is_raised_at_the_end(tmp_path: Path) -> None:
    require_tools()

    def refuse(progress: CompileProgress) -> None:
        raise ValueError(progress.stage)

    with pytest.raises(ValueError, match="read"):
        lariat.compile(
            MODELS / "ouro", tmp_path / "a.lariat", lariat.CompileOptions(pipeline="reference", progress=refuse)
        )
    assert (tmp_path / "a.lariat" / "manifest.json").exists()


def test_seconds_left_follow_from_the_speed() -> None:
    """A command that reports a third after 0.3 s; what is not a report is passed over."""
    reports: list[CompileProgress] = []
    with listening(reports.append) as pipe:
        script = f"""if True:
            import os, time
            write = lambda text: os.write({pipe.descriptors[0]}, text)
            write(b'{{"stage": "weights", "done": 0, "total": 300}}\\n')
            time.sleep(0.3)
            write(b'nonsense\\n{{"stage": "weights", "done": 100, "total": 300}}\\n{{"stage": "wei')
        """
        subprocess.run([sys.executable, "-c", script], check=True, pass_fds=pipe.descriptors)
    assert [report.seconds_left for report in reports[:1]] == [None]
    assert len(reports) == 2
    assert reports[1].seconds >= 0.25
    assert reports[1].seconds_left == pytest.approx(2 * reports[1].seconds)


def test_nothing_is_shown_where_no_terminal_is(tmp_path: Path) -> None:
    require_tools()
    done = subprocess.run(compile_command(tmp_path / "a.lariat"), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_plain_lines_on_demand(tmp_path: Path) -> None:
    require_tools()
    command = compile_command(tmp_path / "a.lariat", "--progress", "lines")
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "reading the model", "forming kernels", "generating code", "packing weights", "writing checksums",
    ]  # fmt: skip


def test_a_terminal_gets_one_line_that_is_empty_in_the_end(tmp_path: Path) -> None:
    require_tools()
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        compile_command(tmp_path / "a.lariat"), stderr=theirs, env={**os.environ, "TERM": "xterm"}
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    assert process.wait() == 0
    assert b"packing weights" in shown
    assert b"\n" not in shown
    assert shown.endswith(b"\r\x1b[K")


def test_describes_bytes_and_seconds_left() -> None:
    stream = io.StringIO()
    printer = ProgressPrinter(stream, plain=True)
    printer(CompileProgress("weights", 2_500_000_000, 10_000_000_000, 20.0, 61.0))
    assert stream.getvalue() == "packing weights, 2.50 of 10.00 GB (25 %), 1 min 1 s left\n"


def test_a_closed_stream_is_no_error() -> None:
    stream = io.StringIO()
    stream.close()
    ProgressPrinter(stream, plain=False)(CompileProgress("read", 0, 0, 0.0, None))


def test_never_is_heeded_on_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert progress_on(Terminal(), "never") is None
    assert progress_on(io.StringIO(), "auto") is None
    assert progress_on(Terminal(), "lines") is not None
