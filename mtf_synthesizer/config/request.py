"""Requests of commands, and the gin files and bindings they stand for; no TensorFlow needed."""

import dataclasses
import importlib.util
import os
from collections.abc import Iterator, Sequence

from mtf_synthesizer import errors
from mtf_synthesizer.config import by_layer, statements
from mtf_synthesizer.config.gin_files import choices, gin_file, gin_folder, is_own
from mtf_synthesizer.config.lint import lengths, meshes, replaced, starts
from mtf_synthesizer.config.lint.names import check
from mtf_synthesizer.config.trust import TrustedReader
from mtf_synthesizer.config.values import BoundValues
from mtf_synthesizer.files import paths
from mtf_synthesizer.model_folder import own_data
from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.model_folder.folder import ModelFolder, start_checkpoint
from mtf_synthesizer.model_folder.own_data import OwnData
from mtf_synthesizer.model_folder.vocabulary import BYTES

TASK_MODULES = ("mtf_synthesizer.tasks",)
# Whole paths, because a user's own file may have the same name.
FLOAT32_FILE = str(gin_folder() / "float32.gin")
EXACT_FILE = str(gin_folder() / "exact_checkpoints.gin")
OWN_RUN = "own_data"  # the run of --data without --run
_COMPUTED = ("slice_dtype", "activation_dtype")


@dataclasses.dataclass(frozen=True)
class Configuration:
    """Gin files and bindings in parsing order: later ones win.

    Attributes:
      files: gin files, as `--gin_file`.
      params: bindings, as `--gin_param`.
      modules: modules to import first, for the tasks and configurables they define.
      vocabulary: as `--vocabulary`; None for the default.
      tfds_data_dir: as `--tfds_data_dir`; None for the default of tensorflow_datasets.
      task_cache_dirs: as `--additional_task_cache_dirs`.
      own_data: the task on a user's own files; None if no model or flag has one.
    """

    files: tuple[str, ...]
    params: tuple[str, ...]
    modules: tuple[str, ...]
    vocabulary: str | None = None
    tfds_data_dir: str | None = None
    task_cache_dirs: tuple[str, ...] = ()
    own_data: OwnData | None = None


@dataclasses.dataclass(frozen=True)
class Request:
    """A user's request: train a model, or read one with changes to its configuration.

    `train` reads all fields; `evaluate`, `predict` and the other readers of a trained model read
    task, batch_size, gin_files, gin_params, modules, vocabulary, tfds_data_dir and own_data.

    Attributes:
      task: a seqio task or mixture; unless given, that of the experiment.
      synthesizer: a name of gin/synthesizers, e.g. "rv", or one for each stack and layer, e.g.
        "encoder=r*3,v*3;decoder=v" (`config.by_layer`).
      size: a name of gin/sizes, e.g. "tiny". Without synthesizer and size the model is the one
        of init_checkpoint.
      run: a name of gin/runs: schedule, lengths, batch and packing; "pretrain" unless given.
      experiment: a name of gin/experiments, instead of run: these and the size and the task.
      steps: training steps, counted from init_checkpoint if one is given; unless given, the
        number in the run's file.
      batch_size: sequences in a batch; unless given, that of the run's file or of training.
      gin_files: further gin files, parsed after the named ones.
      gin_params: bindings, parsed last.
      modules: imported for the tasks they register.
      init_checkpoint: a model folder or a checkpoint to start from; may also be a `Checkpoint`
        whose step differs from that of its path.
      partial_init: whether that may lack variables, which then start afresh, or have more.
      vocabulary: a SentencePiece model or "bytes", for tasks that have no vocabulary of their own;
        unless given, that of the model or of init_checkpoint, else T5's.
      tfds_data_dir: folder that `data prepare` has written.
      additional_task_cache_dirs: folders that `cache` has written to, read instead of the data
        itself.
      own_data: a user's own files instead of a task; for a reader of a trained model, changes to
        the definition that its folder keeps.
      seed: seed of initial values, the order of examples and dropout. A resumed run makes the
        steps that it would have made without the stop (docs/runs.md).
    """

    task: str | None = None
    synthesizer: str | None = None
    size: str | None = None
    run: str | None = None
    experiment: str | None = None
    steps: int | None = None
    batch_size: int | None = None
    gin_files: Sequence[str] = ()
    gin_params: Sequence[str] = ()
    modules: Sequence[str] = TASK_MODULES
    init_checkpoint: str | os.PathLike[str] | Checkpoint | None = None
    partial_init: bool = False
    vocabulary: str | None = None
    tfds_data_dir: str | None = None
    additional_task_cache_dirs: Sequence[str] = ()
    own_data: OwnData | None = None
    seed: int = 0

    @property
    def schedule(self) -> str | None:
        """The name of the run's file in gin/runs; None if an experiment has the schedule."""
        if self.run or self.experiment:
            return self.run
        return OWN_RUN if self.own_data else "pretrain"


