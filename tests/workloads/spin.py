"""spin.py [SECONDS]: a Python program with one stack, main > outer > leaf."""

import os
import sys
import time


def leaf():
    total = 0
    for number in range(20_000):
        total += number * number
    return total


def outer():
    return leaf() + 1


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1e9
    end = time.monotonic() + seconds
    print(os.getpid(), flush=True)
    while time.monotonic() < end:
        outer()


main()
