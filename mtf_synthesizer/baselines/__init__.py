"""Layers that the paper compares Synthesizers with; importing this registers them with gin.

`LightConv` and `DynamicConv` of Wu et al. 2019, `Linformer` of Wang et al. 2020 and `TokenMixing`
of Tolstikhin et al. 2021 replace T5's `SelfAttention`. All are exact on packed rows and on padding,
and while decoding if they can decode. `FixedPatterns` of Raganato et al. 2020 is a synthesizing
function.
"""

import mtf_synthesizer.runtime.compat

import mtf_synthesizer.baselines.convolutions
import mtf_synthesizer.baselines.linformer
import mtf_synthesizer.baselines.mixer
import mtf_synthesizer.baselines.raganato
