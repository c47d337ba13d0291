"""SeqIO tasks: importing this package registers every task, except those of `t5_mixtures`."""

import mtf_synthesizer.runtime.compat

import mtf_synthesizer.tasks.classification
import mtf_synthesizer.tasks.dialogue
import mtf_synthesizer.tasks.embedded
import mtf_synthesizer.tasks.language_modeling
import mtf_synthesizer.tasks.masked_lm
import mtf_synthesizer.tasks.pretraining
import mtf_synthesizer.tasks.summarization
import mtf_synthesizer.tasks.synthetic
import mtf_synthesizer.tasks.translation
