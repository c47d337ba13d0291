"""One test for each shim and each check: what it does where the symbol is missing, and where not.

The shims are run on small fake modules, so that both cases are tested whatever TensorFlow is
installed; the last test runs all of them on the real one.
"""

import importlib
import sys
import types

import pytest

from mtf_synthesizer.runtime import compat


@pytest.fixture
def fake(monkeypatch):
    """Puts a fake module into `sys.modules` for one test: fake(name, **attributes)."""

    def put(name: str, **attributes) -> types.ModuleType:
        module = types.ModuleType(name)
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, name, module)
        return module

    return put


@pytest.fixture
def lacking(monkeypatch, fake):
    """Makes modules look as if TensorFlow had never had them; undone after the test."""

    def remove(parent: str, *leaves: str) -> types.ModuleType:
        package = fake(parent, __path__=[])
        for leaf in leaves:
            # Set first, so that monkeypatch puts back what was there even if a shim sets it.
            monkeypatch.setitem(sys.modules, f"{parent}.{leaf}", None)
            del sys.modules[f"{parent}.{leaf}"]
        return package

    return remove


def test_tensor_conversion_is_taken_from_where_it_moved(fake):
    ops = fake("tensorflow.python.framework.ops")
    name = "tensorflow.python.framework.tensor_conversion_registry"
    registry = fake(name, register_tensor_conversion_function=object())
    compat.restore_tensor_conversion()
    assert ops.register_tensor_conversion_function is registry.register_tensor_conversion_function


def test_tensor_conversion_is_left_alone_where_it_exists(fake):
    real = object()
    ops = fake("tensorflow.python.framework.ops", register_tensor_conversion_function=real)
    compat.restore_tensor_conversion()
    assert ops.register_tensor_conversion_function is real


def _fake_tf_export(fake, **attributes):
    return fake(
        "tensorflow.python.util.tf_export",
        API_ATTRS={},
        API_ATTRS_V1={},
        _Attributes=lambda names, constants: (names, constants),
        **attributes,
    )


def test_estimator_export_entries_are_put_back(fake):
    tf_export = _fake_tf_export(fake)
    compat.restore_estimator_export()
    assert tf_export.ESTIMATOR_API_NAME == "estimator"
    names = ("_estimator_api_names", "_estimator_api_constants")
    assert tf_export.API_ATTRS["estimator"] == names
    names_v1 = ("_estimator_api_names_v1", "_estimator_api_constants_v1")
    assert tf_export.API_ATTRS_V1["estimator"] == names_v1


def test_estimator_export_is_left_alone_where_it_exists(fake):
    tf_export = _fake_tf_export(fake, ESTIMATOR_API_NAME="own")
    compat.restore_estimator_export()
    assert (tf_export.ESTIMATOR_API_NAME, tf_export.API_ATTRS) == ("own", {})


def test_estimator_training_runs_no_coordinator_and_refuses_the_rest(lacking):
    package = lacking("tensorflow.python.distribute", "estimator_training")
    compat.restore_estimator_training()
    stand_in = importlib.import_module("tensorflow.python.distribute.estimator_training")
    assert package.estimator_training is stand_in
    assert stand_in.should_run_distribute_coordinator(object()) is False
    with pytest.raises(NotImplementedError, match=r"estimator_train .* 2\.12 to 2\.15"):
        stand_in.estimator_train(1, key=2)


def test_tpu_modules_import_and_their_classes_refuse_to_be_made(lacking):
    leaves = ("session_support", "tpu_embedding", "tpu_embedding_gradient")
    package = lacking("tensorflow.python.tpu", *leaves)
    compat.restore_tpu_modules()
    for leaf in leaves:
        assert getattr(package, leaf) is sys.modules[f"tensorflow.python.tpu.{leaf}"]
    with pytest.raises(NotImplementedError, match=r"AdamParameters .* TPUs need"):
        package.tpu_embedding.AdamParameters(0.1)


