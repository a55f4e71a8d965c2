"""The reference has an entry for each public name, and each public name has an example."""

import importlib
import importlib.util
import inspect
import re

import pytest
from documents import DOCS, entries
from torch.nn import Module

import rnnkit

# Public names in modules that have no __all__: the module, and its public names.
MODULES = {
    "rnnkit.data.mnist": ("Mnist", "Split", "load"),
    "rnnkit.data.problems": ("adding", "copying"),
    "rnnkit.data.text.troubles": (
        "empty_outputs",
        "few_examples",
        "long_sources",
        "repeated_outputs",
        "repetition",
    ),
    "rnnkit.data.audio.command_texts": ("Command", "draw_commands", "spoken_number"),
    "rnnkit.data.audio.espeak": ("speak",),
    "rnnkit.data.audio.spoken_commands": ("CommandSettings", "make_commands"),
    "rnnkit.data.audio.spoken_words": ("SpokenWord", "make_words"),
    "rnnkit.diagnostics.activity": ("Activity",),
    "rnnkit.diagnostics.diagnosis": ("Diagnosis",),
    "rnnkit.diagnostics.gradients": ("GradientFlow",),
    "rnnkit.diagnostics.memory": ("Horizon",),
    "rnnkit.diagnostics.spectrum": ("Spectrum",),
    "rnnkit.interop.charrnn": ("CharModel",),
    "rnnkit.interop.g2p": ("Pronouncer", "letter_ids", "phoneme_ids"),
    "rnnkit.interop.torch_files": ("TorchLayers",),
    "rnnkit.interop.weight_files": ("read_weights",),
    "rnnkit.interop.formats": ("Format", "Report", "Request", "find_format"),
    "rnnkit.layers.accelerate": ("Acceleration",),
    "rnnkit.layers.picture_front": ("PictureFront",),
    "rnnkit.layers.graph.activations": ("Activation", "PReLU"),
    "rnnkit.layers.graph.cells": ("ActivatedGRUCell", "ActivatedLSTMCell", "ActivatedRNNCell"),
    "rnnkit.layers.graph.convolution": ("Convolution", "GlobalPooling", "Pooling", "TimeEdges", "UpSampling"),
    "rnnkit.layers.graph.dense": ("Dense", "Embedding", "Masking", "TimeDistributed"),
    "rnnkit.layers.graph.graph": ("Graph",),
    "rnnkit.layers.graph.merging": ("Merge",),
    "rnnkit.layers.graph.normalisation": ("BatchNormalisation", "LayerNormalisation", "Rescaling"),
    "rnnkit.layers.graph.operations": ("Operation",),
    "rnnkit.layers.graph.recurrent": ("BothDirections", "Recurrent"),
    "rnnkit.layers.graph.shapes": ("Flatten", "Noise", "Permute", "Repeat", "Reshape"),
    "rnnkit.layers.quantized": ("Quantization", "is_quantized", "quantizable"),
    "rnnkit.layers.stream": ("Stream",),
    "rnnkit.models.attention": ("Attention",),
    "rnnkit.models.adaptive_softmax": ("AdaptiveSoftmax",),
    "rnnkit.models.distributions": (
        "Distribution",
        "DistributionLoss",
        "Gaussian",
        "NegativeBinomial",
        "Point",
        "Quantile",
        "StudentT",
        "make_distribution",
    ),
    "rnnkit.models.forecast_stream": ("ForecastStream",),
    "rnnkit.models.plain_encoder_decoder": ("PlainEncoderDecoder",),
    "rnnkit.models.tagger": ("TaggerStream",),
    "rnnkit.ops.int8": ("quantise_rows", "quantise_weight"),
    "rnnkit.ops.gru": ("gru", "gru_reference", "gru_step"),
    "rnnkit.ops.lstm": ("coupled", "coupled_peephole", "lstm", "lstm_reference", "lstm_step"),
    "rnnkit.ops.conv_gru": ("conv_gru_step",),
    "rnnkit.ops.conv_lstm": ("conv_lstm_step",),
    "rnnkit.ops.set_matching": ("match_sets", "set_loss"),
    "rnnkit.ops.simple_rnn": ("simple_rnn", "simple_rnn_reference", "simple_rnn_step"),
    "rnnkit.ops.transducer": ("transducer_loss", "transducer_reference"),
    "rnnkit.ops.state": ("detach", "load", "reorder", "reset", "save"),
    "rnnkit.plotting.attention": ("attention_picture",),
    "rnnkit.plotting.page": ("Page", "Paragraph"),
    "rnnkit.recipes.base": ("Recipe",),
    "rnnkit.recipes.interface": ("Answerer", "DataRequest", "InspectionData", "TextAnswer", "TextModel"),
    "rnnkit.recipes.adding": ("Adding", "adding", "plain"),
    "rnnkit.recipes.classify": ("Classify", "classify"),
    "rnnkit.recipes.finetuning": ("FineTune",),
    "rnnkit.recipes.forecast_finetuning": ("ForecastFineTune",),
    "rnnkit.recipes.pretraining_worth": ("TransferFineTune",),
    "rnnkit.recipes.forecast": ("Forecast", "energy", "etth1", "forecast", "stocks", "weather"),
    "rnnkit.recipes.lm": ("Lm", "awd", "lm", "tang", "tinyshakespeare"),
    "rnnkit.recipes.intents": ("Intents", "intents", "snips"),
    "rnnkit.recipes.mnist": ("Mnist", "founding", "mnist", "permuted", "pixels", "rows_gated"),
    "rnnkit.recipes.ngram": ("Ngram", "ngram"),
    "rnnkit.recipes.pretrain": ("Pretrain", "pretrain"),
    "rnnkit.recipes.regress": ("Regress", "regress"),
    "rnnkit.recipes.sound_classify": ("SoundClassify", "sound_classify"),
    "rnnkit.recipes.speech": ("Speech", "speech"),
    "rnnkit.recipes.speech_digits": ("SpeechDigits", "speech_digits"),
    "rnnkit.recipes.summarize": ("Summarize", "summarize", "summarize_scitldr"),
    "rnnkit.recipes.translate": ("Translate", "translate", "translate_multi30k", "translate_tatoeba"),
    "rnnkit.recipes.text_classify": ("TextClassify", "text_classify"),
    "rnnkit.recipes.text_page": ("AttentionMap", "Picture", "Sample", "attention_of", "write_text_page"),
    "rnnkit.recipes.vad": ("Vad", "VadDigits", "vad", "vad_digits"),
    "rnnkit.serialization": ("read_config",),
    "rnnkit.tasks.classification": ("Classification",),
    "rnnkit.tasks.conformal": ("ConformalIntervals",),
    "rnnkit.tasks.forecast_backtest": ("Backtest", "backtest"),
    "rnnkit.tasks.forecast_baselines": ("NaiveForecasts", "score_naive", "score_windows", "verdict"),
    "rnnkit.tasks.forecast_climatology": ("Climatology",),
    "rnnkit.tasks.forecast_comparison": ("score_baselines",),
    "rnnkit.tasks.forecast_fine_tuning": ("FineTunedForecaster", "fine_tune_forecaster"),
    "rnnkit.tasks.forecast_findings": ("SeenForecasts", "tell_forecasts"),
    "rnnkit.tasks.forecast_linear_files": ("load_linear", "save_linear"),
    "rnnkit.tasks.forecast_linear": ("DLinear", "NLinear", "Ridge", "train_linear"),
    "rnnkit.tasks.forecast_report": ("Comparison",),
    "rnnkit.tasks.forecast_scores": ("ForecastScores", "ScoreSums", "pinball", "sample_crps", "seasonal_errors"),
    "rnnkit.tasks.forecasting": ("ForecastPredictor", "forecast_windows", "load_forecaster"),
    "rnnkit.tasks.intent_rows": ("IntentRows", "IntentVocabulary", "names_of"),
    "rnnkit.tasks.intents": ("IntentSlotObjective", "Understood", "ValidationScores", "scores", "understand"),
    "rnnkit.tasks.series_filling": (
        "FillingBatches",
        "FillingObjective",
        "Stretches",
        "filled",
        "interpolate",
        "score_filling",
    ),
    "rnnkit.tasks.series_stream": ("SeriesStream",),
    "rnnkit.tasks.span_scores": ("span_scores",),
    "rnnkit.recipes.spoken_intents": ("SpokenIntents", "spoken_intents"),
    "rnnkit.tasks.spoken_understanding": (
        "SpokenMeaning",
        "SpokenSlot",
        "SpokenUnderstanding",
        "UnderstandingScores",
        "score_understanding",
    ),
    "rnnkit.tasks.detection": ("Detector", "load_detector"),
    "rnnkit.tasks.detection_batches": ("detection_batches",),
    "rnnkit.tasks.detection_objectives": ("CellObjective", "CentreObjective"),
    "rnnkit.tasks.detection_scores": ("CountScores", "DetectionScores", "calibrate", "score_detections"),
    "rnnkit.tasks.score_calibration": (
        "Calibration",
        "calibration_bins",
        "calibration_error",
        "count_thresholds",
        "fit_calibration",
    ),
    "rnnkit.recipes.blood_cells": ("BloodCells", "blood_cells"),
    "rnnkit.recipes.detect": ("Detect", "detect"),
    "rnnkit.tasks.found_scores": (
        "ClassScores",
        "FoundScores",
        "Matches",
        "PrecisionRecall",
        "match_things",
        "score_found",
    ),
    "rnnkit.tasks.found_things": (
        "FoundThings",
        "TrueThings",
        "coco_dataset",
        "coco_results",
        "from_coco",
        "true_things",
    ),
    "rnnkit.plotting.found_things": ("DrawnThings", "found_things_picture"),
    "rnnkit.tasks.decoding_settings": ("CTCDecoding",),
    "rnnkit.data.idx_folder": ("IdxFolder", "IdxPart", "read_idx_folder"),
    "rnnkit.data.images.held": ("HeldPictures", "as_pixels"),
    "rnnkit.diagnostics.seen_pixels": ("ReceptiveField",),
    "rnnkit.recipes.classify_images": ("ClassifyImages", "classify_images"),
    "rnnkit.recipes.mnist_renet": ("MnistRenet", "mnist_renet"),
    "rnnkit.tasks.class_scores": ("ClassScores",),
    "rnnkit.tasks.picture_classes": ("PictureAnswer", "PictureNamer", "load_picture_namer"),
    "rnnkit.tasks.reading": ("Reader", "Reading", "load_reader"),
    "rnnkit.tasks.reading_batches": ("HeldLines", "LineBatches"),
    "rnnkit.tasks.recognition_batches": ("TokenBatches",),
    "rnnkit.tasks.recognition_scores": ("RecognitionScores", "align_units", "mistakes_of", "score_characters"),
    "rnnkit.data.digit_strings": ("DigitStrings",),
    "rnnkit.data.line_pictures": ("Line", "LineAugment", "prepare_line", "read_line"),
    "rnnkit.recipes.digit_strings": ("DigitStringsRun", "digit_strings"),
    "rnnkit.recipes.read": ("Read", "read"),
    "rnnkit.data.moving_digits": ("MovingDigits", "paths"),
    "rnnkit.ops.moved_frames": ("move_fields",),
    "rnnkit.recipes.moving_digits": ("MovingDigitsRun", "moving_digits"),
    "rnnkit.recipes.next_frames": ("NextFrames", "next_frames"),
    "rnnkit.recipes.video": ("Video", "video"),
    "rnnkit.tasks.frame_scores": ("FrameScores", "score_frames", "structural_similarity"),
    "rnnkit.tasks.next_frames": ("FramePredictor", "FrameStream", "load_frame_predictor"),
    "rnnkit.tasks.next_frames_batches": ("HeldVideos", "WindowBatches"),
    "rnnkit.tasks.video": ("ClipAnswer", "ClipClassifier", "ClipStream", "load_clip_classifier"),
    "rnnkit.tasks.video_batches": ("ClipBatches", "HeldClips"),
    "rnnkit.ops.pixel_loss": ("pixel_loss",),
    "rnnkit.plotting.class_maps": ("class_map_picture",),
    "rnnkit.recipes.instances": ("Instances", "Nuclei", "instances", "nuclei"),
    "rnnkit.recipes.segment": ("Segment", "segment"),
    "rnnkit.tasks.bowl_scores": ("BowlScores", "bowl_precision", "score_bowl"),
    "rnnkit.tasks.growing": ("Growing", "flood", "found_of", "grow", "shapes_of"),
    "rnnkit.tasks.pixel_scores": ("PixelScores", "otsu_map", "score_pixels"),
    "rnnkit.tasks.segmentation": ("PictureReading", "Segmented", "Segmenter", "load_segmenter"),
    "rnnkit.tasks.segmentation_batches": ("EncodePixels", "Parts", "PixelBatches"),
    "rnnkit.tasks.segmentation_settings": ("SegmenterDecoding", "ThingsDecoding"),
    "rnnkit.tasks.regression": ("Regression",),
    "rnnkit.tasks.series": ("SeriesPredictor", "classify", "load", "regress", "train_series"),
    "rnnkit.tasks.speech": ("Transcriber", "Transcript", "load_transcriber"),
    "rnnkit.tasks.speech_batches": ("HeldUtterances", "SpeechBatches", "SpeechFront"),
    "rnnkit.tasks.speech_joined": ("Gaps", "JoinedUtterances"),
    "rnnkit.tasks.speech_latency": ("Latency", "measure_latency", "real_time_factor", "streams_at_once"),
    "rnnkit.tasks.spoken_stream": ("SpokenStream",),
    "rnnkit.tasks.speech_long": ("joined", "spoken_pieces", "transcribe_long"),
    "rnnkit.tasks.speech_scores": ("score_speech",),
    "rnnkit.tasks.speech_settings": ("Decoding",),
    "rnnkit.tasks.speech_stream": ("Partial", "Recognizer"),
    "rnnkit.tasks.speech_words": ("Word",),
    "rnnkit.tasks.task": ("Task",),
    "rnnkit.tasks.text_scores": ("Scores", "summary_scores", "translation_scores"),
    "rnnkit.tasks.voice_activity": ("VoiceDetector", "load_voice_detector"),
    "rnnkit.tasks.voice_scenes": ("VoiceBatches", "VoicePieces", "VoiceScenes"),
    "rnnkit.tasks.voice_scores": ("VoiceTruth", "best_threshold", "frame_auc", "score_frames", "score_segments"),
    "rnnkit.tasks.voice_settings": ("Segmenting",),
    "rnnkit.tasks.voice_stream": ("Segmenter", "VoiceEvent", "VoiceSegment", "VoiceStream", "segments_of"),
    "rnnkit.training.dynamic_evaluation": ("dynamic_evaluation", "gradient_scale"),
    "rnnkit.training.objectives.cross_entropy": ("CrossEntropy",),
    "rnnkit.training.fine_tuning.report": ("FineTuningReport",),
    "rnnkit.training.reports.profile": ("Profile",),
    "rnnkit.training.reports.rate_finder": ("RateSweep",),
    "rnnkit.training.optimization.regularisation": ("Regularisation",),
    "rnnkit.training.reports.summary_table": ("Summary",),
}
PACKAGES = (
    "rnnkit",
    "rnnkit.data",
    "rnnkit.data.audio",
    "rnnkit.data.forecasting",
    "rnnkit.data.images",
    "rnnkit.data.shards",
    "rnnkit.data.video",
    "rnnkit.diagnostics",
    "rnnkit.finetuning",
    "rnnkit.generation",
    "rnnkit.interop",
    "rnnkit.interop.onnx",
    "rnnkit.interop.keras",
    "rnnkit.models",
    "rnnkit.training",
)


