"""What the paper compares Synthesizers with; importing this module registers the layers with gin.

`LightConv` and `DynamicConv` of Wu et al. 2019, `Linformer` of Wang et al. 2020, `TokenMixing` of
Tolstikhin et al. 2021: each takes the place of T5's `SelfAttention`, exact on packed rows, on
padding and (where it can decode) while decoding. `FixedPatterns` of Raganato et al. 2020 is a
synthesizing function.
"""

from mtf_synthesizer.baselines.convolutions import DynamicConv, LightConv
from mtf_synthesizer.baselines.fixed_patterns import FixedPatterns
from mtf_synthesizer.baselines.linformer import Linformer
from mtf_synthesizer.baselines.token_mixing import TokenMixing

__all__ = ["DynamicConv", "FixedPatterns", "LightConv", "Linformer", "TokenMixing"]
