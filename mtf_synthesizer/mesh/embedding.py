"""Token embeddings that are looked up.

Mesh multiplies the whole embedding by one-hot rows, which suits a TPU. On a processor, with T5's
32,128 words, that product costs more than all layers of a small model together.
"""

from __future__ import annotations

from typing import Any

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
from mesh_tensorflow.transformer import transformer

from mtf_synthesizer.mesh.lookup import take
from mtf_synthesizer.mesh.products import Float32Product


@gin.configurable(module="mtf_synthesizer")
class GatheredEmbedding(transformer.VocabEmbedding):
    """Mesh's `VocabEmbedding`, with the same variable and values, by a gather.

    In gin: `get_vocab_embedding_cls.cls = @GatheredEmbedding`. Not for layouts that split the
    vocabulary over several devices.
    """

    def ids_to_embedding(self, ids: mtf.Tensor, context: Any) -> mtf.Tensor:
        """The embeddings [..., d_model] of ids [...]."""
        del context
        found = take(self._embedding_weights, ids, self._vocab_dim)
        if self._scale_variable_like_classifier_weights:
            found *= self._output_dim.size**0.5
        return found

    def hidden_to_logits(self, hidden: mtf.Tensor, context: Any) -> mtf.Tensor:
        """The logits [..., vocab] of hidden states [..., d_model].

        In float32 whatever the precision of other products: the loss is the difference of large
        logits.
        """
        del context
        if not self._scale_variable_like_classifier_weights:
            hidden *= self._output_dim.size**-0.5
        shape = hidden.shape - self._output_dim + self._vocab_dim
        return Float32Product([hidden, self._embedding_weights], shape).outputs[0]