def public_names() -> dict[str, object]:
    """Paths of the public names -> the objects. A package's `__all__`, its estimators and errors, and `MODULES`."""
    paths = [f"{package}.{name}" for package in PACKAGES for name in importlib.import_module(package).__all__]
    paths += ["rnnkit.RNNClassifier", "rnnkit.RNNRegressor", "rnnkit.RNNForecaster"]
    paths += [f"rnnkit.errors.{name}" for name in vars(rnnkit.errors) if name.endswith("Error")]
    paths += [f"{module}.{name}" for module, names in MODULES.items() for name in names]
    found = {path: _resolve(path) for path in paths}
    return {path: value for path, value in found.items() if not inspect.ismodule(value)}


def _resolve(path):
    module, _, name = path.rpartition(".")
    parent = importlib.import_module(module)
    return getattr(parent, name) if hasattr(parent, name) else importlib.import_module(path)


def _home(path):
    """Where the object of a path is defined: one object may have several public paths."""
    value = _resolve(path)
    return f"{value.__module__}.{value.__qualname__}"


def _shown():
    """The entries that are no modules: of these a page shows the equations alone."""
    return [path for path in entries() if not inspect.ismodule(_resolve(path))]


def test_each_public_name_has_an_entry():
    shown = {_home(path) for path in _shown()}
    assert not [path for path in public_names() if _home(path) not in shown], "add `::: PATH` to docs/reference/"
    public = {_home(path) for path in public_names()}
    assert not [path for path in _shown() if _home(path) not in public], "not public: add it to MODULES here"


