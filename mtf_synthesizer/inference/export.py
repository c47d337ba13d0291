"""Export a trained model as a TensorFlow SavedModel that reads texts or token ids."""

from __future__ import annotations

import dataclasses
import gc
import os
from collections.abc import Callable, Mapping
from typing import Any

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
from mesh_tensorflow.transformer import utils
from tensorflow.compat.v1 import estimator as tf_estimator

from mtf_synthesizer import errors
from mtf_synthesizer.config.request import Configuration
from mtf_synthesizer.files import new_folder, paths, saving
from mtf_synthesizer.inference import export_tokens, predict
from mtf_synthesizer.inference.export_modes import MODES, RECORD, Mode
from mtf_synthesizer.inference.report import versions
from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.runtime import loading
from mtf_synthesizer.upstream import model, session, tasks, variables
from mtf_synthesizer.upstream.graph import bound
from mtf_synthesizer.upstream.vocabulary import describe

_SIGNATURE = "serving_default"


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """The form of a SavedModel.

    Attributes:
      mode: a name in `export_modes.MODES`.
      output: the new folder.
      tokens: whether the model reads and writes token ids, int32 [rows, tokens], without
        SentencePiece operations. Nothing is appended to the ids, not even EOS.
      batch_size: largest number of texts per call; None for the batch size of the training.
      verbose: whether T5, Mesh and TensorFlow log.
    """

    mode: str
    output: str | os.PathLike[str]
    tokens: bool = False
    batch_size: int | None = None
    verbose: bool = False


def export(
    folder: ModelFolder,
    configuration: Configuration,
    checkpoint: Checkpoint,
    options: ExportOptions,
) -> dict[str, Any]:
    """Write a SavedModel whose signature reads texts or token ids.

    The modes greedy and beam read `inputs`. They return `inputs`, as the vocabulary decodes them,
    and `outputs`. The mode score reads `targets` and, except for language models, `inputs`. It
    returns `targets` and `scores`, the log-likelihood of each target in nats. The folder is
    written under a temporary name and renamed when it is complete.

    Args:
      folder: folder of the model.
      configuration: configuration of the model, with the gin files of the mode.
      checkpoint: checkpoint of the folder to export.
      options: form of the SavedModel.

    Returns:
      The content of assets.extra/mtf_synthesizer.json: mode, model_dir, step, checkpoint,
      batch_size, sequence_length, signature, inputs, outputs, tokens, vocabulary, versions.

    Raises:
      errors.UserError: the folder exists, or the mode does not support this type of model.
    """
    mode, output, verbose = MODES[options.mode], options.output, options.verbose
    new_folder.check("--output", output)
    with session.configured(configuration, verbose), new_folder.create(output) as served:
        trained = session.build(folder.path)
        errors.check(
            f"type of model for --decode {options.mode}",
            trained.model_type,
            mode.token_model_types if options.tokens else mode.model_types,
        )
        tasks.check_vocabulary(tasks.configured_task(), folder.path)
        predict.bind_output_length(trained)
        rows = options.batch_size or trained.batch_size
        write = _write_for_tokens if options.tokens else _write_for_texts
        # Mesh makes an assertion that it does not use. TensorFlow logs an error about it when the
        # assertion is collected, so the logs stay off until then.
        with loading.without_messages(not verbose):
            exporter = write(_Served(folder, trained, mode, rows, checkpoint), served)
            gc.collect()
        record = {
            "mode": options.mode,
            "tokens": options.tokens,
            "model_dir": str(folder),
            "step": checkpoint.step,
            "checkpoint": checkpoint.fingerprint,
            "batch_size": rows,
            "sequence_length": trained.sequence_length,
            "signature": _SIGNATURE,
            "inputs": exporter.inputs,
            "outputs": exporter.outputs,
            "vocabulary": _describe_vocabulary(trained.vocabulary),
            "versions": versions(),
        }
        saving.write_json(served / "assets.extra" / RECORD, record)
    return record


@dataclasses.dataclass(frozen=True)
class _Served:
    """The model that an export writes.

    Attributes:
      folder: folder of the model.
      trained: the model.
      mode: function of the signature.
      rows: largest number of rows per call.
      checkpoint: checkpoint whose values are written.
    """

    folder: ModelFolder
    trained: model.Model
    mode: Mode
    rows: int
    checkpoint: Checkpoint


