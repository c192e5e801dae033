"""The two models are twins: same files, same functions, same argument order, every shape annotated."""

import ast
from pathlib import Path

import pytest
from backend import COMPONENTS

import gemma_edu

PACKAGE = Path(gemma_edu.__file__).parent
ONLY_IN_JAX = {
    "params",
    "kv_cache",
    "decoding",
    "generation",
    "layer_scan",
    "loss",
    "ring",
    "cached_block",
    "online_softmax",
    "prompt_pieces",
    "screening",
    "products",
}
FROM_JAX_NN = {
    ("attention", "softmax"),
    ("feedforward", "gelu"),
    ("feedforward", "silu"),
    ("feedforward", "relu"),
}
"""What NumPy has to spell out and JAX has ready-made in `jax.nn`."""

FOR_XLA = {("sampling", "square")}
"""What JAX needs besides, for the speed of compiled code."""

SHAPED = {"Float", "Int", "Bool", "Shaped"}


def files(model):
    return {path.stem for path in (PACKAGE / model).glob("*.py")} - {"__init__"}


def public_functions(model, component):
    """Name → function, without those that only JAX needs."""
    tree = ast.parse((PACKAGE / model / f"{component}.py").read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    public = {node.name: node for node in functions if not node.name.startswith("_")}
    return {name: node for name, node in public.items() if (component, name) not in FOR_XLA}


def parameters(function):
    return [argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)]


def annotations(function):
    """Name → annotation, the result under "return"; None where there is none."""
    arguments = {
        argument.arg: argument.annotation for argument in (*function.args.args, *function.args.kwonlyargs)
    }
    return arguments | {"return": function.returns}


def bare_arrays(annotation):
    """Mentions of an array type outside `Float[…]`, `Int[…]`, `Bool[…]`, that is without a shape."""
    if isinstance(annotation, ast.Subscript) and getattr(annotation.value, "id", "") in SHAPED:
        return []
    if isinstance(annotation, ast.Name | ast.Attribute) and ast.unparse(annotation).endswith(
        ("Array", "ndarray")
    ):
        return [] if ast.unparse(annotation) == "PRNGKeyArray" else [ast.unparse(annotation)]
    return [name for child in ast.iter_child_nodes(annotation) for name in bare_arrays(child)]


def test_both_models_have_the_same_files():
    assert files("numpy_model") == set(COMPONENTS)
    assert files("jax_model") == set(COMPONENTS) | ONLY_IN_JAX


@pytest.mark.parametrize("component", COMPONENTS)
def test_public_functions_are_the_same_but_for_what_jax_nn_has(component):
    ready_made = {name for file, name in FROM_JAX_NN if file == component}
    in_numpy, in_jax = public_functions("numpy_model", component), public_functions("jax_model", component)
    assert set(in_jax) == set(in_numpy) - ready_made
    assert ready_made <= set(in_numpy)


@pytest.mark.parametrize("component", COMPONENTS)
def test_twins_take_the_same_parameters_in_the_same_order_with_the_same_shapes(component):
    in_numpy, in_jax = public_functions("numpy_model", component), public_functions("jax_model", component)
    for name, twin in in_jax.items():
        assert parameters(twin) == parameters(in_numpy[name]), name
        shapes, twin_shapes = (
            {key: ast.unparse(hint).replace("np.ndarray", "Array") for key, hint in annotations(node).items()}
            for node in (in_numpy[name], twin)
        )
        assert twin_shapes == shapes, name
        assert list(map(ast.unparse, twin.args.defaults)) == list(
            map(ast.unparse, in_numpy[name].args.defaults)
        )


@pytest.mark.parametrize("model", ["numpy_model", "jax_model"])
def test_every_array_of_a_public_function_is_annotated_with_its_shape(model):
    seen = 0
    for component in files(model):
        for name, function in public_functions(model, component).items():
            for argument, annotation in annotations(function).items():
                assert annotation is not None, f"{model}.{component}.{name}: {argument} has no annotation"
                assert not bare_arrays(annotation), f"{model}.{component}.{name}: {argument} has no shape"
                seen += 1
    assert seen > 60


@pytest.mark.parametrize(
    ("hint", "bare"),
    [
        ("Float[Array, 'B T']", []),
        ("tuple[Float[np.ndarray, 'B'], Int[Array, '']] | None", []),
        ("Array", ["Array"]),
        ("tuple[np.ndarray, int]", ["np.ndarray"]),
        ("jax.Array | None", ["jax.Array"]),
    ],
)
def test_the_check_above_can_tell(hint, bare):
    assert bare_arrays(ast.parse(hint, mode="eval").body) == bare
