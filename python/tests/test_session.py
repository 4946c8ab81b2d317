# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Artefacts and sessions: what they say, and what happens when the process behind them misbehaves."""

from __future__ import annotations

import doctest
import importlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
import tokenizers

import lariat
from lariat._process import find_tool, read_diagnostics
from lariat.errors import Diagnostic
from tests import fakes
from tests.kinds import KINDS, PIECES


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = fakes.make_tools(tmp_path / "bin")
    monkeypatch.setenv("LARIAT_BIN_DIR", str(folder))
    return folder


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    return fakes.make_artefact(tmp_path / "canned.lariat")


@pytest.fixture
def session(tools: Path, artefact: Path) -> Iterator[lariat.Session]:
    with lariat.load(artefact) as session:
        yield session


def request_of(artefact: Path) -> dict[str, object]:
    request: dict[str, object] = json.loads((artefact / "request.json").read_text())
    return request


# --- the package ----------------------------------------------------------------------------------------------------


def test_importing_the_package_loads_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import lariat; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'lariat'" in done.stdout
    for module in ("numpy", "tokenizers", "safetensors", "subprocess", "dataclasses", "argparse"):
        assert f"'{module}'" not in done.stdout


def test_importing_the_package_loads_few_modules() -> None:
    """Import time without a clock: 50 modules of the standard library take some 20 ms."""
    code = "import sys; before = set(sys.modules); import lariat; print(len(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 50


def test_every_public_name_exists() -> None:
    assert [name for name in lariat.__all__ if not hasattr(lariat, name)] == []
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lariat.nothing


# --- manifests ------------------------------------------------------------------------------------------------------


def test_info(artefact: Path) -> None:
    info = lariat.Artefact.open(artefact)
    assert (info.family, info.order, info.loops.free) == ("ouro", "free", True)
    assert info.bytes_per_token == 4 * 4 * 1536
    assert info.exit == lariat.ExitRule("cumulative-hazard", 1.0, 0.0, 1.0, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loops": 4}, "'loops': expected dict, found int"),
        ({"loops": {"default": True}}, "'loops': 'default': expected int, found bool"),
        ({"model": {"family": "a", "kind": "b"}}, "'model': 'vocab': expected int, found nothing"),
        ({"caches": [3]}, "'caches': expected an object, found int"),
        ({"targets": ["x", 1]}, "'targets': '1': expected str, found int"),
        ({"exit": {"never": "1"}}, "'exit': 'never': expected float, found str"),
        ({"files": {"a": {}}}, "'files': 'bytes': expected int, found nothing"),
    ],
)
def test_a_damaged_manifest_names_the_field(artefact: Path, change: dict[str, object], message: str) -> None:
    (artefact / "manifest.json").write_text(json.dumps({**fakes.MANIFEST, **change}))
    with pytest.raises(lariat.ArtefactError) as caught:
        lariat.load(artefact)
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "\x00"])
def test_a_manifest_that_is_no_object(artefact: Path, text: str) -> None:
    (artefact / "manifest.json").write_text(text)
    with pytest.raises(lariat.ArtefactError, match=r"manifest\.json: (not JSON|expected an object)"):
        lariat.load(artefact)


