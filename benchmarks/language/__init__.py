"""Language models at work: ours beside llama.cpp and mlx-lm, each in a process of its own, taking turns."""
