"""How a TEXT field is cut into words, on the wire: the analyzer's name, and its parameters as bytes of their own."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from google.protobuf.message import Message

from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import (
    AnalyzerParameters,
    FuzzyParameters,
    SingleWordParameters,
    SplitParameters,
    TextOptions,
    TextSimilarity,
)
from lutra.server.protocol.parsing import parse
from lutra.server.wire import index_pb2 as wire

_DEFAULT_ANALYZER: Final = "single_word"
# The fields of the messages and those of the parameters have the same names.
_MESSAGES: Final[dict[str, tuple[type[Message], type[AnalyzerParameters]]]] = {
    "single_word": (wire.SingleWordAnalyzerParameter, SingleWordParameters),
    "split": (wire.SplitAnalyzerParameter, SplitParameters),
    "fuzzy": (wire.FuzzyAnalyzerParameter, FuzzyParameters),
}


def parse_text_options(message: wire.FieldSchema) -> TextOptions:
    """The options of a TEXT field, each None where it was not sent. Raises ParameterInvalid for what is not served.

    Whether there is an analyzer of that name, and whether its parameters make sense, `lutra.text.analyzers` says.
    """
    similarity = None
    if message.HasField("text_similarity"):
        if message.text_similarity != wire.TEXT_SIMILARITY_BM25:
            raise ParameterInvalid(f"the text similarity of field [{message.field_name}] must be BM25")
        similarity = TextSimilarity.BM25
    return TextOptions(
        analyzer=message.analyzer if message.HasField("analyzer") else None,
        parameters=_parse_parameters(message) if message.HasField("analyzer_parameter") else None,
        similarity=similarity,
        highlighting=message.enable_highlighting if message.HasField("enable_highlighting") else None,
    )


def _parse_parameters(message: wire.FieldSchema) -> AnalyzerParameters:
    analyzer = message.analyzer or _DEFAULT_ANALYZER
    if analyzer not in _MESSAGES:
        raise ParameterInvalid(f"analyzer [{analyzer}] of field [{message.field_name}] takes no parameters")
    kind, parameters = _MESSAGES[analyzer]
    complaint = f"[analyzer_parameter] of field [{message.field_name}] is malformed."
    return parameters(**_sent(parse(kind, message.analyzer_parameter, complaint)))


def _sent(message: Message) -> dict[str, Any]:
    return {field.name: value for field, value in message.ListFields()}


def write_text_options(message: wire.FieldSchema, options: TextOptions) -> None:
    """Puts ``options`` into ``message`` as they were sent: what was not stays absent."""
    if options.analyzer is not None:
        message.analyzer = options.analyzer
    if options.parameters is not None:
        message.analyzer_parameter = _parameters_message(options.parameters).SerializeToString()
    if options.similarity is not None:
        message.text_similarity = wire.TEXT_SIMILARITY_BM25
    if options.highlighting is not None:
        message.enable_highlighting = options.highlighting


def _parameters_message(parameters: AnalyzerParameters) -> Message:
    kind = next(message for message, model in _MESSAGES.values() if model is type(parameters))
    return kind(**{name: value for name, value in asdict(parameters).items() if value is not None})
