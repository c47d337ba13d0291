"""Check and notice of the variables that `run.variable_filter` chooses to train."""

import re
import sys

import mtf_synthesizer.runtime.compat

import gin
import numpy as np

from mtf_synthesizer import errors
from mtf_synthesizer.model_folder.checkpoints import listed
from mtf_synthesizer.upstream import variables


def check() -> None:
    """Print the trained share of the current graph's variables, if a filter is configured.

    Raises:
      errors.UserError: the filter chooses all variables, or none.
    """
    pattern = gin.get_bindings("run", resolve_references=False).get("variable_filter")
    if not isinstance(pattern, str):
        return
    sizes = {v.op.name: int(np.prod(v.shape.as_list())) for v in variables.trainable()}
    trained = [name for name in sizes if re.search(pattern, name)]
    if not trained or len(trained) == len(sizes):
        count = "all variables" if trained else "no variable"
        raise errors.UserError(
            f"run.variable_filter = {pattern!r} (--freeze, --train_only): the pattern trains "
            f"{count}. Change it. Variables: {listed(sorted(sizes))}"
        )
    numbers = sum(sizes[name] for name in trained)
    print(
        f"trains {len(trained)} of {len(sizes)} variables, {numbers:,} of "
        f"{sum(sizes.values()):,} parameters",
        file=sys.stderr,
        flush=True,
    )
