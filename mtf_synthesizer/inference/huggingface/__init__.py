"""Trained models in the format of transformers: `mtf_synthesizer export --format huggingface`."""
