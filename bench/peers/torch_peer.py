# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""PyTorch as a peer: `torch_peer.py eager|compile JOB`, driven by lariat.bench.systems."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from lariat.bench.protocol import Job, Ready, clock, limit_processors, read_job, serve


def prepare(mode: str, job: Job) -> tuple[Ready, Callable[[], list[float]]]:
    import torch

    # Inference mode is the cheaper one, but compiled code has its own.
    without_gradients = torch.inference_mode if mode == "eager" else torch.no_grad
    with without_gradients():
        ready, run = prepare_task(mode, job)
    return ready, without_gradients()(run)


def prepare_task(mode: str, job: Job) -> tuple[Ready, Callable[[], list[float]]]:
    limit_processors(job.threads)
    # Compiled anew in each run of the bench, so that the time to prepare is that of a first start.
    cache = Path(job.cache) / f"inductor-{job.kind}-{os.getpid()}"
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(cache)
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = str(job.threads)
    import numpy
    import torch
    from looped import Looped

    torch.set_num_threads(job.threads)
    torch.set_num_interop_threads(1)
    start = clock()
    model = Looped(Path(job.checkpoint))
    compiled = (lambda f: f) if mode == "eager" else (lambda f: torch.compile(f, dynamic=False, fullgraph=True))
    ids = torch.tensor([job.prompt])
    run_prefill = compiled(model.prefill) if job.kind == "prefill" else model.prefill

    def prefill() -> list[float]:
        begin = clock()
        logits = run_prefill(ids)[0].numpy()
        int(logits[0].argmax())
        return [clock() - begin]

    if job.kind == "prefill":
        prefill()
        outputs = [run_prefill(ids)[0]]
        run = prefill
    else:
        context_rows = len(job.prompt)
        first, *entries = model.prefill(ids)
        size = context_rows + job.steps
        caches = [torch.zeros(1, one.shape[1], size, one.shape[3]) for one in entries]
        for cache_tensor, one in zip(caches, entries, strict=True):
            cache_tensor[:, :, :context_rows] = one
        masked = compiled(model.decode_masked)

        def step(token: int, at: int):
            row = torch.tensor([[token]])
            if mode == "eager":
                return model.decode_sliced(row, at, caches)
            return masked(row, torch.tensor([at]), *caches)

        def decode(outputs: list | None = None) -> list[float]:
            token, times = int(first[0].argmax()), []
            for number in range(job.steps):
                begin = clock()
                logits = step(token, context_rows + number).numpy()
                token = int(logits[0].argmax())
                times.append(clock() - begin)
                if outputs is not None:
                    outputs.append(torch.from_numpy(logits.copy()))
            return times[job.warm_steps :]

        outputs = [first]
        decode(outputs)
        run = decode
    seconds = clock() - start
    numpy.save(job.logits, torch.cat(outputs).numpy())
    tokens = tuple(int(one[0].argmax()) for one in outputs)
    stored = sum(file.stat().st_size for file in cache.rglob("*") if file.is_file()) if mode == "compile" else None
    blas = "MKL" if torch.backends.mkl.is_available() else "no MKL"
    versions = {"torch": f"{torch.__version__} ({blas}, {torch.backends.cpu.get_cpu_capability()})"}
    return Ready(seconds, tokens, versions, stored), run


if __name__ == "__main__":
    chosen = read_job(sys.argv[1:])
    serve(lambda: prepare(sys.argv[1], chosen))
