"""Lesson 08: the exercises on the block and on writing with a stack, and the wrong versions that their checks know."""

from functools import partial

import numpy as np

from gemma_edu.checks.exercise import exercise


def _scaled_norm(scale_D):
    return lambda x_TD: x_TD / np.sqrt(np.mean(x_TD * x_TD, axis=-1, keepdims=True) + 1e-6) * (1 + scale_D)


def _mix(earlier_TT, w_DD, v_DD, x_TD):
    return earlier_TT @ np.tanh(x_TD @ w_DD) @ v_DD


def _think(w_DF, w_FD, x_TD):
    return np.maximum(x_TD @ w_DF, 0) @ w_FD


def _block_cases(random):
    for T, D in ((5, 10), (1, 6), (7, 3)):
        w_DD, v_DD, w_DF, w_FD = (
            random.standard_normal(shape, np.float32) for shape in ((D, D), (D, D), (D, 14), (14, D))
        )
        earlier_TT = np.tril(np.ones((T, T), np.float32)) / np.arange(1, T + 1, dtype=np.float32)[:, None]
        attention = partial(_mix, earlier_TT, w_DD, v_DD)
        feedforward = partial(_think, w_DF, w_FD)
        norms = tuple(_scaled_norm(random.standard_normal(D, np.float32)) for _ in range(4))
        yield attention, feedforward, norms, 3 * random.standard_normal((T, D), np.float32)


@exercise(lesson="08_numpy_gemma", cases=_block_cases, axes="T D", tolerance=1e-4)
def sandwich_block(attention, feedforward, norms, x_TD):
    """Build Gemma 3's block from its six functions."""
    before_attention, after_attention, before_feedforward, after_feedforward = norms
    x_TD = x_TD + after_attention(attention(before_attention(x_TD)))
    return x_TD + after_feedforward(feedforward(before_feedforward(x_TD)))


@sandwich_block.mutant()
def no_residuals(attention, feedforward, norms, x_TD):
    """the result of two sublayers in a row, without the stream; each adds to what it has read."""
    x_TD = norms[1](attention(norms[0](x_TD)))
    return norms[3](feedforward(norms[2](x_TD)))


@sandwich_block.mutant()
def no_residual_around_attention(attention, feedforward, norms, x_TD):
    """the result where attention replaces the stream; it adds to it, as feed-forward does."""
    x_TD = norms[1](attention(norms[0](x_TD)))
    return x_TD + norms[3](feedforward(norms[2](x_TD)))


@sandwich_block.mutant()
def no_residual_around_feedforward(attention, feedforward, norms, x_TD):
    """the result where feed-forward replaces the stream; it adds to it, as attention does."""
    return norms[3](feedforward(norms[2](x_TD + norms[1](attention(norms[0](x_TD))))))


@sandwich_block.mutant()
def attention_lost(attention, feedforward, norms, x_TD):
    """the result where the second addition starts from the stream of before attention, whose part is lost."""
    mixed_TD = x_TD + norms[1](attention(norms[0](x_TD)))
    return x_TD + norms[3](feedforward(norms[2](mixed_TD)))


@sandwich_block.mutant()
def normed_stream(attention, feedforward, norms, x_TD):
    """the result with the stream itself normed, x = norm(x) + …; the norm is for the reader, x stays as it is."""
    x_TD = norms[0](x_TD)
    x_TD = norms[2](x_TD + norms[1](attention(x_TD)))
    return x_TD + norms[3](feedforward(x_TD))


@sandwich_block.mutant()
def parallel(attention, feedforward, norms, x_TD):
    """the result where both read the same stream, as in GPT-J; Gemma's feed-forward reads what attention has added."""
    return x_TD + norms[1](attention(norms[0](x_TD))) + norms[3](feedforward(norms[2](x_TD)))


@sandwich_block.mutant()
def norm_on_the_sum(attention, feedforward, norms, x_TD):
    """the result with the second norm on the sum, as in 2017; it stands on what is added, x + norm(…)."""
    x_TD = norms[1](x_TD + attention(norms[0](x_TD)))
    return norms[3](x_TD + feedforward(norms[2](x_TD)))


@sandwich_block.mutant()
def gemma_1(attention, feedforward, norms, x_TD):
    """the result of Gemma 1's block, without norms after the sublayers; Gemma 3 norms what is added too."""
    x_TD = x_TD + attention(norms[0](x_TD))
    return x_TD + feedforward(norms[2](x_TD))


@sandwich_block.mutant()
def gemma_1_names(attention, feedforward, norms, x_TD):
    """the result of Gemma 1's block with the second norm before feed-forward; so it is called in Gemma 1's files
    (post_attention_layernorm), but here it stands after attention."""
    x_TD = x_TD + attention(norms[0](x_TD))
    return x_TD + feedforward(norms[1](x_TD))


