"""Keras's other layers as graph layers: dense ones, convolutions, pooling, normalisations, shapes, merges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ...layers.graph import (
    Activation,
    BatchNormalisation,
    Convolution,
    Dense,
    Embedding,
    Flatten,
    GlobalPooling,
    GraphLayer,
    LayerNormalisation,
    Masking,
    Merge,
    Noise,
    Permute,
    Pooling,
    PReLU,
    Repeat,
    Rescaling,
    Reshape,
    TimeEdges,
    UpSampling,
)
from .builder import Builder
from .settings import MAX_ROWS, LayerSettings, short
from .weights import LayerWeights

Read = Callable[[str, LayerSettings, LayerWeights, Builder], GraphLayer]


def read_dense(kind: str, settings: LayerSettings, weights: LayerWeights, builder: Builder) -> Dense:
    """Return Dense."""
    units, bias = settings.whole("units"), settings.flag("use_bias", True)
    kernel, *biases = weights.take(("kernel", *(("bias",) if bias else ())), settings.place)
    kernel.expect("a kernel", None, units)
    linear = torch.nn.Linear(kernel.shape[0], units, bias=bias)
    builder.fill(linear, "weight", kernel, change=lambda one: one.T)
    for one in biases:
        builder.fill(linear, "bias", one.expect("a bias", units))
    return Dense(linear, settings.activation("activation"))


def read_embedding(kind: str, settings: LayerSettings, weights: LayerWeights, builder: Builder) -> Embedding:
    """Return Embedding."""
    rows, width = settings.whole("input_dim", most=MAX_ROWS), settings.whole("output_dim")
    (table,) = weights.take(("embeddings",), settings.place)
    embedding = torch.nn.Embedding(rows, width)
    builder.fill(embedding, "weight", table.expect("an embedding", rows, width))
    return Embedding(embedding, settings.flag("mask_zero", False))


def read_convolution(kind: str, settings: LayerSettings, weights: LayerWeights, builder: Builder) -> Convolution:
    """Return Conv1D."""
    _channels_last(settings)
    filters, size = settings.whole("filters"), settings.single("kernel_size")
    stride, dilation = settings.single("strides", 1), settings.single("dilation_rate", 1)
    groups, bias = settings.whole("groups", 1), settings.flag("use_bias", True)
    padding = settings.choice("padding", ("valid", "same", "causal"), "valid")
    settings.get("rank", 1)
    kernel, *biases = weights.take(("kernel", *(("bias",) if bias else ())), settings.place)
    kernel.expect("a kernel", size, None, filters)
    features = kernel.shape[1] * groups
    if filters % groups or features > 2**24:
        raise settings.place.problem(f"groups={groups} arrived for {filters} filters and {features} features")
    conv = torch.nn.Conv1d(features, filters, size, stride=stride, dilation=dilation, groups=groups, bias=bias)
    builder.fill(conv, "weight", kernel, change=lambda one: one.permute(2, 1, 0))
    for one in biases:
        builder.fill(conv, "bias", one.expect("a bias", filters))
    return Convolution(conv, settings.activation("activation"), padding)


def read_pooling(kind: str, settings: LayerSettings, weights: LayerWeights, builder: Builder) -> Pooling:
    """Return MaxPooling1D or AveragePooling1D."""
    _channels_last(settings)
    size = settings.single("pool_size", 2)
    stride = size if settings.get("strides", None) is None else settings.single("strides")
    padding = settings.choice("padding", ("valid", "same"), "valid")
    return Pooling("max" if kind.startswith("Max") else "mean", size, stride, padding)


def read_global_pooling(kind: str, settings: LayerSettings, weights: LayerWeights, builder: Builder) -> GlobalPooling:
    """Return GlobalMaxPooling1D or GlobalAveragePooling1D."""
    _channels_last(settings)
    return GlobalPooling("max" if "Max" in kind else "mean", settings.flag("keepdims", False))


def read_edges(kind: str, settings: LayerSettings, weights: LayerWeights, builder: Builder) -> TimeEdges:
    """Return ZeroPadding1D or Cropping1D."""
    name = "padding" if kind == "ZeroPadding1D" else "cropping"
    if name == "padding":
        _channels_last(settings)
    both = (
        settings.wholes(name, least=0) if isinstance(settings.get(name), list | tuple) else [settings.whole(name)] * 2
    )
    if len(both) != 2:
        raise settings.place.problem(f"{name}={both} arrived; expected steps before and behind")
    sign = 1 if name == "padding" else -1
    return TimeEdges(sign * both[0], sign * both[1])


def read_upsampling(kind: str, settings: LayerSettings, weights: LayerWeights, builder: Builder) -> UpSampling:
    """Return UpSampling1D."""
    return UpSampling(settings.whole("size", 2))


def read_batch_norm(kind: str, settings: LayerSettings, weights: LayerWeights, builder: Builder) -> BatchNormalisation:
    """Return BatchNormalization."""
    axis = settings.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if not isinstance(axis, int) or isinstance(axis, bool) or not -8 <= axis <= 8 or axis == 0:
        raise settings.place.problem(f"axis={short(axis)} arrived; expected one axis that is not the batch")
    scale, center = settings.flag("scale", True), settings.flag("center", True)
    for name in ("renorm_clipping", "renorm_momentum", "virtual_batch_size", "fused"):
        settings.get(name, None)
    names = (*(("gamma",) if scale else ()), *(("beta",) if center else ()), "moving_mean", "moving_variance")
    arrays = dict(zip(names, weights.take(names, settings.place), strict=True))
    features = arrays["moving_mean"].expect("a moving mean", None).shape[0]
    layer = BatchNormalisation(
        features, axis, settings.number("epsilon", 1e-3, least=0), settings.number("momentum", 0.99, least=0),
        scale, center, frozen=settings.get("trainable", True) is False,
    )  # fmt: skip
    targets = {"gamma": "weight", "beta": "bias", "moving_mean": "mean", "moving_variance": "variance"}
    for name, array in arrays.items():
        builder.fill(layer, targets[name], array.expect(f"a {name}", features))
    return layer


def read_layer_norm(kind: str, settings: LayerSettings, weights: LayerWeights, builder: Builder) -> LayerNormalisation:
    """Return LayerNormalization over the last axes."""
    axes = settings.get("axis", -1)
    axes = list(axes) if isinstance(axes, list | tuple) else [axes]
    if not all(isinstance(one, int) and not isinstance(one, bool) and -8 <= one <= 8 for one in axes):
        raise settings.place.problem(f"axis={short(axes)} arrived; expected axes as whole numbers")
    if not axes:
        raise settings.place.problem("axis=[] arrived; expected -1")
    axes = sorted(axes)
    shape = _input_shape(settings)
    if shape is not None:
        axes = sorted(one - len(shape) if one > 0 else one for one in axes)
    last = axes[-1] if axes[0] > 0 else None
    if last is not None:
        axes = [one - last - 1 for one in axes]
    if axes != list(range(-len(axes), 0)):
        raise settings.place.problem(f"axis={short(axes)} arrived; rnnkit normalises the last axes: -1, or [-2, -1]")
    if settings.get("rms_scaling", False):
        raise settings.place.problem("rms_scaling=True is not read; it scales by the variance")
    scale, center = settings.flag("scale", True), settings.flag("center", True)
    names = (*(("gamma",) if scale else ()), *(("beta",) if center else ()))
    arrays = weights.take(names, settings.place)
    sizes = [list(one.expect("a gain or an offset", *[None] * len(axes)).shape) for one in arrays]
    if not sizes:
        if shape is None or not all(isinstance(one, int) and 0 < one <= 2**24 for one in shape[-len(axes) :]):
            raise settings.place.problem("it has neither a gain nor an offset, and does not tell its size")
        sizes = [list(shape[-len(axes) :])]
    layer = LayerNormalisation(sizes[0], settings.number("epsilon", 1e-3, least=0), scale, center, last)
    for name, array in zip(names, arrays, strict=True):
        builder.fill(layer, "weight" if name == "gamma" else "bias", array)
    return layer


def read_activation(kind: str, settings: LayerSettings, weights: LayerWeights, builder: Builder) -> GraphLayer:
    """Return Activation, ReLU, LeakyReLU, ELU, Softmax or PReLU."""
    if kind == "Activation":
        return Activation(settings.activation("activation"))
    if kind == "ReLU":
        limit = settings.get("max_value", None)
        options: dict[str, Any] = {
            "negative_slope": settings.number("negative_slope", 0.0),
            "threshold": settings.number("threshold", 0.0),
            "max_value": None if limit is None else settings.number("max_value"),
        }
        return Activation("relu", options)
    if kind == "LeakyReLU":
        name = "alpha" if "alpha" in settings.values else "negative_slope"
        return Activation("leaky_relu", {"negative_slope": settings.number(name, 0.3)})
    if kind == "ELU":
        return Activation("elu", {"alpha": settings.number("alpha", 1.0)})
    if kind == "Softmax":
        axis = settings.get("axis", -1)
        axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
        if not isinstance(axis, int) or isinstance(axis, bool) or not -8 <= axis <= 8:
            raise settings.place.problem(f"axis={short(axis)} arrived; expected one axis")
        return Activation("softmax", {"axis": axis})
    settings.get("shared_axes", None)
    (alpha,) = weights.take(("alpha",), settings.place)
    if not 0 < len(alpha.shape) <= 4:
        raise settings.place.problem(f"the array {alpha.name} has shape {list(alpha.shape)}; expected 1 to 4 axes")
    layer = PReLU(list(alpha.shape))
    builder.fill(layer, "alpha", alpha)
    return layer


def read_shape(kind: str, settings: LayerSettings, weights: LayerWeights, builder: Builder) -> GraphLayer:
    """Return Flatten, Reshape, Permute, RepeatVector, or a layer that changes nothing in evaluation."""
    if kind == "Flatten":
        _channels_last(settings)
        return Flatten()
    if kind == "Reshape":
        return Reshape(settings.wholes("target_shape", least=-1))
    if kind == "Permute":
        axes = settings.wholes("dims", most=8)
        if sorted(axes) != list(range(1, len(axes) + 1)):
            raise settings.place.problem(f"dims={axes} arrived; expected each axis from 1 on once")
        return Permute(axes)
    if kind == "RepeatVector":
        return Repeat(settings.whole("n"))
    settings.get("l1", None), settings.get("l2", None)
    if kind == "ActivityRegularization":
        builder.notes.append(f"{settings.place.path}: the activity regularisation is not taken over")
    return Activation("linear")


def read_noise(kind: str, settings: LayerSettings, weights: LayerWeights, builder: Builder) -> Noise:
    """Return Dropout, SpatialDropout1D, GaussianNoise or GaussianDropout."""
    if kind == "GaussianNoise":
        return Noise("gaussian", settings.number("stddev", least=0))
    rate = settings.number("rate", least=0, below=1)
    if kind == "SpatialDropout1D":
        settings.get("data_format", None)
        settings.get("noise_shape", None)
        return Noise("features", rate)
    if kind == "GaussianDropout":
        return Noise("product", rate)
    shape = settings.get("noise_shape", None)
    if shape is None:
        return Noise("dropout", rate)
    if not isinstance(shape, list) or len(shape) > 8 or not all(one is None or isinstance(one, int) for one in shape):
        raise settings.place.problem(f"noise_shape={short(shape)} arrived; expected a list of whole numbers and null")
    return Noise("dropout", rate, [axis for axis, one in enumerate(shape) if one == 1])


def read_masking(kind: str, settings: LayerSettings, weights: LayerWeights, builder: Builder) -> Masking:
    """Return Masking."""
    return Masking(settings.number("mask_value", 0.0))


def read_merge(kind: str, settings: LayerSettings, weights: LayerWeights, builder: Builder) -> Merge:
    """Return Concatenate, Add, Subtract, Multiply, Average, Maximum or Minimum."""
    if kind != "Concatenate":
        return Merge(kind.lower())
    axis = settings.get("axis", -1)
    if not isinstance(axis, int) or isinstance(axis, bool) or not -8 <= axis <= 8 or axis == 0:
        raise settings.place.problem(f"axis={short(axis)} arrived; expected an axis that is not the batch")
    return Merge("concat", axis)


def read_rescaling(kind: str, settings: LayerSettings, weights: LayerWeights, builder: Builder) -> Rescaling:
    """Return Rescaling by two numbers."""
    return Rescaling(settings.number("scale"), settings.number("offset", 0.0))


def _channels_last(settings: LayerSettings) -> None:
    if settings.get("data_format", None) not in (None, "channels_last"):
        raise settings.place.problem("data_format='channels_first' is not read; expected [batch, time, features]")


def _input_shape(settings: LayerSettings) -> list[Any] | None:
    shape = settings.values.get("built_with")
    return shape if isinstance(shape, list) and 0 < len(shape) <= 8 else None


OTHERS: dict[str, Read] = {
    "Dense": read_dense,
    "Embedding": read_embedding,
    "Conv1D": read_convolution,
    "Convolution1D": read_convolution,
    **dict.fromkeys(("MaxPooling1D", "AveragePooling1D", "MaxPool1D", "AvgPool1D"), read_pooling),
    **dict.fromkeys(
        ("GlobalMaxPooling1D", "GlobalAveragePooling1D", "GlobalMaxPool1D", "GlobalAvgPool1D"), read_global_pooling
    ),
    **dict.fromkeys(("ZeroPadding1D", "Cropping1D"), read_edges),
    "UpSampling1D": read_upsampling,
    "BatchNormalization": read_batch_norm,
    "LayerNormalization": read_layer_norm,
    **dict.fromkeys(("Activation", "ReLU", "LeakyReLU", "ELU", "Softmax", "PReLU"), read_activation),
    **dict.fromkeys(
        ("Flatten", "Reshape", "Permute", "RepeatVector", "Identity", "ActivityRegularization"), read_shape
    ),
    **dict.fromkeys(("Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout"), read_noise),
    "Masking": read_masking,
    **dict.fromkeys(("Concatenate", "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"), read_merge),
    "Rescaling": read_rescaling,
}
