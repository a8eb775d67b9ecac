"""EfficientNet-Lite0 in numpy, written from the paper and TensorFlow's rules: nothing folded, nothing fast."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# kernel, stride of the first, times it is repeated, channels that come out (table 1 of the paper, widened by 1 then 6)
STAGES = (
    (3, 1, 1, 16),
    (3, 2, 2, 24),
    (5, 2, 2, 40),
    (3, 2, 3, 80),
    (5, 1, 3, 112),
    (5, 2, 4, 192),
    (3, 1, 1, 320),
)


def outputs(weights: Mapping[str, npt.NDArray[np.generic]], pixels: npt.NDArray[np.float32]) -> tuple[Array, Array]:
    """Features [1280] and logits [1000] of one picture [3, 224, 224]."""
    at = relu6(normalized(weights, "_bn0", convolved(pixels.astype(np.float64), weights["_conv_stem.weight"], 2)))
    number = 0
    for stage, (_kernel, stride, repeats, channels) in enumerate(STAGES):
        for repeat in range(repeats):
            before, name = at, f"_blocks.{number}"
            if stage > 0:
                at = relu6(normalized(weights, f"{name}._bn0", mixed(at, weights[f"{name}._expand_conv.weight"])))
            kernel = weights[f"{name}._depthwise_conv.weight"]
            at = relu6(normalized(weights, f"{name}._bn1", each_convolved(at, kernel, 1 if repeat else stride)))
            at = normalized(weights, f"{name}._bn2", mixed(at, weights[f"{name}._project_conv.weight"]))
            assert at.shape[0] == channels
            if repeat:
                at = at + before
            number += 1
    at = relu6(normalized(weights, "_bn1", mixed(at, weights["_conv_head.weight"])))
    features = at.mean(axis=(1, 2))
    return features, weights["_fc.weight"] @ features + weights["_fc.bias"]


def relu6(values: Array) -> Array:
    return np.clip(values, 0, 6)


def normalized(weights: Mapping[str, npt.NDArray[np.generic]], name: str, values: Array) -> Array:
    scale, shift, mean, variance = (
        weights[f"{name}.{part}"][:, None, None] for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (values - mean) / np.sqrt(variance + 1e-3) * scale + shift


def mixed(values: Array, kernel: npt.NDArray[np.generic]) -> Array:
    return np.einsum("oi,ihw->ohw", kernel[:, :, 0, 0], values, optimize=True)


def convolved(values: Array, kernel: npt.NDArray[np.generic], stride: int) -> Array:
    return np.einsum("oiyx,iyxhw->ohw", kernel, windows(values, kernel.shape[2], stride), optimize=True)


def each_convolved(values: Array, kernel: npt.NDArray[np.generic], stride: int) -> Array:
    return np.einsum("iyx,iyxhw->ihw", kernel[:, 0], windows(values, kernel.shape[2], stride), optimize=True)


def windows(values: Array, kernel: int, stride: int) -> Array:
    """[channels, kernel, kernel, height, width]: what each place of the kernel sees, as TensorFlow's "SAME" pads."""
    side = values.shape[1]
    out = math.ceil(side / stride)
    padding = max((out - 1) * stride + kernel - side, 0)
    before = padding // 2
    padded = np.pad(values, ((0, 0), (before, padding - before), (before, padding - before)))
    rows = [
        [padded[:, y : y + out * stride : stride, x : x + out * stride : stride] for x in range(kernel)]
        for y in range(kernel)
    ]
    return np.stack([np.stack([part[:, :out, :out] for part in row], 1) for row in rows], 1)
