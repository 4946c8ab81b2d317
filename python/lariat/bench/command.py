# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`lariat bench`: makes the measured checkpoints, measures the machine, its kernels, and a model beside peers."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

from lariat._files import replacing
from lariat.errors import RuntimeFault

__all__ = ["add_to"]


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the commands of `lariat bench` to its parser."""
    from lariat._arguments import add_artefact, add_threads, number
    from lariat.bench.plan import ROOT
    from lariat.bench.released import RELEASED
    from lariat.bench.shapes import SHAPES
    from lariat.compiler import DEFAULT_PIPELINE, PIPELINES

    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    make = commands.add_parser("make", help="write a checkpoint with random weights", allow_abbrev=False)
    make.set_defaults(run=_make)
    make.add_argument("--shape", choices=[*SHAPES, *RELEASED], required=True, help="of which model")
    make.add_argument("--loops", metavar="R", type=int, help="loop steps (default: the model's)")
    make.add_argument("--seed", metavar="N", type=int, default=0, help="of the weights (default: 0)")
    make.add_argument("-o", dest="output", metavar="DIR", type=Path, required=True, help="checkpoint to write")

    limits = commands.add_parser("limits", help="measure the machine: multiply-add and reading", allow_abbrev=False)
    limits.set_defaults(run=_limits)
    _add_threads(limits)
    limits.add_argument("-o", dest="output", metavar="FILE", type=Path, help="JSON to write (default: print it)")

    kernels = commands.add_parser("kernels", help="measure matrix products beside limits", allow_abbrev=False)
    kernels.set_defaults(run=_kernels)
    kernels.add_argument("--shapes", metavar="LIST", default="mor135,loop512",
                         help="whose products, separated by commas (default: mor135,loop512)")  # fmt: skip
    kernels.add_argument("--rounds", metavar="N", type=int, default=9, help="rounds (default: 9)")
    kernels.add_argument("--isa", metavar="LIST", help="ISAs, separated by commas (default: all of this machine)")
    _add_folder(kernels, "kernels.json and kernels.md")

    lora = commands.add_parser("lora", help="measure low-rank pairs on rows of all depths", allow_abbrev=False)
    lora.set_defaults(run=_lora)
    lora.add_argument("--rows", metavar="LIST", default="8,16,32,64",
                      help="rows of a tick, separated by commas (default: 8,16,32,64)")  # fmt: skip
    lora.add_argument("--ticks", metavar="N", type=number(1), default=200, help="of each (default: 200)")
    _add_folder(lora, "lora.json, lora.md, checkpoints and artefacts")

    _add_serve(commands.add_parser("serve", help="replay a load against an engine", allow_abbrev=False))

    batching = commands.add_parser("batching", help="all ways to batch side by side", allow_abbrev=False)
    batching.set_defaults(run=_batching)
    add_artefact(batching)
    _add_load(batching)
    batching.add_argument("--rows", metavar="N,...", default="1,2,4,8,16,32,64",
                          help="rows of a tick, separated by commas (default: 1,2,4,8,16,32,64)")  # fmt: skip
    batching.add_argument("--rounds", metavar="N", type=number(1), default=1, help="rounds (default: 1)")
    _add_folder(batching, "batching.json and batching.md")

    speculation = commands.add_parser("speculation", help="measure drafts after fewer loop steps", allow_abbrev=False)
    speculation.set_defaults(run=_speculation)
    speculation.add_argument("--rounds", metavar="N", type=number(1), default=5, help="rounds (default: 5)")
    speculation.add_argument("--new-tokens", metavar="N", type=number(2), default=48, help="of a request (default: 48)")
    speculation.add_argument("--together", metavar="N,...", default="1,8", help="requests at a time (default: 1,8)")
    add_threads(speculation)
    _add_folder(speculation, "speculation.json, speculation.md and artefacts")

    threads = commands.add_parser("threads", help="more threads than processors, and a busy program",
                                  allow_abbrev=False)  # fmt: skip
    threads.set_defaults(run=_threads_beside)
    threads.add_argument("artefacts", metavar="ARTEFACT", type=Path, nargs="+", help="what to run")
    threads.add_argument("--most", metavar="N,...", default="3,8,32",
                         help="numbers of threads, separated by commas (default: 3,8,32)")  # fmt: skip
    threads.add_argument("--rounds", metavar="N", type=number(1), default=5, help="rounds (default: 5)")
    threads.add_argument("--seconds", metavar="N", type=float, default=2.0, help="of a turn (default: 2)")
    threads.add_argument("--new-tokens", metavar="N", type=number(1), default=32, help="of a request (default: 32)")
    _add_folder(threads, "threads.json and threads.md")

    model = commands.add_parser("model", help="measure a model beside peers and limits", allow_abbrev=False)
    model.set_defaults(run=_model)
    model.add_argument("plan", metavar="PLAN", help="a file, or the name of one in bench/configs")
    _add_threads(model)
    model.add_argument("--rounds", metavar="N", type=int, help="rounds, 5 or more for figures (default: the plan's)")
    model.add_argument("--systems", metavar="LIST", help="systems, separated by commas (default: the plan's)")
    model.add_argument("--loops", metavar="R", type=int, help="loop steps (default: the plan's)")
    model.add_argument("--pipeline", choices=PIPELINES, default=DEFAULT_PIPELINE, help="how lariat compiles")
    model.add_argument("--peers", metavar="DIR", type=Path, default=ROOT / "build" / "peers-venv",
                       help="environment of the peers (default: build/peers-venv)")  # fmt: skip
    _add_folder(model, "PLAN.json, PLAN.md, checkpoints and caches")


def _add_serve(serve: argparse.ArgumentParser) -> None:
    from lariat._arguments import add_artefact, number
    from lariat.bench.load import ENGINES

    serve.set_defaults(run=_serve)
    add_artefact(serve)
    serve.add_argument("--engine", choices=ENGINES, default="depth",
                       help="how rows of different depths share ticks (default: depth)")  # fmt: skip
    _add_load(serve)
    serve.add_argument("--rows", metavar="N", type=number(1), default=32, help="rows of a tick (default: 32)")
    serve.add_argument("--requests", metavar="N", type=number(1), default=128, help="requests (default: 128)")
    serve.add_argument("--long-tokens", metavar="N", type=number(1), help="new tokens of the first request")
    serve.add_argument("--arrivals", metavar="KIND", default="closed",
                       help="closed, or poisson:LOAD, a share of the closed loop's rate (default: closed)")  # fmt: skip
    serve.add_argument("--json", metavar="OUT.json", type=Path, help="file to write (default: print it)")
    serve.add_argument("--record", metavar="FILE", type=Path, help="write what was decided and called, tick by tick")
    serve.add_argument("--replay", metavar="FILE", type=Path, help="do what --record wrote, of the same load, again")


def _add_folder(parser: argparse.ArgumentParser, what: str) -> None:
    from lariat.bench.plan import ROOT

    folder = ROOT / "build" / "bench"
    parser.add_argument("-o", dest="output", metavar="DIR", type=Path, default=folder,
                        help=f"folder for {what} (default: build/bench)")  # fmt: skip


def _add_load(parser: argparse.ArgumentParser) -> None:
    """What requests of `serve` and `batching` are like."""
    from lariat._arguments import add_threads, number

    parser.add_argument(
        "--exits",
        metavar="KIND",
        default="model",
        help="loop steps: model, full, uniform, iid:P1,P2,..., trace:NAME (default: model)",
    )
    parser.add_argument("--prompt-tokens", metavar="N", type=number(1), default=32, help="of a request (default: 32)")
    parser.add_argument("--new-tokens", metavar="N", type=number(1), default=64, help="of a request (default: 64)")
    parser.add_argument(
        "--seed", metavar="N", type=number(0), default=0, help="of prompts, depths, arrivals (default: 0)"
    )
    add_threads(parser)


def _add_threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", metavar="N,...", help="numbers of threads, separated by commas")


def _make(options: argparse.Namespace) -> None:
    from lariat.bench.make_checkpoint import make_checkpoint
    from lariat.bench.released import RELEASED
    from lariat.bench.shapes import SHAPES
    from lariat.bench.stored import tensors_of
    from lariat.bench.stream_checkpoint import stream_checkpoint

    if options.shape in RELEASED:
        released = RELEASED[options.shape]
        if options.loops is not None:
            released = released.with_loops(_at_least_one(options.loops, "--loops"))
        stream_checkpoint(released, options.output, options.seed)
        print(f"{options.output}: {released.num_weights / 1e6:.1f} million weights in bf16")
        return
    shape = SHAPES[options.shape]
    if options.loops is not None:
        shape = shape.with_loops(_at_least_one(options.loops, "--loops"))
    make_checkpoint(shape, options.output, options.seed)
    num_weights = sum(math.prod(size) for _, size in tensors_of(shape))
    print(f"{options.output}: {num_weights / 1e6:.1f} million weights, {shape.num_applications} applied layers")


def _limits(options: argparse.Namespace) -> None:
    from lariat.bench.limits import measure

    text = json.dumps(measure(_threads(options) or (1, 2)), indent=1) + "\n"
    if options.output is None:
        print(text, end="")
        return
    with replacing(options.output) as temporary:
        temporary.write_text(text)


def _kernels(options: argparse.Namespace) -> None:
    from lariat.bench.about import describe_run, run_lines
    from lariat.bench.kernels import measure_kernels, products_of, render_kernels
    from lariat.bench.shapes import SHAPES

    names = options.shapes.split(",")
    unknown = [name for name in names if name not in SHAPES]
    if unknown:
        raise RuntimeFault(f"--shapes: there is no shape '{unknown[0]}', only {', '.join(SHAPES)}")
    products = list(dict.fromkeys(product for name in names for product in products_of(SHAPES[name])))
    isas = options.isa.split(",") if options.isa else ()
    about = describe_run(["lariat", *sys.argv[1:]])
    measured = measure_kernels(products, rounds=_at_least_one(options.rounds, "--rounds"), isas=isas)
    lines = [
        *run_lines(about),
        "- one thread, processor time; best (median) of the rounds in percent of the limit, which is the least time by "
        "multiply-add and by reading the weights, each the best sample of the same run",
    ]
    text = render_kernels(measured, lines)
    _write(options.output, "kernels", {"about": about, **measured}, text)
    print(text, end="")


def _lora(options: argparse.Namespace) -> None:
    from lariat.bench.about import describe_run, run_lines
    from lariat.bench.lora import TURN, measure_lora, render_lora
    from lariat.bench.shapes import SHAPES

    shape = SHAPES["lora512"]
    rows = [int(text) if text.isdecimal() else 0 for text in options.rows.split(",")]
    if any(count < shape.loops or count % shape.loops for count in rows):
        raise RuntimeFault(f"--rows: '{options.rows}' is not a list of multiples of {shape.loops}, the loop steps")
    if options.ticks < 2 * TURN:
        raise RuntimeFault(f"--ticks: {options.ticks} is less than {2 * TURN}, two turns of {TURN}")
    about = describe_run(["lariat", *sys.argv[1:]])
    measured = measure_lora(shape, options.output, rows, options.ticks, _report)
    text = render_lora(measured, [*run_lines(about), "- one thread, the core function's time"])
    _write(options.output, "lora", {"about": about, **measured}, text)
    print(text, end="")


def _serve(options: argparse.Namespace) -> None:
    from lariat.bench.about import describe_run
    from lariat.bench.load import Load
    from lariat.bench.serve import serve

    load = Load(
        options.engine,
        options.exits,
        options.rows,
        options.requests,
        options.prompt_tokens,
        options.new_tokens,
        options.arrivals,
        options.long_tokens,
        options.threads,
        options.seed,
    )
    about = describe_run(["lariat", *sys.argv[1:]])
    result = serve(options.artefact, load, record=options.record, replay=options.replay)
    text = json.dumps({**result, "about": about}, indent=1) + "\n"
    if options.json is None:
        print(text, end="")
        return
    with replacing(options.json) as temporary:
        temporary.write_text(text)


def _batching(options: argparse.Namespace) -> None:
    from lariat.bench.about import describe_run, run_lines
    from lariat.bench.batching import measure_batching, render_batching
    from lariat.bench.load import Load

    rows = _numbers(options.rows, "--rows")
    load = Load("depth", options.exits, 1, 1, options.prompt_tokens, options.new_tokens,
                threads=options.threads, seed=options.seed)  # fmt: skip
    about = describe_run(["lariat", *sys.argv[1:]])
    measured = measure_batching(options.artefact, load, rows, options.rounds, _report)
    lines = [
        *run_lines(about),
        f"- loop steps of rows: {load.exits}; requests of {load.prompt_tokens} prompt tokens and {load.new_tokens} new "
        "ones, one for each row of a tick, all waiting from the start",
        "- steady state: the stretch from the last row of a prompt to the first request that ends; its bound is the "
        "time of its rows at what the step functions take per row in ticks without an empty place",
    ]
    text = render_batching(measured, lines)
    _write(options.output, "batching", {"about": about, **measured}, text)


def _speculation(options: argparse.Namespace) -> None:
    from lariat.bench.about import describe_run, run_lines
    from lariat.bench.speculation import PLAN, measure_speculation, render_speculation

    about = describe_run(["lariat", *sys.argv[1:]])
    measured = measure_speculation(
        PLAN,
        options.output,
        threads=options.threads,
        rounds=options.rounds,
        new_tokens=options.new_tokens,
        together=_numbers(options.together, "--together"),
        report=_report,
    )
    text = render_speculation(measured, list(run_lines(about)))
    _write(options.output, "speculation", {"about": about, **measured}, text)
    print(text, end="")


def _threads_beside(options: argparse.Namespace) -> None:
    from lariat.bench.about import describe_run, run_lines
    from lariat.bench.threads import measure_threads, render_threads

    most = _numbers(options.most, "--most")
    about = describe_run(["lariat", *sys.argv[1:]])
    measured = measure_threads(options.artefacts, most, options.rounds, options.seconds, options.new_tokens, _report)
    text = render_threads(measured, list(run_lines(about)))
    _write(options.output, "threads", {"about": about, **measured}, text)
    print(text, end="")


def _model(options: argparse.Namespace) -> None:
    from lariat.bench.model import measure_model
    from lariat.bench.plan import find_plan
    from lariat.bench.report import headline, render

    plan = find_plan(options.plan)
    plan = plan.but(
        rounds=None if options.rounds is None else _at_least_one(options.rounds, "--rounds"),
        threads=_threads(options),
        systems=None if options.systems is None else tuple(options.systems.split(",")),
        shape=None if options.loops is None else plan.shape.with_loops(_at_least_one(options.loops, "--loops")),
    )
    command = ["lariat", *sys.argv[1:]]
    result = measure_model(plan, options.output, options.peers.absolute(), options.pipeline, command, _report)
    name = f"{plan.name}-{options.pipeline}"
    _write(options.output, name, result, render(result))
    for case in result["cases"]:
        print(f"{case['title']}, {case['threads']} thread{'s' * (case['threads'] > 1)}: {headline(case)}")
    print(f"written: {options.output / name}.md")


def _write(folder: Path, name: str, result: dict[str, Any], document: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, text in (("json", json.dumps(result, indent=1) + "\n"), ("md", document)):
        with replacing(folder / f"{name}.{suffix}") as temporary:
            temporary.write_text(text)


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _threads(options: argparse.Namespace) -> tuple[int, ...] | None:
    return None if options.threads is None else _numbers(options.threads, "--threads")


def _numbers(text: str, option: str) -> tuple[int, ...]:
    try:
        return tuple(_at_least_one(int(one), option) for one in text.split(","))
    except ValueError:
        raise RuntimeFault(f"{option}: '{text}' is not a list of whole numbers") from None


def _at_least_one(value: int, option: str) -> int:
    if value < 1:
        raise RuntimeFault(f"{option}: {value} is less than 1")
    return value