@pytest.mark.parametrize(
    ("module", "shim"),
    [
        ("tensorflow.python.distribute.estimator_training", compat.restore_estimator_training),
        ("tensorflow.python.tpu.session_support", compat.restore_tpu_modules),
        ("tensorflow.python.tpu.tpu_embedding", compat.restore_tpu_modules),
        ("tensorflow.python.tpu.tpu_embedding_gradient", compat.restore_tpu_modules),
        ("tensorflow.python.tpu.tpu_config", compat.restore_tpu_estimator),
        ("tensorflow.python.tpu.tpu_estimator", compat.restore_tpu_estimator),
    ],
)
def test_modules_are_left_alone_where_they_exist(fake, module, shim):
    real = fake(module)
    shim()
    assert sys.modules[module] is real


def test_tpu_estimator_is_the_one_of_the_estimator_wheel(lacking, fake):
    package = lacking("tensorflow.python.tpu", "tpu_config", "tpu_estimator")
    wheel = "tensorflow_estimator.python.estimator.tpu"
    config, estimator = fake(f"{wheel}.tpu_config"), fake(f"{wheel}.tpu_estimator")
    compat.restore_tpu_estimator()
    assert (package.tpu_config, package.tpu_estimator) == (config, estimator)
    assert sys.modules["tensorflow.python.tpu.tpu_estimator"] is estimator


def _fake_tensorflow(fake, **attributes):
    """tensorflow, its attribute compat.v1, and the other object that `import` gives for that."""
    attribute_v1 = types.ModuleType("v1")
    tf = fake("tensorflow", compat=types.SimpleNamespace(v1=attribute_v1), **attributes)
    imported_v1 = fake("tensorflow.compat.v1")
    apis = {api: fake(f"tensorflow_estimator._api.{api}.estimator") for api in ("v1", "v2")}
    return tf, attribute_v1, imported_v1, apis


def test_estimator_api_is_set_on_every_object_that_had_it(fake):
    tf, attribute_v1, imported_v1, apis = _fake_tensorflow(fake)
    compat.restore_estimator_api()
    assert tf.estimator is apis["v2"]
    assert attribute_v1.estimator is apis["v1"]
    assert imported_v1.estimator is apis["v1"]


def test_estimator_api_is_left_alone_where_it_exists(fake):
    tf, *_ = _fake_tensorflow(fake, estimator="real")
    compat.restore_estimator_api()
    assert tf.estimator == "real"


def test_hf_model_stand_in_says_what_it_lacks(monkeypatch):
    monkeypatch.setitem(sys.modules, "t5.models.hf_model", None)
    del sys.modules["t5.models.hf_model"]
    monkeypatch.setattr(compat, "_exists", lambda name: False)
    compat.stand_in_for_hf_model()
    with pytest.raises(NotImplementedError, match="PyTorch"):
        sys.modules["t5.models.hf_model"].HfPyTorchModel("t5-small", "/tmp", "cpu")


def test_hf_model_is_t5s_own_where_torch_is_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "t5.models.hf_model", None)
    del sys.modules["t5.models.hf_model"]
    monkeypatch.setattr(compat, "_exists", lambda name: name == "torch")
    compat.stand_in_for_hf_model()
    assert "t5.models.hf_model" not in sys.modules


def _fake_field(fake, *, label=None, **flags):
    """A field of a fake descriptor as protobuf 7 has them, or with a label as before."""
    constants = {"LABEL_OPTIONAL": 1, "LABEL_REQUIRED": 2, "LABEL_REPEATED": 3}
    kind = type("FieldDescriptor", (), {**constants, **({"label": label} if label else {})})
    field = kind()
    vars(field).update({"is_repeated": False, "is_required": False, **flags})
    message = types.SimpleNamespace(DESCRIPTOR=types.SimpleNamespace(fields=[field]))
    fake("google.protobuf.descriptor_pb2", FileDescriptorProto=message)
    return field


