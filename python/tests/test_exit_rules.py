# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Which exit rule an importer writes: the declared one, or another with its options, recorded and warned of."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

from lariat.compiler import CompileOptions, compile
from lariat.errors import CheckpointError, CompileError, ImportFailure, UnsupportedError
from lariat.exits import RULES
from lariat.importer import EXIT_FAMILIES, import_checkpoint
from tests.checkpoints import MODELS, ROOT, SMALL_LLAMA, fixture, nanbeige_values, verify, write

HEADS = {"model.early_exit_gate.weight": (1, 16), "model.early_exit_gate.bias": (1,),
         "model.exit_head.weight": (2, 16), "model.exit_head.bias": (2,)}  # fmt: skip
HUGINN = ("latent-diff", "entropy-diff", "kl", "minp-kl", "argmax-stability", "cosine")


def declared(text: str) -> str:
    found = re.search(r"#lariat\.exit<.*?>", text)
    assert found is not None
    return found[0]


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_verifies(tmp_path: Path, rule: str) -> None:
    path = write(tmp_path / "model", nanbeige_values(), SMALL_LLAMA | HEADS)
    with pytest.warns(match=f"exit rule '{rule}' changes the model: the checkpoint declares none"):
        text = import_checkpoint(path, exit_rule=rule)
    assert f'#lariat.exit<"{rule}", never' in verify(text)


def test_a_rule_put_in_place_is_recorded_with_its_options_and_warned_of_once() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        text = import_checkpoint(MODELS / "ouro", exit_rule="calm:tau=2.5,min_steps=2")
    assert [str(one.message) for one in caught] == [
        "exit rule 'calm' changes the model: the checkpoint declares cumulative-hazard"
    ]
    name = "calm:min_steps=2,tau=2.5 instead of cumulative-hazard"
    assert declared(text) == f'#lariat.exit<"{name}", never = 1.0, low = 0.0, high = 1.0>'


@pytest.mark.parametrize("rule", HUGINN)
def test_the_criteria_of_huginn_are_its_own(rule: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = import_checkpoint(MODELS / "huginn", exit_rule=rule)
    assert declared(text).startswith(f'#lariat.exit<"{rule}", ')


def test_config_json_names_the_criterion_of_huginn(tmp_path: Path) -> None:
    values, shapes = fixture("huginn")
    path = write(tmp_path / "model", {**values, "exit_rule": "cosine"}, shapes)
    assert declared(import_checkpoint(path)) == (
        '#lariat.exit<"cosine", never = 0.0, low = 0.0, high = 2.0, usual = 0.001>'
    )


def test_the_declared_rule_by_name_is_the_declared_rule() -> None:
    assert import_checkpoint(MODELS / "rrt", exit_rule="top2-margin") == import_checkpoint(MODELS / "rrt")


def test_weights_of_a_rule_that_is_not_chosen_may_be_there(tmp_path: Path) -> None:
    path = write(tmp_path / "model", nanbeige_values(), SMALL_LLAMA | HEADS)
    with pytest.warns(match="changes the model"):
        assert "exit_head" not in import_checkpoint(path, exit_rule="direct")


@pytest.mark.parametrize(
    ("rule", "missing"),
    [("class-head", "model.exit_head.weight' is missing, expected shape (2, 256)"),
     ("act", "model.early_exit_gate.weight' is missing, expected shape (1, 256)")],
)  # fmt: skip
def test_a_rule_without_its_weights_is_refused(rule: str, missing: str) -> None:
    with pytest.warns(match="changes the model"), pytest.raises(CheckpointError, match=re.escape(missing)):
        import_checkpoint(MODELS / "rrt", exit_rule=rule)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("margin", "exit rule 'margin' is not known, expected one of cumulative-hazard, direct, "),
        ("kl:tau=1", "exit rule 'kl' has no option 'tau', expected one of min_steps"),
        ("calm:tau=0", "option 'tau' of exit rule 'calm' is '0', expected a number above 0"),
        ("calm:length=x", "option 'length' of exit rule 'calm' is 'x', expected a whole number from 1"),
        ("act:form=mean", "option 'form' of exit rule 'act' is 'mean', expected lerp or sum"),
        ("kl:min_steps=0", "option 'min_steps' of exit rule 'kl' is '0', expected a whole number from 1"),
        ("kl:min_steps=5", "option 'min_steps' of exit rule 'kl' is 5, but the model takes at most 4 loop steps"),
    ],
)
def test_what_is_asked_for_wrongly_is_named(rule: str, message: str) -> None:
    with pytest.raises(ImportFailure, match=re.escape(message)):
        import_checkpoint(MODELS / "ouro", exit_rule=rule)


@pytest.mark.parametrize(("name", "family"), [("mor-token", "mor"), ("hrm", "hrm_text"), ("albert", "albert")])
def test_families_without_a_state_to_read_out_take_none(name: str, family: str) -> None:
    message = f"family '{family}' takes none, expected one of {', '.join(EXIT_FAMILIES)}"
    with pytest.raises(UnsupportedError, match=message):
        import_checkpoint(MODELS / name, exit_rule="kl")


def test_ir_has_its_rule(tmp_path: Path) -> None:
    (tmp_path / "m.mlir").write_text("")
    with pytest.raises(CompileError, match=r"m.mlir is IR, which has its exit rule"):
        compile(tmp_path / "m.mlir", tmp_path / "m.lariat", CompileOptions(exit_rule="kl"))


def test_the_page_lists_every_rule_with_its_range() -> None:
    page = (ROOT / "docs" / "exit-rules.md").read_text()
    rows = re.findall(r"^\| `([\w-]+)` \|.*\| 0 to (\S+) \| (\S+) \| [^|]*\|$", page, re.M)
    found = [(name, float(high), None if usual == "-" else float(usual)) for name, high, usual in rows]
    assert found == [(rule.name, rule.high, rule.usual) for rule in RULES.values()]
    assert all(rule.low == 0 for rule in RULES.values())
