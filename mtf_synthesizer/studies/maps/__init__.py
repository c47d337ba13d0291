"""Attention maps of trained models: `mtf_synthesizer maps`."""
