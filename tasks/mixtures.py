"""The mixture that models are fine-tuned on."""

import seqio

from mtf_synthesizer.tasks import embedded

VERSES = "synthesizer_verses_v001"

# Translation needs the most examples to learn from.
RATES = {name: 4.0 if name == "synthesizer_modern_english_v001" else 1.0 for name in embedded.TASKS}

seqio.MixtureRegistry.add(VERSES, list(RATES.items()))