def for_training(request: Request) -> Configuration:
    """Return the configuration of a training run.

    Raises:
      errors.UserError: see `requested`; or tables or positions are shorter than the rows, or
        nothing says how long the run from a checkpoint is.
    """
    configuration = requested(request)
    _check_length(request, configuration)
    keeps_model = request.init_checkpoint is not None and not (request.size or request.synthesizer)
    lengths.check(configuration.files, configuration.params, keeps_model)
    return configuration


def _check_length(request: Request, configuration: Configuration) -> None:
    """Check that a run from a checkpoint does not take the length of a pretraining by default."""
    if request.init_checkpoint is None or request.steps or request.run:
        return
    if request.schedule != "pretrain":  # of an experiment, or for data of one's own
        return
    own = BoundValues(request.gin_files, request.gin_params)
    named = statements.macro("train_steps", request.gin_files, request.gin_params)
    if named is not None or own.value("run", "train_steps") is not None:
        return
    steps = statements.macro("train_steps", configuration.files, configuration.params)
    raise errors.UserError(
        f"--init_checkpoint {request.init_checkpoint}: neither --run nor --steps says how long the "
        f"run is, and the default, --run pretrain, has {steps:,} steps. Give --run finetune, or "
        "--steps"
    )


def requested(request: Request) -> Configuration:
    """Return the requested configuration; its model need not hold the rows of its run.

    Raises:
      errors.UserError: an unknown name or file, a misspelt binding, a missing model or task, a
        missing checkpoint to start from, or one whose configuration is not trusted.
    """
    start = start_checkpoint(request.init_checkpoint) if request.init_checkpoint else None
    _check_complete(request, start)
    base = [*_training_files(request, start), EXACT_FILE, "local_cpu.gin"]
    files = [*base, *_on_processor(request.gin_files)]
    TrustedReader(request.modules).check(files, request.gin_params)
    starts.check(request.gin_files, request.gin_params)
    params = starts.without_start(base) if start else []
    if request.synthesizer and by_layer.is_by_layer(request.synthesizer):
        params.append(by_layer.bindings(request.synthesizer, files, request.gin_params))
    elif request.synthesizer:
        own = (request.gin_files, request.gin_params)
        replaced.check(request.synthesizer, base, files, own)
    task = own_data.TASK if request.own_data else request.task
    if task:
        params.append(f"MIXTURE_NAME = {task!r}")
    if request.own_data and request.schedule == OWN_RUN:
        lengths_of_data = request.own_data.lengths or {}
        params += [f"{name}_length = {length}" for name, length in lengths_of_data.items()]
    if request.batch_size is not None:
        params.append(f"utils.run.batch_size = {request.batch_size}")
    if request.steps is not None or start:
        steps = request.steps or statements.macro("train_steps", files, request.gin_params)
        if isinstance(steps, int):
            params.append(f"utils.run.train_steps = {steps + (start.step if start else 0)}")
    caches = tuple(request.additional_task_cache_dirs)
    if caches:  # without caches False holds: runs/plumbing.gin includes T5's dataset.gin
        params.append("mesh_train_dataset_fn.use_cached = True")
    params += request.gin_params
    vocabulary = request.vocabulary
    if start and vocabulary is None:
        vocabulary = ModelFolder(paths.of(start.path).parent).vocabulary
    checked = _checked(files, params, request.modules, vocabulary, request.tfds_data_dir)
    for folder in caches:
        _check_exists("--additional_task_cache_dirs", folder, "a folder that `cache` has written")
    return dataclasses.replace(checked, task_cache_dirs=caches, own_data=request.own_data)


