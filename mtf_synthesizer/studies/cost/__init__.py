"""Parameters and FLOPs of a model: `mtf_synthesizer cost`."""
