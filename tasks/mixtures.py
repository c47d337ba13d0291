"""The mixture that models are fine-tuned on."""

import seqio

from mtf_synthesizer.tasks import embedded

VERSES = "synthesizer_verses_v001"

seqio.MixtureRegistry.add(VERSES, list(embedded.TASKS), default_rate=1.0)
