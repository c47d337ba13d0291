"""What the attention of trained models looks like: `mtf_synthesizer maps`."""
