"""From IR to Python source: `mlx.py` writes a module, the other files its parts."""
