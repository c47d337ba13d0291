"""The layer softmax(S(X)) G(X) and every choice of S of the paper's Table 1.

Importing this package registers the layer and the functions with gin.
"""

import mtf_synthesizer.runtime.compat

import mtf_synthesizer.attention.layer
import mtf_synthesizer.attention.synthesizers
