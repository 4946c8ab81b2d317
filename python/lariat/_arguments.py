# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arguments that several commands share: numbers in their ranges, how to run, how to choose tokens."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lariat._streams import text_argument

if TYPE_CHECKING:
    from lariat.requests import GenerateOptions

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


def add_run(parser: argparse.ArgumentParser) -> None:
    """How rows run through the loop."""
    parser.add_argument("--loops", metavar="R", type=number(0), help="most loop steps, where the model leaves it free")
    parser.add_argument(
        "--exit-threshold",
        metavar="Q",
        type=_threshold,
        help="threshold of the declared exit rule, or off: no token exits (default: as the model declares)",
    )
    parser.add_argument(
        "--missing", metavar="MODE", help="what later rows see of a row that exited, one that 'lariat info' lists"
    )
    parser.add_argument("--prefix", metavar="P", type=number(0), help="first rows that see each other both ways")
    add_verify(parser)
    add_threads(parser)


def add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-verify", action="store_true", help="do not compare the checksum of the weights, which reads them all"
    )


def add_engine(parser: argparse.ArgumentParser) -> None:
    """How rows of several prompts share ticks; see `load_options`."""
    parser.add_argument(
        "--max-rows", metavar="N", type=number(1), default=512, help="most rows of a tick (default: 512)"
    )
    parser.add_argument(
        "--scheduler",
        choices=("oldest", "fifo", "deepest"),
        default="oldest",
        help="which rows go first where not all fit (default: oldest)",
    )
    parser.add_argument("--kv-pages", metavar="N", type=number(1), help="most pages of keys and values")


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """How tokens are chosen, in the order of the steps."""
    chosen = parser.add_argument_group("choosing tokens (all but temperature and seed: artefacts of the fast pipeline)")
    chosen.add_argument(
        "--repetition-penalty", metavar="F", type=_positive, default=1.0, help="against tokens of prompt and answer"
    )
    chosen.add_argument(
        "--presence-penalty", metavar="F", type=_fraction, default=0.0, help="against tokens of the answer"
    )
    chosen.add_argument("--frequency-penalty", metavar="F", type=_fraction, default=0.0, help="the same, for each time")
    chosen.add_argument(
        "--temperature", metavar="T", type=_not_negative, default=0.0, help="0 is greedy, above samples (default: 0)"
    )
    chosen.add_argument(
        "--top-k", metavar="K", type=number(0), default=0, help="of the K most likely tokens; 0 for all"
    )
    chosen.add_argument(
        "--top-p", metavar="P", type=_share, default=1.0, help="of the fewest tokens with this share (default: 1)"
    )
    chosen.add_argument(
        "--min-p", metavar="P", type=_share, default=0.0, help="of tokens so likely beside the first (default: 0)"
    )
    chosen.add_argument("--seed", metavar="S", type=number(0, 2**63 - 1), default=0, help="sampling seed (default: 0)")
    chosen.add_argument(
        "--speculate", metavar="R", type=number(1), help="draft after R loop steps and verify by the rest: same text"
    )


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


def generate_options(options: argparse.Namespace, max_new_tokens: int) -> GenerateOptions:
    """The options of a command with `add_run` and `add_sampling`, and ignore_eos and stop."""
    from lariat.requests import GenerateOptions

    return GenerateOptions(
        max_new_tokens=max_new_tokens,
        temperature=options.temperature,
        seed=options.seed,
        ignore_eos=options.ignore_eos,
        stop=tuple(options.stop),
        loops=options.loops,
        exit_threshold=options.exit_threshold,
        missing=options.missing,
        prefix=options.prefix,
        top_k=options.top_k,
        top_p=options.top_p,
        min_p=options.min_p,
        repetition_penalty=options.repetition_penalty,
        presence_penalty=options.presence_penalty,
        frequency_penalty=options.frequency_penalty,
        speculate=options.speculate,
    )
