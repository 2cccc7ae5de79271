"""Complete the image's list of contents (CycloneDX), when it is built.

    python sbom.py PACKAGES.json CONTENTS.json

cyclonedx-py lists the Python packages; this names the program and adds Python and Debian's packages. Standard library
only.
"""

import json
import platform
import subprocess
import sys
from pathlib import Path

import this_python


def main(packages: str, contents: str) -> None:
    """Read the list of the Python packages, write that of the whole image."""
    listed = json.loads(Path(packages).read_text("utf-8"))
    listed["metadata"]["component"] = {
        "type": "application",
        "bom-ref": "nightsort",
        "name": "nightsort",
        "version": this_python.VERSION,
    }
    listed["components"] += [
        _component("python", platform.python_version(), f"pkg:generic/python@{platform.python_version()}"),
        *(
            _component(name, version, f"pkg:deb/debian/{name}@{version}?arch={architecture}")
            for name, version, architecture in debian_packages()
        ),
    ]
    Path(contents).write_text(json.dumps(listed, indent=1), "utf-8")


def debian_packages() -> list[list[str]]:
    """Name, version and architecture of every package of the system."""
    form = "${Package} ${Version} ${Architecture}\n"
    told = subprocess.run(["dpkg-query", "-W", "-f", form], capture_output=True, text=True, check=True)
    return [line.split() for line in told.stdout.splitlines()]


def _component(name: str, version: str, url: str) -> dict[str, str]:
    return {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}


if __name__ == "__main__":
    main(*sys.argv[1:])
