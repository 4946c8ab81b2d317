# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The `lariat` command. Exit status 0, or another one and one line `error: ...` on standard error.

Where nobody reads its output any more it ends without a word, as programs do that SIGPIPE ends.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from lariat._arguments import (
    Once,
    add_artefact,
    add_engine,
    add_run,
    add_sampling,
    add_stop,
    add_threads,
    generate_options,
    load_options,
    number,
    score_options,
)
from lariat._streams import open_streams, settle_streams, text_argument
from lariat.errors import LariatError, RuntimeFault

if TYPE_CHECKING:
    from lariat.session import GenerateOptions, Generation

__all__ = ["main"]

FAILED, USAGE, INTERRUPTED, UNREAD = 1, 2, 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the result is the exit status."""
    open_streams()
    try:
        return _main(arguments)
    finally:
        settle_streams()


def _main(arguments: Sequence[str] | None) -> int:
    try:
        _end_by_exception()
        options = _parser().parse_args(arguments)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            status = options.run(options)
        sys.stdout.flush()
        for one in caught:
            print(f"warning: {one.message}", file=sys.stderr)
        return status or 0
    except BrokenPipeError:
        return UNREAD
    except LariatError as failure:
        return _fail(str(failure))
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except _Ended as ended:
        # Tools have ended and files are gone; who sent the signal sees that it was the reason.
        signal.signal(ended.signal, signal.SIG_DFL)
        os.kill(os.getpid(), ended.signal)
        return 128 + ended.signal
    except OSError as failure:
        place = f"{failure.filename}: " if failure.filename else ""
        return _fail(f"{place}{failure.strerror or failure}")
    except MemoryError:
        return _fail("out of memory")
    except Exception as failure:  # the contract: never a traceback
        return _fail(f"internal error: {type(failure).__name__}: {failure}")


class _Ended(BaseException):
    """A signal that ends the program, as an exception, so that files and tools that it has begun are cleared away."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


def _end_by_exception() -> None:
    def end(number: int, frame: object) -> None:
        raise _Ended(number)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            # Not where it is ignored, as under nohup, or where a program that calls this has a handler.
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, end)


def _fail(message: str, status: int = FAILED) -> int:
    with contextlib.suppress(OSError):
        print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return status


# --- commands -------------------------------------------------------------------------------------------------------


def _import(options: argparse.Namespace) -> None:
    from lariat.importer import import_to_file

    if not options.source.is_dir():
        raise RuntimeFault(f"{options.source}: no such checkpoint directory")
    import_to_file(
        options.source,
        options.output,
        exit_rule=options.exit_rule,
        ignore_config_keys=options.ignore_config_keys,
        rope_length=options.rope_length,
    )


def _compile(options: argparse.Namespace) -> None:
    from lariat._progress import progress_on
    from lariat.compiler import CompileOptions, compile

    chosen = CompileOptions(
        weights=options.weights,
        dtype=options.dtype,
        kv_dtype=options.kv_dtype,
        exit_rule=options.exit_rule,
        ignore_config_keys=options.ignore_config_keys,
        rope_length=options.rope_length,
        override_kv_policy=options.override_kv_policy,
        pipeline=options.pipeline,
        target=options.target,
        report=options.report,
        print_memory=options.print_memory,
        force=options.force,
    )
    shown = progress_on(sys.stderr, options.progress)
    if shown is None:
        compile(options.source, options.output, chosen)
        return
    with contextlib.closing(shown):
        compile(options.source, options.output, replace(chosen, progress=shown))


def _score(options: argparse.Namespace) -> None:
    from lariat._files import read_tokens, replacing
    from lariat.session import load

    chosen = score_options(
        options,
        mode=options.mode,
        initial_state=options.initial_state,
        capacity=None if options.capacity is None else options.capacity.split(","),
    )
    sequences = read_tokens(options.tokens)
    verify = not options.no_verify
    with (
        load(options.artefact, threads=options.threads, verify_weights=verify) as session,
        replacing(options.output) as temporary,
    ):
        session.score_to_file(sequences, temporary, chosen)


def _encode(options: argparse.Namespace) -> None:
    from lariat._files import read_tokens, replacing
    from lariat.session import load

    sequences = read_tokens(options.tokens)
    with load(options.artefact, threads=options.threads) as session, replacing(options.output) as temporary:
        session.encode_to_file(sequences, temporary)


def _generate(options: argparse.Namespace) -> None:
    chosen = replace(generate_options(options, options.max_new_tokens), profile=options.profile is not None)
    if options.prompt is not None and options.output is not None:
        raise RuntimeFault("-o goes with --tokens: --prompt prints its text")
    if options.prompt is None and options.output is None:
        raise RuntimeFault("--tokens needs -o OUT.json for the result")
    (_generate_text if options.prompt is not None else _generate_file)(options, chosen)


