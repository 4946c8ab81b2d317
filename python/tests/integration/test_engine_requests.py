# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Requests to the engine at the edges of what there is: each comes to a defined end, and none harms another.

On compiled fixtures. Whatever happens, no page stays taken.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import lariat
from lariat.bench.experiment import ExperimentalEngine
from lariat.engine import Engine
from lariat.errors import RuntimeFault
from lariat.requests import GenerateOptions, ScoreOptions
from lariat.session import Session
from tests.checkpoints import MODELS
from tests.command import PACKAGE

CONTEXT = 512
STRANGE = 7  # the token whose embedding is no number, in `strange.lariat`


class Answer(NamedTuple):
    tokens: list[int]
    steps: list[int]
    finish: str
    error: str


@pytest.fixture
def session(compiled: Path) -> Iterator[Session]:
    with lariat.load(compiled / "ouro.lariat") as session:
        yield session
        assert session.memory()["kv_pages"] == 0


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artefact of ouro with one embedding that is not a number."""
    folder = tmp_path_factory.mktemp("strange")
    checkpoint = Path(shutil.copytree(MODELS / "ouro", folder / "checkpoint"))
    tensors = load_file(checkpoint / "model.safetensors")
    (name,) = (name for name in tensors if "embed_tokens" in name)
    tensors[name] = tensors[name].copy()
    tensors[name][STRANGE] = np.nan
    save_file(tensors, checkpoint / "model.safetensors")
    lariat.compile(checkpoint, folder / "strange.lariat", lariat.CompileOptions(target="native"))
    return folder / "strange.lariat"


def options(count: int, **more: object) -> GenerateOptions:
    return GenerateOptions(max_new_tokens=count, ignore_eos=True, **more)  # type: ignore[arg-type]


def finish_all(engine: Engine) -> dict[int, Answer]:
    """Ticks until every request has ended."""
    answers: dict[int, Answer] = {}
    unfinished = 1
    while unfinished:
        tick = engine.tick()
        unfinished = tick.unfinished
        for token in tick.tokens:
            answer = answers.setdefault(token.sequence, Answer([], [], "", ""))
            answer.tokens.append(token.id)
            answer.steps.append(token.steps)
        for end in tick.ends:
            answers[end.request] = answers.get(end.request, Answer([], [], "", ""))._replace(
                finish=end.finish, error=end.error
            )
    return answers


def run_alone(session: Session, prompt: list[int], chosen: GenerateOptions) -> Answer:
    (one,) = session.generate([prompt], chosen)
    return Answer(list(one.tokens), list(one.steps), one.finish, "")


# --- what requests ask for ------------------------------------------------------------------------------------------


def test_requests_of_all_kinds_share_an_engine(session: Session) -> None:
    """Loop steps, thresholds from one end to the other, sampling and lengths differ from request to request."""
    generator = np.random.default_rng(3)
    rule = session.info.exit
    assert rule is not None
    requests = []
    for number, threshold in enumerate([None, rule.low, (rule.low + rule.high) / 2, rule.high] * 3):
        chosen = options(
            int(generator.integers(1, 14)),
            loops=int(generator.integers(1, session.info.loops.default + 1)),
            exit_threshold=threshold,
            temperature=[0.0, 0.7, 1.3][number % 3],
            top_k=[0, 5][number % 2],
            seed=number,
        )
        requests.append((generator.integers(0, 256, generator.integers(1, 60)).tolist(), chosen))
    alone = [run_alone(session, *request) for request in requests]
    engine = Engine(session, chunk_rows=16)
    assert [engine.submit(*request) for request in requests] == list(range(len(requests)))
    answers = finish_all(engine)
    assert [answers[number] for number in range(len(requests))] == alone
    assert len({step for answer in alone for step in answer.steps}) > 2


def test_a_threshold_at_either_end_is_no_special_case(session: Session) -> None:
    rule = session.info.exit
    assert rule is not None and (rule.low, rule.high) == (0, 1)
    first = run_alone(session, [65, 66], options(8, exit_threshold=0.0))
    last = run_alone(session, [65, 66], options(8, exit_threshold=1.0))
    assert set(first.steps) == {1}
    assert max(last.steps) <= session.info.loops.default
    for beyond in (-0.001, 1.001):
        with pytest.raises(RuntimeFault, match="the exit threshold is .*takes 0 to 1"):
            Engine(session).submit([65], options(1, exit_threshold=beyond))


@pytest.mark.parametrize(
    ("prompt", "more", "message"),
    [
        ([], {}, "sequence 0 has no tokens, expected at least one"),
        ([320], {}, "token 0 of sequence 0 is 320, expected 0 to 319"),
        ([1, -1], {}, "token 1 of sequence 0 is -1, expected 0 to 319"),
        ([2**80], {}, f"token 0 of sequence 0 is {2**80}, expected 0 to 319"),
        ([1], {"max_new_tokens": -1}, "max_new_tokens is -1, expected 0 or more"),
        ([1], {"max_new_tokens": True}, "'max_new_tokens' is True (bool), expected a whole number"),
        ([1], {"loops": 2**64}, "'loops' of the request is not an integer"),
        ([1], {"loops": 99}, "99 loop steps are asked for, but"),
        ([1], {"prefix": 3}, "a prefix of 3 rows is given, but the model has no prefix mask"),
        ([1], {"prefix": 2**70}, "'prefix' of the request is not an integer"),
        ([1], {"missing": "propagate"}, "'missing', 'stop' and 'profile' are not options of a request to an engine"),
        ([1], {"stop": ("x",)}, "'missing', 'stop' and 'profile' are not options of a request to an engine"),
        ([1] * CONTEXT, {"max_new_tokens": 2}, "sequence 0 has 512 tokens and asks for 2 more, but the context of"),
    ],
)
def test_requests_that_are_refused(session: Session, prompt: list[int], more: dict[str, object], message: str) -> None:
    engine = Engine(session)
    with pytest.raises(RuntimeFault) as caught:
        engine.submit(prompt, GenerateOptions(**{"max_new_tokens": 1, **more}))  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)
    assert engine.submit([65], options(1)) == 0 and finish_all(engine)[0].finish == "length"
    engine.clear_prefixes()


def test_tokens_that_are_no_whole_numbers_are_refused(session: Session) -> None:
    for prompt in ([1.5], "ab", [None]):
        with pytest.raises(RuntimeFault, match=r"expected (a whole number|token ids)$"):
            Engine(session).submit(prompt, options(1))  # type: ignore[arg-type]


def test_depths_are_whole_numbers_from_1_on(session: Session) -> None:
    for depths, message in (
        ([], "'depths' of the request has no numbers, expected at least one"),
        ([2, 0], "depth 1 is 0, expected at least 1"),
        ([2**70], "'depths' of the request is not an integer"),
    ):
        with pytest.raises(RuntimeFault, match=message):
            ExperimentalEngine(session).submit([65], options(1), depths=depths)
    engine = ExperimentalEngine(session)
    engine.submit([65, 66, 67], options(3), depths=[1])
    assert finish_all(engine)[0].steps == [1, 1, 1]


def test_no_tokens_asked_for_is_an_end_without_any(session: Session) -> None:
    engine = Engine(session)
    engine.submit([65], options(0))
    engine.submit([65], options(2))
    answers = finish_all(engine)
    assert answers[0] == Answer([], [], "length", "") and len(answers[1].tokens) == 2
    (one,) = session.generate([[65]], options(0))
    assert (one.tokens, one.finish) == ((), "length")


def test_a_prompt_that_fills_the_context_gets_one_token(session: Session) -> None:
    engine = Engine(session, chunk_rows=100)
    engine.submit([65] * CONTEXT, options(1))
    engine.submit([66] * 3, options(4))
    answers = finish_all(engine)
    assert answers[0] == run_alone(session, [65] * CONTEXT, options(1))
    assert answers[1] == run_alone(session, [66] * 3, options(4))


# --- what goes wrong ------------------------------------------------------------------------------------------------


def test_logits_that_are_no_numbers_end_their_request_only(strange: Path, session: Session) -> None:
    prompts = [[65, 66], [STRANGE], [67] * 20, [68, 69, STRANGE], [70]]
    with lariat.load(strange) as broken:
        engine = Engine(broken)
        for prompt in prompts:
            engine.submit(prompt, options(9))
        answers = finish_all(engine)
        engine.clear_prefixes()
        assert broken.memory()["kv_pages"] == 0
        with pytest.raises(RuntimeFault, match="the logits of position 2 of sequence 3 are not numbers"):
            broken.generate(prompts[:1] + prompts[2:3] * 2 + prompts[3:], options(9))
        assert broken.memory()["kv_pages"] == 0
    for number, prompt in enumerate(prompts):
        if STRANGE in prompt:
            message = f"the logits of position {len(prompt) - 1} of sequence {number} are not numbers"
            assert answers[number] == Answer([], [], "failed", message)
        else:
            assert answers[number] == run_alone(session, prompt, options(9))


@pytest.mark.parametrize("place", [1, 9, 63, 64, 100])
def test_rows_before_one_that_is_no_number_do_not_notice(strange: Path, session: Session, place: int) -> None:
    prompt = np.random.default_rng(place).integers(65, 120, 130).tolist()
    (whole,) = session.score([prompt])
    prompt[place] = STRANGE
    with lariat.load(strange) as broken:
        (found,) = broken.score([prompt])
        (chunked,) = broken.score([prompt], ScoreOptions(chunk=5))
    assert np.array_equal(found.logits[:place], whole.logits[:place])
    assert np.isnan(found.logits[place:]).all()
    assert np.array_equal(chunked.logits[:place], whole.logits[:place])


def test_a_request_longer_than_the_pool_fails_and_others_go_on(compiled: Path, session: Session) -> None:
    with lariat.load(compiled / "ouro.lariat", kv_pages=8) as small:
        engine = Engine(small)
        engine.submit([65, 66], options(5))
        engine.submit([67] * 200, options(5))
        engine.submit([68], options(5))
        answers = finish_all(engine)
        engine.clear_prefixes()
        assert small.memory()["kv_pages"] == 0
        with pytest.raises(RuntimeFault, match="more pages"):
            small.generate([[67] * 200], options(5))
        assert small.memory()["kv_pages"] == 0
    assert answers[1].finish == "failed" and "more pages" in answers[1].error, answers[1].error
    assert answers[0] == run_alone(session, [65, 66], options(5))
    assert answers[2] == run_alone(session, [68], options(5))


def test_cancel_knows_the_requests_there_were(session: Session) -> None:
    engine = Engine(session)
    for unknown in (0, -1, 2**40):
        with pytest.raises(RuntimeFault, match=f"request {unknown} is not one of the 0 that were submitted"):
            engine.cancel(unknown)
    engine.submit([65], options(400))
    engine.submit([66], options(3))
    engine.tick()
    engine.cancel(0)
    engine.cancel(0)
    answers = finish_all(engine)
    assert answers[0].finish == "stop" and answers[1] == run_alone(session, [66], options(3))
    engine.cancel(1)  # has ended
    assert engine.tick() == ([], [], 0)


def test_requests_come_from_many_threads_while_one_ticks(session: Session) -> None:
    engine = Engine(session)
    prompts = [[65 + client, 70 + number] for client in range(4) for number in range(6)]
    alone = {tuple(prompt): run_alone(session, prompt, options(5)) for prompt in prompts}
    numbers: dict[int, list[int]] = {}

    def send(client: int) -> None:
        for prompt in prompts[client * 6 : client * 6 + 6]:
            numbers[engine.submit(prompt, options(5))] = prompt

    threads = [threading.Thread(target=send, args=(client,)) for client in range(4)]
    for thread in threads:
        thread.start()
    answers: dict[int, Answer] = {}
    while len(answers) < len(prompts):
        answers |= finish_all(engine)
    for thread in threads:
        thread.join()
    assert {number: answers[number] for number in numbers} == {
        number: alone[tuple(prompt)] for number, prompt in numbers.items()
    }


def test_an_engine_in_use_says_so(session: Session) -> None:
    engine = Engine(session)
    engine.submit([65] * CONTEXT, options(1))
    faults: list[str] = []
    started, done = threading.Event(), threading.Event()

    def poke() -> None:
        started.set()
        while not done.is_set():
            try:
                engine.counts()
            except RuntimeFault as fault:
                faults.append(str(fault))

    thread = threading.Thread(target=poke)
    thread.start()
    started.wait()
    while not faults:
        engine.submit([65] * CONTEXT, options(1))
        try:
            engine.tick()
        except RuntimeFault as fault:
            faults.append(str(fault))
    done.set()
    thread.join()
    assert set(faults) == {"the engine is in use by another call"}
    finish_all(engine)


# --- ends of sessions, processes and callers ------------------------------------------------------------------------


def test_an_engine_outlives_its_session_in_name_only(compiled: Path) -> None:
    session = lariat.load(compiled / "ouro.lariat")
    engine = Engine(session)
    engine.submit([65], options(50))
    engine.tick()
    session.close()
    engine.submit([66], options(5))
    answers = finish_all(engine)
    assert {answer.finish for answer in answers.values()} == {"failed"}
    assert all(answer.error.endswith("ouro.lariat is closed") for answer in answers.values())
    # The session opens again, for new engines.
    other = Engine(session)
    other.submit([66], options(5))
    assert finish_all(other)[0].finish == "length"
    session.close()


def test_an_engine_in_a_child_of_fork(session: Session) -> None:
    engine = Engine(session)
    engine.submit([65], options(3))
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        refused = 0
        for call in (engine.tick, engine.counts, lambda: engine.cancel(0), lambda: engine.submit([65], options(1))):
            try:
                call()
            except RuntimeFault as failure:
                refused += "forked" in str(failure)
        os._exit(0 if refused == 4 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert finish_all(engine)[0].finish == "length"


def test_a_stream_that_is_left_gives_its_pages_back(session: Session) -> None:
    prompts = [[65, 66], [67], [68] * 70]
    stream = session.stream(prompts, options(40))
    for _ in range(7):
        next(stream)
    assert session.memory()["kv_pages"] > 0
    stream.close()  # type: ignore[attr-defined]
    assert session.memory()["kv_pages"] == 0

    class Mine(Exception):
        pass

    with pytest.raises(Mine):
        for number, _ in enumerate(session.stream(prompts, options(40))):
            if number == 5:
                raise Mine
    assert session.memory()["kv_pages"] == 0


def test_a_stream_may_use_its_session_between_tokens(session: Session) -> None:
    expected = session.generate([[65, 66], [67]], options(6))
    inner = session.generate([[68]], options(3))
    found = []
    for event in session.stream([[65, 66], [67]], options(6)):
        assert session.generate([[68]], options(3)) == inner
        if isinstance(event, lariat.Generation):
            found.append(event)
    assert found == expected


def test_an_interrupt_leaves_no_pages_taken(compiled: Path) -> None:
    code = f"""