def test_a_checkpoint_is_no_artefact(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(lariat.ArtefactError, match="is a checkpoint, not an artefact: 'lariat compile .* makes one"):
        lariat.load(tmp_path)


def test_no_artefact(tmp_path: Path) -> None:
    with pytest.raises(lariat.ArtefactError, match="no such artefact"):
        lariat.load(tmp_path / "none.lariat")
    with pytest.raises(lariat.ArtefactError, match=r"cannot read .*manifest\.json: No such file"):
        lariat.load(tmp_path)
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(lariat.ArtefactError, match=r"a\.json: not an artefact, which is a folder"):
        lariat.load(tmp_path / "a.json")


# --- requests -------------------------------------------------------------------------------------------------------


def test_options_reach_the_process(session: lariat.Session, artefact: Path, tmp_path: Path) -> None:
    options = lariat.ScoreOptions(
        mode="generate", loops=2, exit_threshold=0.5, missing="copy-last", chunk=3, capacity=[0.1, "2/3"]
    )
    session.score_to_file(numpy.array([[1, 2]]), tmp_path / "out", options)
    assert request_of(artefact) == {
        "call": "score",
        "sequences": [[1, 2]],
        "mode": "generate",
        "loops": 2,
        "exit_threshold": 0.5,
        "missing": "copy_last",
        "prefix": None,
        "initial_state": None,
        "chunk": 3,
        "capacity": [[1, 10], [2, 3]],
        "derived": None,
        "output": str(tmp_path / "out"),
    }


def test_generate_from_text(session: lariat.Session) -> None:
    (result,) = session.generate(["And"], lariat.GenerateOptions(max_new_tokens=6))
    assert (result.text, result.finish) == ("In the", "length")
    assert result.tokens == tuple(b"In the")
    assert result.slots is not None and result.slots["kv"][3][0] == lariat.SlotUse(3, 1)


def test_generate_from_ids_needs_no_tokenizer(session: lariat.Session, artefact: Path) -> None:
    (artefact / "tokenizer.json").unlink()
    assert [one.text for one in session.generate([[1], [2]], lariat.GenerateOptions(max_new_tokens=2))] == [None, None]


def test_streamed_texts_are_the_start_of_the_result(session: lariat.Session) -> None:
    *tokens, result = session.stream(["And"], lariat.GenerateOptions(max_new_tokens=6, stop=("the beg",)))
    assert "".join(token.text for token in tokens if isinstance(token, lariat.Token)) == "In "
    assert isinstance(result, lariat.Generation) and result.text == "In the"


def test_a_stop_text_ends_the_run(session: lariat.Session, artefact: Path) -> None:
    options = lariat.GenerateOptions(max_new_tokens=16, stop=("gin", "e b"))
    (result,) = session.generate(["And"], options)
    assert (result.text, result.finish, len(result.tokens), result.slots) == ("In th", "stop", 8, None)
    # The next request starts the process again.
    assert len(session.generate([[1]], lariat.GenerateOptions(max_new_tokens=3))[0].tokens) == 3
    assert (artefact / "starts").read_text().count("start") == 2


def give_words(artefact: Path, answer: list[int]) -> None:
    """Another tokenizer, of words with the space before them, and an answer in its tokens."""
    KINDS["unigram"]().save(str(artefact / "tokenizer.json"))
    (artefact / "canned.txt").write_bytes(bytes(answer))


def test_a_continuation_keeps_the_space_of_its_first_word(session: lariat.Session, artefact: Path) -> None:
    give_words(artefact, [PIECES.index("▁the") + 1, PIECES.index("▁be") + 1])
    (result,) = session.generate(["In"], lariat.GenerateOptions(max_new_tokens=2))
    assert result.text == " the be"
    (result,) = session.generate([[0]], lariat.GenerateOptions(max_new_tokens=2, stop=(" b",)))
    assert (result.text, result.finish) == ("the", "stop")


def test_a_stop_text_may_be_found_at_the_end_only(session: lariat.Session, artefact: Path) -> None:
    give_words(artefact, [PIECES.index("a") + 1])
    inner = tokenizers.Tokenizer.from_file(str(artefact / "tokenizer.json"))
    # A decoder that only the whole text decides.
    whole = tokenizers.decoders.Replace(tokenizers.Regex("a$"), "z")
    inner.decoder = tokenizers.decoders.Sequence([tokenizers.decoders.Fuse(), whole])
    inner.save(str(artefact / "tokenizer.json"))
    (result,) = session.generate(["In"], lariat.GenerateOptions(max_new_tokens=1, stop=("z",)))
    assert (result.text, result.finish) == ("", "stop")


def test_a_stream_that_is_left_stops_the_process(session: lariat.Session, artefact: Path) -> None:
    next(session.stream(["And"]))
    session.generate([[1]])
    assert (artefact / "starts").read_text().count("start") == 2


def test_a_refused_request_leaves_the_session_usable(session: lariat.Session, artefact: Path) -> None:
    with pytest.raises(lariat.RuntimeFault, match="^token 999 is not in the vocabulary of 320$"):
        session.generate([[fakes.REFUSE]])
    session.generate([[1]])
    assert (artefact / "starts").read_text().count("start") == 1


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (fakes.CRASH, r"^lariat-reference ended unexpectedly \(status -6, SIGABRT\)$"),
        (fakes.NONSENSE, "^lariat-reference answered 'Hello', which is not a JSON object$"),
        (fakes.COMPLAIN, r"^manifest\.json is damaged$"),
    ],
)
def test_a_process_that_fails(session: lariat.Session, token: int, message: str) -> None:
    with pytest.raises(lariat.LariatError, match=message):
        session.generate([[token]])
    assert session.generate([[1]], lariat.GenerateOptions(max_new_tokens=1))[0].tokens == (ord("I"),)