def _generate_file(options: argparse.Namespace, chosen: GenerateOptions) -> None:
    from lariat._files import read_tokens, replacing
    from lariat._terminal import Palette, summarise
    from lariat.session import load

    sequences = read_tokens(options.tokens)
    with (
        load(options.artefact, **load_options(options)) as session,
        replacing(options.output) as temporary,
        _profile_file(options.profile) as profile,
    ):
        results = session.generate(sequences, chosen)
        _write_profile(profile, results[0])
        rows = [{"tokens": one.tokens, "steps": one.steps, "finish": one.finish} for one in results]
        temporary.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
    if options.summary:
        palette = Palette(1, enabled=False)
        for number, one in enumerate(results):
            lines = summarise(session.info, palette, one, chosen.missing)
            print(*(f"sequence {number}: {line}" for line in lines), sep="\n", file=sys.stderr)


def _generate_text(options: argparse.Namespace, chosen: GenerateOptions) -> None:
    from lariat._talk import print_stream
    from lariat._terminal import Palette, summarise, wants_color
    from lariat.session import load

    with load(options.artefact, **load_options(options)) as session, _profile_file(options.profile) as profile:
        most = chosen.loops or session.info.default_steps(chosen.exit_threshold)
        colored = wants_color(options.color, sys.stdout)
        palette = Palette(most, enabled=colored)
        done = print_stream(session, options.prompt, chosen, palette)
        print(flush=True)
        _write_profile(profile, done.result)
        if options.summary or colored:
            print(*summarise(session.info, palette, done.result, chosen.missing), sep="\n", file=sys.stderr)


def _profile_file(path: Path | None) -> contextlib.AbstractContextManager[Path | None]:
    from lariat._files import replacing

    return contextlib.nullcontext() if path is None else replacing(path)


def _write_profile(file: Path | None, result: Generation) -> None:
    if file is not None and result.profile is not None:
        file.write_text(result.profile.to_json() + "\n")


def _run(options: argparse.Namespace) -> None:
    from lariat._talk import run

    run(options)


def _chat(options: argparse.Namespace) -> int:
    from lariat._talk import chat

    return chat(options)


def _report(options: argparse.Namespace) -> None:
    from lariat.report.command import report

    report(options)


def _info(options: argparse.Namespace) -> None:
    from lariat._terminal import describe
    from lariat.artefact import Artefact

    info = Artefact.open(options.artefact)
    print(json.dumps(info.manifest, indent=2) if options.json else "\n".join(describe(info)))


