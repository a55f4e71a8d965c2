"""Rebuilding a saved model from its builder's name, its arguments and its weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from typing import Any

import torch
from safetensors import safe_open

from ..errors import ConfigError, DataError, RnnkitError, suggest
from ..finetuning.adapters import restore_adapters
from ..layers.argument_names import ArgumentError
from ..layers.augment import SeriesAugment
from ..layers.beside import Beside
from ..layers.causal_conv import CausalConv
from ..layers.cells import GRUCell, LSTMCell, SimpleRNNCell
from ..layers.chain import Chain, PerStep
from ..layers.conv import ConvFront
from ..layers.conv_context import ConvContext
from ..layers.conv_gru import ConvGRU, ConvGRUCell
from ..layers.conv_lstm import ConvLSTM, ConvLSTMCell
from ..layers.crf import CRF
from ..layers.description import TORCH_ARGUMENTS
from ..layers.dropout import Embedding, VariationalDropout
from ..layers.frame_front import FrameFront
from ..layers.graph import GRAPH_BUILDERS
from ..layers.gru import GRU
from ..layers.instance_norm import ReversibleNorm
from ..layers.line_front import LineFront
from ..layers.lstm import LSTM
from ..layers.picture_front import PictureFront
from ..layers.picture_warp import PictureWarp
from ..layers.pixels import PixelFront
from ..layers.quantized import is_quantized, restore_quantized
from ..layers.renet import ReNet
from ..layers.rnn import RNN
from ..layers.simple_rnn import SimpleRNN
from ..layers.word_front import WordFront
from ..serialization import model_file, read_config
from .attention_recognizer import AttentionRecognizer
from .cell_detector import CellDetector
from .centre_detector import CentreDetector
from .classifier import SequenceClassifier
from .encoder_decoder import EncoderDecoder
from .forecast_deepar import DeepAR
from .forecast_direct import DirectForecaster
from .forecast_encoder_decoder import EncoderDecoderForecaster
from .forecast_segments import SegmentForecaster
from .frame_forecaster import FrameForecaster
from .graph import GraphModel
from .intents import IntentSlotModel
from .language_model import LanguageModel
from .line_recognizer import LineRecognizer
from .picture_classifier import PictureClassifier
from .picture_segmenter import PictureSegmenter
from .plain_encoder_decoder import PlainEncoderDecoder
from .regressor import SequenceRegressor
from .set_decoder import SetDecoder
from .speech_recognizer import SpeechRecognizer
from .tagger import SequenceTagger
from .transducer import TransducerModel

Builder = Callable[..., torch.nn.Module]

# What a file can name without the user's doing: rnnkit's own classes, and some of PyTorch's.
BUILDERS: dict[str, Builder] = {
    "SimpleRNN": SimpleRNN,
    "LSTM": LSTM,
    "GRU": GRU,
    "RNN": RNN,
    "SimpleRNNCell": SimpleRNNCell,
    "LSTMCell": LSTMCell,
    "GRUCell": GRUCell,
    "CausalConv": CausalConv,
    "ConvFront": ConvFront,
    "ConvContext": ConvContext,
    "FrameFront": FrameFront,
    "LineFront": LineFront,
    "ConvGRU": ConvGRU,
    "ConvGRUCell": ConvGRUCell,
    "ConvLSTM": ConvLSTM,
    "ConvLSTMCell": ConvLSTMCell,
    "ReNet": ReNet,
    "CRF": CRF,
    "PictureFront": PictureFront,
    "PictureWarp": PictureWarp,
    "PixelFront": PixelFront,
    "SeriesAugment": SeriesAugment,
    "ReversibleNorm": ReversibleNorm,
    "Beside": Beside,
    "Chain": lambda parts: Chain(*parts),
    "PerStep": PerStep,
    "Embedding": Embedding,
    "VariationalDropout": VariationalDropout,
    "SequenceClassifier": SequenceClassifier._from_file,
    "SequenceRegressor": SequenceRegressor,
    "SequenceTagger": SequenceTagger,
    "LineRecognizer": LineRecognizer,
    "PictureClassifier": PictureClassifier,
    "PictureSegmenter": PictureSegmenter,
    "SetDecoder": SetDecoder,
    "CellDetector": CellDetector,
    "CentreDetector": CentreDetector,
    "SpeechRecognizer": SpeechRecognizer,
    "LanguageModel": LanguageModel,
    "WordFront": WordFront,
    "IntentSlotModel": IntentSlotModel,
    "EncoderDecoder": EncoderDecoder,
    "PlainEncoderDecoder": PlainEncoderDecoder,
    "AttentionRecognizer": AttentionRecognizer,
    "TransducerModel": TransducerModel,
    "DirectForecaster": DirectForecaster,
    "SegmentForecaster": SegmentForecaster,
    "FrameForecaster": FrameForecaster,
    "DeepAR": DeepAR,
    "EncoderDecoderForecaster": EncoderDecoderForecaster,
    "GraphModel": GraphModel,
    **GRAPH_BUILDERS,
    "torch.nn.Sequential": lambda modules: torch.nn.Sequential(*modules),
    **{f"torch.nn.{kind.__name__}": kind for kind in TORCH_ARGUMENTS},
}
_REGISTERED: dict[str, Builder] = {}  # by register()


def register(builder: Builder, name: str | None = None) -> None:
    """Let model files name a class of the user's, until Python ends.

    A module of your own is saved with the rest of a model where it has a method
    ``config() -> {"builder": name, "arguments": {...}}`` with plain arguments (numbers, text, lists, and descriptions
    of further modules). Loading looks the name up among rnnkit's builders and those registered; nothing is imported or
    executed by a name in a file. Registering a name again replaces the class.

    Args:
        builder: a class derived from ``torch.nn.Module``, or a function that returns a module.
        name: as in ``config()``; None: the builder's own name.

    Raises:
        ConfigError: the builder is no class or function, or the name is that of a builder of rnnkit's.

    Example:
        >>> import rnnkit, torch
        >>> class Decay(torch.nn.Module):
        ...     def __init__(self, features):
        ...         super().__init__()
        ...         self.input_size = self.output_size = features
        ...         self.rate = torch.nn.Parameter(torch.zeros(features))
        ...     def forward(self, x, state):
        ...         state = torch.sigmoid(self.rate) * state + x
        ...         return state, state
        ...     def initial_state(self, batch, device, dtype):
        ...         return torch.zeros(batch, self.output_size, device=device, dtype=dtype)
        ...     def config(self):
        ...         return {"builder": "Decay", "arguments": {"features": self.output_size}}
        >>> rnnkit.models.register(Decay)
        >>> rnnkit.models.build(rnnkit.RNN(Decay(3)).config()).output_size
        3
    """
    _REGISTERED.update(_checked({_name_of(builder) if name is None else name: builder}))


def build(config: Mapping[str, Any], builders: Mapping[str, Builder] | None = None) -> torch.nn.Module:
    """Make the module that ``{"builder": name, "arguments": {...}}`` describes, with fresh weights.

    Args:
        config: as the module's ``config()`` gives it.
        builders: further builders by name, beside rnnkit's and those of :func:`register`.

    Raises:
        ConfigError: the description names an unknown builder, or settings that the builder refuses.

    Example:
        >>> layer = build({"builder": "GRU", "arguments": {"input_size": 3, "hidden_size": 8}})
        >>> layer.hidden_size
        8
    """
    return _built(config, {**_REGISTERED, **_checked(builders or {}), **BUILDERS})


def _built(config: Mapping[str, Any], known: Mapping[str, Builder]) -> torch.nn.Module:
    name, arguments = config["builder"], dict(config["arguments"])
    if name not in known:
        raise ConfigError(
            f"builder {name!r} is unknown{suggest(name, list(known))}. If it is a class of your own, type "
            f"rnnkit.load(path, builders={{{name!r}: ...}}) or rnnkit.models.register(...) before"
        )
    return known[name](**{argument: _value(value, known) for argument, value in arguments.items()})


def _value(value: Any, known: Mapping[str, Builder]) -> Any:
    """An argument: a module where it is a description, or a list of such."""
    if isinstance(value, dict) and "builder" in value:
        return _built(value, known)
    if isinstance(value, list):
        return [_value(one, known) for one in value]
    return value


def _checked(builders: Mapping[str, Builder]) -> Mapping[str, Builder]:
    for name, builder in builders.items():
        if not callable(builder) or isinstance(builder, torch.nn.Module):
            raise ConfigError(
                f"the builder {name!r} is a {type(builder).__name__}; expected a class or a function that makes a "
                "module: rnnkit.models.register(MyCell)"
            )
        if name in BUILDERS:
            raise ConfigError(f"the name {name!r} is that of a builder of rnnkit's; give yours another name")
    return builders


def _name_of(builder: Any) -> str:
    return getattr(builder, "__name__", type(builder).__name__)


@contextmanager
def _damaged(path: str | PathLike[str]) -> Iterator[None]:
    """Raise `DataError` where a description lacks something, or has it of another type."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        if isinstance(error, RnnkitError) and not isinstance(error, ArgumentError):
            raise
        raise DataError(f"{path} is damaged: no model can be built as it describes one ({error!r})") from error


