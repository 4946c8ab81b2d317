# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A threshold that a checkpoint declares is what a run uses that gives none, on both paths and in every kind of run."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

import lariat
from lariat.cli import main
from lariat.engine import Engine
from tests.checkpoints import MODELS

IDS = [72, 101, 32, 115, 97, 105, 100]
ALL_STEPS = 4


def declare(folder: Path, threshold: float) -> Path:
    """The bundled Ouro with `early_exit_threshold` in its config.json."""
    folder.mkdir()
    for file in (MODELS / "ouro").iterdir():
        (folder / file.name).symlink_to(file)
    config = json.loads((MODELS / "ouro" / "config.json").read_text())
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps({**config, "early_exit_threshold": threshold}))
    return folder


@pytest.fixture(scope="module", params=["fast", "reference"])
def artefact(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Declares a threshold at which tokens take different steps."""
    folder = tmp_path_factory.mktemp("declared")
    target = "native" if request.param == "fast" else None
    options = lariat.CompileOptions(pipeline=request.param, target=target)
    lariat.compile(declare(folder / "ouro", 0.5), folder / "ouro.lariat", options)
    return folder / "ouro.lariat"


def test_score_uses_the_declared_threshold(artefact: Path) -> None:
    with lariat.load(artefact) as session:
        assert session.info.exit is not None
        assert session.info.exit.default == 0.5
        by_default = session.score([IDS])[0].steps.tolist()
        assert by_default == session.score([IDS], lariat.ScoreOptions(exit_threshold=0.5))[0].steps.tolist()
        assert min(by_default) < ALL_STEPS
        off = session.score([IDS], lariat.ScoreOptions(exit_threshold="off"))[0].steps.tolist()
        assert off == [ALL_STEPS] * len(IDS)


def test_generate_uses_the_declared_threshold(artefact: Path) -> None:
    with lariat.load(artefact) as session:

        def run(threshold: float | str | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
            options = lariat.GenerateOptions(max_new_tokens=6, ignore_eos=True, exit_threshold=threshold)  # type: ignore[arg-type]
            result = session.generate([IDS], options)[0]
            return result.tokens, result.steps

        assert run(None) == run(0.5)
        assert set(run("off")[1]) == {ALL_STEPS}
        with pytest.raises(lariat.RuntimeFault, match="threshold"):
            run("of")


def test_an_engine_and_drafts_use_the_declared_threshold(artefact: Path) -> None:
    with lariat.load(artefact) as session:
        if session.info.pipeline != "fast":
            pytest.skip("the reference path has no engine")
        found = []
        for threshold in (None, 0.5):
            options = lariat.GenerateOptions(max_new_tokens=6, ignore_eos=True, exit_threshold=threshold, speculate=2)
            engine = Engine(session)
            engine.submit(IDS, options)
            steps = []
            while (tick := engine.tick()).unfinished:
                steps += [token.steps for token in tick.tokens]
            found.append(steps)
        assert found[0] == found[1]
        assert min(found[0]) < ALL_STEPS


def test_the_command_line_switches_exits_off(
    artefact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", str(artefact)]) == 0
    assert "default 0.5" in capsys.readouterr().out
    (tmp_path / "in.json").write_text(json.dumps([IDS]))
    taken = []
    for more in ([], ["--exit-threshold", "off"]):
        out = tmp_path / "out.json"
        command = ["generate", str(artefact), "--tokens", str(tmp_path / "in.json"), "--max-new-tokens", "4"]
        assert main([*command, "--ignore-eos", "-o", str(out), *more]) == 0
        taken.append(json.loads(out.read_text())[0]["steps"])
    assert min(taken[0]) < ALL_STEPS
    assert taken[1] == [ALL_STEPS] * 4


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_either_end_keeps_its_meaning(tmp_path: Path, threshold: float) -> None:
    path = tmp_path / "ouro.lariat"
    lariat.compile(declare(tmp_path / "ouro", threshold), path, lariat.CompileOptions(target="native"))
    with lariat.load(path) as session:
        assert set(session.score([IDS])[0].steps.tolist()) == {ALL_STEPS if threshold else 1}


def test_a_rule_in_place_of_the_declared_one_has_no_declared_threshold(tmp_path: Path) -> None:
    path = tmp_path / "ouro.lariat"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lariat.compile(declare(tmp_path / "ouro", 0.0), path, lariat.CompileOptions(target="native", exit_rule="kl"))
    with lariat.load(path) as session:
        assert session.info.exit is not None
        assert (session.info.exit.default, session.info.exit.usual) == (None, 0.001)
        assert set(session.score([IDS])[0].steps.tolist()) == {ALL_STEPS}