# --- arguments ------------------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(_fail(f"{message} (see {self.prog} --help)", USAGE))

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does, and a text that may be left out is found behind options, too.

        argparse takes it for absent as soon as options stand between it and the argument before.
        """
        found, rest = super().parse_known_args(args, namespace)
        texts = [one for one in self._actions if not one.option_strings and one.nargs == argparse.OPTIONAL]
        if len(rest) == 1 and not rest[0].startswith("-") and texts and getattr(found, texts[0].dest) is None:
            setattr(found, texts[0].dest, rest.pop())
        return found, rest


def _parser() -> argparse.ArgumentParser:
    from lariat import __version__
    from lariat._talk import add_chat, add_run_command
    from lariat.report.command import add_to as add_report

    parser = _Parser(
        prog="lariat",
        description="Compile transformers whose depth is a loop, and run them.",
        epilog="A first run: lariat compile CHECKPOINT -o model.lariat && "
        "lariat generate model.lariat --prompt 'Once' --max-new-tokens 64",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"lariat {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], int | None], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False)
        added.set_defaults(run=run)
        return added

    _add_import(command("import", _import, "write the IR of a checkpoint directory"))
    _add_compile(command("compile", _compile, "compile a checkpoint directory or IR to an artefact"))
    _add_score(command("score", _score, "compute the logits of every row of token sequences"))
    _add_generate(command("generate", _generate, "continue a text or token sequences"))
    add_run_command(command("run", _run, "continue one text, printed as it comes"))
    add_chat(command("chat", _chat, "answer line by line with the model's chat template; /reset forgets, /quit ends"))
    _add_encode(command("encode", _encode, "compute the last states of an encoder"))
    about = "run prompts and write a page about rows, time and memory by depth"
    add_report(command("report", _report, about))
    info = command("info", _info, "print what an artefact is: loop, KV policy, exit rule, versions")
    add_artefact(info)
    info.add_argument("--json", action="store_true", help="print the whole manifest instead")
    about = "measure models beside other systems and the machine's limits"
    _add_bench(commands.add_parser("bench", help=about, description=f"{about.capitalize()}.", allow_abbrev=False))
    return parser


def _add_bench(parser: argparse.ArgumentParser) -> None:
    from lariat.bench.command import add_to

    add_to(parser)


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="DIR", type=Path, help="checkpoint: config.json and safetensors")
    parser.add_argument("-o", dest="output", metavar="M.mlir", type=Path, required=True, help="IR to write")
    _add_import_options(parser)


def _add_compile(parser: argparse.ArgumentParser) -> None:
    from lariat.compiler import DEFAULT_PIPELINE, PIPELINES

    parser.add_argument("source", metavar="DIR|M.mlir", type=Path, help="checkpoint directory, or IR")
    parser.add_argument("-o", dest="output", metavar="NAME.lariat", type=Path, required=True, help="artefact to write")
    parser.add_argument("--weights", metavar="DIR", type=Path, help="checkpoint with the weights, if not the source's")
    parser.add_argument(
        "--dtype",
        metavar="RULES",
        help="how weights are stored: a format for all, such as bf16, or rules such as 'ffn=bf16,head=f32' for embed, "
        "head, attention, ffn, norm, other, '@NAME' or '*'; docs/weight-formats.md lists formats (default: as the IR "
        "declares; f32 from importers)",
    )
    parser.add_argument("--kv-dtype", choices=["f32", "bf16"], help="dtype of keys and values")
    _add_import_options(parser)
    parser.add_argument(
        "--override-kv-policy",
        metavar="TEXT",
        help="KV policy of loops in place of the model's own, such as 'ring<2, order = sequential>'; it changes what "
        "the model computes",
    )
    parser.add_argument(
        "--pipeline",
        choices=PIPELINES,
        default=DEFAULT_PIPELINE,
        help=f"naive lowering, or fused kernels for each target (default: {DEFAULT_PIPELINE})",
    )
    parser.add_argument(
        "--target",
        metavar="LIST",
        help="ISAs of the fast pipeline, separated by commas, 'native' or 'all' (default: all of this kind of machine)",
    )
    parser.add_argument("--print-memory", action="store_true", help="print bytes of caches, weights and calls")
    # An option of its own: an optional value would take the positional that follows `--print-memory`.
    parser.add_argument(
        "--print-memory=all",
        dest="print_memory",
        action="store_const",
        const="all",
        help="the same, with calls of every mode that a request may pick",
    )
    parser.add_argument(
        "--report", metavar="FILE", type=Path, help="write seconds per stage and bytes of code, as JSON"
    )
    parser.add_argument("--force", action="store_true", help="replace an artefact that is there")
    parser.add_argument(
        "--progress",
        choices=["auto", "lines", "never"],
        default="auto",
        help="show stage, bytes and seconds left on standard error: where it is a terminal, as plain lines, or never "
        "(default: auto)",
    )


def _add_import_options(parser: argparse.ArgumentParser) -> None:
    about = "exit rule in place of the one that the checkpoint declares (docs/exit-rules.md)"
    parser.add_argument("--exit-rule", metavar="NAME[:OPTION=VALUE,...]", help=about)
    parser.add_argument(
        "--ignore-config-key",
        metavar="NAME",
        dest="ignore_config_keys",
        action="append",
        default=[],
        help="key of config.json to pass over that is not known; may be repeated",
    )
    parser.add_argument(
        "--rope-length",
        metavar="N",
        type=number(1),
        help="longest sequence, where rotary frequencies depend on it (rope dynamic and longrope)",
    )


def _add_score(parser: argparse.ArgumentParser) -> None:
    add_artefact(parser)
    _add_tokens(parser)
    parser.add_argument(
        "-o", dest="output", metavar="OUT.safetensors", type=Path, required=True, help="logits.I and steps.I to write"
    )
    parser.add_argument(
        "--mode",
        choices=["score", "generate"],
        default="score",
        help="run a non-causal router as trained, or its decode rule (default: score)",
    )
    parser.add_argument(
        "--capacity",
        metavar="SHARES",
        help="rows that a router keeps at each depth, as shares of a sequence such as 1,0.5,1/3 (default: the model's)",
    )
    parser.add_argument("--initial-state", metavar="FILE", type=Path, help="state.I before the loop, in safetensors")
    add_run(parser)


def _add_generate(parser: argparse.ArgumentParser) -> None:
    add_artefact(parser)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--prompt",
        metavar="TEXT",
        action=Once,
        type=text_argument,
        help="text to continue; the new text is printed as it comes",
    )
    source.add_argument(
        "--tokens", metavar="IN.json", type=Path, action=Once, help="list of token-id lists, run as one batch"
    )
    parser.add_argument("-o", dest="output", metavar="OUT.json", type=Path, help="result of --tokens to write")
    parser.add_argument("--max-new-tokens", metavar="N", type=number(1), required=True, help="longest continuation")
    parser.add_argument("--ignore-eos", action="store_true", help="go on after an end-of-sequence token")
    add_stop(parser)
    parser.add_argument(
        "--color", choices=["auto", "always", "never"], default="auto", help="colour tokens by depth (default: auto)"
    )
    parser.add_argument("--summary", action="store_true", help="print loop steps and KV bytes on standard error")
    parser.add_argument(
        "--profile", metavar="OUT.json", type=Path, help="write rows, time and memory by depth; runs step by step"
    )
    add_sampling(parser)
    add_run(parser)
    add_engine(parser)


def _add_encode(parser: argparse.ArgumentParser) -> None:
    add_artefact(parser)
    _add_tokens(parser)
    parser.add_argument(
        "-o", dest="output", metavar="OUT.safetensors", type=Path, required=True, help="hidden.I and logits.I to write"
    )
    add_threads(parser)


def _add_tokens(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tokens", metavar="IN.json", type=Path, required=True, help="list of token-id lists, run as one ragged batch"
    )
