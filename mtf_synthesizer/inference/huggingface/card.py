"""The model card of an exported model: README.md."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mtf_synthesizer import __version__
from mtf_synthesizer.model_folder.kept_best import KeptBest
from mtf_synthesizer.model_folder.scores import Score

_PAPER = "https://arxiv.org/abs/2005.00743"
# Kind of a synthesizing function -> the paper's letters.
_LETTERS = {
    "dot_product": "V (dot product)",
    "random": "R (random)",
    "banded_random": "banded R (random near the token)",
    "fixed_random": "Fix (fixed random)",
    "factorized_random": "FR (factorized random)",
    "dense": "D (dense)",
    "factorized_dense": "FD (factorized dense)",
    "toeplitz": "Toeplitz (a weight for each distance)",
    "uniform": "uniform (0)",
}


def text(
    config: Mapping[str, Any],
    record: Mapping[str, Any],
    scores: Sequence[Score],
    validated: KeptBest | None,
) -> str:
    """Write the card.

    Args:
      config: the content of config.json.
      record: step, checkpoint, vocabulary, sequence_length and prefix of the model.
      scores: scores of the exported checkpoint, from reports of `evaluate`.
      validated: scores that the training itself measured for the checkpoint; None without any.
    """
    parts = [_front(config), _about(config, record), _use(config, record), "## Scores\n"]
    if scores:
        parts.append(_reported(scores))
    if validated is not None and validated.scores:
        parts.append(_validated(validated))
    elif not scores:
        parts.append("None: no report of `mtf_synthesizer evaluate` names this checkpoint.\n")
    return "\n".join(parts)


def _front(config: Mapping[str, Any]) -> str:
    pipeline = "text2text-generation" if config["is_encoder_decoder"] else "text-generation"
    return (
        "---\n"
        "library_name: transformers\n"
        f"pipeline_tag: {pipeline}\n"
        "tags:\n- synthesizer\n- t5\n"
        "---\n"
    )


def _about(config: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    shape = (
        f"{config['num_layers']} + {config['num_decoder_layers']} blocks"
        if config["is_encoder_decoder"]
        else f"{config['num_decoder_layers']} blocks, decoder only"
    )
    lengths = ", ".join(f"{name} {size}" for name, size in record["sequence_length"].items())
    return (
        f"# {_name(config)}\n\n"
        f"T5 of {shape} of width {config['d_model']}, with the attention\n"
        f"softmax(S(X)) G(X) of [Synthesizer]({_PAPER}).\n\n"
        "| | |\n|---|---|\n"
        f"{''.join(f'| {name} | {value} |{chr(10)}' for name, value in _functions(config))}"
        f"| trained | step {record['step']}, checkpoint {record['checkpoint']} |\n"
        f"| tokens of a row in training | {lengths} |\n"
        f"| vocabulary | {record['vocabulary']} |\n"
        f"{_prefix(record)}"
        f"| written by | mtf_synthesizer {__version__} |\n"
    )


def _prefix(record: Mapping[str, Any]) -> str:
    """Return the row of the text before every input; empty without one."""
    prefix = record["prefix"]
    return f"| every input begins with | `{_cell(_quoted(prefix))}` |\n" if prefix else ""


def _name(config: Mapping[str, Any]) -> str:
    return "T5" if config["model_type"] == "t5" else "Synthesizer"


def _functions(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for stack in ("encoder", "decoder"):
        attention = config.get(f"{stack}_attention")
        if attention:
            yield f"S(X) in the {stack}", of_blocks(attention)
    cross = config.get("cross_attention")
    if cross and (letters := of_blocks(cross)) != _LETTERS["dot_product"]:
        yield "S(X) of the decoder over the encoder", letters
    if config["model_type"] == "t5":
        yield "S(X)", _LETTERS["dot_product"]


def of_blocks(attention: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> str:
    """Return the functions of a stack, with the blocks of each if these differ."""
    specs = [attention] if isinstance(attention, Mapping) else attention
    formulas = [formula(spec.get("synthesizer", {"kind": "dot_product"})) for spec in specs]
    runs = [(letters, len(list(same))) for letters, same in itertools.groupby(formulas)]
    if len(runs) == 1:
        return formulas[0]
    return ", then ".join(
        f"{letters} in {count} block{'s' * (count > 1)}" for letters, count in runs
    )


def formula(spec: Mapping[str, Any]) -> str:
    """Return a function in the paper's letters."""
    if "functions" not in spec:
        return _LETTERS[spec["kind"]]
    terms = [formula(function) for function in spec["functions"]]
    if spec["kind"] == "heads":
        groups = zip(terms, spec["sizes"], strict=True)
        return "; ".join(f"{term} in {size} head{'s' * (size > 1)}" for term, size in groups)
    if spec["kind"] == "sum":
        return f"({' + '.join(terms)})"
    return f"({' + '.join(f'α{number} {term}' for number, term in enumerate(terms, 1))})"


