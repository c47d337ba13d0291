"""Warning about a run that needs more memory than this machine has."""

import sys

import mtf_synthesizer.runtime.compat

import tensorflow.compat.v1 as tf

from mtf_synthesizer.config import memory
from mtf_synthesizer.config.request import Configuration
from mtf_synthesizer.config.values import BoundValues
from mtf_synthesizer.runtime import machine_memory
from mtf_synthesizer.upstream import graph
from mtf_synthesizer.upstream.model import Model

_UNIT = 1e9


def warn(configuration: Configuration, model: Model) -> None:
    """Print a warning to stderr if a step probably needs more memory than a process may use."""
    usable = machine_memory.usable()
    if usable is None or tf.config.list_physical_devices("GPU"):  # whose memory is another
        return
    bound = BoundValues(configuration.files, configuration.params)
    words = max(graph.words(model.vocabulary))
    needs = memory.needs(bound, model.sequence_length, model.model_type, words)
    if needs is not None and needs.of_batch(model.batch_size) > usable:
        print(f"mtf_synthesizer: {advice(needs, model.batch_size, usable)}", file=sys.stderr)


def advice(needs: memory.MemoryNeeds, batch_size: int, usable: float) -> str:
    """Return a warning that names the flag to change."""
    fitting = needs.largest_batch(batch_size, usable)
    change = (
        'A smaller --size, --vocabulary or --gin_param "inputs_length = ..." needs less'
        if fitting is None
        else f"--batch_size {fitting} needs about {needs.of_batch(fitting) / _UNIT:.1f} GB"
    )
    return (
        f"a step of {batch_size} rows needs about {needs.of_batch(batch_size) / _UNIT:.1f} GB of "
        f"memory, and this machine has {usable / _UNIT:.1f} GB for it. {change}"
    )
