# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Requests and tools that are stopped from outside: soon, and with nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lariat
from lariat.engine import Engine
from lariat.errors import RuntimeFault
from lariat.requests import GenerateOptions, ScoreOptions
from tests.checkpoints import MODELS
from tests.command import PACKAGE, Command

# A call of so many loop steps takes much longer than a test may: it has to be stopped.
MANY = 100_000
# A stop takes a twentieth of a second where nobody else computes.
SOON = 15.0


@pytest.fixture(scope="module")
def session(compiled: Path) -> Iterator[lariat.Session]:
    with lariat.load(compiled / "huginn.lariat") as session:
        session.generate([[1]], GenerateOptions(max_new_tokens=1))
        yield session


def interrupt(call: Callable[[], object]) -> float:
    """Seconds from an interrupt until a call that takes very long has ended by it."""
    sent: list[float] = []

    def send() -> None:
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.3, send)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            call()
        return time.monotonic() - sent[0]
    finally:
        timer.cancel()
        timer.join()
        signal.signal(signal.SIGINT, before)


def many(**others: object) -> GenerateOptions:
    return GenerateOptions(max_new_tokens=2, loops=MANY // 10, **others)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "call",
    [
        lambda session: session.score([[65, 66, 67]], ScoreOptions(loops=MANY // 2)),
        lambda session: session.score([[65], [66]], ScoreOptions(loops=MANY // 10, derived="staggered")),
        lambda session: session.generate([[65, 66, 67]], many()),
        lambda session: session.generate([[65, 66], [67]], many()),
    ],
    ids=["score", "score by steps", "generate", "generate several"],
)
def test_an_interrupt_ends_a_long_call(session: lariat.Session, call: Callable[[lariat.Session], object]) -> None:
    expected = session.generate([[65, 66]], GenerateOptions(max_new_tokens=4))[0].tokens
    assert interrupt(lambda: call(session)) < SOON
    assert session.generate([[65, 66]], GenerateOptions(max_new_tokens=4))[0].tokens == expected


def test_an_interrupt_ends_a_tick_and_its_requests_are_reported(session: lariat.Session) -> None:
    engine = Engine(session)
    number = engine.submit([65, 66, 67], many())

    def run() -> None:
        while engine.tick().unfinished:
            pass

    assert interrupt(run) < SOON
    tick = engine.tick()
    assert [(end.request, end.finish, end.error) for end in tick.ends] == [
        (number, "failed", "the request was stopped")
    ]
    assert tick.unfinished == 0


def test_a_cancelled_request_ends_inside_a_call(session: lariat.Session) -> None:
    engine = Engine(session)
    number = engine.submit([65, 66, 67], many())
    timer = threading.Timer(0.3, engine.cancel, [number])
    timer.start()
    tick = engine.tick()
    timer.join()
    assert [(end.request, end.finish) for end in tick.ends] == [(number, "stop")]


def test_another_thread_cancels(session: lariat.Session) -> None:
    timer = threading.Timer(0.3, session.cancel)
    timer.start()
    with pytest.raises(RuntimeFault, match="^the request was stopped$"):
        session.score([[65, 66, 67]], ScoreOptions(loops=MANY // 2))
    timer.join()
    assert len(session.generate([[65, 66]], GenerateOptions(max_new_tokens=4))[0].tokens) == 4


def test_another_thread_cancels_on_the_reference_path(compiled: Path) -> None:
    with lariat.load(compiled / "reference.lariat") as session:
        expected = session.score([[72]])[0].logits
        timer = threading.Timer(0.1, session.cancel)
        timer.start()
        with pytest.raises(RuntimeFault, match="^the request was stopped$"):
            while True:
                session.score([[72] * 100])
        timer.join()
        assert (session.score([[72]])[0].logits == expected).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda session: session.score([[65, 66]], ScoreOptions(loops=1_000_000)),
        lambda session: session.generate([[65, 66], [67]], GenerateOptions(loops=1_000_000)),
    ],
    ids=["score", "generate"],
)
def test_loop_steps_beyond_memory_are_refused(
    session: lariat.Session, call: Callable[[lariat.Session], object]
) -> None:
    with pytest.raises(
        RuntimeFault, match=r"rows? at 1000000 loop steps need \d+ bytes of keys and values, but the memory"
    ):
        call(session)


def test_loop_steps_beyond_the_limit_are_refused(compiled: Path) -> None:
    with (
        lariat.load(compiled / "huginn.lariat", kv_pages=100) as session,
        pytest.raises(
            RuntimeFault, match=r"2 rows at 500 loop steps need \d+ bytes .*, but the limit of pages is \d+ bytes"
        ),
    ):
        session.score([[65, 66]], ScoreOptions(loops=500))


# --- tools ----------------------------------------------------------------------------------------------------------


def children_of(process: int) -> list[int]:
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(one) for one in text.split()]


def is_there(process: int) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


def wait_until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda one: one.name)
def test_a_compilation_that_is_ended_leaves_nothing(lariat: Command, number: signal.Signals) -> None:
    temporary = lariat.folder / "tmp"
    temporary.mkdir()
    lariat.environment["TMPDIR"] = str(temporary)
    process = lariat.start(
        *("compile", MODELS / "huginn", "-o", "new.lariat"),
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )
    tools: list[int] = []

    def has_compiler() -> bool:
        tools[:] = [
            one for one in children_of(process.pid) if b"lariat-compile" in Path(f"/proc/{one}/cmdline").read_bytes()
        ]
        return bool(tools)

    wait_until(has_compiler)
    process.send_signal(number)
    assert process.wait(60) == -number
    wait_until(lambda: not is_there(tools[0]))
    assert not list(temporary.iterdir())
    assert not list(lariat.folder.glob("new.lariat*"))


def test_a_reference_process_ends_with_its_program(lariat: Command) -> None:
    (lariat.folder / "in.json").write_text(str([[65] * 200]))
    process = lariat.start("score", "reference.lariat", "--tokens", "in.json", "-o", "out", stderr=subprocess.DEVNULL)
    wait_until(lambda: children_of(process.pid))
    tool = children_of(process.pid)[0]
    process.kill()
    process.wait()
    wait_until(lambda: not is_there(tool))


# --- fork -----------------------------------------------------------------------------------------------------------


def in_child(work: Callable[[], bool]) -> bool:
    """What `work` says in a child of fork, which then ends as an interpreter does."""
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        try:
            says = work()
        except BaseException:
            says = False
        os._exit(0 if says else 1)
    return os.waitpid(child, 0)[1] == 0


FORKING = """
import multiprocessing, os, sys, lariat
from lariat import GenerateOptions


def first_token(path):
    with lariat.load(path, threads=2) as session:
        return session.generate([[65, 66]], GenerateOptions(max_new_tokens=1))[0].tokens[0]


if __name__ == "__main__":
    path = sys.argv[1]
    expected = first_token(path)
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(first_token, [path] * 3) == [expected] * 3, method
    session = lariat.load(path)
    session.start()
    child = os.fork()
    if child == 0:
        try:
            session.score([[65]])
        except lariat.RuntimeFault as failure:
            sys.exit(0 if "before it forked" in str(failure) else 1)
        sys.exit(2)
    assert os.waitpid(child, 0)[1] == 0
    session.close()
    assert first_token(path) == expected
"""


def test_children_before_and_after_closing(compiled: Path, tmp_path: Path) -> None:
    program = tmp_path / "forking.py"
    program.write_text(FORKING)
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    command = [sys.executable, program, compiled / "ouro.lariat"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_child_of_fork_cannot_use_a_reference_process(compiled: Path) -> None:
    with lariat.load(compiled / "reference.lariat") as session:
        expected = session.score([[72]])[0].logits

        def is_refused() -> bool:
            try:
                session.score([[72]])
            except RuntimeFault as failure:
                session.close()
                return "before it forked" in str(failure)
            return False

        assert in_child(is_refused)
        assert (session.score([[72]])[0].logits == expected).all()
