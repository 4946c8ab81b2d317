# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random checkpoints of other sizes, loop counts and policies than the trained fixtures agree with the oracle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lariat.session import Session
from tests.oracle import specs
from tests.oracle.make_checkpoints import make_checkpoint

from .fixtures import MODELS, Fixture, score_options, tolerance

SEED = 0
NAMES = [spec.name for spec in specs.SPECS]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp(f"checkpoints-seed-{SEED}")
    made: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in made:
            spec = next(spec for spec in specs.SPECS if spec.name == name)
            make_checkpoint(spec, folder, seed=SEED, tokenizer=MODELS / "ouro" / "tokenizer.json")
            made[name] = folder / name
        return made[name]

    return get


@pytest.mark.parametrize("name", NAMES)
def test_scores_agree_with_the_oracle(
    open_session: Callable[..., Session], checkpoints: Callable[[str], Path], name: str
) -> None:
    path = checkpoints(name)
    fixture = Fixture.load_from(path)
    session = open_session(path)
    for case in fixture.cases():
        for rule in fixture.rules(case):
            run = fixture.run(case, rule)
            expected = fixture.logits(case, rule)
            assert expected is not None
            if fixture.config["model_type"] == "albert":
                logits = session.encode([fixture.ids(case)])[0].logits
                assert logits is not None
            else:
                options = score_options(rule)
                if case.startswith("prefix"):
                    options = replace(options, prefix=int(case.removeprefix("prefix")))
                result = session.score([fixture.ids(case)], options)[0]
                logits, depth = result.logits, fixture.depth(case, rule)
                if depth is not None:
                    np.testing.assert_array_equal(result.steps, depth, err_msg=f"{name} {case} {rule} seed {SEED}")
            error = float(np.abs(logits - expected).max())
            allowed = tolerance(run["fp32_max_abs_err"])
            assert error <= allowed, f"{name} {case} {rule} seed {SEED}: max error {error:.3g}, allowed {allowed:.3g}"
