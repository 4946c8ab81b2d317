# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What to measure, as bench/configs/*.json says it."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lariat._files import reason
from lariat.bench.shapes import SHAPES, Shape
from lariat.errors import RuntimeFault

__all__ = ["ROOT", "Plan", "Task", "find_plan", "read_plan"]

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = ROOT / "bench" / "configs"


@dataclass(frozen=True)
class Task:
    """One call to measure: `prefill` of `rows` rows, or `decode` steps after a prompt of `rows` rows."""

    kind: str
    rows: int
    steps: int = 0
    warm_steps: int = 0

    def __str__(self) -> str:
        if self.kind == "prefill":
            return f"prefill of {self.rows} rows"
        return f"decode at a context of {self.rows} to {self.rows + self.steps - 1} rows"

    @property
    def mean_context(self) -> int:
        """Rows that a timed decode step sees besides its own, on average."""
        return self.rows + (self.warm_steps + self.steps - 1) // 2


@dataclass(frozen=True)
class Plan:
    """A model, the tasks it is measured on, with how many threads, beside which systems, in how many rounds."""

    name: str
    shape: Shape
    tasks: tuple[Task, ...]
    threads: tuple[int, ...]
    rounds: int
    systems: tuple[str, ...]
    seed: int = 0

    def but(self, **given: Any) -> Plan:
        """With other values where one is given."""
        return replace(self, **{key: value for key, value in given.items() if value is not None})

    def prompt(self, task: Task) -> tuple[int, ...]:
        """Random token ids, the same for every system."""
        source = random.Random(self.seed)
        return tuple(source.randrange(self.shape.vocab) for _ in range(task.rows))


def find_plan(name: str) -> Plan:
    """The plan in a file, or of that name in bench/configs.

    Raises:
        RuntimeFault: if there is none, or it is damaged.
    """
    path = Path(name)
    if path.suffix != ".json":
        path = CONFIGS / f"{name}.json"
        if not path.is_file():
            known = ", ".join(sorted(one.stem for one in CONFIGS.glob("*.json")))
            raise RuntimeFault(f"no plan '{name}' in {CONFIGS}, there is {known or 'none'}")
    try:
        values = json.loads(path.read_text())
    except OSError as failure:
        raise RuntimeFault(f"cannot read {path}: {reason(failure)}") from None
    except ValueError as failure:
        raise RuntimeFault(f"{path}: not JSON: {failure}") from None
    return read_plan(path.stem, values)


def read_plan(name: str, values: Any) -> Plan:
    """A plan from its JSON values."""
    known = {"shape", "loops", "tasks", "threads", "rounds", "systems", "seed"}
    if not isinstance(values, dict) or not values.keys() <= known:
        raise RuntimeFault(f"plan '{name}': expected an object with {', '.join(sorted(known))}")
    try:
        shape = SHAPES[values["shape"]]
        tasks = tuple(_read_task(task) for task in values["tasks"])
        threads = tuple(_positive(number) for number in values["threads"])
        rounds = _positive(values["rounds"])
        systems = tuple(str(system) for system in values["systems"])
        seed = int(values.get("seed", 0))
        shape = shape.with_loops(_positive(values["loops"])) if "loops" in values else shape
    except (KeyError, TypeError, ValueError) as failure:
        raise RuntimeFault(f"plan '{name}': {type(failure).__name__}: {failure}") from None
    for task in tasks:
        if task.rows + task.steps > shape.context:
            raise RuntimeFault(f"plan '{name}': {task} needs more than the model's context of {shape.context} rows")
    return Plan(name, shape, tasks, threads, rounds, systems, seed)


def _read_task(values: Any) -> Task:
    task = Task(**values)
    counts = (task.steps, task.warm_steps)
    if task.kind == "prefill" and task.rows > 0 and counts == (0, 0):
        return task
    if task.kind == "decode" and task.rows > 0 and 0 <= task.warm_steps < task.steps:
        return task
    raise ValueError(f"expected a prefill with rows, or a decode with rows, steps and warm_steps, found {values}")


def _positive(value: Any) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"expected a positive number, found {value!r}")
    return value
