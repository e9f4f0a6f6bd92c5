"""Compiled loops. Each is held equal to `pumice.fixedpoint` by the backend battery.

All integers are 32 bits wide and wrap, as in `fixedpoint`: sums modulo 2^32 do not depend on their order, which is
what lets these loops add events in any order. They hold no lock and start no threads, so they may run in several
threads, and in the processes that Lava forks.
"""