@pytest.mark.parametrize(
    ("flags", "label"), [({}, 1), ({"is_required": True}, 2), ({"is_repeated": True}, 3)]
)
def test_fields_of_protobuf_have_their_label_again(fake, flags, label):
    field = _fake_field(fake, **flags)
    compat.restore_field_label()
    assert field.label == label


def test_label_of_a_field_is_left_alone_where_it_exists(fake):
    field = _fake_field(fake, label=2)
    compat.restore_field_label()
    assert field.label == 2


def test_gin_looks_on_where_a_folder_is_named_like_the_path(tmp_path, monkeypatch):
    """A folder `runs` in the working directory doesn't hide `runs/some.gin` on the search path."""
    import gin

    folders = ["runs_of_this_test", "elsewhere/runs_of_this_test"]
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folders[1] / "some.gin").write_text("rows_of_this_test = 13", "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(gin.config, "_LOCATION_PREFIXES", ["", str(tmp_path / "elsewhere")])
    with gin.unlock_config():
        gin.parse_config_file("runs_of_this_test/some.gin")
        assert gin.query_parameter("%rows_of_this_test") == 13
        with pytest.raises(OSError):
            gin.parse_config_file("runs_of_this_test/none.gin")
        gin.clear_config()
    before = list(gin.config._FILE_READERS)
    compat.tolerate_folders_named_like_gin_paths()
    assert list(gin.config._FILE_READERS) == before


@pytest.mark.parametrize("version", ["2.12.0", "2.15.1", "2.21.0", "2.21.0-rc1"])
def test_supported_tensorflow_passes(version):
    compat.check_tensorflow(version)


@pytest.mark.parametrize("version", ["1.15.5", "2.11.1", "2.22.0", "3.0.0"])
def test_unsupported_tensorflow_is_one_sentence_with_the_way_out(version):
    with pytest.raises(compat.UnsupportedInstallationError) as error:
        compat.check_tensorflow(version)
    message = str(error.value)
    assert version in message and "2.12 to 2.21" in message and "pip install" in message
    assert "\n" not in message


def _find_datasets_in(monkeypatch, *folders):
    spec = types.SimpleNamespace(submodule_search_locations=[str(folder) for folder in folders])
    monkeypatch.setattr(compat.importlib.util, "find_spec", lambda name: spec)


def test_whole_datasets_folder_passes(monkeypatch, tmp_path):
    (tmp_path / "core").mkdir()
    (tmp_path / "__init__.py").touch()
    _find_datasets_in(monkeypatch, tmp_path)
    compat.check_datasets()


@pytest.mark.parametrize("left", ["__init__.py", "core", "translate"])
def test_half_installed_datasets_is_one_sentence_with_the_way_out(monkeypatch, tmp_path, left):
    (tmp_path / left).mkdir()
    _find_datasets_in(monkeypatch, tmp_path)
    with pytest.raises(compat.UnsupportedInstallationError) as error:
        compat.check_datasets()
    message = str(error.value)
    assert "incomplete" in message and "pip install --force-reinstall" in message
    assert "\n" not in message


def test_missing_datasets_says_what_to_install(monkeypatch):
    monkeypatch.setattr(compat.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(compat.UnsupportedInstallationError, match="missing: pip install"):
        compat.check_datasets()


def test_everything_t5_needs_is_there_and_a_second_time_changes_nothing():
    import tensorflow as tf
    import tensorflow.compat.v1 as tf1
    from tensorflow.python.framework import ops
    from tensorflow.python.tpu import tpu_config, tpu_estimator

    def found():
        return (
            tf.estimator,
            tf.compat.v1.estimator,
            tf1.estimator,
            tpu_config.TPUConfig,
            tpu_estimator.TPUEstimator,
            ops.register_tensor_conversion_function,
            sys.modules.get("t5.models.hf_model"),
        )

    before = found()
    compat.apply()
    assert all(a is b for a, b in zip(found(), before, strict=True))
    assert tf1.estimator.ModeKeys.TRAIN == "train"
    assert issubclass(tpu_estimator.TPUEstimator, tf1.estimator.Estimator)
