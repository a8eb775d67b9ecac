"""Writes what Lutra is made of as CycloneDX: ``python -m tools.sbom``, or ``make sbom``, into dist/.

In it are the works of others that the wheel has in it (packaging/third-party.toml), and what pip installs beside it, in
the versions that are installed here, with what these need themselves. Extras are not: who asks for them has their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

from cyclonedx.model import ExternalReference, ExternalReferenceType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import third_party

DIST: Final = third_party.ROOT / "dist"
_LICENSE_CLASSIFIER: Final = "License :: OSI Approved :: "
_LICENSE_CHARS_MAX: Final = 100


def main() -> Path:
    """Puts it into dist/, and tells where."""
    DIST.mkdir(exist_ok=True)
    path = DIST / f"lutra-{distribution('lutra').version}.cdx.json"
    made = make_outputter(bill(), OutputFormat.JSON, SchemaVersion.V1_6)
    made.output_to_file(str(path), allow_overwrite=True, indent=2)
    return path


def bill() -> Bom:
    """Lutra, what is in its wheel, and what it needs."""
    bom = Bom()
    needed = installed("lutra")
    parts = {name: _installed_component(each) for name, each in needed.items()}
    root = parts.pop("lutra")
    bundled = [_bundled_component(each) for each in third_party.components()]
    root.components.update(bundled)
    bom.metadata.component = root
    bom.components.update(parts.values())
    for name, each in needed.items():
        on = [parts[one] for one in sorted(requirements(each)) if one in parts]
        bom.register_dependency(root if name == "lutra" else parts[name], on)
    return bom


def installed(name: str) -> dict[str, Distribution]:
    """The distribution ``name`` and all that it needs, by their canonical names. Raises PackageNotFoundError."""
    found: dict[str, Distribution] = {}
    waiting = [name]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = distribution(name)
            waiting.extend(requirements(found[name]))
    return found


def requirements(of: Distribution) -> Iterator[str]:
    """Of this interpreter on this machine, without extras."""
    for text in of.requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield canonicalize_name(requirement.name)


def _installed_component(of: Distribution) -> Component:
    name, version = canonicalize_name(of.metadata["Name"]), of.version
    purl = PackageURL("pypi", None, name, version)
    kind = ComponentType.APPLICATION if name == "lutra" else ComponentType.LIBRARY
    component = Component(name=name, version=version, type=kind, purl=purl, bom_ref=str(purl))
    if "License-Expression" in of.metadata:
        component.licenses.add(LicenseExpression(of.metadata["License-Expression"]))
    elif said := _license_name(of):
        component.licenses.add(DisjunctiveLicense(name=said))
    return component


def _license_name(of: Distribution) -> str | None:
    """As older metadata says it: by classifiers, else by a line of text."""
    classified = [
        each.removeprefix(_LICENSE_CLASSIFIER)
        for each in of.metadata.get_all("Classifier") or ()
        if each.startswith(_LICENSE_CLASSIFIER)
    ]
    if classified:
        return " AND ".join(classified)
    lines = of.metadata["License"].strip().splitlines() if "License" in of.metadata else []
    return lines[0][:_LICENSE_CHARS_MAX] if lines else None


def _bundled_component(of: third_party.Component) -> Component:
    component = Component(
        name=of.name,
        version=of.version,
        type=ComponentType.LIBRARY,
        description=of.what,
        purl=PackageURL.from_string(of.purl),
        bom_ref=of.purl,
    )
    component.licenses.add(LicenseExpression(of.license))
    component.external_references.add(ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(of.url)))
    return component


if __name__ == "__main__":
    print(f"sbom: {main().relative_to(third_party.ROOT)}")
