"""Variants and seeds trained and evaluated side by side: `mtf_synthesizer compare`."""
