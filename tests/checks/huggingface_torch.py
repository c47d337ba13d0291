"""The part of `make check-huggingface` that runs in .huggingface, with PyTorch and transformers.

`make FOLDER` writes random small models of transformers' T5 with what they compute;
`compare FOLDER` loads what was exported there and compares it with what our own graphs computed.
Neither imports the package.
"""

import contextlib
import io
import json
import pathlib
import sys
import warnings

import numpy as np
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    MT5Config,
    MT5ForConditionalGeneration,
    T5Config,
    T5ForConditionalGeneration,
)
from transformers.utils import logging

WORDS = 53
SIZES = {"d_model": 12, "d_kv": 5, "d_ff": 7, "num_heads": 3, "vocab_size": WORDS}
TOKENS = {"decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1}
TOLERANCE = 1e-4
STEPS = 9
# name -> class, configuration, how it is saved
MODELS = {
    "t5": (T5ForConditionalGeneration, T5Config(**SIZES, **TOKENS, num_layers=2), {}),
    "t5_1_1": (
        T5ForConditionalGeneration,
        T5Config(
            **SIZES,
            **TOKENS,
            num_layers=3,
            num_decoder_layers=2,
            feed_forward_proj="gated-gelu",
            tie_word_embeddings=False,
            relative_attention_num_buckets=16,
        ),
        {"max_shard_size": "8KB"},
    ),
    "mt5": (
        MT5ForConditionalGeneration,
        MT5Config(
            **SIZES,
            **TOKENS,
            num_layers=1,
            num_decoder_layers=1,
            feed_forward_proj="gated-gelu",
            layer_norm_epsilon=1e-5,
        ),
        {},
    ),
    "one_head": (
        T5ForConditionalGeneration,
        T5Config(**(SIZES | {"num_heads": 1}), **TOKENS, num_layers=1, num_decoder_layers=2),
        {},
    ),
}


def make(folder: pathlib.Path) -> None:
    """Write the models, their logits and the tokens that they write greedily."""
    torch.manual_seed(1)
    for name, (kind, config, options) in MODELS.items():
        model = kind(config).eval()
        if name == "t5_1_1":  # transformers ties what released models have apart
            model.lm_head.weight = torch.nn.Parameter(torch.empty(WORDS, 12))
        with torch.no_grad():
            for key, weight in model.named_parameters():
                torch.nn.init.normal_(weight, 1.0 if "norm" in key else 0.0, 0.3)
            model.shared.weight *= 3
        model.save_pretrained(folder / name, **options)
        ids, mask, targets = batch()
        logits = model(input_ids=ids, attention_mask=mask, decoder_input_ids=targets).logits
        # transformers' own cache fails where the decoder is deeper than the encoder.
        written = model.generate(
            ids, attention_mask=mask, max_new_tokens=STEPS, do_sample=False, use_cache=False
        )
        np.savez(
            folder / name / "expected.npz",
            inputs=ids * mask,
            targets=targets,
            logits=logits.detach().numpy(),
            written=written.numpy(),
        )


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs with padding at their ends, their mask, and what a decoder reads."""
    ids = torch.randint(2, WORDS, (3, 9))
    mask = torch.ones_like(ids)
    mask[0, 6:] = mask[1, 8:] = 0
    targets = torch.randint(2, WORDS, (3, 5))
    targets[:, 0] = 0
    return ids, mask, targets


def compare(folder: pathlib.Path) -> bool:
    """Print what differs for every exported model; whether all are equal."""
    paths = sorted(folder.glob("*/expected.npz"))
    found = [_compare(path.parent) for path in paths]  # each of them is printed
    return bool(found) and all(found)


def _compare(folder: pathlib.Path) -> bool:
    expected = np.load(folder / "expected.npz")
    config = json.loads((folder / "export" / "config.json").read_text())
    is_pair = config["is_encoder_decoder"]
    kind = AutoModelForSeq2SeqLM if is_pair else AutoModelForCausalLM
    if config["model_type"] == "t5":
        kind = T5ForConditionalGeneration
    model, loading = kind.from_pretrained(
        folder / "export", trust_remote_code=True, output_loading_info=True
    )
    model = model.eval()
    lost = [*loading["missing_keys"], *loading["unexpected_keys"], *loading["mismatched_keys"]]
    inputs = torch.tensor(expected["inputs"]).long()
    read = {"input_ids": inputs}
    if is_pair:
        read["attention_mask"] = (inputs != 0).long()
        targets = {"decoder_input_ids": torch.tensor(expected["targets"]).long()}
    else:
        targets = {"input_ids": torch.tensor(expected["targets"]).long()}
    with torch.no_grad():
        logits = model(**{**read, **targets}).logits.numpy()
        difference = float(np.abs(logits - expected["logits"]).max())
        written = [_written(model, read, expected["written"], cache) for cache in (True, False)]
    tokens = _tokens(folder)
    is_equal = difference < TOLERANCE and all(written) and not lost and tokens
    print(
        f"{'ok' if is_equal else 'FAILED':<7}{folder.name:<22}{type(model).__name__:<36}"
        f"logits up to {np.abs(logits).max():.3g}, differ by {difference:.2g}; tokens equal with "
        f"cache {written[0]}, without {written[1]}; tokenizer {tokens}"
        + (f"; weights {lost}" if lost else "")
    )
    return bool(is_equal)


def _written(model: torch.nn.Module, read: dict, expected: np.ndarray, use_cache: bool) -> bool:
    """Whether the model writes the same tokens, up to the end of each text."""
    found = model.generate(
        **read, max_new_tokens=expected.shape[1], do_sample=False, use_cache=use_cache
    ).numpy()
    start = 1 if model.config.is_encoder_decoder else read["input_ids"].shape[1]
    return all(map(_same_text, found[:, start:].tolist(), expected.tolist()))


def _same_text(found: list[int], expected: list[int]) -> bool:
    return _text(found) == _text(expected)


def _text(ids: list[int]) -> list[int]:
    return ids[: ids.index(1) + 1] if 1 in ids else [id_ for id_ in ids if id_]


def _tokens(folder: pathlib.Path) -> bool | None:
    """Whether the tokenizer reads texts as our vocabulary does; None without one."""
    if not (folder / "texts.json").exists():
        return None
    tokenizer = AutoTokenizer.from_pretrained(folder / "export", trust_remote_code=True)
    return all(
        tokenizer(text).input_ids == [*ids, 1]
        and tokenizer.decode(ids, skip_special_tokens=True).strip() == text
        for text, ids in json.loads((folder / "texts.json").read_text())
    )


if __name__ == "__main__":
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    command, target = sys.argv[1], pathlib.Path(sys.argv[2])
    if command == "make":
        with contextlib.redirect_stdout(io.StringIO()):
            make(target)
    elif not compare(target):
        sys.exit(1)
