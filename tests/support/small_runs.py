"""Training runs of the smallest model, for tests that need a trained one."""

import mtf_synthesizer.runtime.compat

import calls
from runner_tasks import PAIRS

SMALLEST = (
    "d_model = 8",
    "num_layers = 1",
    "d_ff = 11",
    "num_heads = 2",
    "d_kv = 3",
    "max_length = 17",
    "inputs_length = 13",
    "targets_length = 7",
    "save_checkpoints_steps = 3",
)
MODULES = ("runner_tasks",)


def train(folder, task=PAIRS, synthesizer="rv", size="tiny", params=(), **changes):
    """Without attention summaries, whose second graph takes a third of the time."""
    given = {"steps": 3, "batch_size": 4, "run": "finetune", "modules": MODULES}
    given |= {"attention_summaries": False} | changes
    return calls.train(
        folder,
        task,
        synthesizer=synthesizer,
        size=size,
        gin_params=[*(SMALLEST if size else ()), *params],
        show_progress=False,
        **given,
    )
