"""EfficientNet-Lite0 as an ONNX graph, from weights by the names of PyTorch's implementation.

The network: Tan & Le, "EfficientNet: Rethinking Model Scaling for CNNs" (2019), in its Lite form, which leaves out
squeeze-and-excitation and has ReLU6 for swish (https://github.com/tensorflow/tpu, models/official/efficientnet/lite).
Batch normalization is folded into the convolution before it: it is one more multiplication and addition a channel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from lutra.model.errors import Corruption

if TYPE_CHECKING:
    import onnx

SIDE: Final = 224
FEATURES: Final = 1280
CLASSES: Final = 1000

INPUT: Final = "pixels"
FEATURES_OUTPUT: Final = "features"
LOGITS_OUTPUT: Final = "logits"

_OPSET: Final = 13
_IR_VERSION: Final = 8
_EPSILON: Final = 1e-3
_RELU_MAX: Final = 6.0


@dataclass(frozen=True, slots=True)
class Block:
    """One inverted residual: widen, convolve each channel by itself, narrow."""

    kernel: int
    stride: int
    widened: bool
    residual: bool


def blocks() -> Iterator[Block]:
    """The network's 16 blocks, in order."""
    stages = ((3, 1, 1), (3, 2, 2), (5, 2, 2), (3, 2, 3), (5, 1, 3), (5, 2, 4), (3, 1, 1))  # kernel, stride, repeats
    for stage, (kernel, stride, repeats) in enumerate(stages):
        for repeat in range(repeats):
            yield Block(kernel, stride if repeat == 0 else 1, widened=stage > 0, residual=repeat > 0)


def folded(
    weights: Mapping[str, npt.NDArray[np.generic]], convolution: str, normalization: str
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """A convolution and the batch normalization after it as one: kernel float32 [out, in, h, w], bias float32 [out].

    Raises Corruption where weights are missing.
    """
    kernel = _weight(weights, f"{convolution}.weight")
    scale, shift, mean, variance = (
        _weight(weights, f"{normalization}.{part}") for part in ("weight", "bias", "running_mean", "running_var")
    )
    factor = scale / np.sqrt(variance + _EPSILON)
    return (kernel * factor[:, None, None, None]).astype(np.float32), (shift - mean * factor).astype(np.float32)


def _weight(weights: Mapping[str, npt.NDArray[np.generic]], name: str) -> npt.NDArray[np.float64]:
    try:
        return weights[name].astype(np.float64)
    except KeyError:
        raise Corruption(f"the weights lack {name}") from None


def efficientnet_model(weights: Mapping[str, npt.NDArray[np.generic]]) -> bytes:
    """The serialized ONNX model. Raises ImportError without ``onnx``, Corruption where weights are missing.

    Input ``pixels``: float32 [pictures, 3, 224, 224], red, green and blue, each (0..255 - 127) / 128. Outputs
    ``features``: float32 [pictures, 1280], pooled; ``logits``: float32 [pictures, 1000].
    """
    return _Graph(weights).model()


class _Graph:
    """A graph that grows by a layer at a time."""

    def __init__(self, weights: Mapping[str, npt.NDArray[np.generic]]) -> None:
        from onnx import helper, numpy_helper

        self._weights = weights
        self._helper = helper
        self._numpy_helper = numpy_helper
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def model(self) -> bytes:
        helper = self._helper
        self._constant("lowest", np.array(0.0, dtype=np.float32))
        self._constant("highest", np.array(_RELU_MAX, dtype=np.float32))
        self._body()
        float32 = helper.np_dtype_to_tensor_dtype(np.dtype(np.float32))
        graph = helper.make_graph(
            self._nodes,
            "efficientnet-lite0",
            [helper.make_tensor_value_info(INPUT, float32, ["pictures", 3, SIDE, SIDE])],
            [
                helper.make_tensor_value_info(FEATURES_OUTPUT, float32, ["pictures", FEATURES]),
                helper.make_tensor_value_info(LOGITS_OUTPUT, float32, ["pictures", CLASSES]),
            ],
            self._constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="lutra")
        model.ir_version = _IR_VERSION  # the newest that older runtimes read, whatever the newest is
        serialized: bytes = model.SerializeToString()
        return serialized

    def _body(self) -> None:
        at = self._relu6(self._convolution(INPUT, "_conv_stem", "_bn0", stride=2))
        for number, block in enumerate(blocks()):
            at = self._block(at, f"_blocks.{number}", block)
        at = self._relu6(self._convolution(at, "_conv_head", "_bn1"))
        pooled = self._node("GlobalAveragePool", [at])
        self._node("Flatten", [pooled], output=FEATURES_OUTPUT, axis=1)
        for part in ("weight", "bias"):
            self._constant(f"classes.{part}", _weight(self._weights, f"_fc.{part}").astype(np.float32))
        inputs = [FEATURES_OUTPUT, "classes.weight", "classes.bias"]
        self._node("Gemm", inputs, output=LOGITS_OUTPUT, transB=1)

    def _block(self, before: str, prefix: str, block: Block) -> str:
        at = before
        if block.widened:
            at = self._relu6(self._convolution(at, f"{prefix}._expand_conv", f"{prefix}._bn0"))
        depthwise = f"{prefix}._depthwise_conv"
        at = self._relu6(self._convolution(at, depthwise, f"{prefix}._bn1", stride=block.stride, depthwise=True))
        at = self._convolution(at, f"{prefix}._project_conv", f"{prefix}._bn2")
        return self._node("Add", [at, before]) if block.residual else at

    def _convolution(
        self, before: str, convolution: str, normalization: str, stride: int = 1, depthwise: bool = False
    ) -> str:
        kernel, bias = folded(self._weights, convolution, normalization)
        self._constant(f"{convolution}.kernel", kernel)
        self._constant(f"{convolution}.bias", bias)
        return self._node(
            "Conv",
            [before, f"{convolution}.kernel", f"{convolution}.bias"],
            # TensorFlow's "same": where the padding is odd, the larger part comes after.
            auto_pad="SAME_UPPER",
            kernel_shape=list(kernel.shape[2:]),
            strides=[stride, stride],
            group=kernel.shape[0] if depthwise else 1,
        )

    def _relu6(self, before: str) -> str:
        return self._node("Clip", [before, "lowest", "highest"])

    def _constant(self, name: str, value: npt.NDArray[np.generic]) -> None:
        self._constants.append(self._numpy_helper.from_array(value, name))

    def _node(self, kind: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        name = output or f"{kind.lower()}{len(self._nodes)}"
        self._nodes.append(self._helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name
