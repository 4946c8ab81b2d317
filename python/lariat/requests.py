# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a session is asked for and what it answers: options and results."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from lariat._values import read_fields

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    import numpy
    from numpy.typing import NDArray

    from lariat.profile import Profile

__all__ = ["CacheUse", "Encoded", "Flag", "GenerateOptions", "Generation", "Score", "ScoreOptions", "SlotUse", "Token"]


class Flag(NamedTuple):
    """An option's argument on the command line; `values` names one of the readers of `_arguments`."""

    metavar: str
    help: str
    values: str


def _option(default: Any, flag: Flag | None = None, *, fast_only: bool = False) -> Any:
    """A field of options: its default, its argument on the command line, and whether the reference path lacks it.

    Name and default are those of the table in lib/Requests/Options.cpp.
    """
    return field(default=default, metadata={"flag": flag, "fast_only": fast_only})


_LOOPS = Flag("R", "most loop steps, where the model leaves it free", "0 or more")
_EXIT_THRESHOLD = Flag(
    "Q", "threshold of the declared exit rule, or off: no token exits (default: as the model declares)", "threshold"
)
_MISSING = Flag("MODE", "what later rows see of a row that exited, one that 'lariat info' lists", "text")
_PREFIX = Flag("P", "first rows that see each other both ways", "0 or more")


@dataclass(frozen=True)
class ScoreOptions:
    """How to score. Values are read when this is made: numbers of numpy, texts for paths and any iterable are taken.

    Attributes:
        mode: `score` runs a non-causal router as trained, `generate` replaces it by its decode rule.
        loops: most loop steps, in the range the model allows; its default where none is given.
        exit_threshold: threshold of the declared exit rule, or `off`: no row exits. Where none is given it is the one
            that the model declares, `Artefact.exit.default`, and without a declaration no row exits.
        missing: what later rows see of a row that exited; the model's declaration where none is given.
        prefix: rows at the start of each sequence that see each other in both directions.
        initial_state: safetensors file with the state before the loop, for families that leave it free:
            `state.I` float32[num_rows, width] for sequence I, or one tensor for one sequence.
        chunk: rows of a sequence that are run in one call, all where none is given.
        capacity: share of a sequence's rows that a non-causal router keeps at each depth, as a fraction, a number or a
            text such as "2/3": of S rows, max(1, floor(share * S)). As declared where none is given; mode `score` only.
        derived: run the derived step functions instead of the whole function: `lockstep`, all rows at one depth, or
            `staggered`, rows of different depths in one call.
    """

    mode: str = "score"
    loops: int | None = _option(None, _LOOPS)
    exit_threshold: float | Literal["off"] | None = _option(None, _EXIT_THRESHOLD)
    missing: str | None = _option(None, _MISSING)
    prefix: int | None = _option(None, _PREFIX)
    initial_state: Path | None = None
    chunk: int | None = None
    capacity: Sequence[Fraction | float | str] | None = None
    derived: str | None = None

    def __post_init__(self) -> None:
        """Reads the values.

        Raises:
            RuntimeFault: for one of a wrong type, by its name.
        """
        read_fields(self)


