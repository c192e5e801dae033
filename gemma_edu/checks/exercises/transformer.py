"""Lesson 08: the exercises on the whole model, and the wrong versions that their checks know."""

from gemma_edu import presets
from gemma_edu.checks.exercise import exercise
from gemma_edu.config import NormPlacement


def _layer_cases(random):
    yield 18, 6
    yield 26, 6
    yield 7, 2
    yield 5, 6
    yield 9, 3


@exercise(lesson="08_numpy_gemma", cases=_layer_cases)
def layer_kinds(num_layers, global_every):
    """Write down which layers are local and which are global."""
    return "".join("G" if (layer + 1) % global_every == 0 else "L" for layer in range(num_layers))


@layer_kinds.mutant()
def first_layer_global(num_layers, global_every):
    """the pattern with layers 0, 6, 12, … global; each group of layers ends with its global one: 5, 11, 17, …."""
    return "".join("LG"[layer % global_every == 0] for layer in range(num_layers))


@layer_kinds.mutant()
def kinds_inverted(num_layers, global_every):
    """the pattern inside out, five global layers to one local; the rare ones are global."""
    return layer_kinds.solution(num_layers, global_every).translate(str.maketrans("LG", "GL"))


@layer_kinds.mutant()
def one_layer_early(num_layers, global_every):
    """the pattern one layer early: 4, 10, 16. Layers are counted from 0, so the sixth layer is number 5."""
    return "".join("LG"[(layer + 2) % global_every == 0] for layer in range(num_layers))


@layer_kinds.mutant()
def last_always_global(num_layers, global_every):
    """a pattern that always ends with a global layer; where L is no multiple, the last layers are local."""
    return layer_kinds.solution(num_layers, global_every)[:-1] + "G"


@layer_kinds.mutant()
def one_layer_late(num_layers, global_every):
    """the pattern one layer late: 6, 12. Layers are counted from 0, so the sixth layer is number 5."""
    return "".join("LG"[layer % global_every == 0 and layer > 0] for layer in range(num_layers))


@layer_kinds.mutant()
def list_of_letters(num_layers, global_every):
    """a list with the letters one by one; one string is asked for, as "".join(…) makes it."""
    return list(layer_kinds.solution(num_layers, global_every))


def _config_cases(random):
    yield (presets.GEMMA_2B,)
    yield (presets.GEMMA_7B,)
    yield (presets.GEMMA3_270M,)
    yield (presets.LLAMA2_7B,)
    yield (presets.TINY_GEMMA3_270M.replace(name="tiny grouped Gemma 3", num_kv_heads=2),)


def _total(config, L=None, K=None, H=None, F=None, V=None, branches=3, final=1, norms=None, qk=2):
    """The count with some of its terms replaced."""
    D, N = config.embed_dim, config.num_heads
    L, K, H = L or config.num_layers, K or config.num_kv_heads, H or config.head_dim
    F, V = F or config.hidden_dim, V or config.vocab_size
    norms = norms or (4 if config.norm_placement is NormPlacement.SANDWICH else 2)
    layer = 2 * D * N * H + 2 * D * K * H + branches * D * F + norms * D + config.qk_norm * qk * H
    return L * layer + final * D + (1 if config.tie_embedding else 2) * V * D


@exercise(lesson="08_numpy_gemma", cases=_config_cases)
def count_parameters(config):
    """Count a model's parameters from the fields of its config."""
    return _total(config)


@count_parameters.mutant()
def no_final_norm(config):
    """the count without the norm after the last layer; it has D numbers of its own."""
    return _total(config, final=0)


@count_parameters.mutant()
def one_branch(config):
    """the count with two feed-forward matrices a layer; a gated one has three, gate, up and down."""
    return _total(config, branches=2)


@count_parameters.mutant()
def output_always_counted(config):
    """the count with an output matrix for every model; a tied model has one table, counted once."""
    return _total(config.replace(tie_embedding=False))


@count_parameters.mutant()
def output_never_counted(config):
    """the count with one table for every model; Llama 2's is not tied, it has a second one for the output."""
    return _total(config.replace(tie_embedding=True))


@count_parameters.mutant()
def all_multi_head(config):
    """the count with as many key/value heads as query heads; keys and values have K heads, num_kv_heads."""
    return _total(config, K=config.num_heads)


