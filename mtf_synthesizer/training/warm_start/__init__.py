"""Models that start from a T5 checkpoint or at another length: `mtf_synthesizer warm-start`."""
