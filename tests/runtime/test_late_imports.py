"""Modules are loaded late, are the real thing when used, and run in their ordinary order.

In subprocesses, because a finder and half-loaded modules have no place in the tests' own process.
"""

import subprocess
import sys
import textwrap

import pytest

PACKAGE = {
    "heavy/__init__.py": "import heavy.first, heavy.second\nVERSION = 7\nORDER.append('heavy')",
    "heavy/first.py": "from heavy.second import TWO\nONE = TWO - 1\nORDER.append('first')",
    "heavy/second.py": "TWO = 2\nORDER.append('second')",
    "heavy/sub/__init__.py": "from heavy.sub.leaf import LEAF\nORDER.append('sub')",
    "heavy/sub/leaf.py": "from heavy import VERSION\nLEAF = VERSION\nORDER.append('leaf')",
    "heavy/broken.py": "raise ImportError('no such library')",
}
PREAMBLE = """
import builtins, sys
from mtf_synthesizer.runtime import late_imports
builtins.ORDER = []
late_imports.LATE = frozenset({"heavy"})
late_imports.install()
late_imports.install()
assert sum(type(f).__name__ == "_Finder" for f in sys.meta_path) == 1
"""


def run_python(code: str, cwd) -> None:
    command = [sys.executable, "-c", PREAMBLE + textwrap.dedent(code)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def heavy(tmp_path):
    for name, source in PACKAGE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, "utf-8")
    return tmp_path


def test_importing_runs_nothing(heavy):
    code = """
    import heavy.sub.leaf as leaf, heavy.first
    from heavy import second
    from heavy.sub import leaf as again
    assert leaf is again is sys.modules["heavy.sub.leaf"]
    assert ORDER == []
    """
    run_python(code, heavy)


def test_using_a_leaf_runs_its_parents_first_and_each_module_once(heavy):
    code = """
    import heavy, heavy.first, heavy.sub.leaf as leaf
    sub = heavy.sub
    assert leaf.LEAF == 7
    assert ORDER == ["second", "first", "heavy", "leaf", "sub"], ORDER
    assert heavy.first.ONE == 1 and sub.LEAF == 7 and sys.modules["heavy.sub"] is sub
    assert len(ORDER) == 5
    """
    run_python(code, heavy)


def test_a_module_that_was_run_is_an_ordinary_one(heavy):
    code = """
    import importlib, types, heavy.first as first
    held = first
    assert held.ONE == 1
    assert type(held) is types.ModuleType and sys.modules["heavy.first"] is held
    assert type(held.__loader__).__name__ == "SourceFileLoader"
    assert held.__spec__.loader is held.__loader__ and held.__file__.endswith("first.py")
    assert importlib.reload(held).ONE == 1
    """
    run_python(code, heavy)


def test_unused_siblings_stay_late(heavy):
    code = """
    import heavy, heavy.sub, heavy.first
    assert heavy.VERSION == 7
    assert ORDER == ["second", "first", "heavy"], ORDER
    assert heavy.sub.LEAF == 7
    """
    run_python(code, heavy)


def test_missing_names_and_modules_fail_as_usual(heavy):
    code = """
    import importlib, heavy
    for use, error in [
        (lambda: heavy.nothing, AttributeError),
        (lambda: importlib.import_module("heavy.nothing"), ModuleNotFoundError),
        (lambda: importlib.import_module("heavy.broken"), ImportError),
    ]:
        try:
            use()
        except error:
            pass
        else:
            raise AssertionError(error)
    assert heavy.VERSION == 7
    """
    run_python(code, heavy)


def test_a_module_that_fails_to_run_fails_again_and_is_not_half_made(heavy):
    code = """
    import heavy.broken
    for _ in range(2):
        try:
            heavy.broken.anything
        except ImportError as error:
            assert "no such library" in str(error)
        else:
            raise AssertionError
    """
    run_python(code, heavy)


def test_late_functions_run_their_module_when_called(heavy):
    code = """
    late_imports.LATE_FUNCTIONS = frozenset({("heavy.call", "double")})
    open("heavy/call.py", "w").write("def double(x): return 2 * x")
    from heavy.call import double
    assert ORDER == []
    assert double(x=4) == 8 and ORDER[-1] == "heavy"
    """
    run_python(code, heavy)


INDEX = '''"""An index."""
from heavy.first import ONE
from heavy.second import TWO as ZWEI
from heavy.index import deeper
import sys as _sys
EXTRA = "set by code"
'''


def test_api_index_imports_a_name_when_it_is_used(heavy):
    (heavy / "heavy/index/deeper").mkdir(parents=True)
    (heavy / "heavy/index/__init__.py").write_text(INDEX, "utf-8")
    (heavy / "heavy/index/deeper/__init__.py").write_text("from heavy.second import TWO", "utf-8")
    code = """
    import re
    late_imports.LATE = frozenset()
    late_imports.API_INDEXES = re.compile(r"heavy\\.index(\\..+)?")
    import heavy.index as index
    ORDER.append("imported")
    assert set(dir(index)) >= {"ONE", "ZWEI", "deeper"} and "EXTRA" not in vars(index)
    assert (index.ONE, index.ZWEI, index.deeper.TWO) == (1, 2, 2)
    assert not hasattr(index, "__wrapped__") and type(index) is late_imports.ApiIndex
    assert index.EXTRA == "set by code"
    assert not hasattr(index, "nothing")
    """
    run_python(code, heavy)


@pytest.mark.slow
def test_t5_imports_without_the_heavy_packages_and_they_work_when_used(tmp_path):
    code = """
    import importlib, types
    sys.modules.pop("mtf_synthesizer.runtime.late_imports")
    sys.meta_path[:] = [f for f in sys.meta_path if type(f).__name__ != "_Finder"]
    from mtf_synthesizer.runtime import late_imports
    late_imports.install()
    import mtf_synthesizer.runtime.compat
    import t5.models.mesh_transformer_main
    import tensorflow as tf
    late = sorted(
        name for name in late_imports.LATE
        if name in sys.modules and type(sys.modules[name]) is not late_imports.LateModule
    )
    assert set(late) <= {"scipy"}, late
    assert tf.keras.layers.Dense(3)(tf.zeros([2, 5])).shape == (2, 3)
    assert tf.lite.Optimize.DEFAULT is not None
    assert tf.estimator.DNNClassifier.__name__.startswith("DNNClassifier")

    from t5.evaluation import metrics
    assert metrics.spearman_corrcoef([1, 2, 3], [1, 2, 3])["spearman_corrcoef"] > 99.9
    matthews = metrics.sklearn_metrics_wrapper("matthews_corrcoef")
    assert matthews([0, 1, 1], [0, 1, 1])["matthews_corrcoef"] == 1
    assert metrics.bleu(["a b c d e"], ["a b c d e"])["bleu"] > 99.9
    assert metrics.rouge(["a b c"], ["a b c"])["rouge1"] > 99.9
    import pandas, matplotlib.pyplot
    assert pandas.DataFrame({"a": [1]}).a.sum() == 1
    """
    run_python(code, tmp_path)