@count_parameters.mutant(shipped_by="transformers 4.38.0, issues #29181 and #29185; bumblebee #364")
def derived_head_size(config):
    """the count with heads of size D / N; head_dim is a field of its own, and N·H need not be D."""
    return _total(config, H=config.embed_dim // config.num_heads)


@count_parameters.mutant()
def padded_table(config):
    """the count with 128 more rows in the table, as in the Flax files; this config's V is the smaller one."""
    return _total(config, V=config.vocab_size + 128)


@count_parameters.mutant()
def doubled_width(config):
    """the count with F doubled, as the Gemma report prints it; hidden_dim is the width of one branch."""
    return _total(config, F=2 * config.hidden_dim)


@count_parameters.mutant()
def two_norms_everywhere(config):
    """the count with two norms in every layer; Gemma 3's sandwich has four of width D."""
    return _total(config, norms=2)


@count_parameters.mutant()
def norms_of_gemma_1(config):
    """the count with Gemma 1's norms, two in each layer; Gemma 3 has four, and two more of size H."""
    return _total(config, norms=2, qk=0)


@count_parameters.mutant()
def gemma_1_only(config):
    """the count by Gemma 1's formula; Gemma 3 has more norms, and Llama 2 a second table."""
    return _total(config.replace(tie_embedding=True), norms=2, qk=0)


@count_parameters.mutant()
def no_query_key_norms(config):
    """the count without Gemma 3's norms for queries and keys, two of size H in each layer."""
    return _total(config, qk=0)


@count_parameters.mutant()
def query_key_norms_per_head(config):
    """the count with a QK-norm scale for every head; all heads of a layer share one scale of H numbers."""
    return _total(config, qk=config.num_heads + config.num_kv_heads)


@count_parameters.mutant()
def query_key_norms_of_width_D(config):
    """the count with QK-norm scales of width D; a query or a key has H numbers, and its scale has as many."""
    return _total(config, qk=0) + config.qk_norm * config.num_layers * 2 * config.embed_dim


def _flops_cases(random):
    yield presets.GEMMA_2B, 1
    yield presets.GEMMA_7B, 8192
    yield presets.GEMMA3_270M, 105
    yield presets.GEMMA3_270M, 4000
    yield presets.TINY_GEMMA3_270M.replace(name="tiny grouped Gemma 3", num_kv_heads=2), 9


def _flops(config, T, weights=2, scores=4, heads=None, keys=None, tables=1, branches=3):
    """The products of the last of T tokens, with some terms replaced."""
    D, H, N = config.embed_dim, config.head_dim, config.num_heads
    matrices = 2 * D * H * (N + config.num_kv_heads) + branches * D * config.hidden_dim
    seen = keys or [min(T, config.window(layer) or T) for layer in range(config.num_layers)]
    attention = scores * (heads or N) * H * sum(seen)
    return weights * (config.num_layers * matrices + tables * config.vocab_size * D) + attention


@exercise(lesson="08_numpy_gemma", cases=_flops_cases)
def flops_of_last_token(config, T):
    """Count the FLOPs that the last of T tokens needs, with windows."""
    return _flops(config, T)


@flops_of_last_token.mutant()
def multiplications_only(config, T):
    """half of the FLOPs: the multiplications; each comes with an addition, so a product of matrices is 2·m·n·k."""
    return _flops(config, T, weights=1, scores=2)


@flops_of_last_token.mutant()
def lookup_counted(config, T):
    """the count with the table multiplied twice; on the way in a row is looked up, which is no product."""
    return _flops(config, T, tables=2)


@flops_of_last_token.mutant()
def logits_forgotten(config, T):
    """the count without the logits; the product with the table, 2·D·V, is most of the 270M's work."""
    return _flops(config, T, tables=0)


@flops_of_last_token.mutant()
def gate_forgotten(config, T):
    """the count with two feed-forward products a layer; a gated one has three, gate, up and down."""
    return _flops(config, T, branches=2)


@flops_of_last_token.mutant()
def one_key_only(config, T):
    """the count with scores for one key; the last token's query meets every token that it sees."""
    return _flops(config, T, keys=[1] * config.num_layers)


@flops_of_last_token.mutant()
def windows_forgotten(config, T):
    """the count with all T keys in every layer; a local layer sees the window's W at most."""
    return _flops(config, T, keys=[T] * config.num_layers)


@flops_of_last_token.mutant()
def window_everywhere(config, T):
    """the count with a window in every layer; every sixth layer of Gemma 3 is global and sees all T."""
    return _flops(config, T, keys=[min(T, config.window_size or T)] * config.num_layers)


@flops_of_last_token.mutant()
def values_forgotten(config, T):
    """the count with queries · keys but without probabilities · values, which costs the same again."""
    return _flops(config, T, scores=2)


@flops_of_last_token.mutant()
def scores_per_kv_head(config, T):
    """the count with scores for K heads; each of the N query heads has scores of its own, shared keys or not."""
    return _flops(config, T, heads=config.num_kv_heads)


@flops_of_last_token.mutant()
def of_all_tokens(config, T):
    """the count times T; only the last token's own products are asked for, as with a cache."""
    return T * _flops(config, T)
