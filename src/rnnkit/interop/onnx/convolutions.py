"""Convolutions over time in a graph.

Legend: B batch, T time, C channels.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ...layers.conv_context import ConvContext
from .dense import write_dense
from .writer import Steps, Unsupported, Writer, Written


def write_conv(writer: Writer, module: nn.Conv1d, steps: Steps) -> Written:
    """Write ``torch.nn.Conv1d`` over time: [B, T, C] → [B, T', C']."""
    graph = writer.graph
    y = convolved(writer, module, writer.masked(steps).value)
    if steps.lengths is None:
        return Written(Steps(y))
    lengths = steps.lengths
    if module.padding != "same":
        padding = 0 if module.padding == "valid" else int(module.padding[0])
        reach = module.dilation[0] * (module.kernel_size[0] - 1)
        inner = graph("Add", lengths, graph.whole(2 * padding - reach - 1))
        lengths = graph("Add", graph("Div", inner, graph.whole(module.stride[0])), graph.whole(1))
    return Written(writer.masked(Steps(y, lengths)))


def convolved(writer: Writer, module: nn.Conv1d, x: str) -> str:
    """The convolution of [B, T, C] over time, with its own padding."""
    graph = writer.graph
    y = channels_convolved(writer, module, graph("Transpose", x, perm=[0, 2, 1]))
    return graph("Transpose", y, perm=[0, 2, 1])


def channels_convolved(writer: Writer, module: Any, x: str, pads: list[int] | str | None = None) -> str:
    """The convolution of [B, C, T] or [B, C, H, W], with its own padding unless another one is given.

    Args:
        writer: of the graph.
        module: ``torch.nn.Conv1d`` or ``Conv2d``.
        x: the input.
        pads: zeros in front of each axis, then behind each axis; or the name of a rule of ONNX's, as "SAME_UPPER".
    """
    if module.padding_mode != "zeros":
        raise Unsupported(
            f"a {type(module).__name__} has padding_mode={module.padding_mode!r}; ONNX's convolutions pad with zeros"
        )
    graph = writer.graph
    bias = [] if module.bias is None else [graph.constant(module.bias, "bias")]
    around = {"auto_pad": pads} if isinstance(pads, str) else {"pads": _pads(module) if pads is None else pads}
    return graph(
        "Conv", x, graph.constant(module.weight, "kernel"), *bias, kernel_shape=list(module.kernel_size),
        strides=list(module.stride), dilations=list(module.dilation), group=module.groups, **around,
    )  # fmt: skip


def _pads(module: Any) -> list[int]:
    """Zeros in front of each axis, then behind each axis."""
    axes = len(module.kernel_size)
    if module.padding == "valid":
        return [0] * (2 * axes)
    if module.padding == "same":
        total = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        before = [one // 2 for one in total]
        return [*before, *(one - first for one, first in zip(total, before, strict=True))]
    return [int(one) for one in module.padding] * 2


def write_conv_context(writer: Writer, module: ConvContext, steps: Steps) -> Written:
    """Write :class:`rnnkit.ConvContext`: layers of convolutions with what goes in added to what comes out."""
    graph = writer.graph
    steps = writer.masked(steps)
    for conv, norm in zip(module.convs, module.norms, strict=True):
        assert isinstance(conv, nn.Conv1d)
        a = graph("Relu", write_dense(writer, norm, convolved(writer, conv, steps.value)))
        same = conv.in_channels == conv.out_channels
        steps = writer.masked(Steps(graph("Add", a, steps.value) if same else a, steps.lengths))
    return Written(steps)


def padded(writer: Writer, x: str, before: str, after: str) -> str:
    """Zeros in front of and behind the steps of [B, T, C]; their numbers are int64 [1]."""
    graph = writer.graph
    nothing = graph.ints(0)
    return graph("Pad", x, graph("Concat", nothing, before, nothing, nothing, after, nothing, axis=0))


def ceil_divided(writer: Writer, value: str, stride: int) -> str:
    """ceil(value / stride) of whole numbers of at least 0."""
    graph = writer.graph
    if stride == 1:
        return value
    return graph("Div", graph("Add", value, graph.whole(stride - 1)), graph.whole(stride))
