"""The checker: from trees to typed IR.

`program.py` holds the argument why a checked program cannot fail on a shape; the other files are its rooms:
`signatures.py` (what is declared), `context.py` (what is known while one body is checked), `expressions.py`,
`operators.py`, `indexing.py`, `calls.py`, `statements.py`, `loops.py`, `entry.py` (what comes from outside).
"""