def load(
    path: str | PathLike[str],
    model: torch.nn.Module | None = None,
    *,
    builders: Mapping[str, Builder] | None = None,
) -> torch.nn.Module:
    """Load what ``learner.save(path)`` wrote, in evaluation mode, on the CPU; adapters and 8 bits stay what they are.

    Args:
        path: the file, or a folder (such as a run folder) with a ``model.safetensors``.
        model: a module to load the weights into; needed for modules that rnnkit cannot rebuild by name.
        builders: classes of your own that the file names, by name: ``{"MyCell": MyCell}``; beside those given to
            :func:`rnnkit.models.register`.

    Raises:
        DataError: the file is missing, damaged or was not written by rnnkit, or its weights do not fit.
        ConfigError: the file names an unknown builder, or settings that the builder refuses.

    Example:
        >>> import rnnkit, tempfile, torch
        >>> folder = tempfile.mkdtemp()
        >>> model = rnnkit.SequenceRegressor(rnnkit.GRU(1, 4))
        >>> rnnkit.Learner(model).save(folder)
        >>> again = rnnkit.load(folder)
        >>> bool(torch.equal(again.head.weight, model.head.weight))
        True
    """
    described = read_config(path)
    config = described["config"]
    rebuilt = model is None
    if model is None:
        if config is None:
            raise DataError(f"{path} holds weights of a module of your own; pass rnnkit.load(path, model=module)")
        with _damaged(path):
            model = build(config, builders)
    parts = dict(model.named_modules())
    with _damaged(path):
        adapters = {name: one for name, one in described.get("adapters", {}).items() if name not in parts}
        if adapters:
            restore_adapters(model, adapters)
        if (quantized := described.get("quantized")) and not is_quantized(model):
            model = restore_quantized(model, quantized)
    file = model_file(path)
    with safe_open(str(file), "pt") as opened:
        weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (no mapping)
    # Tensors that share memory are stored once, under the first of their names.
    state = model.state_dict()
    found = {state[name].data_ptr() for name in weights if name in state}
    missing = {name for name, tensor in state.items() if name not in weights and tensor.data_ptr() not in found}
    unfit = sorted(missing | (set(weights) - set(state)))
    unfit += [name for name in weights if name in state and weights[name].shape != state[name].shape]
    if unfit:
        advice = ""
        if rebuilt:
            advice = (
                ". If a layer was pruned or parametrized (weight_norm, say) after the model was made, make the same "
                "model and pass rnnkit.load(path, model=module)"
            )
        raise DataError(f"the weights in {file} do not fit {type(model).__name__}: {', '.join(unfit)}{advice}")
    for dtype in {tensor.dtype for tensor in weights.values() if tensor.is_floating_point()}:
        model = model.to(dtype)
    model.load_state_dict(weights, strict=False)
    return model.eval()
