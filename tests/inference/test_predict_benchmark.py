"""Settings of the predictions of a benchmark, which a later call compares."""

import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.config.request import Request
from mtf_synthesizer.files import paths, saving
from mtf_synthesizer.inference import predict, predict_benchmark
from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.submissions.glue import GLUE


@pytest.mark.parametrize("edited", ["mine.gin", "included.gin"])
def test_a_gin_file_that_was_edited_is_noticed(edited, tmp_path, monkeypatch):
    """By its content: the name of the file is the same."""
    monkeypatch.setattr(Checkpoint, "fingerprint", "f")
    mine, folder = tmp_path / "mine.gin", paths.of(tmp_path / "predictions")
    request = Request(gin_files=[str(mine), "beam_search.gin"])

    def settings():
        return predict_benchmark._settings(
            GLUE,
            request,
            predict.PredictOptions(output=folder),
            Checkpoint("model.ckpt-3", 3),
        )

    (tmp_path / "included.gin").write_text("Bitransformer.decode.alpha = 0.5\n")
    mine.write_text(f"include '{tmp_path / 'included.gin'}'\nBitransformer.decode.beam_size = 2\n")
    saving.write_json(folder / predict_benchmark.SETTINGS, settings())
    saving.write_text(folder / "glue_rte_v002.jsonl", "")
    predict_benchmark._check_settings(folder, settings())
    (tmp_path / edited).write_text("Bitransformer.decode.beam_size = 3\n")
    with pytest.raises(errors.UserError, match="of other settings: gin_file_sha256"):
        predict_benchmark._check_settings(folder, settings())
