"""Token embeddings by look-up.

Mesh multiplies the whole embedding by one-hot rows, which suits a TPU. On a CPU, with T5's 32,128
tokens, that product costs more than all layers of a small model together.
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
    """Mesh's `VocabEmbedding`, with the same variable and values, computed by a gather.

    In gin: `get_vocab_embedding_cls.cls = @GatheredEmbedding`. The layout must not split the
    vocabulary over several devices.
    """

    def ids_to_embedding(self, ids: mtf.Tensor, context: Any) -> mtf.Tensor:
        """Return the embeddings [..., d_model] of int32 ids [...]."""
        del context
        embeddings = take(self._embedding_weights, ids, self._vocab_dim)
        if self._scale_variable_like_classifier_weights:
            embeddings *= self._output_dim.size**0.5
        return embeddings

    def hidden_to_logits(self, hidden: mtf.Tensor, context: Any) -> mtf.Tensor:
        """Return the logits [..., vocab] of hidden states [..., d_model].

        The product is float32 at any precision of other products, because the loss is a difference
        of large logits.
        """
        del context
        if not self._scale_variable_like_classifier_weights:
            hidden *= self._output_dim.size**-0.5
        shape = hidden.shape - self._output_dim + self._vocab_dim
        return Float32Product([hidden, self._embedding_weights], shape).outputs[0]
