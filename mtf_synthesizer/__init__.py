"""Synthesizer attention for Mesh-TensorFlow and T5: softmax(S(X)) G(X) for any choice of S.

Importing this package loads no TensorFlow. `mtf_synthesizer.attention` holds the layer,
`mtf_synthesizer.synthesizers` the synthesizing functions, `mtf_synthesizer.tasks` the seqio tasks.
"""

__version__ = "0.1.0"
