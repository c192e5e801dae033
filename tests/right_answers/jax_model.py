"""Right answers to lesson 09's exercises, written as learners write them."""

import jax
import jax.numpy as jnp
import numpy as np

from gemma_edu.jax_model import layer_scan, ring


def padded_by_slices(prompts):
    T = max(map(len, prompts))
    tokens_BT, positions_BT = np.zeros((len(prompts), T), int), -np.ones((len(prompts), T), int)
    for row, prompt in enumerate(prompts):
        tokens_BT[row, T - len(prompt) :] = prompt
        positions_BT[row, T - len(prompt) :] = np.arange(len(prompt))
    return tokens_BT, positions_BT


def padded_by_arithmetic(prompts):
    lengths_B1 = jnp.array([[len(prompt)] for prompt in prompts])
    T = int(lengths_B1.max())
    positions_BT = jnp.maximum(jnp.arange(T) - (T - lengths_B1), -1)
    return [[0] * (T - len(prompt)) + prompt for prompt in prompts], positions_BT


def counted_layer_by_layer(config, capacity):
    total = 0
    for layer in range(config.num_layers):
        window = config.window(layer)
        places = capacity if window is None else min(window, capacity)
        total += places * config.num_kv_heads * config.head_dim * 2
    return total


def counted_from_shapes(config, capacity):
    K, H = config.num_kv_heads, config.head_dim
    local = sum(config.is_local(layer) for layer in range(config.num_layers))
    shapes = [(2, capacity, K, H)] * (config.num_layers - local)
    shapes += [(2, min(capacity, config.window_size), K, H)] * local if local else []
    return float(sum(np.prod(shape) for shape in shapes))


def ring_played_through(length, places):
    tokens = np.full(places, -1)
    for i in range(length):
        tokens[i % places] = i
    return tokens


def ring_from_the_cache(length, places):
    return ring.key_positions(jnp.int32(length), jnp.zeros(1, jnp.int32), places)[0]


def scanned_by_the_package(params, tokens_BT, config):
    return layer_scan.forward(layer_scan.stack(params, config), tokens_BT, config)


def scanned_with_stacked_leaves(params, tokens_BT, config):
    from gemma_edu.jax_model.block import block
    from gemma_edu.jax_model.embedding import embed, unembed
    from gemma_edu.jax_model.masks import attention_mask
    from gemma_edu.jax_model.norms import norm

    positions_BT = jnp.broadcast_to(jnp.arange(tokens_BT.shape[1]), tokens_BT.shape)
    mask_BTT = attention_mask(positions_BT, positions_BT, window=None)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *params.blocks)

    def step(x_BTD, weights):
        return block(weights, x_BTD, positions_BT, mask_BTT, config.rope_theta, config), None

    x_BTD, _ = jax.lax.scan(step, embed(params.embedding.table, tokens_BT, scale=True), stacked)
    return unembed(params.embedding.table, norm(params.final_norm, x_BTD, config))


RIGHT_ANSWERS = {
    "pad_left": (padded_by_slices, padded_by_arithmetic),
    "cache_numbers": (counted_layer_by_layer, counted_from_shapes),
    "ring": (ring_played_through, ring_from_the_cache),
    "my_scanned_forward": (scanned_by_the_package, scanned_with_stacked_leaves),
}
