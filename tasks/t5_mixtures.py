"""Fine-tuning mixtures of T5's own tasks, for the paper's Tables 5 and 6.

This module is not imported with the other tasks, because T5's registry takes seconds. The command
line imports it when it meets an unknown task. The stock `t5_mesh_transformer` needs
--module_import=mtf_synthesizer.tasks.t5_mixtures.

`synthesizer_en_mix_v001` is T5's `en_mix`: GLUE, SuperGLUE (with WSC and DPR as T5 casts them),
SQuAD and C4, with T5's rates: the number of examples, and a million for C4. C4 has T5's final
objective, which `en_mix` leaves to gin. The other mixtures lack SQuAD, C4 or both.
"""

import seqio
import t5.data
import t5.data.mixtures

C4 = "c4_v220_span_corruption"
SQUAD = "squad_v010_allanswers"
GLUE = tuple(t5.data.get_glue_weight_mapping())
SUPER_GLUE = tuple(t5.data.get_super_glue_weight_mapping())

_RATES = dict.fromkeys((*GLUE, *SUPER_GLUE, SQUAD), t5.data.rate_num_examples)
_RATES[C4] = t5.data.rate_unsupervised
_LEFT_OUT = {"": (), "_no_squad": (SQUAD,), "_no_c4": (C4,), "_no_squad_no_c4": (SQUAD, C4)}

for _suffix, _without in _LEFT_OUT.items():
    seqio.MixtureRegistry.add(
        f"synthesizer_en_mix{_suffix}_v001",
        [(name, rate) for name, rate in _RATES.items() if name not in _without],
    )

# Four tasks small enough for a laptop, in proportion to their examples.
GLUE_SMALL = ("glue_cola_v002", "glue_sst2_v002", "glue_mrpc_v002", "glue_rte_v002")
seqio.MixtureRegistry.add(
    "synthesizer_glue_small_v001",
    [(name, t5.data.get_glue_weight_mapping()[name]) for name in GLUE_SMALL],
)
