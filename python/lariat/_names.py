# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the names of tensors say: how an importer asks for one, whatever a program put around the model before it saved
it, and which are no weights of a model as it was trained.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from lariat._checkpoint import Checkpoint, StoredTensor
from lariat.errors import CheckpointError

__all__ = ["is_buffer", "is_quantised", "is_unmerged", "resolve_names"]

# Computed by the modeling code, and stored by old versions of it.
_BUFFERS = re.compile(
    r"(.*\.)?(rotary_emb\.inv_freq|rotary_emb\.(cos|sin)_cached|inv_freq|freqs_cis|position_ids|token_type_ids|masked_bias)"
)

# What quantisers store beside or in place of a weight.
_QUANTISED = re.compile(
    r".*\.(qweight|qzeros|g_idx|absmax|quant_map|nested_absmax|nested_quant_map|SCB|weight_format|weight_packed|"
    r"weight_scale|weight_scale_2|weight_scale_inv|weight_zero_point|weight_shape|input_scale|quant_state\..*)"
)
_QUANTISED_TYPES = ("I8", "U8", "I32", "U32", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F4", "F6_E2M3", "F6_E3M2")

# What peft stores of an adapter that is not merged.
_ADAPTER = re.compile(r".*\.(lora_(A|B|embedding_A|embedding_B|magnitude_vector)|base_layer)\..*")


def is_buffer(name: str) -> bool:
    """Whether this tensor decides nothing: importers compute what it holds."""
    return _BUFFERS.fullmatch(name) is not None


def is_quantised(tensor: StoredTensor) -> bool:
    """Whether a tensor is of a quantised weight."""
    return _QUANTISED.fullmatch(tensor.name) is not None or (
        tensor.dtype in _QUANTISED_TYPES and not is_buffer(tensor.name)
    )


def is_unmerged(name: str) -> bool:
    """Whether a tensor belongs to an adapter, or to a layer that has one, of a model in which it is not merged."""
    return _ADAPTER.fullmatch(name) is not None


# What torch.compile, FSDP and activation checkpointing put anywhere in a name.
_INSIDE = re.compile(r"(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")

# What data parallelism, peft, trainers and models of several kinds of input put before it.
_BEFORE = re.compile(r"(module|base_model\.model|language_model)\.")


def resolve_names(checkpoint: Checkpoint, root: str, beside: Collection[str] = ("lm_head",)) -> Checkpoint:
    """The checkpoint with its tensors under the names `root.NAME`, and `NAME` for what stands `beside` the root.

    Wrappers are taken off, and the root is put before the names of a file saved without it, as AutoModel does. An empty
    root leaves the names as they are without wrappers.

    Raises:
        CheckpointError: if two tensors come to one name.
    """
    names = {stored: _unwrap(stored) for stored in checkpoint.tensors}
    if root:
        names = _take_off_common(names, root, beside)
        if not any(name.startswith(f"{root}.") for name in names.values()):
            names = {stored: _put_before(name, root, beside) for stored, name in names.items()}
    found: dict[str, StoredTensor] = {}
    for stored, name in names.items():
        if name in found:
            raise CheckpointError(
                f"tensors '{found[name].name}' and '{stored}' both stand for '{name}': only one of them may be stored"
            )
        found[name] = checkpoint.tensors[stored]
    return Checkpoint(checkpoint.directory, found)


def _unwrap(name: str) -> str:
    name = _INSIDE.sub("", name)
    while before := _BEFORE.match(name):
        name = name[before.end() :]
    # A model of several kinds of input has its text under both names.
    return re.sub(r"^model\.language_model\.", "model.", name)


def _take_off_common(names: Mapping[str, str], root: str, beside: Collection[str]) -> dict[str, str]:
    """Names without first parts that all of them have, until the root or what stands beside it comes first."""
    result = dict(names)
    while result:
        heads = {name.partition(".")[0] for name in result.values()}
        nested = any(name.startswith((f"{root}.{root}.", *(f"{root}.{other}." for other in beside)))
                     for name in result.values())  # fmt: skip
        if len(heads) > 1 or not all("." in name for name in result.values()) or (heads == {root} and not nested):
            break
        if not heads.isdisjoint(beside):
            break
        result = {stored: name.partition(".")[2] for stored, name in result.items()}
        # Without the root, names begin with the parts of a model, of which a common one is none to take off.
        if any(name.startswith(("layers.", f"{root}.")) for name in result.values()):
            break
    return result


def _put_before(name: str, root: str, beside: Collection[str]) -> str:
    return name if name.partition(".")[0] in beside else f"{root}.{name}"
