"""Which function writes which model: a table of names, imported when they are needed."""

from __future__ import annotations

import importlib
from typing import Any

from ...layers.sequence_adapters import as_sequence_module
from .dense import kind_of
from .parts import Part
from .writer import Unsupported

# Class of rnnkit → the module here, and its function (model, carry) -> parts.
_WRITERS = {
    "SequenceClassifier": ("clip_streams", "write_pooled_model"),
    "SequenceRegressor": ("clip_streams", "write_pooled_model"),
    "SequenceTagger": ("sequence_models", "write_tagger"),
    "LanguageModel": ("sequence_models", "write_tagger"),
    "EncoderDecoder": ("encoder_decoders", "write_encoder_decoder"),
    "PlainEncoderDecoder": ("plain_encoder_decoders", "write_plain_encoder_decoder"),
    "SpeechRecognizer": ("recognisers", "write_recognizer"),
    "LineRecognizer": ("recognisers", "write_recognizer"),
    "TransducerModel": ("recognisers", "write_transducer"),
    "IntentSlotModel": ("intents", "write_intents"),
    "DirectForecaster": ("forecasters", "write_forecaster"),
    "SegmentForecaster": ("forecasters", "write_forecaster"),
    "EncoderDecoderForecaster": ("forecasters", "write_forecaster"),
    "DeepAR": ("forecasters", "write_deepar"),
    "AttentionRecognizer": ("recognisers", "write_attention_recognizer"),
    "PictureFront": ("picture_models", "write_bare_map"),
    "ReNet": ("picture_models", "write_bare_map"),
    "PictureClassifier": ("picture_models", "write_picture_classifier"),
    "PictureSegmenter": ("picture_models", "write_picture_segmenter"),
    "CentreDetector": ("picture_models", "write_centre_detector"),
    "CellDetector": ("picture_models", "write_cell_detector"),
    "FrameForecaster": ("frame_forecasters", "write_frame_forecaster"),
    "ConvGRU": ("conv_recurrent", "write_conv_layer"),
    "ConvLSTM": ("conv_recurrent", "write_conv_layer"),
    "SetDecoder": ("picture_models", "write_set_decoder"),
    "GraphModel": ("graph_models", "write_graph_model"),
}


def parts_of(model: Any, *, states: bool = True) -> list[Part]:
    """Write a model's graphs.

    Args:
        model: in evaluation mode, in float32 on the CPU.
        states: whether states are inputs and outputs, where the model can continue from one.

    Raises:
        Unsupported: the model, or a part of it, cannot be written.
    """
    kind = kind_of(model)
    if kind.__module__.startswith("rnnkit.") and kind.__name__ in _WRITERS:
        module, function = _WRITERS[kind.__name__]
        write = getattr(importlib.import_module(f".{module}", __package__), function)
        found: list[Part] = write(model, states)
        return found
    try:
        as_sequence_module(model)
    except ValueError as error:
        instead = "expected a model such as rnnkit.SequenceClassifier, or a layer over sequences such as rnnkit.LSTM"
        raise Unsupported(f"a {kind.__name__} arrived, which cannot be written to an ONNX file; {instead}") from error
    from .sequence_models import write_bare_layer

    return write_bare_layer(model, states)
