"""BLEU and ROUGE of decoded text: (targets, predictions) -> values in per cent.

A target is a text, or a list of texts if an example has several references.
"""

import dataclasses
import functools
import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sacrebleu
from rouge_score import rouge_scorer

from mtf_synthesizer.tasks.left_out import leave_out, remark

Target = str | Sequence[str]

ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")
_ALPHABET = "its tokenizer knows only a to z and 0 to 9"
_DROPPED_UNSAID = 0.01  # names with accents in English text change nothing
_HYPHEN = re.compile(r"(\S)-(\S)")


def unchanged(text: str) -> str:
    """Return the text itself."""
    return text


@dataclasses.dataclass(frozen=True)
class Bleu:
    """Corpus BLEU by sacreBLEU.

    Attributes:
      key: name of the value.
      tokenize: sacreBLEU's tokenizer.
      smooth: sacreBLEU's smoothing of n-grams without a match.
      prepare: function applied to references and predictions first.
      preparation: name of `prepare` for the signature, empty for `unchanged`.
    """

    key: str = "bleu"
    tokenize: str = "13a"
    smooth: str = "exp"
    prepare: Callable[[str], str] = unchanged
    preparation: str = ""

    def __call__(self, targets: Sequence[Target], predictions: Sequence[str]) -> dict[str, float]:
        if lacking := without_reference(targets):
            return leave_out(f"{self.key} is left out: {lacking}")
        prepared = [[self.prepare(text) for text in references(target)] for target in targets]
        streams = [list(stream) for stream in itertools.zip_longest(*prepared)]
        hypotheses = [self.prepare(text) for text in predictions]
        return {self.key: self._scorer().corpus_score(hypotheses, streams).score}

    def counts(self, targets: Sequence[Target], predictions: Sequence[str]) -> np.ndarray:
        """Return counts of each example, whose sums over examples give the BLEU of these examples.

        Returns:
          int [examples, 10]: matching n-grams and all n-grams for n = 1 to 4, and both lengths.
        """
        scorer = self._scorer()
        rows = []
        for target, prediction in zip(targets, predictions, strict=True):
            streams = [[self.prepare(text)] for text in references(target)]
            score = scorer.corpus_score([self.prepare(prediction)], streams)
            rows.append([*score.counts, *score.totals, score.sys_len, score.ref_len])
        return np.array(rows, np.int64)

    def of_counts(self, total: np.ndarray) -> float:
        """Return the BLEU of summed `counts`."""
        matches, ngrams, (hypothesis, reference) = np.split(total.astype(int), [4, 8])
        score = sacrebleu.BLEU.compute_bleu(
            matches.tolist(), ngrams.tolist(), int(hypothesis), int(reference), self.smooth
        )
        return float(score.score)

    def signature(self) -> str:
        """Return sacreBLEU's signature; scores with different signatures are not comparable."""
        scorer = self._scorer()
        scorer.corpus_score(["one"], [["one"]])  # sets the number of references
        return "|".join(part for part in (self.preparation, str(scorer.get_signature())) if part)

    def _scorer(self) -> "sacrebleu.BLEU":
        # `force` silences the warning about tokenized text, which is intended here.
        return sacrebleu.BLEU(tokenize=self.tokenize, smooth_method=self.smooth, force=True)


def references(target: Target) -> list[str]:
    """Return the references of an example."""
    return [target] if isinstance(target, str) else list(target)


def without_reference(targets: Sequence[Target]) -> str:
    """Report how many examples have no reference; empty if all have one."""
    count = sum(not references(target) for target in targets)
    return f"{count} of {len(targets)} examples have no reference" if count else ""


def moses_tokens(text: str, language: str) -> str:
    """Split a text as Moses' tokenizer.perl of that language does, with blanks between tokens."""
    return _moses(language).tokenize(text, return_str=True)


@functools.cache
def _moses(language: str) -> Any:
    import sacremoses

    return sacremoses.MosesTokenizer(lang=language)


def split_compounds(text: str) -> str:
    """Split "rich-text" into "rich ##AT##-##AT## text"."""
    return _HYPHEN.sub(r"\1 ##AT##-##AT## \2", text)


def german_tokens(text: str) -> str:
    """Tokenize German and split compounds, as En-De papers since GNMT were scored."""
    return split_compounds(moses_tokens(text, "de"))


def french_tokens(text: str) -> str:
    """Tokenize French."""
    return moses_tokens(text, "fr")


# sacreBLEU with its defaults, which papers call sacreBLEU.
bleu = Bleu()
# With the tokenizer of mteval-v14 --international-tokenization; T5's and tensor2tensor's own BLEU.
international_bleu = Bleu(tokenize="intl")
# multi-bleu.perl on the output of Moses' tokenizer: the BLEU of Vaswani et al. 2017 and others.
german_tokenized_bleu = Bleu(
    "tokenized_bleu", "none", "none", german_tokens, "moses-de+split-compounds"
)
french_tokenized_bleu = Bleu("tokenized_bleu", "none", "none", french_tokens, "moses-fr")


def rouge(targets: Sequence[str], predictions: Sequence[str]) -> dict[str, float]:
    """Compute the mean F-measure of ROUGE-1, -2, -L, and ROUGE-L over sentences (rougeLsum).

    As in T5 without stemming, but a plain mean: T5 takes the median of 1000 random resamplings.
    rouge_score's tokenizer knows a to z and 0 to 9 only. If it drops letters of the targets, a note
    reports their share. If it drops all letters, ROUGE has no value.
    """
    dropped = _dropped(targets)
    if dropped == 1:
        return leave_out(f"ROUGE is left out: {_ALPHABET} and drops every letter of the targets")
    if dropped > _DROPPED_UNSAID:
        remark(f"ROUGE: {_ALPHABET} and drops {dropped:.0%} of the letters of the targets")
    scorer = rouge_scorer.RougeScorer(ROUGE)
    scores = [
        scorer.score(one_sentence_a_line(target), one_sentence_a_line(prediction))
        for target, prediction in zip(targets, predictions, strict=True)
    ]
    return {
        name: 100 * float(np.mean([score[name].fmeasure for score in scores])) for name in ROUGE
    }


def _dropped(texts: Sequence[str]) -> float:
    """Return the share of letters and digits that ROUGE's tokenizer drops."""
    letters = [letter for text in texts for letter in text.lower() if letter.isalnum()]
    return sum(not letter.isascii() for letter in letters) / max(1, len(letters))


def one_sentence_a_line(summary: str) -> str:
    """Split a summary after every " . ", because most vocabularies have no line ends."""
    return summary.replace(" . ", " .\n")
