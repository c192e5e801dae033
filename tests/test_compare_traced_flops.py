"""The counter itself, on programs whose products can be counted by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import pallas

from gemma_edu.compare.traced_flops import flops_of

A, W = np.ones((3, 5), np.float32), np.ones((5, 7), np.float32)
PRODUCT = 2 * 3 * 5 * 7


def test_a_product_takes_two_operations_for_each_multiplication():
    assert flops_of(lambda a, w: a @ w, A, W) == PRODUCT
    assert flops_of(lambda a, w: jnp.tanh(a) + a.sum() * 2, A, W) == 0


def test_what_no_result_depends_on_does_not_count():
    @jax.jit
    def both(a, w):
        return a @ w, w.T @ w

    assert flops_of(lambda a, w: both(a, w)[0], A, W) == PRODUCT
    assert flops_of(both, A, W) == PRODUCT + 2 * 7 * 5 * 7


def test_batched_axes_count_once_and_all_contracted_axes():
    x, y = np.ones((2, 3, 5, 7)), np.ones((2, 5, 7, 11))
    assert flops_of(lambda x, y: jnp.einsum("bijk,bjkl->bil", x, y), x, y) == 2 * 2 * 3 * 5 * 7 * 11


def test_shapes_are_enough():
    big = jax.ShapeDtypeStruct((10**6, 10**6), jnp.bfloat16)
    assert flops_of(jnp.matmul, big, big) == 2 * 10**18


@pytest.mark.parametrize(("groups", "inputs"), [(1, 4), (2, 2)])
def test_a_convolution_multiplies_each_output_with_its_kernel(groups, inputs):
    image, kernel = np.ones((2, 4, 9, 8), np.float32), np.ones((6, inputs, 3, 2), np.float32)

    def convolve(image, kernel):
        return jax.lax.conv_general_dilated(image, kernel, (1, 1), "SAME", feature_group_count=groups)

    assert flops_of(convolve, image, kernel) == 2 * (2 * 6 * 9 * 8) * (inputs * 3 * 2)


def test_a_scan_counts_as_often_as_it_turns_and_nested_ones_multiply():
    square = np.ones((5, 5), np.float32)

    def inner(x, _):
        return jax.lax.scan(lambda x, _: (x @ square, None), x, None, length=4)[0], None

    assert flops_of(lambda a: jax.lax.scan(inner, a, None, length=6)[0], A) == 24 * 2 * 3 * 25
    assert flops_of(lambda a: jax.lax.fori_loop(0, 6, lambda _, x: x @ square, a), A) == 6 * 2 * 3 * 25


def test_jitted_and_mapped_functions_are_looked_into():
    assert flops_of(jax.jit(lambda a, w: jax.jit(jnp.matmul)(a, w)), A, W) == PRODUCT
    assert flops_of(jax.vmap(jnp.matmul, (0, None)), np.ones((4, 3, 5)), np.ones((5, 7))) == 4 * PRODUCT


def test_functions_with_gradients_of_their_own_are_looked_into():
    tangent_too, way_back = jax.custom_jvp(jnp.matmul), jax.custom_vjp(jnp.matmul)
    tangent_too.defjvp(lambda at, moved: (at[0] @ at[1], moved[0] @ at[1]))
    way_back.defvjp(lambda a, w: (a @ w, (a, w)), lambda kept, dy: (dy @ kept[1].T, kept[0]))
    assert flops_of(tangent_too, A, W) == flops_of(way_back, A, W) == PRODUCT
    assert flops_of(lambda a, w: jax.jvp(tangent_too, (a, w), (a, w)), A, W) == 2 * PRODUCT


def test_what_is_computed_again_counts_again():
    def loss(w, wrap):
        return (wrap(lambda a, w: jnp.tanh(jnp.tanh(a @ w) @ w.T))(A, w) ** 2).sum()

    plain = flops_of(jax.grad(lambda w: loss(w, lambda f: f)), W)
    again = flops_of(jax.grad(lambda w: loss(w, jax.checkpoint)), W)
    assert plain == 5 * PRODUCT  # two forward, and back two gradients each, but none for a
    assert again == plain + 2 * PRODUCT


def test_of_a_condition_the_dearest_branch_counts():
    def either(flag, a, w):
        return jax.lax.cond(flag, lambda a, w: a @ w, lambda a, w: (a @ w) @ w.T @ w, a, w)

    assert flops_of(either, True, A, W) == 3 * PRODUCT


def test_of_code_for_platforms_the_default_counts():
    def product(a, w):
        return jax.lax.platform_dependent(a, w, cpu=lambda a, w: (a @ w) + (2 * a @ w), default=jnp.matmul)

    assert flops_of(product, A, W) == PRODUCT


def test_a_loop_of_unknown_length_is_refused_if_it_holds_products():
    def until_large(step):
        return lambda x: jax.lax.while_loop(lambda x: x.sum() < 1e9, step, x)

    square = np.ones((5, 5), np.float32)
    assert flops_of(until_large(lambda x: 2 * x), square) == 0
    with pytest.raises(ValueError, match="matrix products inside a while"):
        flops_of(until_large(lambda x: x @ x), square)


def test_products_in_a_kernel_are_refused():
    def kernel(a, w, out):
        out[...] = a[...] @ w[...]

    shape = jax.ShapeDtypeStruct((3, 7), jnp.float32)
    with pytest.raises(ValueError, match="matrix products inside a pallas_call"):
        flops_of(pallas.pallas_call(kernel, out_shape=shape, interpret=True), A, W)


def test_work_shared_out_among_devices_is_refused():
    mesh = jax.make_mesh((1,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec()
    shared = jax.shard_map(jnp.matmul, mesh=mesh, in_specs=(spec, spec), out_specs=spec)
    with pytest.raises(ValueError, match="matrix products inside a shard_map"):
        flops_of(shared, A, W)
