# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The runtime, behind lariat.Session. Not for direct use."""

from collections.abc import Sequence
import enum
from typing import Annotated

import numpy
from numpy.typing import NDArray

def version() -> tuple[int, int]:
    """Major and minor version of the C interface."""

def request_options() -> str:
    """The table of options of requests, as JSON."""

class Order(enum.Enum):
    """Who is first where not all rows fit a tick."""

    OLDEST = 0

    FIFO = 1

    DEEPEST = 2

class Loop(enum.Enum):
    """How rows of an engine run the loop."""

    AUTO = 0

    STEPS = 1

def defaults() -> dict:
    """Options of sessions and engines where none are given."""

class Generation:
    """A batch that generates."""

    def next(self) -> list[tuple[int, int, int, float, list[int], list[float]]]:
        """The next tokens, one of each sequence that goes on; none at the end."""

    def stop(self, sequence: int) -> None:
        """End one sequence."""

    def result(self, sequence: int) -> tuple[list[int], list[int], str, str | None]:
        """What a sequence has so far."""

    def profile(self) -> str:
        """What the batch did, as JSON."""

class Session:
    """A loaded artefact."""

    def __init__(
        self,
        path: str,
        *,
        threads: int,
        max_rows: int,
        kv_bytes: int,
        isa: str | None,
        order: Order,
        verify_weights: bool,
    ) -> None: ...
    def close(self) -> None:
        """Give memory and threads back."""

    def cancel(self) -> None:
        """End the requests that have begun."""

    @property
    def threads(self) -> int: ...
    @property
    def isa(self) -> str: ...
    @property
    def state_columns(self) -> int: ...
    def memory(self) -> dict[str, int]:
        """Bytes by what holds them."""

    def score(
        self,
        tokens: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
        lengths: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
        options: str,
        initial_states: Sequence[
            Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)]
        ]
        | None,
    ) -> list[
        tuple[
            Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None,
            Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None,
            Annotated[NDArray[numpy.int32], dict(shape=(None,))],
            str,
        ]
    ]:
        """Logits of every row of every sequence."""

    def encode(
        self,
        tokens: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
        lengths: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    ) -> list[
        tuple[
            Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None,
            Annotated[NDArray[numpy.float32], dict(shape=(None, None))] | None,
            Annotated[NDArray[numpy.int32], dict(shape=(None,))],
            str,
        ]
    ]:
        """Last state of every row of every sequence."""

    def generate(
        self,
        tokens: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
        lengths: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
        options: str,
    ) -> Generation:
        """Start to generate."""

class Engine:
    """Requests that come at any time."""

    def __init__(
        self,
        session: Session,
        *,
        max_rows: int,
        chunk_rows: int,
        order: Order,
        loop: Loop,
        prefix_cache: bool,
        missing: str | None,
        profile: bool,
    ) -> None: ...
    def submit(
        self,
        tokens: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
        lengths: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
        options: str,
    ) -> int:
        """Queue a request per sequence; the number of the first."""

    def cancel(self, request: int) -> None:
        """End a request before the next tick."""

    def tick(self) -> tuple[list[tuple[int, int, int, float, list[int], list[float]]], list[tuple[int, str, str]], int]:
        """Run one tick: new tokens, requests that ended, how many have not."""

    def counts(self) -> dict:
        """Calls, rows and seconds by function."""

    def profile(self) -> str:
        """What the engine did, as JSON."""

    def clear_prefixes(self) -> None:
        """Give the pages of requests that ended back."""

class ExperimentalEngine(Engine):
    """An engine for measurements."""

    def __init__(
        self,
        session: Session,
        *,
        max_rows: int,
        chunk_rows: int,
        order: Order,
        loop: Loop,
        prefix_cache: bool,
        missing: str | None,
        profile: bool,
        refills: bool,
        splits_loop: bool,
        record: bool,
        replay: str | None,
    ) -> None: ...
    def submit_bound(
        self,
        tokens: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
        lengths: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
        options: str,
        depths: Sequence[int] | None,
    ) -> int:
        """
        Queue a request per sequence whose rows run at most some loop steps; the number of the first.
        """

    def schedule(self) -> str:
        """What was decided and called, as JSON."""
