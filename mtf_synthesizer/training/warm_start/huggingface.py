"""Reader of T5 models from Hugging Face: config.json and model.safetensors.

It needs safetensors, but neither PyTorch nor transformers nor TensorFlow.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import ml_dtypes  # noqa: F401  (NumPy learns bfloat16, which safetensors asks it for)
import numpy as np
import safetensors

from mtf_synthesizer.errors import UserError
from mtf_synthesizer.files import paths, records
from mtf_synthesizer.training.warm_start import huggingface_config
from mtf_synthesizer.upstream import huggingface

INDEX = f"{huggingface.WEIGHTS}.index.json"
_TOKENIZERS = ("spiece.model", "sentencepiece.model", "tokenizer.model")
_FAST_TOKENIZER = "tokenizer.json"  # of the library tokenizers
_BYTE_TOKENIZER = "ByT5Tokenizer"
_FLOATS = ("F16", "BF16", "F32", "F64")
_SHOWN = 6  # largest number of tensors that a message names
# Older releases of transformers wrote these tensors, and none reads them: copies of the shared
# embedding, and a bias that the cross-attention never had.
_IGNORED = (
    "encoder.embed_tokens.weight",
    "decoder.embed_tokens.weight",
    "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",
)
_EMBEDDING = "shared/embedding"
_HEAD = "decoder/logits/kernel"
_PAD = 0


def is_model(folder: str | os.PathLike[str]) -> bool:
    """Return whether a folder has a model of transformers and no checkpoints of TensorFlow."""
    path = paths.of(folder)
    if not path.is_dir() or not (path / huggingface.CONFIG).is_file():
        return False
    return not paths.matching(path, "model.ckpt-*.index")


@dataclasses.dataclass(frozen=True)
class Start:
    """A model to start from, with the interface of `Checkpoint`.

    Attributes:
      path: path of the weights, or of their index.
      step: 0, because the format has no step.
      architecture: architecture of the model.
      files: name of a tensor -> the file that holds it.
    """

    path: str
    architecture: huggingface_config.Architecture
    files: Mapping[str, pathlib.Path]
    step: int = 0

    @classmethod
    def of(cls, folder: str | os.PathLike[str]) -> Start:
        """Read the description of the model in a folder and compare it with its weights.

        Raises:
          UserError: a file is missing or malformed, or contradicts another file.
        """
        path = paths.of(folder)
        if not isinstance(path, pathlib.Path):
            raise UserError(
                f"--init_checkpoint {folder}: the folder is not on a local disk. Copy it to "
                "this machine."
            )
        weights, files = _files(path)
        start = cls(str(weights), huggingface_config.read(path), files)
        start.reader()
        return start

    @property
    def folder(self) -> pathlib.Path:
        return pathlib.Path(self.path).parent

    @functools.cached_property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that identify the values of the model."""
        digest = hashlib.sha256()
        for file in sorted(set(self.files.values())):
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()[:12]

    @property
    def vocabulary(self) -> str | None:
        """Return --vocabulary for the tokenizer in the folder; None without a tokenizer.

        Raises:
          UserError: the only tokenizer is in the format of the library tokenizers.
        """
        for name in _TOKENIZERS:
            if (self.folder / name).is_file():
                return str(self.folder / name)
        config = self.folder / "tokenizer_config.json"
        with contextlib.suppress(OSError, ValueError):
            settings = records.parse(config.read_text("utf-8"))
            if isinstance(settings, dict) and settings.get("tokenizer_class") == _BYTE_TOKENIZER:
                return "bytes"
        if (self.folder / _FAST_TOKENIZER).is_file():
            raise UserError(
                f"--init_checkpoint {self.folder}: {_FAST_TOKENIZER} is not read. Copy "
                "spiece.model of the "
                "same model into the folder, or give it with --vocabulary"
            )
        return None

    @property
    def bindings(self) -> list[str]:
        """Gin bindings that turn the model of `models/bi_v1.gin` into this model."""
        return self.architecture.bindings(self.reader().has_head)

    def reader(self) -> Reader:
        """Return a reader of the variables under the names of Mesh-TensorFlow."""
        return Reader(self)


class Reader:
    """Reader of the variables, with the interface of `tf.train.load_checkpoint`.

    Attributes:
      has_head: whether the head has its own weights, not the weights of the embedding.

    Args:
      start: the model.

    Raises:
      UserError: a tensor is missing or unknown, or its shape contradicts config.json.
    """

    def __init__(self, start: Start):
        self._start, self._architecture = start, start.architecture
        self._variables = _checked(
            start, self._architecture.variables("lm_head.weight" in start.files)
        )
        self.has_head = self._has_head()

    def _has_head(self) -> bool:
        """Return whether the head differs from the embedding in its values or scale."""
        if not self._architecture.scales_logits:
            return True
        name = "lm_head.weight"
        if name not in self._start.files or not self._architecture.may_have_head:
            return False
        return not np.array_equal(self._read(name), self._read("shared.weight"))

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """Return name -> shape of every variable, with the vocabulary padded like Mesh's."""
        shapes = {name: list(self._mesh_shape(name)) for name in self._variables if name != _HEAD}
        if self.has_head:
            shapes[_HEAD] = [self._architecture.d_model, self._architecture.padded_words]
        return shapes

    def get_tensor(self, name: str) -> np.ndarray:
        """Return the value of a variable, float32."""
        if name == _HEAD:
            return self._padded(self._head().T).T
        value = self._value(name)
        if name == _EMBEDDING:
            return self._padded(value)
        return value.reshape(self._mesh_shape(name))

    def _mesh_shape(self, name: str) -> tuple[int, ...]:
        shape = self._variables[name]
        if name == _EMBEDDING:
            return self._architecture.padded_words, shape[1]
        if name.endswith("/relative_attention_bias") and shape[0] == 1:
            return shape[1:]  # Mesh has no dimension for one head
        return shape

    def _head(self) -> np.ndarray:
        """Return the kernel [d_model, words], with the scale that Mesh gives to shared heads."""
        own = _HEAD in self._variables and self._architecture.may_have_head
        kernel = self._value(_HEAD) if own else self._value(_EMBEDDING).T
        scale = self._architecture.d_model**-0.5 if self._architecture.scales_logits else 1.0
        return kernel * np.float32(scale)

    def _padded(self, rows: np.ndarray) -> np.ndarray:
        """Append rows for the ids that Mesh adds; they copy padding, which is never decoded."""
        missing = self._architecture.padded_words - len(rows)
        return np.concatenate([rows, np.repeat(rows[_PAD : _PAD + 1], missing, 0)])

    def _value(self, variable: str) -> np.ndarray:
        tensor = huggingface.tensor(variable)
        assert tensor is not None
        value = self._read(tensor.name)
        return value.T if tensor.transposed else value

    def _read(self, tensor: str) -> np.ndarray:
        with _opened(self._start.files[tensor]) as file:
            value: np.ndarray = file.get_tensor(tensor).astype(np.float32)
        return value


