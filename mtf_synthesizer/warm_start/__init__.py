"""Models that begin as a T5 or as another model of ours: `mtf_synthesizer warm-start`."""
