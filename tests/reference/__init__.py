"""What language models compute, written plainly in NumPy, for the models in the language to be held against.

Takes model files, and token ids [L]. Promises logits [L, V] (vectors [L, D] of BERT) in float32, without a cache, by
the definitions that each module names; shares no code with the package. Everything is expanded and computed at once:
for texts of a few thousand tokens and models of some hundred million weights.
"""
