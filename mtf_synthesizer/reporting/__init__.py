"""The paper's tables, with ours beside them: `mtf_synthesizer report`."""
