"""Reads and writes at memory addresses, for compiled code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from native.jit import compiled

_Ints = npt.NDArray[np.int64]


def _read(bits: int) -> Callable[[Any, Any], Any]:
    """An intrinsic that reads `bits` bits at an address, little-endian."""
    kind, whole = ir.IntType(bits), ir.IntType(64)

    def read(_: Any, address: Any) -> Any:
        def load(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
            value = builder.load(builder.inttoptr(arguments[0], kind.as_pointer()), align=1)
            return value if bits == 64 else builder.zext(value, whole)

        return types.int64(types.intp), load

    return read


def _lowest_bit(_: Any, number: Any) -> Any:
    def count(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), count


def _highest_bit(_: Any, number: Any) -> Any:
    def count(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        zeros = builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))
        return builder.sub(ir.Constant(ir.IntType(64), 63), zeros)

    return types.int64(types.uint64), count


def _copy(_: Any, source: Any, target: Any, length: Any) -> Any:
    def move(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        start, end = (builder.inttoptr(address, ir.IntType(8).as_pointer()) for address in arguments[:2])
        cgutils.raw_memcpy(builder, end, start, arguments[2], 1)  # type: ignore[no-untyped-call]

    return types.void(types.intp, types.intp, types.intp), move


def _put(_: Any, address: Any, number: Any, size: Any) -> Any:
    kind = ir.IntType(8 * size.literal_value)

    def store(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        value = arguments[1] if kind.width == 64 else builder.trunc(arguments[1], kind)
        value = value if kind.width == 8 else builder.bswap(value)
        builder.store(value, builder.inttoptr(arguments[0], kind.as_pointer()), align=1)

    return types.void(types.intp, types.int64, size), store


def _store(_: Any, address: Any, number: Any) -> Any:
    def put_there(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        builder.store(arguments[1], builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()), align=1)

    return types.void(types.intp, types.int64), put_there


def _wide_product(_: Any, one: Any, other: Any) -> Any:
    answer = types.UniTuple(types.uint64, 2)  # type: ignore[no-untyped-call]

    def multiply(context: Any, builder: Any, __: Any, arguments: Any) -> Any:
        wide, word = ir.IntType(128), ir.IntType(64)
        product = builder.mul(*(builder.zext(argument, wide) for argument in arguments))
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), word)
        return context.make_tuple(builder, answer, [high, builder.trunc(product, word)])

    return answer(types.uint64, types.uint64), multiply


# The byte at an address.
byte: Final = cast(Callable[[int], int], intrinsic(_read(8)))
# The eight bytes from an address on, little-endian.
eight_bytes: Final = cast(Callable[[int], int], intrinsic(_read(64)))
# The four bytes from an address on, little-endian.
four_bytes: Final = cast(Callable[[int], int], intrinsic(_read(32)))
# The index of the lowest set bit; 64 if none is set.
lowest_bit: Final = cast(Callable[[int], int], intrinsic(_lowest_bit))
# The index of the highest set bit; -1 if none is set.
highest_bit: Final = cast(Callable[[np.uint64], int], intrinsic(_highest_bit))
# (upper half, lower half) of a product of 128 bits.
wide_product: Final = cast(Callable[[np.uint64, np.uint64], tuple[np.uint64, np.uint64]], intrinsic(_wide_product))
# Writes a number at an address in eight bytes, little-endian.
store: Final = cast(Callable[[int, int], None], intrinsic(_store))
# Copies bytes from one address to another.
copy: Final = cast(Callable[[int, int, int], None], intrinsic(_copy))

# Writes a number at an address in one, two, four or eight bytes, big-endian.
put: Final = cast(Callable[[int, int, int], None], intrinsic(prefer_literal=True)(_put))


@compiled
def gather(addresses: _Ints, lengths: _Ints, starts: _Ints, data: npt.NDArray[np.uint8]) -> None:
    """Copy the bytes at each address to its start in `data`; those of length 0 or less are skipped."""
    for row in range(len(addresses)):
        if lengths[row] > 0:
            copy(addresses[row], data.ctypes.data + starts[row], lengths[row])


_none = np.zeros(0, np.int64)
gather(_none, _none, _none, np.zeros(0, np.uint8))  # loads the compiled code at import, rather than at the first use
