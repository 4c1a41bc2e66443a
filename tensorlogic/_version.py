"""The version, which the compiler, the command line and the package share."""

__version__ = "0.1.0"
