"""Right answers to lesson 08's exercises, written as learners write them: with loops, sums over shapes, or jnp."""

import jax.numpy as jnp
import numpy as np

from gemma_edu import params
from gemma_edu.config import NormPlacement


def kinds_by_copying(num_layers, global_every):
    group = "L" * (global_every - 1) + "G"
    return (group * num_layers)[:num_layers]


def kinds_by_stepping(num_layers, global_every):
    kinds = ["L"] * num_layers
    kinds[global_every - 1 :: global_every] = "G" * len(kinds[global_every - 1 :: global_every])
    return "".join(kinds)


def count_by_shapes(config):
    return sum(int(np.prod(shape)) for shape in params.shapes(config).values())


def count_by_adding_up(config):
    total = config.vocab_size * config.embed_dim
    if not config.tie_embedding:
        total += config.vocab_size * config.embed_dim
    for _ in range(config.num_layers):
        total += 2 * config.embed_dim * config.head_dim * (config.num_heads + config.num_kv_heads)
        total += 3 * config.embed_dim * config.hidden_dim
        total += 2 * config.embed_dim
        if config.norm_placement == NormPlacement.SANDWICH:
            total += 2 * config.embed_dim
        if config.qk_norm:
            total += 2 * config.head_dim
    return total + config.embed_dim


def flops_layer_by_layer(config, T):
    flops = 2 * config.embed_dim * config.vocab_size
    for layer in range(config.num_layers):
        keys = min(T, config.window(layer)) if config.is_local(layer) else T
        flops += 2 * 2 * config.embed_dim * config.num_heads * config.head_dim
        flops += 2 * 2 * config.embed_dim * config.num_kv_heads * config.head_dim
        flops += 2 * 2 * config.num_heads * config.head_dim * keys
        flops += 3 * 2 * config.embed_dim * config.hidden_dim
    return flops


def flops_from_the_parameters(config, T):
    counted = params.count(config)
    weights = counted["attention"] + counted["feedforward"] + config.vocab_size * config.embed_dim
    keys = sum(min(T, config.window(layer) or T) for layer in range(config.num_layers))
    return 2 * weights + 4 * config.num_heads * config.head_dim * keys


def block_in_a_loop(attention, feedforward, norms, x_TD):
    norms = iter(norms)
    for work in (attention, feedforward):
        y_TD = work(next(norms)(x_TD))
        x_TD = x_TD + next(norms)(y_TD)
    return x_TD


def block_with_jnp(attention, feedforward, norms, x_TD):
    x_TD = jnp.asarray(x_TD)
    mixed_TD = jnp.add(x_TD, norms[1](attention(norms[0](np.asarray(x_TD)))))
    return mixed_TD + jnp.asarray(norms[3](feedforward(norms[2](np.asarray(mixed_TD)))))


def write_while(forward, tokens, limit, stop):
    text = list(tokens)
    while len(text) < len(tokens) + limit:
        logits_TV = np.asarray(forward([text]))[0]
        token = np.argmax(logits_TV[-1])
        if token == stop:
            break
        text = text + [token]
    return text[len(tokens) :]


def write_as_array(forward, tokens, limit, stop):
    tokens_BT = np.array([tokens])
    while tokens_BT.shape[1] < len(tokens) + limit:
        new_B1 = forward(tokens_BT)[:, -1:].argmax(-1)
        if new_B1[0, 0] == stop:
            return tokens_BT[0, len(tokens) :]
        tokens_BT = np.concatenate([tokens_BT, new_B1], axis=1)
    return tokens_BT[0, len(tokens) :]


RIGHT_ANSWERS = {
    "layer_kinds": (kinds_by_copying, kinds_by_stepping),
    "count_parameters": (count_by_shapes, count_by_adding_up),
    "flops_of_last_token": (flops_layer_by_layer, flops_from_the_parameters),
    "sandwich_block": (block_in_a_loop, block_with_jnp),
    "write_greedily": (write_while, write_as_array),
}
