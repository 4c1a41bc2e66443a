"""TensorLogic: a shape-typed tensor language that compiles to MLX."""

from tensorlogic._version import __version__

__all__ = ["__version__"]
