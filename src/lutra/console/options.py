"""How the console runs: limits and times, each with the default that suits one machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConsoleOptions:
    """``threads`` make pages and do what they ask for; ``queue_max`` calls wait for one."""

    threads: int = 8
    queue_max: int = 256
    request_timeout_s: float = 45
    body_timeout_s: float = 30
    """From one piece of an upload to the next, and for all of a form."""
    form_bytes_max: int = 4 * 1024 * 1024
    form_fields_max: int = 5_000
    open_form_bytes_max: int = 256 * 1024
    """Of a form that anybody can send, signed in or not; it may hold the address of a page."""
    open_form_fields_max: int = 20
    upload_bytes_max: int = 512 * 1024 * 1024
    session_s: int = 12 * 3_600
    """So long a sign-in holds."""
    sessions_max: int = 10_000
    """Sign-ins that are kept in mind; of more, the oldest end."""
    wrong_keys_free: int = 5
    """Wrong keys in a row after which an address has to wait; longer after each."""
