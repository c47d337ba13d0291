"""What holds for all tests: quiet, caches in the checkout, and the imports of the command line."""

import gc
import os
import pathlib

import hypothesis
import pytest

from mtf_synthesizer.runtime import late_imports

ROOT = pathlib.Path(__file__).resolve().parent.parent
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MTF_SYNTHESIZER_CACHE", str(ROOT / "runs" / "cache"))
os.environ.setdefault("MTF_SYNTHESIZER_MATMUL_PRECISION", "float32")
os.environ.setdefault("MPLCONFIGDIR", str(ROOT / "runs" / "cache" / "matplotlib"))

late_imports.install()
import mtf_synthesizer.runtime.compat  # noqa: E402  (before any test imports Mesh or T5)

import quick_graphs  # noqa: E402  (before the package takes the Estimator's session options)

quick_graphs.install()
import mtf_synthesizer.upstream.vocabulary  # noqa: E402  (T5's tasks ask for theirs on import)

# The first example builds a TensorFlow graph or imports something; time per example says nothing.
# The same examples every time; with --hypothesis-profile=long many, and others each time.
for _name, _settings in {
    "here": {"derandomize": True},
    "long": {"max_examples": 2000},
}.items():
    hypothesis.settings.register_profile(
        _name,
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
        **_settings,
    )
hypothesis.settings.load_profile("here")


def pytest_addoption(parser):
    parser.addoption(
        "--quick", action="store_true", help="the first case of each test that is not marked slow"
    )


def pytest_collection_modifyitems(config, items):
    if not config.getoption("quick"):
        return
    first = {}
    for item in items:
        if not item.get_closest_marker("slow"):
            first.setdefault((item.path, item.cls, item.originalname), item)
    kept = set(first.values())
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


def pytest_collection_finish():
    """Garbage collection looks at new objects only, and rarely: a fifth of the time of a graph.

    The modules that are loaded now are half a million objects, which every full collection visits.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="module")
def eager():
    """Eager execution, which T5's entry points switch off for the rest of their process."""
    from tensorflow.python.eager import context

    with context.eager_mode():
        yield


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """The folder of real sample files, which is not part of the project."""
    folder = pathlib.Path(os.environ.get("MTF_SYNTHESIZER_TEST_DATA", ROOT.parent / "shared/data"))
    if not folder.is_dir():
        pytest.skip(f"no sample files in {folder} (MTF_SYNTHESIZER_TEST_DATA says where they are)")
    return folder
