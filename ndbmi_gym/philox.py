"""Random words from a key and a counter, and what is made of them, in compiled loops.

A word depends on a key and on where it stands only: which block of four, in which draw, in which
lane of it. Streams of different keys, draws or lanes are thus independent, can be read in any order
and from anywhere, and cost nothing to keep. The words are those of
``numpy.random.Philox(key=key, counter=[0, draw, lane, 0])``.

References
----------
Salmon JK et al. (2011). Parallel random numbers: as easy as 1, 2, 3. SC '11.
Marsaglia G, Tsang WW (2000). The ziggurat method for generating random variables. J Stat Softw 5.
Marsaglia G, Tsang WW (2000). A simple method for generating gamma variables. ACM TOMS 26:363-372.
"""

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ndbmi_gym.compiled import compiled, inlined

_MULTIPLIERS = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_WEYL = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
_ROUNDS = 10

_TO_UNIT = 2.0**-53
_INNER = np.int64(-1)
_THREE, _ELEVEN, _LAYERS = np.uint64(3), np.uint64(11), np.uint64(255)


@intrinsic
def _product(typing, a, b):  # type: ignore[no-untyped-def]
    """High and low half of the product of two words."""
    halves = types.UniTuple(types.uint64, 2)

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        word, wide = ir.IntType(64), ir.IntType(128)
        first, second = (builder.zext(each, wide) for each in arguments)
        product = builder.mul(first, second)
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), word)
        return context.make_tuple(builder, halves, [high, builder.trunc(product, word)])

    return halves(types.uint64, types.uint64), generate


@inlined
def block(key0, key1, draw, lane, number):  # type: ignore[no-untyped-def]
    """The four words of a block, which are numbered from 1."""
    c0, c1, c2, c3 = np.uint64(number), np.uint64(draw), np.uint64(lane), np.uint64(0)
    for _ in range(_ROUNDS):
        high0, low0 = _product(_MULTIPLIERS[0], c0)
        high1, low1 = _product(_MULTIPLIERS[1], c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ key0, low1, high0 ^ c3 ^ key1, low0
        key0 += _WEYL[0]
        key1 += _WEYL[1]
    return c0, c1, c2, c3


@inlined
def _one_of(a, b, c, d, i):  # type: ignore[no-untyped-def]
    return a if i == 0 else b if i == 1 else c if i == 2 else d


@compiled
def word(key0, key1, draw, lane, place):  # type: ignore[no-untyped-def]
    """The word at a place, from 0."""
    a, b, c, d = block(key0, key1, draw, lane, place // 4 + 1)
    return _one_of(a, b, c, d, place % 4)


@compiled
def uniform(key0, key1, draw, lane, place):  # type: ignore[no-untyped-def]
    """The word at a place as a number in [0, 1)."""
    return np.int64(word(key0, key1, draw, lane, place) >> _ELEVEN) * _TO_UNIT


def _ziggurat() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Layers of equal area under exp(-x): what is sure to lie inside, their widths and heights."""
    inside, width, height = np.zeros(256, np.int64), np.zeros(256), np.ones(256)
    edge = above = _TAIL
    base = _AREA / np.exp(-edge)
    inside[0], width[0] = edge / base * 2**53, base * _TO_UNIT
    width[255], height[255] = edge * _TO_UNIT, np.exp(-edge)
    for i in range(254, 0, -1):
        edge = -np.log(_AREA / edge + np.exp(-edge))
        inside[i + 1] = edge / above * 2**53
        above = edge
        width[i], height[i] = edge * _TO_UNIT, np.exp(-edge)
    return inside, width, height


_TAIL, _AREA = 7.69711747013104972, 0.0039496598225815571993
_INSIDE, _WIDTH, _HEIGHT = _ziggurat()


@inlined
def intervals(key0, key1, draw, lane, gaps, filled, wanted, place):  # type: ignore[no-untyped-def]
    """Fill ``gaps[filled:wanted]``, and up to three more, with unit-rate exponential intervals.

    `gaps` has room for three more than are wanted. Returns how many are filled, and the place of
    the next word: from both one goes on.
    """
    pending, x = _INNER, 0.0  # layer whose margin the last word fell into
    while filled < wanted:
        a, b, c, d = block(key0, key1, draw, lane, place // 4 + 1)
        if pending < 0 and place % 4 == 0:
            i, j = (a >> _THREE) & _LAYERS, (b >> _THREE) & _LAYERS
            k, m = (c >> _THREE) & _LAYERS, (d >> _THREE) & _LAYERS
            e, f = np.int64(a >> _ELEVEN), np.int64(b >> _ELEVEN)
            g, h = np.int64(c >> _ELEVEN), np.int64(d >> _ELEVEN)
            if (e < _INSIDE[i]) & (f < _INSIDE[j]) & (g < _INSIDE[k]) & (h < _INSIDE[m]):
                gaps[filled], gaps[filled + 1] = e * _WIDTH[i], f * _WIDTH[j]
                gaps[filled + 2], gaps[filled + 3] = g * _WIDTH[k], h * _WIDTH[m]
                filled += 4
                place += 4
                continue
        # in one block of 23 a word falls into a layer's margin, and takes another word to tell
        drawn = _one_of(a, b, c, d, place % 4)
        size = np.int64(drawn >> _ELEVEN)
        place += 1
        if pending < 0:
            layer = np.int64((drawn >> _THREE) & _LAYERS)
            x = size * _WIDTH[layer]
            if size >= _INSIDE[layer]:
                pending = layer
                continue
        else:
            u, layer, pending = size * _TO_UNIT, pending, _INNER
            if layer == 0:
                x = _TAIL - np.log1p(-u)
            else:
                low, high = _HEIGHT[layer], _HEIGHT[layer - 1]
                if low + (high - low) * u >= np.exp(-x):
                    continue
        gaps[filled] = x
        filled += 1
    return filled, place


@compiled
def gamma_intervals(key0, key1, draw, lane, shape, gaps, filled, wanted, place):  # type: ignore[no-untyped-def]
    """Fill ``gaps[filled:wanted]`` with Gamma intervals of mean 1; otherwise as `intervals`."""
    larger = shape if shape >= 1.0 else shape + 1.0
    d = larger - 1.0 / 3.0
    c = 1.0 / np.sqrt(9.0 * d)
    while filled < wanted:
        radius = np.sqrt(-2.0 * np.log1p(-uniform(key0, key1, draw, lane, place)))
        normal = radius * np.cos(2.0 * np.pi * uniform(key0, key1, draw, lane, place + 1))
        u = 1.0 - uniform(key0, key1, draw, lane, place + 2)
        boost = 1.0 - uniform(key0, key1, draw, lane, place + 3)
        place += 4
        v = (1.0 + c * normal) ** 3
        if v <= 0.0 or np.log(u) >= 0.5 * normal * normal + d - d * v + d * np.log(v):
            continue
        drawn = d * v
        if shape < 1.0:
            drawn *= boost ** (1.0 / shape)
        gaps[filled] = drawn / shape
        filled += 1
    return filled, place


@inlined
def uniforms(key0, key1, draw, lane, drawn):  # type: ignore[no-untyped-def]
    """Fill an array with numbers in [0, 1), the words from the first one on."""
    for i in range(0, drawn.size, 4):
        a, b, c, d = block(key0, key1, draw, lane, i // 4 + 1)
        for j in range(i, min(i + 4, drawn.size)):
            drawn[j] = np.int64(_one_of(a, b, c, d, j - i) >> _ELEVEN) * _TO_UNIT
