"""A user's mixture of T5's own tasks."""

import mtf_synthesizer.runtime.compat

import pytest
import seqio

from mtf_synthesizer import errors
from mtf_synthesizer.upstream import session


def test_a_mixture_may_name_t5s_tasks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "import seqio\nseqio.MixtureRegistry.add('mixture_of_{}', ['{}'], default_rate=1)\n"
    (tmp_path / "mixture_of_t5.py").write_text(text.format("t5", "glue_cola_v002"))
    (tmp_path / "mixture_of_none.py").write_text(text.format("none", "absent_task"))
    try:
        session.import_modules(["mixture_of_t5"])
        found = seqio.get_mixture_or_task("mixture_of_t5")
        assert [task.name for task in seqio.get_subtasks(found)] == ["glue_cola_v002"]
    finally:
        seqio.MixtureRegistry.remove("mixture_of_t5")
    with pytest.raises(errors.UserError, match=r"mixture_of_none fails: ValueError: .*absent_task"):
        session.import_modules(["mixture_of_none"])
