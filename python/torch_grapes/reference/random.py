"""The random numbers of grapes/base/random.h: the same stream for the same seed, with every version of PyTorch."""
from __future__ import annotations

from typing import List

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15


def _splitmix(state: int) -> int:
    z = (state + _STEP) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def stream_seed(root: int, name: str, a: int = 0, b: int = 0) -> int:
    """Return the seed of a stream: a hash of (root seed, name, a, b)."""
    value = 0xCBF29CE484222325  # FNV-1a over the name, then each number is mixed in
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) & _MASK
    for number in (root, a, b):
        value = _splitmix(value ^ (number & _MASK))
    return value


class Random:
    """xoshiro256** (Blackman and Vigna 2018), seeded by splitmix64."""

    def __init__(self, seed: int) -> None:
        self._state = [_splitmix((seed + k * _STEP) & _MASK) for k in range(4)]

    @staticmethod
    def _rotate(x: int, k: int) -> int:
        return ((x << k) | (x >> (64 - k))) & _MASK

    def __call__(self) -> int:
        s = self._state
        result = (self._rotate((s[1] * 5) & _MASK, 7) * 9) & _MASK
        t = (s[1] << 17) & _MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = self._rotate(s[3], 45)
        return result

    def below(self, n: int) -> int:
        """Uniform in 0 ... n-1, without bias."""
        limit = _MASK - _MASK % n  # reject the last, incomplete block
        while True:
            x = self()
            if x < limit:
                return x % n


def permutation(n: int, random: Random) -> List[int]:
    """Return 0 ... n-1 in random order (Fisher and Yates)."""
    order = list(range(n))
    for i in range(n, 1, -1):
        j = random.below(i)
        order[i - 1], order[j] = order[j], order[i - 1]
    return order
