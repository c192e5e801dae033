"""What a reader installs is listed once, and nothing of the author's machine is left in the files."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
CONDA_NAME = {"matplotlib": "matplotlib-base"}
"""Packages that conda-forge has under another name."""


def by_name(lines):
    """Requirement lines as canonical name → specifier."""
    pypi_name = {conda: pypi for pypi, conda in CONDA_NAME.items()}
    requirements = [Requirement(line) for line in lines]
    names = [canonicalize_name(pypi_name.get(entry.name, entry.name)) for entry in requirements]
    assert len(set(names)) == len(names), f"listed twice: {sorted(names)}"
    return {name: str(entry.specifier) for name, entry in zip(names, requirements, strict=True)}


def test_conda_and_pip_install_together_what_pyproject_lists():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    environment = pytest.importorskip("yaml").safe_load(
        (ROOT / "environment.yml").read_text(encoding="utf-8")
    )
    conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    (pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    (package,) = (line for line in pip if line.startswith("-e"))
    extras = re.fullmatch(r"-e \.\[(.+)\]", package).group(1).split(",")

    base = by_name(project["dependencies"]) | {"python": project["requires-python"], "pip": ""}
    optional = by_name(line for extra in extras for line in project["optional-dependencies"][extra])
    listed = by_name([*conda, *(line for line in pip if line != package)])
    assert base.items() <= by_name(conda).items()  # what `import gemma_edu` needs comes from conda itself
    assert listed.items() <= (base | optional).items()  # no other name and no other specifier anywhere
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    assert f'-e ".[{",".join(extras)}]"' in (ROOT / "Makefile").read_text(
        encoding="utf-8"
    )  # `make` takes the same


def tracked_files():
    """The files a reader gets: those git tracks or would, else (no git here) those outside hidden folders."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True
    )
    if listing.returncode == 0:
        paths = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    else:
        paths = [
            path for path in ROOT.rglob("*") if not re.search(r"/\.|/build/", str(path.relative_to(ROOT)))
        ]
    return [path for path in paths if path.is_file()]


MACHINE = [b"/work" + b"/", b"/root" + b"/", b"find" + b"-links", b"index" + b"-url"]
"""Paths of the author's machine, and options that name its package registry; split, so that this file passes."""


def test_no_file_names_the_machine_it_was_written_on():
    paths = tracked_files()
    assert Path(__file__).resolve() in {path.resolve() for path in paths}
    found = [
        f"{path.relative_to(ROOT)}: {word.decode()}"
        for path in paths
        for content in [path.read_bytes()]
        for word in MACHINE
        if word in content
    ]
    assert not found


def test_the_types_of_the_package_are_checked_while_tests_run(pytestconfig):
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"][
        "ini_options"
    ]
    assert "--jaxtyping-packages=gemma_edu,beartype.beartype" in options["addopts"]
    assert options["filterwarnings"] == ["error"]
    assert pytestconfig.getoption("jaxtyping_packages") == "gemma_edu,beartype.beartype"


def test_the_wheel_has_every_package_and_the_files_that_lessons_read():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    folders = {
        ".".join(init.parent.relative_to(ROOT).parts) for init in ROOT.glob("gemma_edu/**/__init__.py")
    }
    assert set(settings["packages"]) == folders | {"gemma_edu.data"}
    packed = {
        str(path.relative_to(ROOT / "data"))
        for pattern in settings["package-data"]["gemma_edu.data"]
        for path in (ROOT / "data").glob(pattern)
    }
    lessons = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("notebooks/source/*.py"))
    read = set(re.findall(r'"(golden/[\w.]+|[\w.]+\.(?:csv|txt))"', lessons))
    assert read and read <= packed
