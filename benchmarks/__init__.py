"""Compiled TensorLogic measured against the same computations written by hand in MLX."""
