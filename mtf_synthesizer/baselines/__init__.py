"""What the paper compares Synthesizers with; importing this module registers the layers with gin.

`LightConv` and `DynamicConv` of Wu et al. 2019, `Linformer` of Wang et al. 2020, `TokenMixing` of
Tolstikhin et al. 2021: each takes the place of T5's `SelfAttention`, exact on packed rows, on
padding and (where it can decode) while decoding. `FixedPatterns` of Raganato et al. 2020 is a
synthesizing function.
"""

__all__ = ["DynamicConv", "FixedPatterns", "LightConv", "Linformer", "TokenMixing"]
