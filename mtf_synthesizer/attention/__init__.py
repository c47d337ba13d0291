"""The layer softmax(S(X)) G(X), every choice of S in the paper's Table 1, and controls.

Importing this package registers the layer and the synthesizing functions with gin.
"""

import mtf_synthesizer.runtime.compat

import mtf_synthesizer.attention.banded
import mtf_synthesizer.attention.controls
import mtf_synthesizer.attention.cross
import mtf_synthesizer.attention.heads
import mtf_synthesizer.attention.layer
import mtf_synthesizer.attention.stretched
import mtf_synthesizer.attention.synthesizers