import lariat
from lariat.engine import Engine
options = lariat.GenerateOptions(max_new_tokens=400, ignore_eos=True)
with lariat.load({str(compiled / "ouro.lariat")!r}, threads=1, max_rows=8) as session:
    engine = Engine(session)
    engine.submit([65], options)
    engine.tick()
    held = session.memory()["kv_pages"]
    try:
        print("ready", flush=True)
        session.generate([[65 + number] * 50 for number in range(40)], options)
    except KeyboardInterrupt:
        print("interrupted", session.memory()["kv_pages"] - held)
    while engine.tick().unfinished:
        pass
    engine.clear_prefixes()
    print(session.memory()["kv_pages"])
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
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=0.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (out, err) == ("interrupted 0\n0\n", "")


def test_requests_cancelled_before_they_start_take_no_page(session: Session) -> None:
    engine = Engine(session)
    for number in range(100):
        engine.cancel(engine.submit([65 + number % 60] * 60, options(50)))
    answers = finish_all(engine)
    assert {answer.finish for answer in answers.values()} == {"stop"} and len(answers) == 100
    assert engine.counts().kv_bytes_peak == 0


def test_a_bias_makes_tokens_likely(session: Session) -> None:
    plain = session.generate([[65, 66]], options(2))[0].tokens
    wanted = (plain[0] + 1) % session.info.vocabulary
    assert session.generate([[65, 66]], options(2, bias={wanted: 1e6}))[0].tokens == (wanted, wanted)


