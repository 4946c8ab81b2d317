# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""SmolLM2-135M-Instruct, an ordinary checkpoint of others: logits of the oracle, tokens and texts of transformers.

What they give is recorded by `record.py`; the last test asks transformers itself where it is installed.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from lariat.chat import ChatTemplate
from lariat.session import GenerateOptions, Score, ScoreOptions, Session, Token, load
from lariat.text import TextStream, Tokenizer
from tests.command import Command
from tests.integration.fixtures import tolerance
from tests.oracle.reference import load_checkpoint, run

FOLDER = Path(__file__).resolve().parent
FACTS: dict[str, Any] = json.loads((FOLDER / "smollm2.json").read_text(encoding="utf-8"))
LOGITS = load_file(FOLDER / "smollm2.safetensors")
PROMPTS: dict[str, dict[str, Any]] = FACTS["prompts"]
SCORED: list[str] = FACTS["scored"]
DTYPES = ("f32", "bf16")
NUM_NEW_TOKENS = len(next(iter(PROMPTS.values()))["f32"]["tokens"])
GREEDY = GenerateOptions(max_new_tokens=NUM_NEW_TOKENS, ignore_eos=True, logprobs=1)
END = 2

SmolLM2 = Callable[[str], Session]


@pytest.fixture(scope="module")
def tokenizer(checkpoint: Callable[[str], Path]) -> Tokenizer:
    return Tokenizer.of(checkpoint("f32"))


def _check_logits(scores: list[Score], names: list[str], dtype: str) -> None:
    for name, score in zip(names, scores, strict=True):
        number = SCORED.index(name)
        expected, best = LOGITS[f"{dtype}.logits.{number}"], LOGITS[f"{dtype}.argmax.{number}"]
        num_rows = len(score.logits)
        error = float(np.abs(score.logits[:, LOGITS["columns"]] - expected[:num_rows]).max())
        allowed = tolerance(PROMPTS[name][dtype]["oracle_float32_error"])
        assert error <= allowed, f"{dtype} {name}: max error {error:.3g}, allowed {allowed:.3g}"
        np.testing.assert_array_equal(score.logits.argmax(axis=1), best[:num_rows], err_msg=f"{dtype} {name}")


# --- text -----------------------------------------------------------------------------------------------------------


def test_prompts_have_the_tokens_of_transformers(tokenizer: Tokenizer) -> None:
    for name, entry in PROMPTS.items():
        assert tokenizer.encode(entry["text"]) == entry["ids"], name


@pytest.mark.parametrize("dtype", DTYPES)
def test_streamed_text_is_the_text_of_transformers(tokenizer: Tokenizer, dtype: str) -> None:
    for name, entry in PROMPTS.items():
        stream, tokens = TextStream(tokenizer), entry[dtype]["tokens"]
        pieces = [stream.push(token) for token in tokens]
        assert "".join([*pieces, stream.finish()]) == tokenizer.decode(tokens) == entry[dtype]["text"], name


def test_conversations_are_written_as_transformers_writes_them(checkpoint: Callable[[str], Path]) -> None:
    template = ChatTemplate.of(checkpoint("f32"))
    for conversation in FACTS["conversations"]:
        assert template.render(conversation["messages"]) == conversation["text"]


