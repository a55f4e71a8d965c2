"""How figures are called in reports: their names in metrics are those of code."""

from __future__ import annotations

_TITLES = {
    "bleu": "BLEU",
    "chrf": "chrF",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "slot_f1": "slot F1",
    "macro_f1": "macro F1",
    "wer": "word error rate",
    "cer": "character error rate",
    "squares": "sum of squares of a frame",
    "first_squares": "sum of squares of the first frame",
    "ssim": "SSIM",
    "zero_squares": "sum of squares of black frames",
    "last_frame_squares": "sum of squares of the last frame copied",
    "last_frame_ssim": "SSIM of the last frame copied",
    "latency_median": "median latency in seconds",
    "latency_worst_tenth": "latency in seconds that 9 of 10 words stay below",
}


def figure_name(name: str) -> str:
    """Return the name of a figure as people write it.

    Example:
        >>> figure_name("rougeL"), figure_name("bits_per_byte")
        ('ROUGE-L', 'bits per byte')
    """
    return _TITLES.get(name) or name.replace("_", " ")