@dataclass(frozen=True)
class GenerateOptions:
    """How to generate. Values are read as those of `ScoreOptions`.

    Tokens are chosen in this order, each step over what the one before left: repetition penalty, presence and frequency
    penalty, bias, least length, temperature, top k, top p, min p, then a draw. The reference path knows the
    temperature only.

    Attributes:
        max_new_tokens: the length at which a sequence ends if nothing ends it before.
        min_new_tokens: the length below which no token is chosen that ends a sequence. Stop texts end it at any length.
        temperature: 0 takes the most likely token; above, tokens are sampled from softmax(logits / temperature).
        seed: of the sampling; noise depends on seed and position only, never on the batch.
        ignore_eos: go on after an end-of-sequence token of the model.
        stop: texts that end a sequence, or one text; the first one found and what follows it are left out of the text.
            One that has the text of a special token also ends a sequence where the model writes this token.
        stop_tokens: token ids that end a sequence, besides the model's own.
        loops, exit_threshold, missing, prefix: as in `ScoreOptions`.
        top_k: sample from the k most likely tokens; 0 for all.
        top_p: sample from the fewest most likely tokens whose share is at least p, 0 to 1.
        min_p: sample from the tokens at least p times as likely as the most likely one, 0 to 1.
        repetition_penalty: divides positive logits, and multiplies others, of tokens in the prompt or generated.
        presence_penalty: taken from the logits of generated tokens.
        frequency_penalty: taken from the logits of generated tokens, for each time.
        bias: added to the logits of tokens, after penalties: a mapping from token ids, or pairs.
        logprobs: report log probabilities, of the chosen token and so many of the most likely ones, from the softmax of
            the model's own logits: before penalties, temperature and truncation.
        profile: keep a profile of the batch. A row alone then runs step by step, which is slower.
        speculate: rows draft the next token after so many of their loop steps, and the rest of the steps verifies it.
            Results are the same, and come sooner where drafts are often right. Not where one row waits for another: a
            sequential or atomic KV policy.
        drafts: most tokens ahead of verified ones; as many as pay where none is given.
    """

    max_new_tokens: int = 128
    temperature: float = _option(0.0, Flag("T", "0 is greedy, above samples (default: 0)", "not negative"))
    seed: int = _option(0, Flag("S", "sampling seed (default: 0)", "seed"))
    ignore_eos: bool = False
    stop: tuple[str, ...] = ()
    loops: int | None = _option(None, _LOOPS)
    exit_threshold: float | Literal["off"] | None = _option(None, _EXIT_THRESHOLD)
    missing: str | None = _option(None, _MISSING)
    prefix: int | None = _option(None, _PREFIX)
    top_k: int = _option(0, Flag("K", "of the K most likely tokens; 0 for all", "0 or more"), fast_only=True)
    top_p: float = _option(1.0, Flag("P", "of the fewest tokens with this share (default: 1)", "share"), fast_only=True)
    min_p: float = _option(0.0, Flag("P", "of tokens so likely beside the first (default: 0)", "share"), fast_only=True)
    repetition_penalty: float = _option(
        1.0, Flag("F", "against tokens of prompt and answer", "above 0"), fast_only=True
    )
    presence_penalty: float = _option(0.0, Flag("F", "against tokens of the answer", "number"), fast_only=True)
    frequency_penalty: float = _option(0.0, Flag("F", "the same, for each time", "number"), fast_only=True)
    logprobs: int | None = _option(None, fast_only=True)
    stop_tokens: tuple[int, ...] = ()
    profile: bool = False
    speculate: int | None = _option(
        None, Flag("R", "draft after R loop steps and verify by the rest: same text", "1 or more"), fast_only=True
    )
    drafts: int | None = _option(None, fast_only=True)
    bias: tuple[tuple[int, float], ...] = _option((), fast_only=True)
    min_new_tokens: int = _option(0, Flag("N", "no end before N tokens (default: 0)", "0 or more"), fast_only=True)

    def __post_init__(self) -> None:
        """Reads the values.

        Raises:
            RuntimeFault: for one of a wrong type, by its name.
        """
        read_fields(self)


@dataclass(frozen=True)
class SlotUse:
    """Entries of one slot: `computed` from their own row, `filled` in for rows that stopped before."""

    computed: int
    filled: int


CacheUse = dict[str, tuple[tuple[SlotUse, ...], ...]]
"""Entries that a sequence left in each cache, by its name, then layer, then slot."""


@dataclass(frozen=True)
class Score:
    """Result for one sequence: `logits` float32[num_rows, vocabulary], `steps` int32[num_rows], loop steps of a row."""

    logits: NDArray[numpy.float32]
    steps: NDArray[numpy.int32]
    slots: CacheUse


@dataclass(frozen=True)
class Encoded:
    """Result of an encoder: `hidden` float32[num_rows, width], `logits` float32[num_rows, vocabulary] with a head."""

    hidden: NDArray[numpy.float32]
    logits: NDArray[numpy.float32] | None


@dataclass(frozen=True)
class Token:
    """A new token: of which sequence, its id, loop steps of the row that chose it, and the text it completes.

    With `GenerateOptions.logprobs`, its log probability, and ids and log probabilities of the most likely tokens.
    """

    sequence: int
    id: int
    steps: int
    text: str
    logprob: float | None = None
    top_logprobs: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Generation:
    """Result for one sequence.

    Attributes:
        tokens: new token ids.
        steps: loop steps of the row that chose each of them.
        finish: `eos`, `stop` or `length`.
        text: what the new tokens add to the text of the prompt, up to a stop text; none if all prompts are token ids
            and there is no stop text. A first word that the tokenizer writes with a space keeps it.
        slots: cache entries at the end; none if a stop text ended the run on the reference path.
        logprobs: log probability of each token, where asked for.
        profile: of the batch, the same in all its results; none where not asked for.
    """

    tokens: tuple[int, ...]
    steps: tuple[int, ...]
    finish: str
    text: str | None
    slots: CacheUse | None = field(repr=False)
    logprobs: tuple[float, ...] | None = None
    profile: Profile | None = field(default=None, repr=False)
