# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sessions on the runtime in this process, with a model whose next token is the sum of the tokens so far."""

from __future__ import annotations

import dataclasses
import enum
import gc
import inspect
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy
import pytest
import safetensors.numpy

import lariat
from lariat._process import find_tool
from lariat._runner import SCHEDULERS, Settings
from lariat.engine import LOOPS
from tests import counting
from tests.counting import INFINITE, NOT_A_NUMBER, SLOW, expected

PACKAGE = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Artefacts `counting.lariat` and `encoder.lariat`."""
    pytest.importorskip("lariat._native", reason="the native module is not built")
    code = find_tool("lariat-compile").parents[1] / "unittests" / "counting.so"
    if not code.exists():
        pytest.skip("the unit tests are not built")
    made = tmp_path_factory.mktemp("artefacts")
    counting.write_artefact(made / "counting.lariat", code, counting.manifest())
    counting.write_artefact(made / "encoder.lariat", code, counting.manifest(encoder=True))
    return made


@pytest.fixture
def session(folder: Path) -> Iterator[lariat.Session]:
    with lariat.load(folder / "counting.lariat", threads=2) as session:
        yield session


def greedy(count: int, **options: object) -> lariat.GenerateOptions:
    return lariat.GenerateOptions(max_new_tokens=count, **options)  # type: ignore[arg-type]


# --- the module -----------------------------------------------------------------------------------------------------


def test_the_stub_is_that_of_the_module(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("nanobind")
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.exists():
        pytest.skip("ruff is not installed")
    command = [sys.executable, "-m", "nanobind.stubgen", "-q", "-m", "lariat._native", "-o", tmp_path / "_native.pyi"]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(PACKAGE)}, stdout=subprocess.DEVNULL)
    made = "# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception\n" + (tmp_path / "_native.pyi").read_text()
    command = [
        ruff,
        "format",
        "--quiet",
        "--config",
        PACKAGE / "pyproject.toml",
        "--stdin-filename",
        "_native.pyi",
        "-",
    ]
    done = subprocess.run(command, input=made, capture_output=True, text=True, check=True)
    assert done.stdout == (PACKAGE / "lariat" / "_native.pyi").read_text()


def test_words_of_options_are_the_enumerations_of_the_module(folder: Path) -> None:
    from lariat import _native

    enumerations: list[tuple[tuple[str, ...], type[enum.Enum]]] = [
        (SCHEDULERS, _native.Order),
        (LOOPS, _native.Loop),
    ]
    for words, kind in enumerations:
        assert sorted(word.upper() for word in words) == sorted(kind.__members__)


def test_defaults_are_those_of_the_runtime(folder: Path) -> None:
    from lariat import _native

    engine = {name: one.default for name, one in inspect.signature(lariat.Engine).parameters.items()}
    ours = engine | dataclasses.asdict(Settings())
    for name, value in _native.defaults().items():
        assert ours[name] == (value.name.lower() if isinstance(value, enum.Enum) else value), name


def test_the_version(folder: Path) -> None:
    from lariat import _native

    assert _native.version() == (1, 2)


def test_importing_the_package_does_not_load_it() -> None:
    code = "import sys, lariat; lariat.Session; print('lariat._native' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("order", ["sequential", "atomic"])
def test_only_policies_of_free_order_speculate(folder: Path, tmp_path: Path, order: str) -> None:
    fields = counting.manifest()
    rule = {"slot": "ring", "slots": 2, "order": order}
    fields["caches"] = [{**counting.CACHE, "generated": rule}]
    artefact = counting.write_artefact(
        tmp_path / "ordered.lariat", folder / "counting.lariat" / "code" / "none.so", fields
    )
    with lariat.load(artefact) as session:
        assert session.generate([[1]], greedy(2))[0].tokens == (1, 2)
        match = f"sequential policies cannot speculate.*: cache @kv has order {order} at 3 loop steps, expected free"
        with pytest.raises(lariat.RuntimeFault, match=match):
            session.generate([[1]], greedy(2, speculate=1))


def test_the_command_speculates(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text("[[4], [2, 2]]")
    command = [sys.executable, "-m", "lariat", "generate", folder / "counting.lariat", "--tokens", tmp_path / "in.json",
               "--max-new-tokens", "5", "--ignore-eos", "-o", tmp_path / "out.json"]  # fmt: skip
    results = []
    for more in ([], ["--speculate", "1"]):
        subprocess.run([*command, *more], check=True, cwd=PACKAGE)
        results.append((tmp_path / "out.json").read_text())
    assert results[0] == results[1]
    done = subprocess.run([*command, "--speculate", "3"], capture_output=True, text=True, check=False, cwd=PACKAGE)
    assert done.returncode == 1
    assert "error: speculation after 3 loop steps is asked for, expected 1 to 2, as rows run 3" in done.stderr


# --- results --------------------------------------------------------------------------------------------------------


def test_score(session: lariat.Session) -> None:
    first, second = session.score([[1, 2, 3], numpy.array([7])], lariat.ScoreOptions(loops=2))
    assert first.logits.dtype == numpy.float32 and first.logits.shape == (3, counting.VOCAB)
    assert first.logits.argmax(1).tolist() == [1, 3, 6]
    assert first.steps.dtype == numpy.int32 and first.steps.tolist() == [2, 2, 2]
    assert second.slots == {"kv": ((lariat.SlotUse(1, 0),) * 2,)}


def test_arrays_outlive_their_session(folder: Path) -> None:
    with lariat.load(folder / "counting.lariat", threads=1) as session:
        (score,) = session.score([[5, 6]])
    del session
    gc.collect()
    logits = score.logits
    del score
    gc.collect()
    assert logits.argmax(1).tolist() == [5, 11]
    logits += 1


@pytest.mark.parametrize("options", [{"chunk": 1}, {"chunk": 2}, {"derived": "lockstep"}, {"derived": "staggered"}])
def test_the_way_changes_nothing(session: lariat.Session, options: dict[str, object]) -> None:
    batch = [[1, 2, 3, 4, 5], [9], [8, 8, 8]]
    want = session.score(batch, lariat.ScoreOptions(exit_threshold=0.5))
    found = session.score(batch, lariat.ScoreOptions(exit_threshold=0.5, **options))  # type: ignore[arg-type]
    for one, other in zip(found, want, strict=True):
        assert numpy.array_equal(one.logits, other.logits) and numpy.array_equal(one.steps, other.steps)
        assert one.slots == other.slots
    assert want[0].steps.tolist() == [1, 3, 1, 3, 1]


def test_score_to_file(session: lariat.Session, tmp_path: Path) -> None:
    slots = session.score_to_file([[1, 2], [3]], tmp_path / "out")
    tensors = safetensors.numpy.load_file(tmp_path / "out")
    assert sorted(tensors) == ["logits.0", "logits.1", "steps.0", "steps.1"]
    assert tensors["logits.0"].argmax(1).tolist() == [1, 3] and tensors["steps.1"].tolist() == [3]
    assert slots[1]["kv"][0][0].computed == 1
    with pytest.raises(lariat.RuntimeFault, match="cannot write .*no/out: "):
        session.score_to_file([[1]], tmp_path / "no" / "out")


def test_encode(folder: Path, tmp_path: Path) -> None:
    with lariat.load(folder / "encoder.lariat") as session:
        first, second = session.encode([[1, 2], [5]])
        assert first.hidden.tolist() == [[1, 0, 3], [2, 1, 3]] and first.logits is None
        session.encode_to_file([[1, 2], [5]], tmp_path / "out")
        assert sorted(safetensors.numpy.load_file(tmp_path / "out")) == ["hidden.0", "hidden.1"]
        with pytest.raises(lariat.RuntimeFault, match="the model is an encoder, which answers encode, not score"):
            session.score([[1]])
    assert second.hidden.shape == (1, 3)


def test_initial_states(session: lariat.Session, tmp_path: Path) -> None:
    file = tmp_path / "state.safetensors"

    def best(states: dict[str, object], batch: list[list[int]]) -> list[list[int]]:
        safetensors.numpy.save_file({k: numpy.array(v, numpy.float32) for k, v in states.items()}, file)
        scores = session.score(batch, lariat.ScoreOptions(initial_state=file))
        return [one.logits.argmax(1).tolist() for one in scores]

    assert best({"x": [[10, 0], [0, 20]]}, [[1, 2]]) == [[11, 43]]
    assert best({"state.0": [[10, 0]], "state.1": [[0, 1]]}, [[1], [2]]) == [[11], [4]]
    with pytest.raises(lariat.RuntimeFault, match=r"tensor 'x' has shape \[1, 2\], expected \[2, 2\]$"):
        best({"x": [[10, 0]]}, [[1, 2]])
    with pytest.raises(lariat.RuntimeFault, match=r"has no tensor 'state.1' for sequence 1$"):
        best({"state.0": [[10, 0]]}, [[1], [2]])
    safetensors.numpy.save_file({"x": numpy.zeros((1, 2))}, file)
    with pytest.raises(lariat.RuntimeFault, match="has type F64, expected F32"):
        session.score([[1]], lariat.ScoreOptions(initial_state=file))
    file.write_bytes(b"short")
    for path, message in (
        (file, "state.safetensors: "),
        (tmp_path, "is a directory"),
        (tmp_path / "no", "cannot read "),
    ):
        with pytest.raises(lariat.RuntimeFault, match=message):
            session.score([[1]], lariat.ScoreOptions(initial_state=path))


# --- generating -----------------------------------------------------------------------------------------------------


def test_generate(session: lariat.Session) -> None:
    first, second = session.generate([[1, 2], [200, 57]], greedy(6))
    assert list(first.tokens) == expected([1, 2], 6) and first.finish == "length"
    assert (second.tokens, second.finish) == ((counting.EOS,), "eos")
    assert first.slots is not None and first.slots["kv"][0][2] == lariat.SlotUse(7, 0)
    assert session.generate([[200, 57]], greedy(2, ignore_eos=True))[0].finish == "length"
    assert session.generate([[1, 2]], greedy(9, stop_tokens=(12,)))[0].finish == "eos"
    late = session.generate([[200, 57]], greedy(3, min_new_tokens=2))[0]
    assert len(late.tokens) > 1 and counting.EOS not in late.tokens[:2]


def test_tokens_come_one_by_one(session: lariat.Session) -> None:
    stream = session.stream([[1], [2]], greedy(3))
    events = [next(stream) for _ in range(3)]
    assert [(one.sequence, one.id) for one in events if isinstance(one, lariat.Token)] == [(0, 1), (1, 2), (0, 2)]
    # A stream that is left ends, and others go on.
    del stream
    assert list(session.generate([[3]], greedy(2))[0].tokens) == [3, 6]


def test_sampling_options(session: lariat.Session) -> None:
    # Logits are 8, 7, 6 for the sum and the two after it, else 0.
    def chosen(**options: object) -> set[int]:
        runs = [session.generate([[10]], greedy(1, temperature=2.0, seed=seed, **options))[0] for seed in range(60)]
        return {one.tokens[0] for one in runs}

    assert chosen(top_k=1) == {10}
    assert chosen(top_k=2) == {10, 11}
    assert chosen(top_p=0.0) == {10}
    assert chosen(min_p=0.5) == {10, 11}
    assert len(chosen()) > 3
    one = session.generate([[10]], greedy(1, repetition_penalty=2.0))[0]
    assert one.tokens == (11,)
    assert session.generate([[0]], greedy(3, presence_penalty=20.0))[0].tokens[:2] == (0, 1)


def test_logprobs(session: lariat.Session) -> None:
    token, result = session.stream([[10]], greedy(1, logprobs=2))
    assert isinstance(token, lariat.Token) and isinstance(result, lariat.Generation)
    logits = session.score([[10]])[0].logits[0].astype(float)
    want = logits - numpy.log(numpy.exp(logits).sum())
    assert [id for id, _ in token.top_logprobs] == [10, 11]
    numpy.testing.assert_allclose([value for _, value in token.top_logprobs], want[[10, 11]], rtol=1e-6)
    assert result.logprobs == (token.logprob,) == (token.top_logprobs[0][1],)
    assert session.generate([[10]], greedy(1))[0].logprobs is None


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompts", "options", "message"),
    [
        ([], {}, "the batch has no sequences, expected at least one"),
        ([[1], []], {}, "sequence 1 has no tokens, expected at least one"),
        ([[320]], {}, "token 0 of sequence 0 is 320, expected 0 to 319"),
        ([[1, 2**70]], {}, f"token 1 of sequence 0 is {2**70}, expected 0 to 319"),
        (
            [[1]],
            {"max_new_tokens": 300},
            "sequence 0 has 1 tokens and asks for 300 more, but the context of the model is",
        ),
        ([[1]], {"temperature": -1}, "the temperature is -1, expected 0 or more"),
        ([[1]], {"temperature": float("nan")}, "'temperature' is nan (float), expected a finite number"),
        ([[1]], {"seed": -1}, "'seed' of the request is not a non-negative integer"),
        ([[1]], {"loops": 2**64}, "'loops' of the request is not an integer"),
        ([[1]], {"loops": 9}, "9 loop steps are asked for, but the model takes 1 to 4"),
        ([[1]], {"missing": "skip"}, "the missing mode 'skip' is not one the model allows: copy_last, propagate"),
        ([[1]], {"top_p": 2.0}, "top_p is 2, expected 0 to 1"),
        ([[1]], {"logprobs": 400}, "logprobs is 400, expected 0 to 320"),
        ([[NOT_A_NUMBER]], {}, "the logits of position 0 of sequence 0 are not numbers"),
        ([[2], [1, INFINITE]], {}, "the logits of position 1 of sequence 1 are not numbers"),
    ],
)
def test_requests_that_are_refused(
    session: lariat.Session, prompts: list[list[int]], options: dict[str, object], message: str
) -> None:
    with pytest.raises(lariat.RuntimeFault) as caught:
        session.generate(prompts, lariat.GenerateOptions(**{"max_new_tokens": 2, **options}))  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)
    assert list(session.generate([[1]], greedy(1))[0].tokens) == [1]


def test_artefacts_that_cannot_be_opened(folder: Path, tmp_path: Path) -> None:
    code = folder / "counting.lariat" / "code" / "none.so"
    path = counting.write_artefact(tmp_path / "a.lariat", code, counting.manifest())
    (path / "weights.bin").write_bytes(b"x" * 64)
    with pytest.raises(lariat.ArtefactError, match=r"weights\.bin"):
        lariat.load(path).start()
    fields = counting.manifest()
    del fields["code"]["functions"]  # type: ignore[attr-defined]
    with pytest.raises(lariat.ArtefactError, match="'code': 'functions': expected a list, found nothing"):
        lariat.load(counting.write_artefact(path, code, fields)).score([[1]])


def test_step_functions_that_do_not_fit_their_record(folder: Path, tmp_path: Path) -> None:
    fields: Any = counting.manifest()
    for function in fields["code"]["functions"]:
        if function["name"] == "prelude":
            function["record"] = ["entered", "carried", "carried", "invariant", "max"]
    code = folder / "counting.lariat" / "code" / "none.so"
    artefact = counting.write_artefact(tmp_path / "other.lariat", code, fields)
    with lariat.load(artefact) as session, pytest.raises(lariat.RuntimeFault, match="do not fit together"):
        session.score([[1]], lariat.ScoreOptions(derived="lockstep"))


def test_a_closed_session_opens_again(session: lariat.Session) -> None:
    stream = session.stream([[1]], greedy(3))
    next(stream)
    session.close()
    with pytest.raises(lariat.RuntimeFault, match="is closed"):
        next(stream)
    assert list(session.generate([[1]], greedy(1))[0].tokens) == [1]


def test_the_reference_path_refuses_what_it_lacks(tmp_path: Path) -> None:
    from tests import fakes

    session = lariat.load(fakes.make_artefact(tmp_path / "a.lariat"))
    with pytest.raises(lariat.RuntimeFault, match="^top_k, min_p cannot be used: the reference path samples by temp"):
        session.generate([[1]], greedy(1, top_k=3, min_p=0.1))


def test_a_child_of_fork(session: lariat.Session) -> None:
    session.score([[1]])
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            session.score([[1]])
        except lariat.RuntimeFault as failure:
            os._exit(0 if "forked" in str(failure) else 1)
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    session.score([[1]])


# --- threads and signals --------------------------------------------------------------------------------------------


def test_other_threads_run_meanwhile(session: lariat.Session) -> None:
    counts = [0]
    done = threading.Event()

    def count() -> None:
        while not done.is_set():
            counts[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    session.score([[SLOW] * 20])  # 0.4 s
    done.set()
    thread.join()
    assert counts[0] > 20


def test_threads_share_a_session(session: lariat.Session) -> None:
    found: dict[int, list[int]] = {}

    def work(first: int) -> None:
        found[first] = list(session.generate([[first, 1]], greedy(8, ignore_eos=True))[0].tokens)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {first: expected([first, 1], 8) for first in range(6)}


@pytest.mark.parametrize("call", ["score", "generate"])
def test_an_interrupt_ends_a_request(folder: Path, call: str) -> None:
    request = {
        "score": f"session.score([[{SLOW}] * 200], lariat.ScoreOptions(chunk=1))",
        "generate": f"session.generate([[{SLOW}, 18]], lariat.GenerateOptions(max_new_tokens=200))",
    }[call]
    # Prompts of the second are 302 and 18, so the sum stays 0.
    code = f"""
import lariat
session = lariat.load({str(folder / "counting.lariat")!r}, threads=1)
session.score([[1]])
try:
    print("ready", flush=True)
    while True:
        {request}
except KeyboardInterrupt:
    print("interrupted", session.generate([[1]], lariat.GenerateOptions(max_new_tokens=1))[0].tokens)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PACKAGE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (out, err) == ("interrupted (1,)\n", "")


# --- options --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "call"), [(lariat.ScoreOptions, "score"), (lariat.GenerateOptions, "generate")])
def test_options_are_those_of_the_library(
    folder: Path, kind: type[lariat.ScoreOptions | lariat.GenerateOptions], call: str
) -> None:
    from lariat import _native

    table = {one["name"]: one for one in json.loads(_native.request_options()) if call in one["calls"]}
    # Texts are the session's business, and initial states are arrays there.
    known = {one.name: one for one in fields(kind) if one.name not in ("stop", "initial_state")}
    assert known.keys() == table.keys()
    for name, option in known.items():
        # What is off or unset there is not given here.
        assert (option.default or None) == (table[name]["default"] or None), name
        assert option.metadata.get("fast_only", False) == table[name]["fast_only"], name