def _check_complete(request: Request, start: Checkpoint | None) -> None:
    """Check that the request has a task and a model, and not two schedules."""
    if request.experiment and request.run:
        raise errors.UserError(
            f"--experiment {request.experiment} has a schedule: leave out --run {request.run}"
        )
    check_one_task(request)
    if not (request.task or request.own_data or request.experiment or request.gin_files):
        raise errors.UserError(
            "--task is missing. `mtf_synthesizer list tasks` prints all tasks; --data trains on "
            "files of your own"
        )
    if start and not request.experiment and bool(request.size) != bool(request.synthesizer):
        raise errors.UserError(
            "--synthesizer and --size belong together: give both, or neither to keep the model of "
            f"{request.init_checkpoint}"
        )
    sized = request.size or request.experiment
    if not request.gin_files and not (start or (sized and request.synthesizer)):
        missing = "size" if request.synthesizer else "synthesizer"
        known = ", ".join(choices(f"{missing}s"))
        raise errors.UserError(
            f"--{missing} is missing: choose one of {known}. Only a run with --init_checkpoint has "
            "a model without it"
        )


def check_one_task(request: Request) -> None:
    """Raise a UserError if a request has own data and something that contradicts it."""
    if request.own_data is None:
        return
    if request.task is not None and request.task != own_data.TASK:
        raise errors.UserError(
            f"--task {request.task}: --data defines the task. Leave out --task or --data"
        )
    if request.additional_task_cache_dirs:
        raise errors.UserError(
            "--additional_task_cache_dirs: --data has no caches. Leave one of the two out"
        )
    request.own_data.check()


def _training_files(request: Request, start: Checkpoint | None) -> list[str]:
    """List the model's files, then the run's: an experiment completes a synthesizer."""
    if start and not (request.size or request.synthesizer):
        files = [str(ModelFolder(paths.of(start.path).parent).operative_config)]
    else:
        files = [_layers_file(request.synthesizer)] if request.synthesizer else []
    if request.experiment:
        files.append(gin_file("experiments", request.experiment))
    if request.size:  # after the experiment, so that --size overrides the experiment's size
        files.append(gin_file("sizes", request.size))
    if not request.experiment:
        files.append(gin_file("runs", request.schedule or "pretrain"))
    return files


def _layers_file(synthesizer: str) -> str:
    """The gin file of a synthesizer, or of the layer whose synthesizers are chosen by layer."""
    if by_layer.is_by_layer(synthesizer):
        return by_layer.LAYER_FILE
    return gin_file("synthesizers", synthesizer)


def for_model(
    folder: ModelFolder, request: Request, gin_files: Sequence[str] = ()
) -> Configuration:
    """Return the configuration of a trained model, as its training run wrote it, with changes.

    Unless `vocabulary` is given, the model keeps the vocabulary of its training.

    Args:
      folder: folder of the model.
      request: changes to the configuration.
      gin_files: parsed before those of the request.

    Raises:
      errors.UserError: the folder has no configuration, or an untrusted one, or a change is
        misspelt.
    """
    config = str(folder.operative_config)
    reader = TrustedReader(request.modules)
    reader.check([config])  # before its values are read, which follows its includes
    changes = _on_processor([*gin_files, *request.gin_files])
    files = [*_local(config), FLOAT32_FILE, *changes]
    reader.check(files, request.gin_params)
    starts.check_reader(request.gin_files, request.gin_params)
    params = [*starts.without_start(files[:1]), *request.gin_params]
    vocabulary = request.vocabulary
    if vocabulary is None:
        vocabulary = folder.vocabulary
    checked = _checked(files, params, request.modules, vocabulary, request.tfds_data_dir)
    return dataclasses.replace(checked, own_data=data_of_model(folder, request))