def test_each_entry_stands_once():
    text = [line for page in (DOCS / "reference").glob("*.md") for line in page.read_text().splitlines()]
    assert sum(line.startswith("::: ") for line in text) == len(entries())


# Errors have their example on their page; recipes are run by name.
WITHOUT_EXAMPLE = ("rnnkit.errors.", "rnnkit.recipes.")
# Classes that users get from a call -> the call, whose example shows the object.
RETURNED = {
    "rnnkit.interop.keras.KerasModel": "rnnkit.interop.keras.read_keras",
    "rnnkit.interop.charrnn.CharModel": "rnnkit.interop.read_charrnn",
    "rnnkit.interop.torch_files.TorchLayers": "rnnkit.interop.read_torch_layers",
    "rnnkit.data.audio.Scene": "rnnkit.data.audio.SceneMaker",
    "rnnkit.data.audio.SpokenClipSet": "rnnkit.data.audio.read_spoken_clips",
    "rnnkit.tasks.spoken_understanding.SpokenMeaning": "rnnkit.tasks.spoken_understanding.SpokenUnderstanding",
    "rnnkit.tasks.spoken_understanding.SpokenSlot": "rnnkit.tasks.spoken_understanding.SpokenUnderstanding",
    "rnnkit.tasks.spoken_understanding.UnderstandingScores": "rnnkit.tasks.spoken_understanding.score_understanding",
    "rnnkit.tasks.forecasting.load_forecaster": "rnnkit.tasks.forecasting.ForecastPredictor",
    "rnnkit.tasks.forecast_findings.SeenForecasts": "rnnkit.tasks.forecast_findings.tell_forecasts",
    "rnnkit.tasks.forecast_report.Comparison": "rnnkit.RNNForecaster",
    "rnnkit.tasks.forecast_backtest.Backtest": "rnnkit.tasks.forecast_backtest.backtest",
    "rnnkit.tasks.forecast_fine_tuning.FineTunedForecaster": "rnnkit.tasks.forecast_fine_tuning.fine_tune_forecaster",
    "rnnkit.data.forecasting.WindowSource": "rnnkit.data.forecasting.ForecastWindows",
    "rnnkit.tasks.forecast_scores.ForecastScores": "rnnkit.tasks.forecast_scores.ScoreSums",
    "rnnkit.tasks.text_scores.Scores": "rnnkit.tasks.text_scores.translation_scores",
    "rnnkit.data.mnist.Mnist": "rnnkit.data.mnist.load",
    "rnnkit.data.mnist.Split": "rnnkit.data.mnist.load",
    "rnnkit.data.audio.audio_info": "rnnkit.data.audio.AudioInfo",
    "rnnkit.data.audio.ClipString": "rnnkit.data.audio.join_clips",
    "rnnkit.data.audio.ClipStrings": "rnnkit.data.audio.join_clips",
    "rnnkit.tasks.pixel_scores.PixelScores": "rnnkit.tasks.pixel_scores.score_pixels",
    "rnnkit.tasks.detection.load_detector": "rnnkit.tasks.detection.Detector",
    "rnnkit.tasks.detection_scores.CountScores": "rnnkit.tasks.detection_scores.score_detections",
    "rnnkit.tasks.detection_scores.DetectionScores": "rnnkit.tasks.detection_scores.score_detections",
    "rnnkit.tasks.found_scores.ClassScores": "rnnkit.tasks.found_scores.score_found",
    "rnnkit.tasks.found_scores.FoundScores": "rnnkit.tasks.found_scores.score_found",
    "rnnkit.tasks.found_scores.Matches": "rnnkit.tasks.found_scores.match_things",
    "rnnkit.tasks.found_scores.PrecisionRecall": "rnnkit.tasks.found_scores.score_found",
    "rnnkit.tasks.found_things.true_things": "rnnkit.tasks.found_things.TrueThings",
    "rnnkit.plotting.found_things.DrawnThings": "rnnkit.plotting.found_things.found_things_picture",
    "rnnkit.data.images.PictureBatch": "rnnkit.data.images.PictureBatches",
    "rnnkit.data.images.PictureInfo": "rnnkit.data.images.picture_info",
    "rnnkit.data.images.read_split": "rnnkit.data.images.write_split",
    "rnnkit.data.ParallelTexts": "rnnkit.data.read_parallel_texts",
    "rnnkit.data.TextParts": "rnnkit.data.divide_texts",
    "rnnkit.data.TextReport": "rnnkit.data.text_report",
    "rnnkit.diagnostics.activity.Activity": "rnnkit.diagnostics.saturation",
    "rnnkit.diagnostics.diagnosis.Diagnosis": "rnnkit.diagnose",
    "rnnkit.diagnostics.gradients.GradientFlow": "rnnkit.diagnostics.gradient_flow",
    "rnnkit.diagnostics.memory.Horizon": "rnnkit.diagnostics.horizon",
    "rnnkit.diagnostics.spectrum.Spectrum": "rnnkit.diagnostics.spectra",
    "rnnkit.interop.formats.Format": "rnnkit.interop.formats.find_format",
    "rnnkit.interop.formats.Report": "rnnkit.interop.formats.find_format",
    "rnnkit.interop.formats.Request": "rnnkit.interop.formats.find_format",
    "rnnkit.interop.onnx.Deviation": "rnnkit.interop.onnx.export",
    "rnnkit.interop.onnx.Exported": "rnnkit.interop.onnx.export",
    "rnnkit.interop.onnx.Quantised": "rnnkit.interop.onnx.export",
    "rnnkit.layers.accelerate.Acceleration": "rnnkit.accelerate",
    "rnnkit.layers.quantized.Quantization": "rnnkit.layers.quantized.quantizable",
    "rnnkit.models.distributions.Distribution": "rnnkit.models.distributions.Gaussian",
    "rnnkit.plotting.page.Paragraph": "rnnkit.plotting.page.Page",
    "rnnkit.data.idx_folder.IdxFolder": "rnnkit.data.idx_folder.read_idx_folder",
    "rnnkit.data.idx_folder.IdxPart": "rnnkit.data.idx_folder.read_idx_folder",
    "rnnkit.diagnostics.seen_pixels.ReceptiveField": "rnnkit.diagnostics.receptive_field",
    "rnnkit.tasks.task.Task": "rnnkit.tasks.classification.Classification",
    "rnnkit.data.line_pictures.Line": "rnnkit.data.line_pictures.prepare_line",
    "rnnkit.tasks.recognition_batches.TokenBatches": "rnnkit.tasks.reading_batches.LineBatches",
    "rnnkit.data.video.ClipInfo": "rnnkit.data.video.clip_info",
    "rnnkit.tasks.frame_scores.FrameScores": "rnnkit.tasks.frame_scores.score_frames",
    "rnnkit.tasks.frame_scores.structural_similarity": "rnnkit.tasks.frame_scores.score_frames",
    "rnnkit.tasks.next_frames.FrameStream": "rnnkit.tasks.next_frames.FramePredictor",
    "rnnkit.tasks.video.ClipStream": "rnnkit.tasks.video.ClipClassifier",
    "rnnkit.tasks.series.train_series": "rnnkit.tasks.series.classify",
    "rnnkit.tasks.series.SeriesPredictor": "rnnkit.tasks.series.classify",
    "rnnkit.training.Execution": "rnnkit.Learner",
    "rnnkit.training.LearnerConfig": "rnnkit.Learner",
    "rnnkit.training.Objective": "rnnkit.training.HorizonObjective",
    "rnnkit.training.Run": "rnnkit.Callback",
    "rnnkit.training.Score": "rnnkit.training.HorizonObjective",
    "rnnkit.training.dynamic_evaluation.gradient_scale": "rnnkit.training.dynamic_evaluation.dynamic_evaluation",
    "rnnkit.training.reports.summary_table.Summary": "rnnkit.summary",
}


@pytest.mark.parametrize("path", [path for path in public_names() if not path.startswith(WITHOUT_EXAMPLE)])
def test_each_public_name_has_a_docstring_with_an_example(path):
    assert (inspect.getdoc(_resolve(path)) or "").split("\n")[0].strip(), path
    assert ">>> " in inspect.getdoc(_resolve(RETURNED.get(path, path))), f"{path} has no example"


def test_layers_and_models_give_their_shapes():
    classes = [
        one for one in map(rnnkit.__getattr__, rnnkit.__all__) if inspect.isclass(one) and issubclass(one, Module)
    ]
    assert len(classes) > 40
    assert not [one.__name__ for one in classes if not re.search(r"Shapes|\[B\b", inspect.getdoc(one) or "")]
