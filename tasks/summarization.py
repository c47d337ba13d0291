"""CNN/DailyMail of the paper's Table 3: T5's cnn_dailymail_v002 with ROUGE-L too."""

import functools

from t5.data import preprocessors

from mtf_synthesizer.tasks import recipes, text_metrics

recipes.add_text_to_text(
    "synthesizer_cnn_dailymail_v001",
    "cnn_dailymail:3.4.0",
    [functools.partial(preprocessors.summarize, article_key="article", summary_key="highlights")],
    [text_metrics.rouge],
)