@pytest.mark.parametrize(
    ("given", "name"),
    [({"chunk_rows": "4"}, "chunk_rows"), ({"prefix_cache": None}, "prefix_cache"), ({"missing": 3}, "missing"),
     ({"profile": "no"}, "profile"), ({"loop": None}, "loop")],
)  # fmt: skip
def test_options_of_an_engine_are_named(session: Session, given: dict[str, Any], name: str) -> None:
    with pytest.raises(RuntimeFault, match=f"'{name}' is "):
        Engine(session, **given)


@pytest.mark.parametrize(
    ("given", "name"),
    [({"refills": 1}, "refills"), ({"splits_loop": None}, "splits_loop"), ({"record": "x"}, "record"),
     ({"replay": 3}, "replay"), ({"chunk_rows": "4"}, "chunk_rows")],
)  # fmt: skip
def test_options_of_an_experiment_are_named(session: Session, given: dict[str, Any], name: str) -> None:
    with pytest.raises(RuntimeFault, match=f"'{name}' is "):
        ExperimentalEngine(session, **given)


def test_a_recorded_schedule_gives_the_same_calls_and_tokens_again(session: Session) -> None:
    asked = [options(9, exit_threshold=0.5, speculate=1), options(4), options(6, temperature=0.7, seed=3)]

    def run(**more: Any) -> tuple[list[Answer], str]:
        engine = ExperimentalEngine(session, record=True, **more)
        for number, one in enumerate(asked):
            engine.submit([65 + number] * (3 + number), one)
        answers = finish_all(engine)
        engine.clear_prefixes()
        return [answers[number] for number in range(len(asked))], engine.schedule()

    answers, schedule = run()
    assert run(replay=schedule, chunk_rows=1, refills=False) == (answers, schedule)


