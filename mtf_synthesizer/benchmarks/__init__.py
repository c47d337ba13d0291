"""Time and memory of rows, side by side: `mtf_synthesizer bench`."""
