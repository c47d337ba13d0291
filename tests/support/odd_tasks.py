"""Tasks as people write them: metrics, postprocessors and features of every kind."""

import functools

import mtf_synthesizer.runtime.compat

import numpy as np
import runner_tasks
import seqio
from seqio.metrics import Histogram, LegacyMetric, PassthroughLegacyMetric, Scalar, Text

METRICS = "synthesizer_test_odd_metrics"
ARRAYS = "synthesizer_test_odd_arrays"
SCORES = "synthesizer_test_odd_scores"
TOKENIZED = "synthesizer_test_odd_tokenized"
FAILING = "synthesizer_test_odd_failing"
DEV = "synthesizer_test_odd_dev"
ALL = "synthesizer_test_odd_all"


def of_kinds(targets, predictions):
    return {
        "text": Text("a"),
        "histogram": Histogram(np.ones(3), 3),
        "array": np.ones(2),
        "scalar": Scalar(2.5),
        "one": np.ones((1, 1)),
        "nothing": None,
    }


def of_none(targets, predictions):
    return None


def with_key_error(targets, predictions):
    return {}["absent"]


def with_value_error(targets, predictions):
    raise ValueError("a bare sentence")


def count(targets, predictions):
    return {"count": len(targets)}


def mean_score(targets, scores):
    return {"mean_score": float(np.mean(scores)), "first_target": len(targets[0])}


def hits(targets, predictions):
    right = sum(t == p for t, p in zip(targets, predictions, strict=True))
    return {"hits": right, "of": len(targets)}


def with_aux(targets, predictions, aux_values):
    raise AssertionError("never called")


def upper(text, example=None, is_target=False):
    return text.upper()


def letters(text, example=None, is_target=False):
    return np.array([ord(letter) for letter in text])


def number(text, example=None, is_target=False):
    return 1 if is_target else int(text)


def same_letters(targets, predictions):
    equal = map(np.array_equal, targets, predictions)
    return {"same_letters": 100 * np.mean([*equal])}


def _register():
    if METRICS in seqio.TaskRegistry.names():
        return
    feature = seqio.Feature(runner_tasks.VOCABULARY)
    end = seqio.preprocessors.append_eos_after_trim
    steps = [seqio.preprocessors.tokenize, end]
    without_text = functools.partial(seqio.preprocessors.tokenize, copy_pretokenized=False)
    object_of = PassthroughLegacyMetric.from_metric_fn
    for name, given in {
        METRICS: {"metric_fns": [of_kinds, of_none, with_key_error, with_value_error, count]},
        ARRAYS: {"metric_fns": [same_letters], "postprocess_fn": letters},
        SCORES: {
            "metric_fns": [mean_score, with_aux],
            "metric_objs": [
                object_of(hits, upper).empty(),
                LegacyMetric.empty(lambda targets, scores: {"lowest": min(scores)}, upper),
            ],
            "postprocess_fn": upper,
        },
        TOKENIZED: {
            "metric_fns": [runner_tasks.accuracy],
            "preprocessors": [without_text, end],
        },
        FAILING: {"metric_fns": [count], "postprocess_fn": number},
        DEV: {
            "metric_fns": [runner_tasks.accuracy],
            "source": seqio.FunctionDataSource(runner_tasks.pairs, splits=("train", "dev")),
        },
    }.items():
        source = seqio.FunctionDataSource(runner_tasks.pairs, ("train", "validation", "test"))
        task = {"source": source, "preprocessors": steps} | given
        features = {"inputs": feature, "targets": feature}
        seqio.TaskRegistry.add(name, output_features=features, **task)
    seqio.MixtureRegistry.add(ALL, [METRICS, ARRAYS, SCORES, TOKENIZED, FAILING], default_rate=1)


_register()