@sandwich_block.mutant()
def norms_exchanged(attention, feedforward, norms, x_TD):
    """the result with the norms before and after each sublayer exchanged; they come in the order of the data."""
    x_TD = x_TD + norms[0](attention(norms[1](x_TD)))
    return x_TD + norms[2](feedforward(norms[3](x_TD)))


@sandwich_block.mutant()
def one_norm_twice(attention, feedforward, norms, x_TD):
    """the result with attention's two norms used for feed-forward as well; it has two of its own."""
    x_TD = x_TD + norms[1](attention(norms[0](x_TD)))
    return x_TD + norms[1](feedforward(norms[0](x_TD)))


@sandwich_block.mutant()
def feedforward_first(attention, feedforward, norms, x_TD):
    """the result with feed-forward before attention; attention comes first."""
    x_TD = x_TD + norms[3](feedforward(norms[2](x_TD)))
    return x_TD + norms[1](attention(norms[0](x_TD)))


def _remembering(table_MV):
    """A model whose next token depends on every token and its place."""

    def forward(tokens_BT):
        tokens_BT = np.asarray(tokens_BT)
        if tokens_BT.ndim != 2:
            raise ValueError(
                f"forward wants tokens of shape B T, a list of texts; these have {tokens_BT.shape}"
            )
        places_T = np.arange(1, tokens_BT.shape[1] + 1)
        return table_MV[np.cumsum((tokens_BT + 1) * places_T**2, axis=1) % len(table_MV)]

    return forward


def _write_cases(random):
    forward = _remembering(random.standard_normal((101, 11), np.float32))
    written = write_greedily.solution(forward, [4, 9, 2], 12, -1)
    late = next(i for i in range(3, 12) if written[i] not in written[:i])
    yield forward, [4, 9, 2], 5, -1
    yield forward, [4, 9, 2], 12, written[late]
    yield forward, [4, 9, 2], 12, written[0]
    yield forward, [written[late], 3], 6, written[late]
    yield forward, [7], 1, -1


@exercise(lesson="08_numpy_gemma", cases=_write_cases)
def write_greedily(forward, tokens, limit, stop):
    """Continue a text with the most likely tokens."""
    written = []
    for _ in range(limit):
        token = int(forward(np.array([[*tokens, *written]]))[0, -1].argmax())
        if token == stop:
            break
        written.append(token)
    return written


def _write(forward, tokens, limit, stop, choose=lambda x: x[0, -1].argmax(), grow=lambda a, b: [*a, b]):
    """The loop with another choice or another way to go on."""
    text, written = list(tokens), []
    for _ in range(limit):
        token = int(choose(forward(np.array([text]))))
        if token == stop:
            break
        written.append(token)
        text = grow(text, token)
    return written


@write_greedily.mutant()
def first_position(forward, tokens, limit, stop):
    """what follows the first token, over and over; the logits of the last position speak of the next token."""
    return _write(forward, tokens, limit, stop, choose=lambda logits_BTV: logits_BTV[0, 0].argmax())


@write_greedily.mutant()
def over_everything(forward, tokens, limit, stop):
    """the largest entry of all positions, as a number of the flattened array; take one position's row first."""
    return _write(forward, tokens, limit, stop, choose=lambda logits_BTV: logits_BTV.argmax())


@write_greedily.mutant()
def over_positions(forward, tokens, limit, stop):
    """a list of positions, not of tokens: the argmax ran along T; it should run along V."""
    return _write(forward, tokens, limit, stop, choose=lambda x: x[0].argmax(axis=0)[-1])


@write_greedily.mutant()
def never_longer(forward, tokens, limit, stop):
    """one token again and again, since what is written is never appended to the text that is read."""
    return _write(forward, tokens, limit, stop, grow=lambda text, token: text)


@write_greedily.mutant()
def put_in_front(forward, tokens, limit, stop):
    """the result with each new token put in front of the text; it goes to the end."""
    return _write(forward, tokens, limit, stop, grow=lambda text, token: [token, *text])


@write_greedily.mutant()
def only_the_last(forward, tokens, limit, stop):
    """the result of reading only the newest token after the first; without a cache, all of the text is read again."""
    return _write(forward, tokens, limit, stop, grow=lambda text, token: [token])


@write_greedily.mutant()
def never_stops(forward, tokens, limit, stop):
    """a text that runs past the stop token; the loop ends there."""
    return _write(forward, tokens, limit, None)


@write_greedily.mutant()
def stop_included(forward, tokens, limit, stop):
    """the right text with the stop token at its end; that one is not part of the answer."""
    everything = _write(forward, tokens, limit, None)
    return everything[: everything.index(stop) + 1] if stop in everything else everything


@write_greedily.mutant()
def prompt_included(forward, tokens, limit, stop):
    """prompt and continuation together; only what was written is asked for."""
    return list(tokens) + _write(forward, tokens, limit, stop)


@write_greedily.mutant()
def limit_counts_the_prompt(forward, tokens, limit, stop):
    """a text that ends when prompt and continuation together reach the limit; the limit is of new tokens."""
    return _write(forward, tokens, max(0, limit - len(tokens)), stop)
