# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Lariat as a measured system, through its Python interface: `python -m lariat.bench.ours JOB`.

Times are those of a caller that streams tokens: the first token ends the prefill, each later one a decode step.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from lariat import __version__
from lariat.artefact import Artefact
from lariat.bench.protocol import Job, Ready, clock, limit_processors, read_job, serve
from lariat.session import GenerateOptions, ScoreOptions, Session, Token, load

Run = Callable[[], list[float]]


def prepare(job: Job) -> tuple[Ready, Run]:
    # The reference path computes in a process of its own, with one thread; on the same processor this one would see
    # tokens late.
    if Artefact.open(job.artefact).pipeline != "reference":
        limit_processors(job.threads)
    start = clock()
    session = load(job.artefact, threads=job.threads)
    tokens, _ = _generate(session, job)
    seconds = clock() - start
    _write_logits(session, job, tokens)

    def run() -> list[float]:
        _, times = _generate(session, job)
        return times[:1] if job.kind == "prefill" else times[1 + job.warm_steps :]

    stored = sum(file.stat().st_size for file in Path(job.artefact).rglob("*") if file.is_file())
    return Ready(seconds, tuple(tokens), {"lariat": __version__}, stored, f"{session.info.pipeline} pipeline"), run


def _generate(session: Session, job: Job) -> tuple[list[int], list[float]]:
    """New tokens, and the seconds until each came after the one before."""
    steps = 0 if job.kind == "prefill" else job.steps
    options = GenerateOptions(max_new_tokens=1 + steps, ignore_eos=True)
    tokens, times = [], []
    last = clock()
    for event in session.stream([job.prompt], options):
        if isinstance(event, Token):
            now = clock()
            times.append(now - last)
            tokens.append(event.id)
            last = now
    return tokens, times


def _write_logits(session: Session, job: Job, tokens: list[int]) -> None:
    """Logits by which `tokens` were chosen, computed again in one call: steps and a whole call must agree."""
    import numpy

    sequence = [*job.prompt, *tokens[:-1]]
    scored = session.score([sequence], ScoreOptions(mode="generate"))[0]
    numpy.save(job.logits, scored.logits[len(job.prompt) - 1 :])


if __name__ == "__main__":
    job = read_job(sys.argv)
    serve(lambda: prepare(job))
