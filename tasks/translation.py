"""WMT'14 of the paper's Table 2, and Multi30k for laptops: out of English, with T5's prefix.

T5's tasks on the same data, such as wmt14_ende_v003, compute BLEU with another tokenizer.
"""

import functools

from t5.data import preprocessors

from mtf_synthesizer.tasks import recipes, text_metrics

WMT14 = "wmt14_translate/{}-en:1.0.0"
MULTI30K = "multi30k/{}-en:1.0.0"
_TOKENIZED_BLEU = {
    "de": text_metrics.german_tokenized_bleu,
    "fr": text_metrics.french_tokenized_bleu,
}

for _target, _tokenized_bleu in _TOKENIZED_BLEU.items():
    for _name, _source in (("wmt14", WMT14), ("multi30k", MULTI30K)):
        recipes.add_text_to_text(
            f"synthesizer_{_name}_en{_target}_v001",
            _source.format(_target),
            [
                functools.partial(
                    preprocessors.translate, source_language="en", target_language=_target
                )
            ],
            [text_metrics.bleu, _tokenized_bleu],
        )
