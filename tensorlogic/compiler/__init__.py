"""The compiler: text to tokens to tree to typed IR to Python source. It imports no MLX and no NumPy."""