# --- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_scores_agree_with_the_oracle(smollm2: SmolLM2, dtype: str) -> None:
    scores = smollm2(dtype).score([PROMPTS[name]["ids"] for name in SCORED])
    _check_logits(scores, SCORED, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_greedy_tokens_are_those_of_transformers(smollm2: SmolLM2, dtype: str) -> None:
    """All prompts at once, streamed, and some alone with the same bits; the long leg runs each alone."""
    session = smollm2(dtype)
    streamed, together = [""] * len(PROMPTS), []
    for event in session.stream([entry["text"] for entry in PROMPTS.values()], GREEDY):
        if isinstance(event, Token):
            streamed[event.sequence] += event.text
        else:
            together.append(event)
    for (name, entry), result, text in zip(PROMPTS.items(), together, streamed, strict=True):
        assert list(result.tokens) == entry[dtype]["tokens"], name
        assert (result.text, result.finish) == (entry[dtype]["text"], "length"), name
        # Bytes that might become a character wait for the result.
        assert result.text is not None and result.text.startswith(text) and len(result.text) - len(text) <= 3, name
    for name, result in zip(PROMPTS, together, strict=True):
        if name in ("one-letter", "chinese"):
            (alone,) = session.generate([PROMPTS[name]["text"]], GREEDY)
            assert (alone.tokens, alone.logprobs) == (result.tokens, result.logprobs), name


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_a_batch_have_the_bits_of_a_sequence_alone(smollm2: SmolLM2, dtype: str) -> None:
    session = smollm2(dtype)
    batch = [PROMPTS[name]["ids"] for name in SCORED]
    for ids, together in zip(batch, session.score(batch), strict=True):
        (alone,) = session.score([ids])
        assert alone.logits.tobytes() == together.logits.tobytes()
    (cut,) = session.score([ids], ScoreOptions(chunk=16))
    assert cut.logits.tobytes() == together.logits.tobytes()


def test_the_end_of_an_answer_ends_it(smollm2: SmolLM2) -> None:
    answers = {name: entry for name, entry in PROMPTS.items() if END in entry["bf16"]["tokens"]}
    assert "question" in answers
    results = smollm2("bf16").generate([entry["ids"] for entry in answers.values()], GenerateOptions(NUM_NEW_TOKENS))
    for (name, entry), result in zip(answers.items(), results, strict=True):
        expected = entry["bf16"]["tokens"]
        assert (list(result.tokens), result.finish) == (expected[: expected.index(END) + 1], "eos"), name


# --- commands -------------------------------------------------------------------------------------------------------


def _say(artefact: Path, lines: list[str], *arguments: str) -> list[str]:
    talk = Command(artefact.parent)
    process = talk.start(
        "chat", artefact, *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = process.communicate("".join(f"{line}\n" for line in lines), timeout=200)
    assert (process.returncode, err) == (0, "")
    return out.splitlines()


def _answer(name: str, tokenizer: Tokenizer) -> str:
    tokens = PROMPTS[name]["bf16"]["tokens"]
    return tokenizer.decode(tokens[: tokens.index(END)] if END in tokens else tokens)


def test_a_chat_through_a_pipe(artefact: Callable[..., Path], tokenizer: Tokenizer) -> None:
    question = FACTS["conversations"][0]["messages"][0]["content"]
    first, second, again = _say(artefact("bf16"), [question, "And of Italy?", "/reset", question])
    assert first == again == _answer("question", tokenizer)
    assert "Rome" in second


def test_a_chat_with_a_system_message(artefact: Callable[..., Path], tokenizer: Tokenizer) -> None:
    system, user = FACTS["conversations"][1]["messages"]
    found = _say(artefact("bf16"), [user["content"]], "--system", system["content"], "--max-new-tokens", "48")
    assert "\n".join(found) == _answer("system", tokenizer)


# --- what takes minutes ---------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("dtype", DTYPES)
def test_each_prompt_alone_has_the_bits_of_the_batch(smollm2: SmolLM2, dtype: str) -> None:
    session = smollm2(dtype)
    texts = [entry["text"] for entry in PROMPTS.values()]
    for name, text, together in zip(PROMPTS, texts, session.generate(texts, GREEDY), strict=True):
        (alone,) = session.generate([text], GREEDY)
        assert (alone.tokens, alone.logprobs) == (together.tokens, together.logprobs), name


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_logit_agrees_with_the_oracle(smollm2: SmolLM2, checkpoint: Callable[[str], Path], dtype: str) -> None:
    """All columns, where the recorded logits have some; the oracle runs here."""
    config, weights = load_checkpoint(checkpoint(dtype))
    ids = PROMPTS["question"]["ids"]
    expected = run(config, weights, ids).logits
    (score,) = smollm2(dtype).score([ids])
    allowed = tolerance(PROMPTS["question"][dtype]["oracle_float32_error"])
    assert np.abs(score.logits - expected).max() <= allowed


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_reference_path_agrees_with_the_oracle(artefact: Callable[..., Path], dtype: str) -> None:
    with load(artefact(dtype, "reference")) as session:
        scores = session.score([PROMPTS[name]["ids"][:6] for name in SCORED])
        _check_logits(scores, SCORED, dtype)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_rounding_at_compile_time_is_rounding_before(
    checkpoint: Callable[[str], Path], artefact: Callable[..., Path], tmp_path: Path
) -> None:
    Command(tmp_path).ok("compile", checkpoint("f32"), "-o", "rounded.lariat", "--dtype", "bf16")
    assert (tmp_path / "rounded.lariat" / "weights.bin").read_bytes() == (artefact("bf16") / "weights.bin").read_bytes()


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("dtype", DTYPES)
def test_transformers_itself_agrees(smollm2: SmolLM2, checkpoint: Callable[[str], Path], dtype: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: scripts/setup.sh --with-torch")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    folder = checkpoint(dtype)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for name in SCORED:
        entry = PROMPTS[name]
        assert list(tokenizer(entry["text"]).input_ids) == entry["ids"]
        with torch.no_grad():
            expected = model(torch.tensor([entry["ids"]])).logits[0].numpy()
        (score,) = smollm2(dtype).score([entry["ids"]])
        facts = entry[dtype]
        # Each of the two is that far from the oracle at most.
        allowed = tolerance(facts["oracle_float32_error"]) + facts["transformers_error"] * 2
        assert np.abs(score.logits - expected).max() <= allowed
