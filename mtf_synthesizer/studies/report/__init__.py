"""The paper's tables with results of this package beside them: `mtf_synthesizer report`."""
