import pytest

from lutra.demo.documentation import Entry
from lutra.demo.texts import compound_parts, search_texts

PROSE = {"copy": 50, "tree": 10, "file": 90, "files": 7, "date": 30, "time": 40, "datetime": 25, "rare": 1, "cop": 5}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("copytree", ("copy", "tree")),
        ("CopyFile", ("copy", "file")),
        ("copyfiles", ("copy", "files")),
        ("datetime", ()),  # a word itself
        ("raretree", ()),
        ("copy", ()),
        ("copy2tree", ()),
        ("", ()),
    ],
)
def test_names_run_together_are_taken_apart(name: str, parts: tuple[str, ...]) -> None:
    assert compound_parts(name, PROSE) == parts


def test_a_text_has_names_summary_and_surroundings() -> None:
    module = Entry("gzip", "gzip", "module", "", "Compressed files.", "Compressed files.\n\nMore of it.")
    method = Entry("gzip.GzipFile.peek", "gzip", "method", "(self, n)", "Look ahead.", "Look ahead.")
    silent = Entry("gzip.GzipFile.mode", "gzip", "property", "", "", "")
    of_module, of_method, of_silent = search_texts([module, method, silent])
    assert of_module.split() == ["gzip", "gzip", *["Compressed", "files."] * 2]
    assert of_method.split() == [
        *("gzip", "GzipFile", "peek", "peek"),
        *["Look", "ahead."] * 2,
        *("Compressed", "files."),
    ]
    assert "undocumented" in of_silent
    assert "undocumented" not in of_method
