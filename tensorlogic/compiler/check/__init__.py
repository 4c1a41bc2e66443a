"""The checker: from trees to typed IR.

`program.py` holds the argument why a checked program cannot fail on a shape. The other files are its rooms:

- what is declared: `signatures.py`, `type_reader.py`, `plan.py`, `constants.py`, `needs.py`, `world.py` (all files
  together)
- what is known while one body is checked: `context.py`, `bindings.py`, `assumptions.py`, `places.py`
- statements: `statements.py`, `branches.py`, `loops.py`, `merging.py` (values that come by several ways)
- expressions: `expressions.py`, `conditions.py`, `attributes.py`, `indexing.py`, `operators.py` with `operands.py`,
  `host_numbers.py` and `adaptation.py`
- calls: `calls.py`, `overloads.py`, `matching.py`, `binding.py`, `call_facts.py`, `chosen.py`, `assign.py`,
  `special.py`, `bind.py`, `methods.py`; structs are made by `making.py` and `constructing.py`
- what comes from outside: `entry.py`, `arguments.py`
- what is told: `refusals.py`, `clauses.py`
- a program that is right against the model files that are there: `model_files.py`, and behind it `model_headers.py`,
  `replay.py` (the script gone through without its tensors) with `replay_operations.py`, `replay_models.py` and
  `replay_bind.py`, what is known then (`file_values.py`, `file_sizes.py`) and what is told (`file_refusals.py`)
"""
