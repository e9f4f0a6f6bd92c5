"""Compiled loops: numba on the CPU, Triton on CUDA. Each does one thing to plain arrays."""
