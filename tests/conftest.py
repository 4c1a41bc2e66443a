"""Settings for all tests: how many examples Hypothesis tries.

The profile `ci`, the default, tries the same modest number of examples each time. `HYPOTHESIS_PROFILE=deep` tries many
new ones, for a machine that has the time.
"""

from __future__ import annotations

import os
import sys

import pytest
from hypothesis import HealthCheck, settings

collect_ignore_glob: list[str] = []
if sys.version_info >= (3, 14):
    # The library that makes Core ML files for these tests has no release for Python 3.14 yet.
    collect_ignore_glob += ["runtime/test_coreml_*.py", "fuzz/test_core_ml.py"]
if sys.platform != "linux":
    # Where alone the CPU kernels are.
    collect_ignore_glob += ["kernels/*.py", "runtime/test_kernels.py", "runtime/test_machine.py"]

settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    max_examples=60,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "deep",
    deadline=None,
    max_examples=2000,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-golden` writes what programs do now into their golden files; a person reads the difference."""
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/programs' golden files")
