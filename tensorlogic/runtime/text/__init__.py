"""Text on its way to and from token ids. Needs the extra `text`; imports no MLX."""
