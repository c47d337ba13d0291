"""Time and memory of variants, measured side by side: `mtf_synthesizer bench`."""
