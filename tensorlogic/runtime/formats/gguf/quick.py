"""What our CPU kernels do more quickly than Python, as soon as somebody has loaded them: `runtime/kernels.py` puts them
here. Formats are read without them, too, and without MLX."""

from __future__ import annotations

from types import ModuleType

kernels: ModuleType | None = None
