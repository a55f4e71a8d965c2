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
    "mean_iou": "mean IoU of the classes",
    "mean_dice": "mean Dice of the classes",
    "foreground_iou": "IoU of the foreground",
    "picture_iou": "IoU of the foreground, mean over the pictures",
    "otsu_iou": "IoU of the foreground by Otsu's threshold",
    "otsu_picture_iou": "IoU of the foreground by Otsu's threshold, mean over the pictures",
    "bowl_ap50": "things, Data Science Bowl, IoU 0.5",
    "bowl_map": "things, Data Science Bowl, IoU 0.5 to 0.95",
    "coco_map50": "things, COCO mAP, IoU 0.5",
    "coco_map75": "things, COCO mAP, IoU 0.75",
    "coco_map": "things, COCO mAP, IoU 0.5 to 0.95",
    "map50": "mean average precision at IoU 0.5",
    "map75": "mean average precision at IoU 0.75",
    "map": "mean average precision over IoU 0.5 to 0.95",
    "ece": "calibration error of scores",
    "latency_median": "median latency in seconds",
    "latency_worst_tenth": "latency in seconds that 9 of 10 words stay below",
}


def figure_name(name: str) -> str:
    """Return the name of a figure as people write it.

    Example:
        >>> figure_name("rougeL"), figure_name("bits_per_byte")
        ('ROUGE-L', 'bits per byte')
    """
    if name.startswith("ap50_"):  # of a class, whose name stays as it is
        return f"average precision at IoU 0.5 of {name.removeprefix('ap50_')}"
    if name.startswith("count_error_"):
        return f"mean error of counts of {name.removeprefix('count_error_')}"
    return _TITLES.get(name) or name.replace("_", " ")
