# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arguments that several commands share: numbers in their ranges, how to run, how to choose tokens."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, Literal

from lariat._streams import text_argument
from lariat.requests import GenerateOptions, ScoreOptions

__all__ = [
    "Once",
    "add_artefact",
    "add_engine",
    "add_run",
    "add_sampling",
    "add_stop",
    "add_threads",
    "add_verify",
    "generate_options",
    "load_options",
    "number",
    "score_options",
]


def number(low: int, high: int = 2**31 - 1) -> Callable[[str], int]:
    """Reads a whole number from `low` to `high`."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not from {low} to {high}")
        return value

    return read


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"'{text}' is not a finite number")
    return value


def _threshold(text: str) -> float | Literal["off"]:
    return "off" if text == "off" else _fraction(text)


def _not_negative(text: str) -> float:
    value = _fraction(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def _positive(text: str) -> float:
    value = _fraction(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _share(text: str) -> float:
    value = _fraction(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 1")
    return value


class Once(argparse.Action):
    """Keeps a value, and refuses a second one, which would take the first one's place unnoticed."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: object, option: str | None = None
    ) -> None:
        if getattr(namespace, self.dest) is not None:
            raise argparse.ArgumentError(self, "given twice, expected once")
        setattr(namespace, self.dest, values)


def add_artefact(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("artefact", metavar="NAME.lariat", type=Path, help="what 'lariat compile' wrote")


def add_threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--threads",
        metavar="N",
        type=number(1, 4096),
        help="threads (default: one per core); the reference path has one",
    )


_READERS: dict[str, Callable[[str], Any]] = {
    "0 or more": number(0),
    "1 or more": number(1),
    "seed": number(0, 2**63 - 1),
    "number": _fraction,
    "not negative": _not_negative,
    "above 0": _positive,
    "share": _share,
    "threshold": _threshold,
    "text": str,
}
"""By `Flag.values`."""


def _flags(kind: type[ScoreOptions | GenerateOptions]) -> Iterator[Field[Any]]:
    """The options that are arguments by themselves."""
    return (one for one in fields(kind) if one.metadata.get("flag"))


def _add_flag(parser: argparse._ActionsContainer, option: Field[Any]) -> None:
    metavar, text, values = option.metadata["flag"]
    name = "--" + option.name.replace("_", "-")
    parser.add_argument(name, metavar=metavar, type=_READERS[values], default=option.default, help=text)


def add_run(parser: argparse.ArgumentParser) -> None:
    """How rows run through the loop."""
    for option in _flags(ScoreOptions):
        _add_flag(parser, option)
    add_verify(parser)
    add_threads(parser)


def add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-verify", action="store_true", help="do not compare the checksum of the weights, which reads them all"
    )


def add_engine(parser: argparse.ArgumentParser) -> None:
    """How rows of several prompts share ticks; see `load_options`."""
    from lariat._runner import SCHEDULERS, Settings

    parser.add_argument(
        "--max-rows",
        metavar="N",
        type=number(1),
        default=Settings.max_rows,
        help="most rows of a tick (default: %(default)s)",
    )
    parser.add_argument(
        "--scheduler",
        choices=SCHEDULERS,
        default=Settings.scheduler,
        help="which rows go first where not all fit (default: %(default)s)",
    )
    parser.add_argument("--kv-pages", metavar="N", type=number(1), help="most pages of keys and values")


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """How tokens are chosen."""
    chosen = parser.add_argument_group("choosing tokens (all but temperature and seed: artefacts of the fast pipeline)")
    of_runs = {option.name for option in _flags(ScoreOptions)}
    for option in _flags(GenerateOptions):
        if option.name not in of_runs:
            _add_flag(chosen, option)


def add_stop(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stop",
        metavar="TEXT",
        nargs="+",
        action="extend",
        type=text_argument,
        default=[],
        help="end where one of these texts appears",
    )


def load_options(options: argparse.Namespace) -> dict[str, Any]:
    """What `add_threads` and `add_engine` ask of `lariat.load`."""
    return {
        "threads": options.threads,
        "max_rows": options.max_rows,
        "scheduler": options.scheduler,
        "kv_pages": options.kv_pages,
        "verify_weights": not options.no_verify,
    }


def score_options(options: argparse.Namespace, **more: Any) -> ScoreOptions:
    """The options of a command with `add_run`, and more by name."""
    return ScoreOptions(**{one.name: getattr(options, one.name) for one in _flags(ScoreOptions)}, **more)


def generate_options(options: argparse.Namespace, max_new_tokens: int) -> GenerateOptions:
    """The options of a command with `add_run` and `add_sampling`, and ignore_eos and stop."""
    return GenerateOptions(
        max_new_tokens=max_new_tokens,
        ignore_eos=options.ignore_eos,
        stop=tuple(options.stop),
        **{one.name: getattr(options, one.name) for one in _flags(GenerateOptions)},
    )
