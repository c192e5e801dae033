"""The published models as configs, each number with its source, and a tiny twin of each for tests and lessons.

Sources, by short name:

- DeepMind: `google-deepmind/gemma` at 9218f5f, `gemma/transformer.py` (`gemma_2b`, `gemma_7b`); the Gemma report,
  arXiv:2403.08295, Table 1, whose feed-forward figures 32768 and 49152 count gate and up together.
- Gemma 3: `google-deepmind/gemma` at 7691fd4, `gemma/gm/nn/_gemma.py`.
- Llama 2: `meta-llama/llama` at 689c7f2, `llama/model.py`; 11008 = ⅔ · 4 · 4096 rounded up to a multiple of 256.
- OLMo: `allenai/OLMo` at 59a53e3, `configs/official-0724/OLMo-7B.yaml` (`mlp_hidden_size: 22016` counts both branches,
  `weight_tying: false`) and the model card of the February 2024 release (context 2048, vocabulary 50280 in 50304 rows).
- GPT-2: `openai/gpt-2` at 9b63575, `src/model.py` and the sizes of the four released models.
- 2017: Vaswani et al., arXiv:1706.03762, section 3, Table 3; vocabulary ≈ 37000 from section 5.1. These two are the
  decoder stack without its cross-attention, the form in which language models inherited it.
"""

from gemma_edu.config import Activation, ModelConfig, NormKind, NormPlacement, PositionKind

GEMMA_2B = ModelConfig(
    name="Gemma 2B",
    vocab_size=256_000,  # the Flax files and the report say 256128: 128 padding rows that no token uses
    embed_dim=2048,
    num_layers=18,
    num_heads=8,
    num_kv_heads=1,  # multi-query attention
    head_dim=256,
    hidden_dim=16_384,
    context_length=8192,
)

GEMMA_7B = GEMMA_2B.replace(
    name="Gemma 7B",
    embed_dim=3072,
    num_layers=28,
    num_heads=16,
    num_kv_heads=16,  # multi-head: only the 2B is multi-query
    hidden_dim=24_576,
)

GEMMA3_270M = ModelConfig(
    name="Gemma 3 270M",
    vocab_size=262_144,
    embed_dim=640,
    num_layers=18,
    num_heads=4,
    num_kv_heads=1,
    head_dim=256,
    hidden_dim=2048,
    context_length=32_768,
    norm_placement=NormPlacement.SANDWICH,
    rope_theta=1_000_000.0,
    rope_theta_local=10_000.0,
    window_size=512,
    global_every=6,
    qk_norm=True,
)

LLAMA2_7B = ModelConfig(
    name="Llama 2 7B",
    vocab_size=32_000,
    embed_dim=4096,
    num_layers=32,
    num_heads=32,
    num_kv_heads=32,
    head_dim=128,
    hidden_dim=11_008,
    context_length=4096,
    scale_embedding=False,
    tie_embedding=False,
    norm=NormKind.RMS,
    norm_epsilon=1e-5,
    activation=Activation.SILU,
)

OLMO_7B = LLAMA2_7B.replace(
    name="OLMo 7B",
    vocab_size=50_304,
    context_length=2048,
    norm=NormKind.LAYER_NO_PARAMETERS,
)

GPT2_124M = ModelConfig(
    name="GPT-2 124M",
    vocab_size=50_257,
    embed_dim=768,
    num_layers=12,
    num_heads=12,
    num_kv_heads=12,
    head_dim=64,
    hidden_dim=3072,
    context_length=1024,
    scale_embedding=False,
    norm=NormKind.LAYER,
    norm_epsilon=1e-5,
    position=PositionKind.LEARNED,
    attention_bias=True,
    gated=False,
    feedforward_bias=True,
)

GPT2_1_5B = GPT2_124M.replace(
    name="GPT-2 1.5B", embed_dim=1600, num_layers=48, num_heads=25, num_kv_heads=25, hidden_dim=6400
)

TRANSFORMER_BASE = ModelConfig(
    name="Transformer base",
    vocab_size=37_000,
    embed_dim=512,
    num_layers=6,
    num_heads=8,
    num_kv_heads=8,
    head_dim=64,
    hidden_dim=2048,
    context_length=512,  # sinusoids have no table: any length works, this is a usual training length
    norm=NormKind.LAYER,
    norm_placement=NormPlacement.POST,
    norm_epsilon=1e-6,  # not in the paper; tensor2tensor's layer_norm
    position=PositionKind.SINUSOIDAL,
    activation=Activation.RELU,
    gated=False,
    feedforward_bias=True,
)

TRANSFORMER_BIG = TRANSFORMER_BASE.replace(
    name="Transformer big", embed_dim=1024, num_heads=16, num_kv_heads=16, hidden_dim=4096
)

FULL_SIZE = (
    GEMMA_2B,
    GEMMA_7B,
    GEMMA3_270M,
    LLAMA2_7B,
    OLMO_7B,
    GPT2_124M,
    GPT2_1_5B,
    TRANSFORMER_BASE,
    TRANSFORMER_BIG,
)
"""Every published model above, in the order of the course's tables."""


def tiny(config: ModelConfig) -> ModelConfig:
    """The same architecture at toy size, with every axis of another length so that a swapped axis shows.

    V 11, D 10, L 2, N 8, K 2 (1 or 8 where the original is multi-query or multi-head), H 12, F 14; windows shrink
    to 4 positions, and of two layers the second is global.
    """
    kv_heads = {1: 1, config.num_heads: 8}.get(config.num_kv_heads, 2)
    local = {"window_size": 4, "global_every": 2} if config.window_size else {}
    return config.replace(
        name=f"tiny {config.name}",
        vocab_size=11,
        embed_dim=10,
        num_layers=2,
        num_heads=8,
        num_kv_heads=kv_heads,
        head_dim=12,
        hidden_dim=14,
        context_length=32,
        **local,
    )


TINY_GEMMA_2B = tiny(GEMMA_2B)
TINY_GEMMA_7B = tiny(GEMMA_7B)
TINY_GEMMA3_270M = tiny(GEMMA3_270M)
TINY_LLAMA2_7B = tiny(LLAMA2_7B)
TINY_OLMO_7B = tiny(OLMO_7B)
TINY_GPT2_124M = tiny(GPT2_124M)
TINY_TRANSFORMER_BASE = tiny(TRANSFORMER_BASE)
TINY_GROUPED = TINY_GEMMA_2B.replace(name="tiny grouped-query Gemma", num_kv_heads=2)

TINY = (
    TINY_GEMMA_2B,
    TINY_GEMMA_7B,
    TINY_GEMMA3_270M,
    TINY_LLAMA2_7B,
    TINY_OLMO_7B,
    TINY_GPT2_124M,
    TINY_TRANSFORMER_BASE,
    TINY_GROUPED,
)
"""One of each architecture, small enough for a test; K is 1, 8 and 2 so that MQA, MHA and GQA all occur."""