def _use(config: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    trust = "" if config["model_type"] == "t5" else ", trust_remote_code=True"
    auto = "AutoModelForSeq2SeqLM" if config["is_encoder_decoder"] else "AutoModelForCausalLM"
    example = f"{record['prefix'] or ''}a text as the task gives it"
    lines = [
        "## Use\n",
        "```python",
        f"from transformers import {auto}, AutoTokenizer\n",
        'folder = "."',
        f"model = {auto}.from_pretrained(folder{trust}).eval()",
        f"tokenizer = AutoTokenizer.from_pretrained(folder{trust})",
    ]
    if not record["has_tokenizer"]:
        lines[2] = f"import torch\nfrom transformers import {auto}\n"
        lines[5:] = ["# transformers has no tokenizer for the vocabulary of this model."]
        lines += ["inputs = {'input_ids': torch.tensor([[5, 6, 7, 1]])}"]
        lines += ["print(model.generate(**inputs))"]
    elif config["is_encoder_decoder"]:
        lines += [
            f'inputs = tokenizer({_quoted(example)}, return_tensors="pt")',
            "print(tokenizer.decode(model.generate(**inputs)[0], skip_special_tokens=True))",
        ]
    else:
        lines[2] = f"import torch\nfrom transformers import {auto}, AutoTokenizer\n"
        lines += [
            "# A text begins with the token 0; a beginning has no EOS, so that it is continued.",
            'ids = tokenizer("a beginning", add_special_tokens=False).input_ids',
            "outputs = model.generate(torch.tensor([[0, *ids]]))",
            "print(tokenizer.decode(outputs[0], skip_special_tokens=True))",
        ]
    return "\n".join([*lines, "```\n"])


def _reported(scores: Sequence[Score]) -> str:
    rows = [
        f"| {_cell(score.task)} | {_cell(score.split)} | {_cell(score.metric)} | "
        f"{score.value:.4g} | {score.examples or 'all'} |"
        for score in scores
    ]
    head = "| task | split | metric | value | examples |\n|---|---|---|---|---|\n"
    return "By `mtf_synthesizer evaluate`:\n\n" + head + "\n".join(rows) + "\n"


def _validated(kept: KeptBest) -> str:
    """Return the scores by which the training chose the checkpoint, which flatter it."""
    head = (
        f"Measured while training, at step {kept.step}, on {kept.examples} examples of the split\n"
        f"{_cell(kept.split)} of {_cell(kept.task)}. {_cell(kept.metric)} chose this checkpoint "
        "among others.\n\n| metric | value |\n|---|---|\n"
    )
    rows = [f"| {_cell(name)} | {value:.4g} |" for name, value in kept.scores.items()]
    return head + "\n".join(rows) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _cell(text: str) -> str:
    """Return a name from a report, escaped so that it can't end its cell or row."""
    return " ".join(text.split()).replace("|", "\\|")
