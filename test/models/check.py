# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compare another program's output with a fixture's reference.

  python check.py FIXTURE_DIR KEY OUTPUT [--tol 1e-4] [--atol 1e-5]

KEY     a tensor of reference.safetensors, e.g. len64.topk.logits, ragged1.exit@0.7.logits, greedy.causal.p16.ids
OUTPUT  .safetensors / .npz / .npy (the tensor named KEY, or the only tensor in the file), or .txt with whitespace
        separated integers (ids, depths).
  python check.py FIXTURE_DIR --list [PREFIX]      names, shapes and dtypes of what can be compared
  python check.py FIXTURE_DIR --all OUTPUT         every tensor of OUTPUT whose name is in the reference

Prints max abs error, max error relative to the largest reference value, argmax agreement (2-D logits) or the first
differing place (integers).  Exit status 0 when every float tensor is within atol + tol * max|ref| and every integer
tensor is equal.  float32 runs of the oracle itself stay below the `fp32_max_abs_err` in reference.json.
"""

import argparse
import os
import sys

import numpy as np
from safetensors.numpy import load_file


def read(path, key):
    if path.endswith(".txt"):
        return {key: np.array(open(path).read().split(), np.int64)}
    if path.endswith(".npy"):
        return {key: np.load(path)}
    d = dict(np.load(path)) if path.endswith(".npz") else load_file(path)
    if key and key not in d:
        if len(d) != 1:
            sys.exit(f"{path} has {len(d)} tensors and none is called {key}")
        d = {key: next(iter(d.values()))}
    return d


def compare(key, got, ref, a):
    got = np.asarray(got)
    if got.size == ref.size:
        got = got.reshape(ref.shape)
    if got.shape != ref.shape:
        print(f"{key}: shape {got.shape}, expected {ref.shape}  FAIL")
        return False
    if np.issubdtype(ref.dtype, np.integer):
        bad = np.argwhere(got.astype(np.int64) != ref.astype(np.int64))
        ok = len(bad) == 0
        print(
            f"{key}: {ref.size - len(bad)}/{ref.size} equal"
            + (
                ""
                if ok
                else f", first difference at {bad[0].tolist()}: {got[tuple(bad[0])]} expected {ref[tuple(bad[0])]}"
            )
            + ("  ok" if ok else "  FAIL")
        )
        return ok
    same_nan = np.array_equal(np.isnan(got), np.isnan(ref))
    g, r = np.nan_to_num(got.astype(np.float64)), np.nan_to_num(ref.astype(np.float64))
    err, top = np.abs(g - r).max(), np.abs(r).max()
    ok = bool(same_nan and err <= a.atol + a.tol * top)
    line = f"{key}: max abs {err:.3g}  max rel {err / max(top, 1e-30):.3g}"
    if r.ndim == 2:
        line += f"  argmax agreement {(g.argmax(-1) == r.argmax(-1)).mean():.4f}"
    print(line + ("" if same_nan else "  NaN places differ") + ("  ok" if ok else "  FAIL"))
    return ok


def main():
    p = argparse.ArgumentParser()
    p.add_argument("fixture")
    p.add_argument("key", nargs="?")
    p.add_argument("output", nargs="?")
    p.add_argument("--list", action="store_true")
    p.add_argument("--all")
    p.add_argument("--tol", type=float, default=1e-4)
    p.add_argument("--atol", type=float, default=1e-5)
    a = p.parse_intermixed_args()
    ref = load_file(os.path.join(a.fixture, "reference.safetensors"))
    if a.list:
        for k in sorted(ref):
            if k.startswith(a.key or ""):
                print(k, list(ref[k].shape), ref[k].dtype)
        return 0
    if a.all:
        got = read(a.all, None)
        common = [k for k in got if k in ref]
        res = [compare(k, got[k], ref[k], a) for k in common]
        print(f"{sum(res)} passed, {len(res) - sum(res)} failed")
        return 0 if res and all(res) else 1
    if a.key not in ref:
        sys.exit(f"no tensor {a.key} in the reference (use --list)")
    return 0 if compare(a.key, read(a.output, a.key)[a.key], ref[a.key], a) else 1


if __name__ == "__main__":
    sys.exit(main())