def test_a_schedule_of_other_requests_is_refused(session: Session) -> None:
    engine = ExperimentalEngine(session, record=True)
    engine.submit([65, 66], options(2))
    finish_all(engine)
    again = ExperimentalEngine(session, replay=engine.schedule())
    again.submit([65, 67], options(2))
    error = "the schedule does not fit these requests: request 0 is not the one that was recorded"
    assert finish_all(again)[0] == Answer([], [], "failed", error)
    with pytest.raises(RuntimeFault, match="the schedule is not JSON"):
        ExperimentalEngine(session, replay="no")


def test_other_arguments_of_an_engine_are_named(session: Session) -> None:
    engine = Engine(session)
    for call, name in (
        (lambda: engine.cancel("0"), "request"),  # type: ignore[arg-type]
        (lambda: engine.submit([1], {"max_new_tokens": 1}), "options"),  # type: ignore[arg-type]
        (lambda: ExperimentalEngine(session).submit([1], options(1), depths=3), "depths"),  # type: ignore[arg-type]
        (lambda: Engine("ouro.lariat"), "session"),  # type: ignore[arg-type]
    ):
        with pytest.raises(RuntimeFault, match=f"'{name}' is "):
            call()
    assert engine.submit(iter([1]), options(0)) == 0
    assert ExperimentalEngine(session).submit([1], options(0), depths=np.arange(1, 2)) == 0
