# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Values of stored tensors, a piece at a time: no tensor is ever in memory as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from lariat._checkpoint import StoredTensor
from lariat.errors import CheckpointError

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

__all__ = ["same_values"]

_PIECE = 1 << 20
"""Elements that are compared at once."""

_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}


def same_values(directory: Path, one: StoredTensor, other: StoredTensor) -> bool:
    """Whether two float tensors of equal shape hold equal numbers, of one type or of two; NaN equals NaN.

    Raises:
        CheckpointError: if a file cannot be read.
    """
    count = (one.end - one.begin) // _BYTES[one.dtype]
    try:
        with (directory / one.file).open("rb") as first, (directory / other.file).open("rb") as second:
            return all(
                _same_piece(_read(first, one, at, count), _read(second, other, at, count), one.dtype, other.dtype)
                for at in range(0, count, _PIECE)
            )
    except OSError as failure:
        raise CheckpointError(f"cannot read {failure.filename}: {failure.strerror}") from None


def _read(file: BinaryIO, tensor: StoredTensor, at: int, count: int) -> bytes:
    size = _BYTES[tensor.dtype]
    file.seek(tensor.begin + at * size)
    return file.read(min(_PIECE, count - at) * size)


def _same_piece(one: bytes, other: bytes, one_dtype: str, other_dtype: str) -> bool:
    if one_dtype == other_dtype and one == other:
        return True
    import numpy

    return numpy.array_equal(_floats(one, one_dtype), _floats(other, other_dtype), equal_nan=True)


def _floats(data: bytes, dtype: str) -> NDArray[numpy.float64]:
    import numpy

    values: NDArray[numpy.float64]
    if dtype == "BF16":
        wide = numpy.frombuffer(data, "<u2").astype("<u4") << numpy.uint32(16)
        values = wide.view("<f4").astype(numpy.float64)
    else:
        values = numpy.frombuffer(data, {"F64": "<f8", "F32": "<f4", "F16": "<f2"}[dtype]).astype(numpy.float64)
    return values
