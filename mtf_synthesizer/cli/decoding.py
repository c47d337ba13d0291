"""Options that choose how a model writes, and the gin bindings that they stand for."""

import argparse
from collections.abc import Callable, Mapping

from mtf_synthesizer import errors
from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.cli.values import positive, share
from mtf_synthesizer.config import decoding

_BEAMS = 4
_MOST_BEAMS = 64  # a step compares twice as many tokens, and no vocabulary has less than 128
_WAYS: Mapping[str, Callable[[argparse.Namespace], list[str]]] = {
    "greedy": lambda args: decoding.greedy(),
    "beam": lambda args: decoding.beam(_beams(args), _sequences(args)),
    "sample": lambda args: decoding.sample(1.0 if args.temperature is None else args.temperature),
}


def add_decoding(command: Parser) -> None:
    """Add --decode, --beam_size and --temperature."""
    add = command.group("decoding").add_argument
    add(
        "--decode",
        choices=list(_WAYS),
        help="Take the likeliest token at each step, search with beams, or sample. Default: "
        "greedy, unless a gin file or the model's configuration chooses otherwise.",
    )
    add(
        "--beam_size",
        type=_size,
        metavar="N",
        help=f"Beams of --decode beam. Default: {_BEAMS}, or --num_return_sequences.",
    )
    add(
        "--temperature",
        type=share,
        metavar="T",
        help="Temperature of --decode sample, in (0, 1]. Below 1 likely tokens are sampled more "
        "often. Default: 1.",
    )


def add_sequences(command: Parser) -> None:
    """Add --num_return_sequences, --scores and --seed."""
    add = command.group("decoding").add_argument
    add(
        "--num_return_sequences",
        type=positive,
        default=1,
        metavar="N",
        help="Outputs for each input, with their scores: the best of the beams, or samples. "
        "Default: %(default)s.",
    )
    add(
        "--scores",
        action="store_true",
        help="Write the log-likelihood and the number of tokens of each output.",
    )
    add(
        "--seed",
        type=int,
        metavar="N",
        help="Seed of --decode sample. Default: every call samples the same.",
    )


def read_bindings(args: argparse.Namespace) -> list[str]:
    """Return the gin bindings of the options.

    Raises:
      errors.UserError: options exclude each other.
    """
    _check(args)
    return _WAYS[args.decode](args) if args.decode else []


def _check(args: argparse.Namespace) -> None:
    for option, way in (("beam_size", "beam"), ("temperature", "sample")):
        value = getattr(args, option)
        if value is not None and args.decode != way:
            raise errors.UserError(f"--{option} {value}: belongs to --decode {way}. Add it")
    sequences = _sequences(args)
    if args.decode == "greedy" and sequences > 1:
        raise errors.UserError(
            f"--num_return_sequences {sequences}: greedy decoding writes one output. Give --decode "
            "beam or sample"
        )
    if args.decode == "beam" and sequences > _beams(args):
        raise errors.UserError(
            f"--num_return_sequences {sequences}: more than --beam_size {args.beam_size}. Give at "
            "least as many beams"
        )


def _beams(args: argparse.Namespace) -> int:
    return int(args.beam_size or max(_BEAMS, _sequences(args)))


def _sequences(args: argparse.Namespace) -> int:
    return int(getattr(args, "num_return_sequences", 1))


def _size(text: str) -> int:
    """Parse a number of beams."""
    size = positive(text)
    if size > _MOST_BEAMS:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {_MOST_BEAMS} beams")
    return size