def test_without_tools(artefact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LARIAT_BIN_DIR", str(tmp_path))
    with pytest.raises(lariat.RuntimeFault, match=r"cannot run .*lariat-reference: it is not there, scripts/setup\.sh"):
        lariat.load(artefact).score([[1]])


def test_diagnostics_of_a_tool() -> None:
    text = "a b.mlir:3:14: error: wrong\n  %0 = x\n       ^\na b.mlir:1:2: note: here\nwarning: odd\n"
    text += 'loc("m":1:2): error: no\n'
    assert read_diagnostics(text) == [
        Diagnostic("error", "wrong", "a b.mlir", 3, 14, ("here",)),
        Diagnostic("warning", "odd"),
        Diagnostic("error", "no", "m", 1, 2),
    ]


# --- with the real tools --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ouro(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for name in ("lariat-opt", "lariat-compile", "lariat-reference"):
        try:
            find_tool(name)
        except lariat.RuntimeFault:
            pytest.skip(f"{name} is not built")
    path = tmp_path_factory.mktemp("real") / "ouro.lariat"
    lariat.compile(fakes.MODELS / "ouro", path)
    return path


def test_score_agrees_with_the_oracle(ouro: Path) -> None:
    import safetensors.numpy

    oracle = safetensors.numpy.load_file(fakes.MODELS / "ouro" / "reference.safetensors")
    with lariat.load(ouro) as session:
        names = ("len1", "len31")
        scores = session.score([oracle[f"{name}.ids"] for name in names])
        for name, score in zip(names, scores, strict=True):
            assert score.logits.dtype == numpy.float32
            numpy.testing.assert_allclose(score.logits, oracle[f"{name}.full.logits"], atol=1e-4)
            assert score.steps.tolist() == [4] * len(score.steps)


def test_generate_and_refusals(ouro: Path) -> None:
    with lariat.load(ouro) as session:
        greedy = lariat.GenerateOptions(max_new_tokens=12, ignore_eos=True)
        text, ids = session.generate(["And God said"], greedy)[0], session.generate([list(b"And God said")], greedy)[0]
        assert text.tokens == ids.tokens and len(text.tokens) == 12
        with pytest.raises(lariat.RuntimeFault, match="320"):
            session.score([[320]])
        with pytest.raises(lariat.RuntimeFault):
            session.score([])
        with pytest.raises(lariat.RuntimeFault):
            session.score([[1], []])
        assert session.generate(["And God said"], greedy)[0] == text


def test_a_killed_process_is_reported(ouro: Path, tmp_path: Path) -> None:
    reference = tmp_path / "reference.lariat"
    lariat.compile(fakes.MODELS / "ouro", reference, lariat.CompileOptions(pipeline="reference"))
    with lariat.load(reference) as session:
        stream = session.stream(["And"], lariat.GenerateOptions(max_new_tokens=400, ignore_eos=True))
        next(stream)
        running = session._process._process
        assert running is not None
        running.kill()
        time.sleep(0)
        with pytest.raises(lariat.RuntimeFault, match=r"ended unexpectedly \(status -9, SIGKILL\)"):
            list(stream)


@pytest.mark.parametrize("module", ["__init__", "artefact", "compiler", "session", "text"])
def test_examples_run(ouro: Path, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ouro.lariat").symlink_to(ouro)
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "models").symlink_to(fakes.MODELS)
    found = doctest.testmod(importlib.import_module(f"lariat.{module}".removesuffix(".__init__")))
    assert found.attempted > 0 and found.failed == 0
