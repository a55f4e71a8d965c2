"""rnnkit: train, fine-tune, understand and deploy recurrent neural networks on PyTorch.

Names are resolved when they are first used, so that ``import rnnkit`` costs nothing beside torch, and help and the
command line need no torch at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._lazy import lazy_names

if TYPE_CHECKING:
    from . import data, diagnostics, finetuning, generation, models, ops
    from . import estimators as estimators
    from .diagnostics.diagnosis import diagnose
    from .diagnostics.updates import Diagnostics
    from .estimators.classifier import RNNClassifier as RNNClassifier
    from .estimators.forecaster import RNNForecaster as RNNForecaster
    from .estimators.regressor import RNNRegressor as RNNRegressor
    from .finetuning.adapters import LoRA
    from .layers.accelerate import accelerate
    from .layers.augment import SeriesAugment
    from .layers.beside import Beside
    from .layers.causal_conv import CausalConv
    from .layers.cells import GRUCell, LSTMCell, SimpleRNNCell
    from .layers.chain import Chain, PerStep
    from .layers.conv import ConvFront
    from .layers.conv_context import ConvContext
    from .layers.conv_gru import ConvGRU, ConvGRUCell
    from .layers.conv_lstm import ConvLSTM, ConvLSTMCell
    from .layers.crf import CRF
    from .layers.dropout import Embedding, VariationalDropout
    from .layers.frame_front import FrameFront
    from .layers.gru import GRU
    from .layers.initialisation import chrono_
    from .layers.instance_norm import ReversibleNorm
    from .layers.line_front import LineFront
    from .layers.lstm import LSTM
    from .layers.picture_warp import PictureWarp
    from .layers.pixels import PixelFront
    from .layers.quantized import quantize
    from .layers.renet import ReNet
    from .layers.rnn import RNN
    from .layers.sequence_module import SequenceModule
    from .layers.simple_rnn import SimpleRNN
    from .layers.to_torch import to_torch
    from .layers.word_front import WordFront
    from .models.attention_recognizer import AttentionRecognizer
    from .models.cell_detector import CellDetector
    from .models.centre_detector import CentreDetector
    from .models.classifier import SequenceClassifier
    from .models.encoder_decoder import EncoderDecoder
    from .models.forecast_deepar import DeepAR
    from .models.forecast_direct import DirectForecaster
    from .models.forecast_encoder_decoder import EncoderDecoderForecaster
    from .models.forecast_segments import SegmentForecaster
    from .models.frame_forecaster import FrameForecaster
    from .models.graph import GraphModel
    from .models.intents import IntentSlotModel
    from .models.language_model import LanguageModel
    from .models.line_recognizer import LineRecognizer
    from .models.loading import load
    from .models.picture_classifier import PictureClassifier
    from .models.picture_segmenter import PictureSegmenter
    from .models.regressor import SequenceRegressor
    from .models.set_decoder import SetDecoder
    from .models.speech_recognizer import SpeechRecognizer
    from .models.tagger import SequenceTagger
    from .models.transducer import TransducerModel
    from .training.learner import Learner
    from .training.reports.summary import summary
    from .training.watching.callbacks import Callback
    from .types import Batch, Sequences

    __version__: str

_NAMES = {
    "Batch": "types",
    "Beside": "layers.beside",
    "CRF": "layers.crf",
    "AttentionRecognizer": "models.attention_recognizer",
    "Callback": "training.watching.callbacks",
    "CausalConv": "layers.causal_conv",
    "CellDetector": "models.cell_detector",
    "CentreDetector": "models.centre_detector",
    "Chain": "layers.chain",
    "ConvContext": "layers.conv_context",
    "ConvFront": "layers.conv",
    "ConvGRU": "layers.conv_gru",
    "ConvGRUCell": "layers.conv_gru",
    "ConvLSTM": "layers.conv_lstm",
    "ConvLSTMCell": "layers.conv_lstm",
    "DeepAR": "models.forecast_deepar",
    "Diagnostics": "diagnostics.updates",
    "DirectForecaster": "models.forecast_direct",
    "Embedding": "layers.dropout",
    "EncoderDecoder": "models.encoder_decoder",
    "EncoderDecoderForecaster": "models.forecast_encoder_decoder",
    "GRU": "layers.gru",
    "GRUCell": "layers.cells",
    "IntentSlotModel": "models.intents",
    "LSTM": "layers.lstm",
    "LSTMCell": "layers.cells",
    "GraphModel": "models.graph",
    "LanguageModel": "models.language_model",
    "Learner": "training.learner",
    "FrameForecaster": "models.frame_forecaster",
    "FrameFront": "layers.frame_front",
    "LineFront": "layers.line_front",
    "LineRecognizer": "models.line_recognizer",
    "LoRA": "finetuning.adapters",
    "PerStep": "layers.chain",
    "PictureClassifier": "models.picture_classifier",
    "PictureWarp": "layers.picture_warp",
    "PictureSegmenter": "models.picture_segmenter",
    "PixelFront": "layers.pixels",
    "RNN": "layers.rnn",
    "ReNet": "layers.renet",
    "RNNClassifier": "estimators.classifier",
    "RNNForecaster": "estimators.forecaster",
    "RNNRegressor": "estimators.regressor",
    "ReversibleNorm": "layers.instance_norm",
    "SeriesAugment": "layers.augment",
    "SegmentForecaster": "models.forecast_segments",
    "SequenceClassifier": "models.classifier",
    "SequenceModule": "layers.sequence_module",
    "SequenceRegressor": "models.regressor",
    "SequenceTagger": "models.tagger",
    "Sequences": "types",
    "SimpleRNN": "layers.simple_rnn",
    "SimpleRNNCell": "layers.cells",
    "SetDecoder": "models.set_decoder",
    "SpeechRecognizer": "models.speech_recognizer",
    "TransducerModel": "models.transducer",
    "VariationalDropout": "layers.dropout",
    "WordFront": "layers.word_front",
    "accelerate": "layers.accelerate",
    "chrono_": "layers.initialisation",
    "diagnose": "diagnostics.diagnosis",
    "load": "models.loading",
    "quantize": "layers.quantized",
    "summary": "training.reports.summary",
    "to_torch": "layers.to_torch",
}
_MODULES = ("data", "diagnostics", "errors", "estimators", "finetuning", "generation", "models", "ops")

# RNNClassifier, RNNRegressor and RNNForecaster need an extra, which ``from rnnkit import *`` must not.
__all__ = [
    "CRF",
    "GRU",
    "LSTM",
    "RNN",
    "AttentionRecognizer",
    "Batch",
    "Beside",
    "Callback",
    "CausalConv",
    "CellDetector",
    "CentreDetector",
    "Chain",
    "ConvContext",
    "ConvFront",
    "ConvGRU",
    "ConvGRUCell",
    "ConvLSTM",
    "ConvLSTMCell",
    "DeepAR",
    "Diagnostics",
    "DirectForecaster",
    "Embedding",
    "EncoderDecoder",
    "EncoderDecoderForecaster",
    "FrameForecaster",
    "FrameFront",
    "GRUCell",
    "GraphModel",
    "IntentSlotModel",
    "LSTMCell",
    "LanguageModel",
    "Learner",
    "LineFront",
    "LineRecognizer",
    "LoRA",
    "PerStep",
    "PictureClassifier",
    "PictureSegmenter",
    "PictureWarp",
    "PixelFront",
    "ReNet",
    "ReversibleNorm",
    "SegmentForecaster",
    "SequenceClassifier",
    "SequenceModule",
    "SequenceRegressor",
    "SequenceTagger",
    "Sequences",
    "SeriesAugment",
    "SetDecoder",
    "SimpleRNN",
    "SimpleRNNCell",
    "SpeechRecognizer",
    "TransducerModel",
    "VariationalDropout",
    "WordFront",
    "accelerate",
    "chrono_",
    "data",
    "diagnose",
    "diagnostics",
    "finetuning",
    "generation",
    "load",
    "models",
    "ops",
    "quantize",
    "summary",
    "to_torch",
]

_get, _dir = lazy_names(__name__, _NAMES, _MODULES)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("rnnkit")
    return _get(name)


def __dir__() -> list[str]:
    return sorted([*_dir(), "__version__"])
