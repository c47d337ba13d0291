"""What the paper compares Synthesizers with; importing this module registers the layers with gin.

`LightConv` and `DynamicConv` of Wu et al. 2019, `Linformer` of Wang et al. 2020: each takes the
place of T5's `SelfAttention`, exact on packed rows, on padding and (where it can decode) while
decoding.
"""

from mtf_synthesizer.convolutions import DynamicConv, LightConv
from mtf_synthesizer.linformer import Linformer

__all__ = ["DynamicConv", "LightConv", "Linformer"]
