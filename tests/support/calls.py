"""The package's functions by keywords: each is put into the request or the options."""

import dataclasses

import mtf_synthesizer.runtime.compat

from mtf_synthesizer.config.request import Request
from mtf_synthesizer.inference import evaluate as inference
from mtf_synthesizer.inference import predict as decoding
from mtf_synthesizer.inference import predict_lines as reading
from mtf_synthesizer.training import train as training
from mtf_synthesizer.upstream import probe

_REQUEST = {field.name for field in dataclasses.fields(Request)}


def _parts(task, given, options):
    asked = {name: value for name, value in given.items() if name in _REQUEST}
    others = {name: value for name, value in given.items() if name not in _REQUEST}
    return Request(task, **asked), options(**others)


def train(folder, task=None, **given):
    return training.train(folder, *_parts(task, given, training.TrainOptions))


def evaluate(folder, task, **given):
    return inference.evaluate(folder, *_parts(task, given, inference.EvaluateOptions))


def predict(folder, task, **given):
    return decoding.predict(folder, *_parts(task, given, decoding.PredictOptions))


def predict_lines(folder, lines, **given):
    request, options = _parts(None, given, decoding.PredictOptions)
    return reading.predict_lines(folder, request, lines, options)


def record_attention(folder, task, modules=(), **options):
    return probe.record_attention(folder, Request(task, modules=modules), **options)
