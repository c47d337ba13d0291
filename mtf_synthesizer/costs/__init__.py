"""Parameters, FLOPs, and what each device of a mesh holds: `mtf_synthesizer cost`."""
