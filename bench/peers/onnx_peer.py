# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ONNX Runtime as a peer: `onnx_peer.py JOB`, driven by lariat.bench.systems.

The graph is exported from PyTorch with its loop unrolled, which is what the exporter offers. Decode reads caches of
fixed size through a mask and returns the new keys and values; storing them is part of the time.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

from lariat.bench.protocol import Job, Ready, clock, limit_processors, read_job, serve

OPSET = 18


def prepare(job: Job) -> tuple[Ready, Callable[[], list[float]]]:
    limit_processors(job.threads)
    import numpy
    import onnxruntime
    import torch
    from looped import Looped

    torch.set_num_threads(job.threads)
    torch.set_grad_enabled(False)
    start = clock()
    model = Looped(Path(job.checkpoint), written_out=True)
    ids = torch.tensor([job.prompt])
    context_rows, size = len(job.prompt), len(job.prompt) + job.steps
    if job.kind == "prefill":
        graph, note = export(model, "prefill", (ids,), job)
        session = open_session(onnxruntime, graph, job.threads)
        inputs = {session.get_inputs()[0].name: ids.numpy()}

        def prefill() -> list[float]:
            begin = clock()
            logits = session.run(None, inputs)[0]
            int(logits[0].argmax())
            return [clock() - begin]

        prefill()
        outputs = [session.run(None, inputs)[0]]
        run = prefill
    else:
        first, *entries = model.prefill(ids)
        past = [torch.zeros(1, one.shape[1], size, one.shape[3]) for one in entries]
        for whole, one in zip(past, entries, strict=True):
            whole[:, :, :context_rows] = one
        mask = torch.full((1, 1, 1, size), -1e30)
        token, position = torch.zeros(1, 1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64)
        graph, note = export(model, "decode_split", (token, position, mask, *past), job)
        del model
        session = open_session(onnxruntime, graph, job.threads)
        # Inputs and outputs stay where they are: only the values in them change from step to step.
        arrays = [one.numpy() for one in (token, position, mask, *past)]
        binding = session.io_binding()
        for described, array in zip(session.get_inputs(), arrays, strict=True):
            value = onnxruntime.OrtValue.ortvalue_from_numpy(array)
            binding.bind_ortvalue_input(described.name, value)
        results = [numpy.zeros(described.shape, numpy.float32) for described in session.get_outputs()]
        for described, array in zip(session.get_outputs(), results, strict=True):
            binding.bind_output(described.name, "cpu", 0, numpy.float32, array.shape, array.ctypes.data)

        def decode(outputs: list | None = None) -> list[float]:
            chosen, times = int(first[0].argmax()), []
            arrays[2][..., :context_rows] = 0
            arrays[2][..., context_rows:] = -1e30
            for number in range(job.steps):
                begin = clock()
                at = context_rows + number
                arrays[0][0, 0], arrays[1][0] = chosen, at
                session.run_with_iobinding(binding)
                for whole, added in zip(arrays[3:], results[1:], strict=True):
                    whole[:, :, at] = added[:, :, 0]
                arrays[2][..., at] = 0
                chosen = int(results[0][0].argmax())
                times.append(clock() - begin)
                if outputs is not None:
                    outputs.append(results[0].copy())
            return times[job.warm_steps :]

        outputs = [first.numpy()]
        decode(outputs)
        run = decode
    seconds = clock() - start
    numpy.save(job.logits, numpy.concatenate(outputs))
    tokens = tuple(int(one[0].argmax()) for one in outputs)
    stored = sum(file.stat().st_size for file in graph.parent.iterdir() if file.is_file())
    versions = {"onnxruntime": onnxruntime.__version__, "torch": torch.__version__}
    return Ready(seconds, tokens, versions, stored, note), run


def export(model, method: str, arguments: tuple, job: Job) -> tuple[Path, str]:
    """The graph of one method, exported once for each checkpoint: that takes minutes."""
    import torch
    from looped import Entry

    source = Path(__file__).with_name("looped.py").read_bytes() + Path(__file__).read_bytes()
    config = (Path(job.checkpoint) / "config.json").read_bytes()
    shapes = str([tuple(one.shape) for one in arguments]).encode()
    key = hashlib.sha256(source + config + shapes + torch.__version__.encode()).hexdigest()[:16]
    # Threads do not matter to a graph: one folder for all.
    folder = Path(job.cache).parent / f"onnx-{method}-{key}"
    graph, taken = folder / "model.onnx", folder / "export-seconds.txt"
    if not taken.exists():
        folder.mkdir(parents=True, exist_ok=True)
        begin = clock()
        torch.onnx.export(
            Entry(model, method), arguments, graph, dynamo=True, opset_version=OPSET, external_data=True, verbose=False
        )
        taken.write_text(f"{clock() - begin:.1f}")
        return graph, f"opset {OPSET}"
    return graph, f"opset {OPSET}, exported before in {taken.read_text()} s"


def open_session(onnxruntime, graph: Path, threads: int):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    job = read_job(sys.argv)
    serve(lambda: prepare(job))
