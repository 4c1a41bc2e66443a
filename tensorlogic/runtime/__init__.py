"""What emitted modules import: entry checks, models, packed weights, printing. It imports nothing of the compiler."""
