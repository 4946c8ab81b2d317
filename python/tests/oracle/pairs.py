# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Few combinations in which every two choices meet, and the router checkpoints made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import Any

from .specs import Spec, decoder, mor

Choices = Mapping[str, Sequence[Any]]

_BOTH: Choices = {
    "router_arch": ["linear", "mlp", "wide_mlp"],
    "kv_policy": ["recursion-wise", "recursive-sharing", "hybrid"],
    "storage": ["single", "bf16"],
    "gating": ["weighted", "additive"],
    "router_temperature": [1.0, 1.5],
}
_EXPERT: Choices = {"router_func": ["sigmoid", "tanh", "identity"], "auxiliary": [False, True], **_BOTH}
_TOKEN: Choices = {
    "router_func": ["softmax", "sigmoid", "tanh", "identity"],
    "loss_free_bias": [False, True],
    **_BOTH,
}
_MAX_DEPTH, _WIDTH = 3, 32


def cover_pairs(choices: Choices) -> list[dict[str, Any]]:
    """Combinations such that any two values of different keys are in one of them; greedy, the same at every call."""
    names = list(choices)
    missing = {
        (a, x, b, y)
        for a, b in combinations(names, 2)
        for x, y in product(range(len(choices[a])), range(len(choices[b])))
    }
    cover = []
    while missing:
        # Starts from a pair that is missing, then takes for each key the value that covers most.
        a, x, b, y = min(missing)
        chosen = {a: x, b: y}
        for name in names:
            if name not in chosen:
                chosen[name] = max(
                    range(len(choices[name])),
                    key=lambda value: sum(pair in missing for pair in _pairs(names, {**chosen, name: value})),  # noqa: B023
                )
        missing -= set(_pairs(names, chosen))
        cover.append({name: choices[name][value] for name, value in chosen.items()})
    return cover


def _pairs(names: Sequence[str], chosen: Mapping[str, int]) -> list[tuple[str, int, str, int]]:
    known = [name for name in names if name in chosen]
    return [(a, chosen[a], b, chosen[b]) for a, b in combinations(known, 2)]


def _spec(router: str, number: int, combination: dict[str, Any]) -> Spec:
    keys = dict(combination)
    storage, auxiliary = keys.pop("storage"), keys.pop("auxiliary", False)
    words = [keys["router_func"], keys["router_arch"], "auxiliary" if auxiliary else "", storage]
    config = decoder("mor", _WIDTH, "4/2", 8, **mor(_MAX_DEPTH, 1, router, keys["kv_policy"])) | keys
    config["router_alpha"] = 0.4
    if router == "expert":
        config["decode_threshold"] = 0.5 if auxiliary or keys["router_func"] == "sigmoid" else 0.1
    return Spec(
        f"mor-{router}-{number}-{'-'.join(word for word in words if word)}",
        config | {"torch_dtype": "bfloat16" if storage == "bf16" else "float32"},
        storage,
        {f"model.aux_routers.{depth}.weight": (1, _WIDTH) for depth in range(_MAX_DEPTH)} if auxiliary else {},
    )


def _unruled() -> Spec:
    """A router without a causal rule."""
    config = decoder("mor", _WIDTH, "4/2", 8, **mor(_MAX_DEPTH, 1, "expert", "recursion-wise")) | {
        "router_func": "identity"
    }
    del config["decode_threshold"]
    return Spec("mor-expert-unruled", config)


ROUTER_SPECS: tuple[Spec, ...] = (
    *(_spec("expert", number, one) for number, one in enumerate(cover_pairs(_EXPERT))),
    *(_spec("token", number, one) for number, one in enumerate(cover_pairs(_TOKEN))),
    _unruled(),
)
