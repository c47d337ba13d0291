"""Commands of `mtf_synthesizer` that have no package of their own; `arguments` lists them all.

A module of a command has EXAMPLE, `add_arguments` and `run`, and loads TensorFlow only in `run`.
"""