def _local(config: str) -> list[str]:
    """Return a folder's configuration, with one local device instead of the mesh of a TPU.

    Mesh makes a TPU's mesh from flags of T5's script.
    """
    shape = BoundValues([config], ()).value("run", "mesh_shape")
    return [config, *(["local_cpu.gin"] if isinstance(shape, statements.Reference) else [])]


def data_of_model(folder: ModelFolder, request: Request) -> OwnData | None:
    """Return the own data of a model, with the changes of a request; None without any.

    Raises:
      errors.UserError: a name of the changes is unknown, or the request names another task.
    """
    if request.own_data is None:
        return folder.own_data
    merged = request.own_data.over(folder.own_data)
    check_one_task(dataclasses.replace(request, own_data=merged))
    return merged


def named_task(folder: ModelFolder, request: Request) -> str:
    """Return the task for a reader of a trained model; by default the task of its training.

    Raises:
      errors.UserError: neither the request nor the model's configuration names a task.
    """
    if request.own_data is not None:
        return own_data.TASK
    if request.task is not None:
        return request.task
    trained = statements.macro("MIXTURE_NAME", [str(folder.operative_config)], [])
    if not isinstance(trained, str):
        raise errors.UserError(
            f"no task given, and {folder} does not name the task of its training. Give --task "
            "(`mtf_synthesizer list tasks` prints all tasks)"
        )
    return trained


def _on_processor(gin_files: Sequence[str]) -> Iterator[str]:
    """Yield gin files, with float32 after each library file that chooses types for TPUs.

    T5's files for decoding choose bfloat16. A user's own files keep their types.
    """
    for file in gin_files:
        yield file
        if not is_own(file) and any(
            statement.parameter in _COMPUTED for statement in statements.statements([file], [])
        ):
            yield FLOAT32_FILE


def for_caching(
    modules: Sequence[str], vocabulary: str | None, tfds_data_dir: str | None
) -> Configuration:
    """Return the configuration of a token cache, which has no model.

    Raises:
      errors.UserError: Apache Beam is not installed, or a file or folder is missing.
    """
    if importlib.util.find_spec("apache_beam") is None:
        raise errors.UserError(
            "caching needs Apache Beam, which is not installed. In an environment of its own "
            "(docs/caching.md) run pip install 'mtf_synthesizer[beam]', or in a checkout pip "
            "install --no-deps -r requirements-beam.lock"
        )
    return _checked((), (), modules, vocabulary, tfds_data_dir)


def _checked(
    files: Sequence[str],
    params: Sequence[str],
    modules: Sequence[str],
    vocabulary: str | None,
    tfds_data_dir: str | None,
) -> Configuration:
    check(files, params, modules)
    meshes.check(files, params)
    _check_exists("--vocabulary", vocabulary, "a SentencePiece model, or the word bytes", False)
    _check_exists("--tfds_data_dir", tfds_data_dir, "a folder that `data prepare` has written")
    return Configuration(tuple(files), tuple(params), tuple(modules), vocabulary, tfds_data_dir)


def _check_exists(flag: str, path: str | None, expected: str, folder: bool = True) -> None:
    """Raise a UserError unless `path` exists and is a folder, or a file if not `folder`."""
    if path is None or path == BYTES:
        return
    if not paths.of(path).exists():
        raise errors.UserError(f"{flag} {path}: no such file or folder. Give {expected}")
    if paths.of(path).is_dir() != folder:
        kind = "a file" if folder else "a folder"
        raise errors.UserError(f"{flag} {path} is {kind}. Give {expected}")
