"""Whether there are credentials for S3, before anything is asked for: who has none is told what to set."""

from __future__ import annotations

import os
from typing import Final

from lutra.model.errors import ParameterInvalid

_KEY: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_SOURCES: Final = (
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
    ("AWS_METADATA_ENDPOINT",),
)
"""Of credentials that are fetched: each named by the variables it needs, all of them."""
_TRUE: Final = {"1", "true", "on", "yes", "y"}
_FALSE: Final = {"0", "false", "off", "no", "n"}


def require_credentials(url: str, access_key_id: str | None = None, secret_access_key: str | None = None) -> None:
    """Raises ParameterInvalid where neither arguments nor the usual ``AWS_*`` variables say who asks at ``url``.

    The client would otherwise ask the metadata service of a cloud, for credentials of the machine it is on: on a
    machine that is in none, it waits for an answer, and on one that is, nobody may have meant these. So that service is
    asked only where the user says so: by ``AWS_EC2_METADATA_DISABLED=false``, or by ``AWS_METADATA_ENDPOINT``.
    """
    given = [
        argument or os.environ.get(name)
        for name, argument in zip(_KEY, (access_key_id, secret_access_key), strict=True)
    ]
    if all(given) or _is("AWS_SKIP_SIGNATURE", _TRUE):
        return
    if any(given):
        missing, there = _KEY if not given[0] else _KEY[::-1]
        raise ParameterInvalid(f"{url}: {there} is set, and {missing} is not: S3 needs both.")
    if any(all(os.environ.get(name) for name in names) for names in _SOURCES) or _is(
        "AWS_EC2_METADATA_DISABLED", _FALSE
    ):
        return
    raise ParameterInvalid(
        f"{url}: there are no credentials for S3. Set {_KEY[0]} and {_KEY[1]}, and AWS_REGION or, for a server that "
        "speaks like S3, AWS_ENDPOINT_URL. Files in ~/.aws are not read. Where the machine itself has a role in a "
        "cloud, AWS_EC2_METADATA_DISABLED=false has its metadata service asked; AWS_SKIP_SIGNATURE=true asks as nobody."
    )


def _is(name: str, values: set[str]) -> bool:
    return os.environ.get(name, "").lower() in values
