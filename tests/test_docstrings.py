"""Every module, public class, public function and public method says what it is."""

import ast
from pathlib import Path

import pytest

import gemma_edu

PACKAGE = Path(gemma_edu.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


def public_definitions(node, prefix=""):
    """Public functions and classes with their dotted names; those inside functions are private."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and child.name[0] != "_":
            yield f"{prefix}{child.name}", child
            if isinstance(child, ast.ClassDef):
                yield from public_definitions(child, f"{prefix}{child.name}.")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_everything_public_has_a_docstring(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{path.name} has no docstring"
    silent = [name for name, node in public_definitions(tree) if not ast.get_docstring(node)]
    assert not silent, f"without a docstring: {silent}"


def test_the_package_was_found():
    names = {str(path.relative_to(PACKAGE)) for path in FILES}
    assert {"config.py", "numpy_model/norms.py", "jax_model/kv_cache.py"} <= names
    methods = dict(public_definitions(ast.parse((PACKAGE / "config.py").read_text(encoding="utf-8"))))
    assert {"ModelConfig", "ModelConfig.window"} <= methods.keys()
