"""Layers that users compose: `torch.nn.Module`s with PyTorch's faces."""
