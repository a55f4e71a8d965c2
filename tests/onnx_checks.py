"""A model as ONNX graphs in ONNX Runtime against rnnkit; the exporter's own check does the comparing."""

import onnx
import torch

from rnnkit.interop.onnx.checking import Session, check_part
from rnnkit.interop.onnx.exporting import prepared, serialized


def perturbed(model, spread=0.1):
    """The model in evaluation mode, with weights that no initialisation leaves at zero or one."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * spread)
    return model.eval()


def graphs_agree(model, *, states=True, bound=1e-5, parts=None):
    """Check each graph of a model; return the deviations by the name of the part."""
    found = {}
    for part in prepared(model, states=states):
        content = serialized(part)
        onnx.checker.check_model(content)
        deviation = check_part(part, Session(content, threads=1))
        assert deviation.worst <= bound, deviation
        assert (deviation.in_chunks is not None) == bool(part.states and part.in_chunks)
        found[deviation.part] = deviation
    if parts is not None:
        assert sorted(found) == sorted(parts)
    return found
