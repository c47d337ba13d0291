"""The command `t5`: T5's own entry point."""

import argparse

from mtf_synthesizer import termination

EXAMPLE = (
    "mtf_synthesizer t5 --model_dir=runs/r --module_import=mtf_synthesizer.tasks \\\n"
    "    --gin_file=sizes/tiny.gin --gin_file=synthesizers/r.gin --gin_file=runs/pretrain.gin \\\n"
    "    --gin_file=local_cpu.gin --gin_param=\"MIXTURE_NAME='synthesizer_verse_spans_v001'\""
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """There are none: its flags are T5's own."""


@termination.ends_the_process("asked to end: there is what T5 has saved so far")
def run(args: argparse.Namespace) -> None:
    """Hands over to T5 what was typed after `t5`, as it is.

    Raises:
      names.UserError: as of `t5_command.run`.
      SystemExit: when T5 is done.
    """
    from mtf_synthesizer import t5_command

    t5_command.run(args.arguments)
