"""Where the access key comes from, and how its file is kept."""

from __future__ import annotations

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lutra.server.auth.credentials import FILE_NAME, Credentials, CredentialsError, load_credentials


def test_the_first_start_makes_a_key_and_the_next_finds_it(tmp_path: Path) -> None:
    made = load_credentials(tmp_path / "data", {})
    path = tmp_path / "data" / FILE_NAME
    assert made.is_new
    assert made.source == str(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == [FILE_NAME]
    found = load_credentials(tmp_path / "data", {})
    assert not found.is_new
    assert found.credentials == made.credentials
    assert len(made.credentials.access_key_secret) >= 40


def test_every_directory_gets_a_key_of_its_own(tmp_path: Path) -> None:
    first, second = (load_credentials(tmp_path / name, {}).credentials for name in "ab")
    assert first.access_key_id != second.access_key_id
    assert first.access_key_secret != second.access_key_secret


def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        load_credentials(tmp_path, {})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


def test_the_environment_goes_first_and_leaves_no_file(tmp_path: Path) -> None:
    environment = {"LUTRA_ACCESS_KEY_ID": "me", "LUTRA_ACCESS_KEY_SECRET": "hush"}
    loaded = load_credentials(tmp_path, environment)
    assert loaded.credentials == Credentials("me", "hush")
    assert list(tmp_path.iterdir()) == []


def test_the_secret_is_not_shown() -> None:
    assert "hush" not in repr(Credentials("me", "hush"))


@pytest.mark.parametrize(
    "environment",
    [
        {"LUTRA_ACCESS_KEY_ID": "me"},
        {"LUTRA_ACCESS_KEY_SECRET": "hush"},
        {"LUTRA_ACCESS_KEY_ID": "", "LUTRA_ACCESS_KEY_SECRET": ""},
        {"LUTRA_ACCESS_KEY_ID": "a:b", "LUTRA_ACCESS_KEY_SECRET": "hush"},
        {"LUTRA_ACCESS_KEY_ID": "m\u00e9", "LUTRA_ACCESS_KEY_SECRET": "hush"},
        {"LUTRA_ACCESS_KEY_ID": "me\n", "LUTRA_ACCESS_KEY_SECRET": "hush"},
        {"LUTRA_ACCESS_KEY_ID": "me", "LUTRA_ACCESS_KEY_SECRET": "with space"},
    ],
)
def test_bad_environments_are_refused(tmp_path: Path, environment: dict[str, str]) -> None:
    with pytest.raises(CredentialsError) as caught:
        load_credentials(tmp_path, environment)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    load_credentials(tmp_path, {})
    (tmp_path / FILE_NAME).chmod(mode)
    with pytest.raises(CredentialsError, match="chmod 600"):
        load_credentials(tmp_path, {})


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "not a credentials file"),
        ("[]", "not a credentials file"),
        ("{}", "not a credentials file"),
        (json.dumps({"format_version": 2, "access_key_id": "a", "access_key_secret": "b"}), "format version 2"),
        (json.dumps({"format_version": 1, "access_key_id": 5, "access_key_secret": "b"}), "access key id"),
        (json.dumps({"format_version": 1, "access_key_id": "a", "access_key_secret": None}), "access key secret"),
        ("\udcff", "cannot read"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    path.chmod(0o600)
    with pytest.raises(CredentialsError, match=complaint):
        load_credentials(tmp_path, {})


def test_starts_at_the_same_time_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(lambda _: load_credentials(tmp_path, {}), range(8)))
    assert len({item.credentials for item in loaded}) == 1
    assert sum(item.is_new for item in loaded) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == [FILE_NAME]