def _write_for_texts(served: _Served, folder: paths.Path) -> _Exporter:
    """Write a SavedModel whose signature reads texts: T5's own export."""
    exporter = _Exporter(_estimator(served, served.trained.vocabulary))
    version = utils.export_model(
        exporter,
        str(folder),
        served.trained.vocabulary,
        served.trained.sequence_length,
        served.trained.model_type,
        eval_with_score=served.mode.scores_targets,
        batch_size=served.rows,
        checkpoint_path=served.checkpoint.path,
    )
    _move_up(paths.of(version.decode()), folder)
    return exporter


def _write_for_tokens(served: _Served, folder: paths.Path) -> _Exporter:
    """Write a SavedModel whose signature reads token ids."""
    trained = served.trained
    exporter = _Exporter(_estimator(served, export_tokens.Ids.of(trained.vocabulary)))
    read = export_tokens.reader(
        served.mode.features(trained.model_type), trained.sequence_length, served.rows
    )
    version = exporter.export_saved_model(str(folder), read, served.checkpoint.path)
    _move_up(paths.of(version.decode()), folder)
    return exporter


def _move_up(version: paths.Path, folder: paths.Path) -> None:
    """Move the files of the sub-folder that TensorFlow names by a timestamp into `folder`."""
    for name in [path.name for path in version.iterdir()]:
        (version / name).replace(folder / name)
    paths.remove_folder(version)


def _describe_vocabulary(vocabulary: Any) -> dict[str, Any]:
    return {
        "inputs": describe(utils.inputs_vocabulary(vocabulary)),
        "targets": describe(utils.targets_vocabulary(vocabulary)),
    }


def _estimator(served: _Served, vocabulary: Any) -> Any:
    """Build Mesh's Estimator like T5's `MtfModel.export`: without mesh and named devices."""
    return utils.get_estimator(
        model_type=served.trained.model_type,
        vocabulary=vocabulary,
        mesh_shape=mtf.Shape([]),
        mesh_devices=None,
        layout_rules=mtf.convert_to_layout_rules(""),
        model_dir=str(served.folder),
        batch_size=served.rows,
        sequence_length=served.trained.sequence_length,
        autostack=True,
        learning_rate_schedule=None,
        keep_checkpoint_max=None,
        save_checkpoints_steps=None,
        optimizer=None,
        predict_fn=None if served.mode.scores_targets else bound("run.predict_fn", None),
        variable_filter=None,
        ensemble_inputs=None,
        use_tpu=None,
        tpu_job_name=None,
        iterations_per_loop=1,
        cluster=None,
        score_in_predict_mode=served.mode.scores_targets,
    )


class _Exporter:
    """The part of an Estimator that Mesh's export needs, without results for padding rows.

    Mesh pads a call to a whole batch and returns scores of the padding rows too.

    Attributes:
      inputs: names of the features that the signature reads.
      outputs: names of the tensors that the signature returns.
    """

    def __init__(self, estimator: Any):
        self._estimator = estimator
        self.inputs: list[str] = []
        self.outputs: list[str] = []

    def export_saved_model(
        self, folder: str, serving_input_fn: Callable[[], Any], checkpoint_path: str
    ) -> bytes:
        def read() -> Any:
            receiver = serving_input_fn()
            self.inputs = sorted(receiver.receiver_tensors)
            return receiver

        def model_fn(features: dict[str, Any], labels: Any, mode: str, config: Any) -> Any:
            count = features["predict_batch_size"]
            spec = self._estimator.model_fn(features, labels, mode, config)
            variables.check_variables(checkpoint_path)
            results = {name: tensor[:count] for name, tensor in spec.predictions.items()}
            self.outputs = sorted(results)
            return spec._replace(predictions=results, export_outputs=_signature(results))

        estimator = tf_estimator.Estimator(model_fn, config=self._estimator.config)
        version: bytes = estimator.export_saved_model(folder, read, checkpoint_path=checkpoint_path)
        return version


def _signature(results: Mapping[str, Any]) -> dict[str, Any]:
    return {_SIGNATURE: tf_estimator.export.PredictOutput(results)}