def _checked(
    start: Start, variables: Iterable[tuple[str, tuple[int, ...]]]
) -> dict[str, tuple[int, ...]]:
    """Compare names, shapes and types of the tensors with config.json, before values are read."""
    expected, shapes = {}, {}
    for name, shape in variables:
        shapes[name] = shape
        tensor = huggingface.tensor(name)
        assert tensor is not None
        expected[tensor.name] = shape[::-1] if tensor.transposed else shape
        if len(expected) > 2 * len(start.files) + _SHOWN:
            break  # config.json may claim a million layers
    missing = [name for name in expected if name not in start.files]
    left_over = sorted(set(start.files).difference(expected, _IGNORED))
    if not missing and not left_over:
        problems = {"wrong shape or type": _reshaped(start, expected)}
    else:
        problems = {"missing": missing, "unknown": left_over}
    shown = [f"{problem}: {_listed(names)}" for problem, names in problems.items() if names]
    if shown:
        raise UserError(
            f"--init_checkpoint {start.path}: the tensors contradict the {huggingface.CONFIG} "
            "beside them: "
            f"{'; '.join(shown)}. Download both again."
        )
    return shapes


def _reshaped(start: Start, expected: Mapping[str, tuple[int, ...]]) -> list[str]:
    faults = []
    for path in sorted(set(start.files.values())):
        with _opened(path) as file:
            for name in sorted(file.keys()):
                if name in expected:
                    part = file.get_slice(name)
                    shape, kind = tuple(part.get_shape()), part.get_dtype()
                    if shape != expected[name] or kind not in _FLOATS:
                        faults.append(f"{name} {kind} {list(shape)}, not {list(expected[name])}")
    return faults


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    shown = ", ".join(name if len(name) <= 100 else f"{name[:100]}..." for name in names[:_SHOWN])
    return shown + (f" and {more} more" if more > 0 else "")


def _files(folder: pathlib.Path) -> tuple[pathlib.Path, dict[str, pathlib.Path]]:
    """Return the file or index of the weights, and the file of every tensor.

    Raises:
      UserError: the weights are missing or can't be read.
    """
    single, index = folder / huggingface.WEIGHTS, folder / INDEX
    if single.is_file():
        return single, dict.fromkeys(_names(single), single)
    if not index.is_file():
        hint = ""
        if (folder / "pytorch_model.bin").exists():
            hint = (
                " pytorch_model.bin can run code when it is loaded. If you trust it, convert it "
                "with transformers: model.save_pretrained(FOLDER, safe_serialization=True)."
            )
        raise UserError(
            f"--init_checkpoint {folder}: {huggingface.WEIGHTS} and {INDEX} are missing.{hint}"
        )
    named = {tensor: folder / file for tensor, file in _weight_map(index).items()}
    held = {path: set(_names(path)) for path in sorted(set(named.values()))}
    lost = sorted(tensor for tensor, path in named.items() if tensor not in held[path])
    if lost:
        raise UserError(
            f"--init_checkpoint {index}: its files lack {_listed(lost)}. Download the files again."
        )
    return index, named


def _weight_map(index: pathlib.Path) -> dict[str, str]:
    try:
        content = records.parse(index.read_text("utf-8"))
        files = dict(content["weight_map"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"--init_checkpoint {index}: not an index of safetensors ({type(error).__name__}: "
            f"{error})."
        ) from error
    for file in files.values():
        # Paths are refused: an index must not lead to files of other folders.
        if not isinstance(file, str) or pathlib.PurePath(file).name != file:
            raise UserError(
                f"--init_checkpoint {index}: {str(file)[:100]!r} is not the name of a file."
            )
        if not (index.parent / file).is_file():
            raise UserError(
                f"--init_checkpoint {index}: {file} is missing beside it. Copy all files."
            )
    return files


def _names(path: pathlib.Path) -> list[str]:
    with _opened(path) as file:
        return list(file.keys())


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[Any]:
    try:
        with safetensors.safe_open(path, framework="np") as file:
            yield file
    except (OSError, safetensors.SafetensorError) as error:
        raise UserError(
            f"--init_checkpoint {path}: not readable as safetensors ({error}). Download the "
            "file again."
        ) from error
