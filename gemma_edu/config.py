"""What a decoder-only Transformer is made of: one frozen dataclass that every part of the course reads.

Gemma 1, Gemma 3, Llama 2, OLMo, GPT-2 and the 2017 decoder differ in these fields and in nothing else, so
"Gemma against Llama" is the difference of two configs. The presets with their numbers are in `presets.py`.
"""

import dataclasses
from dataclasses import dataclass
from enum import Enum
from typing import get_args


class NormKind(Enum):
    """Which statistic a norm divides by, and which parameters it owns."""

    RMS = "rms"
    """x / rms(x) · scale (Zhang & Sennrich 2019). Llama 2."""
    RMS_UNIT_OFFSET = "rms unit offset"
    """x / rms(x) · (1 + scale), scale starting at 0. Gemma."""
    LAYER = "layer"
    """(x − mean) / std · scale + bias (Ba et al. 2016). GPT-2, the 2017 Transformer."""
    LAYER_NO_PARAMETERS = "layer no parameters"
    """(x − mean) / std, and nothing to learn. OLMo."""


class NormPlacement(Enum):
    """Where the norms of a block stand around its two sublayers."""

    PRE = "pre"
    """x + sublayer(norm(x)). Gemma 1, Llama 2, OLMo, GPT-2."""
    POST = "post"
    """norm(x + sublayer(x)); no final norm. The 2017 Transformer."""
    SANDWICH = "sandwich"
    """x + norm(sublayer(norm(x))). Gemma 2 and 3."""


class PositionKind(Enum):
    """How a token learns where it stands."""

    ROPE = "rope"
    """Queries and keys are rotated, halves paired: dimension i with i + H/2 (Su et al. 2021)."""
    LEARNED = "learned"
    """One trained vector per position, added to the embedding. GPT-2."""
    SINUSOIDAL = "sinusoidal"
    """Fixed sines and cosines, added to the embedding. The 2017 Transformer."""


class Activation(Enum):
    """The nonlinearity of the feed-forward sublayer."""

    GELU_TANH = "gelu tanh"
    """0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))). Gemma, GPT-2."""
    GELU_EXACT = "gelu exact"
    """x Φ(x). What several Gemma ports ran by mistake."""
    SILU = "silu"
    """x σ(x). Llama 2, OLMo."""
    RELU = "relu"
    """max(x, 0). The 2017 Transformer."""


@dataclass(frozen=True)
class ModelConfig:
    """The shape and the choices of one model. Frozen and hashable, so it can be static under `jax.jit`.

    Each field says what it is and what other codebases call it. Letters are those of the course:
    V vocabulary, D width, L layers, N query heads, K key/value heads, H head size, F feed-forward width,
    W window.

    Raises:
        ValueError: for sizes and choices that contradict each other, naming field, value and fix.
    """

    name: str
    """A label for messages and tables."""

    vocab_size: int
    """V, rows of the embedding table. num_embed (DeepMind), n_vocab (GPT-2)."""
    embed_dim: int
    """D, width of the residual stream. hidden_size (Hugging Face), n_embd (GPT-2), d_model (papers)."""
    num_layers: int
    """L, number of blocks. num_hidden_layers, n_layer."""
    num_heads: int
    """N, query heads. num_attention_heads, n_head."""
    num_kv_heads: int
    """K, key/value heads: K = N is multi-head, K = 1 multi-query attention. num_key_value_heads."""
    head_dim: int
    """H, size of one head. Never derived: Gemma 7B has N·H = 4096 beside D = 3072."""
    hidden_dim: int
    """F, width of *one* feed-forward branch. intermediate_size; half of the Gemma report's and OLMo's figure."""
    context_length: int
    """Trained context in tokens; the number of rows where positions are learned. max_position_embeddings."""

    scale_embedding: bool = True
    """Multiply embeddings by √D (Vaswani et al. 2017, section 3.4)."""
    tie_embedding: bool = True
    """Use the embedding table as output matrix too. tie_word_embeddings, weight_tying."""

    norm: NormKind = NormKind.RMS_UNIT_OFFSET
    norm_placement: NormPlacement = NormPlacement.PRE
    norm_epsilon: float = 1e-6
    """Added under the root. rms_norm_eps, layer_norm_epsilon."""

    position: PositionKind = PositionKind.ROPE
    rope_theta: float = 10_000.0
    """Base of RoPE's wavelengths, for layers that see the whole context. rope_theta, max_wavelength."""
    rope_theta_local: float | None = None
    """Base for sliding-window layers, where it differs (Gemma 3). rope_local_base_freq."""

    window_size: int | None = None
    """W: sliding-window layers attend to the last W positions, themselves included. sliding_window."""
    global_every: int = 1
    """Every so many layers one sees the whole context (Gemma 3: 6). sliding_window_pattern."""
    qk_norm: bool = False
    """RMS-normalise each query and key head before rotating it (Gemma 3)."""
    attention_bias: bool = False
    """Biases on the four attention projections (GPT-2)."""

    activation: Activation = Activation.GELU_TANH
    gated: bool = True
    """act(x W_gate) ⊙ x W_up instead of act(x W_up) (Shazeer 2020): GeGLU, SwiGLU."""
    feedforward_bias: bool = False
    """Biases on the feed-forward projections (GPT-2, the 2017 Transformer)."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            kind, *optional = get_args(field.type) or (field.type,)
            if optional and value is None:
                continue
            if kind is int and (type(value) is not int or value < 1):
                raise ValueError(f"{field.name} = {value!r}: it must be a whole number of at least 1")
            if not isinstance(value, kind) and not (kind is float and type(value) is int):
                raise ValueError(f"{field.name} = {value!r}: it must be a {kind.__name__}")
            if kind is float and not 0 < value < float("inf"):
                raise ValueError(f"{field.name} = {value!r}: it must be positive and finite")
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"num_heads = {self.num_heads} cannot be shared out among num_kv_heads = "
                f"{self.num_kv_heads}: take a num_kv_heads that divides num_heads"
            )
        if self.position is PositionKind.ROPE and self.head_dim % 2:
            raise ValueError(f"head_dim = {self.head_dim}: RoPE rotates pairs, so take an even head_dim")
        if self.position is PositionKind.SINUSOIDAL and self.embed_dim % 2:
            raise ValueError(
                f"embed_dim = {self.embed_dim}: sines and cosines come in pairs, so take an even one"
            )
        if self.window_size is None and (self.global_every > 1 or self.rope_theta_local is not None):
            raise ValueError(
                f"global_every = {self.global_every} and rope_theta_local = {self.rope_theta_local} describe "
                "sliding-window layers: give window_size as well"
            )
        if self.window_size is not None and self.global_every < 2:
            raise ValueError(
                f"window_size = {self.window_size} with global_every = {self.global_every}: no layer would use "
                "the window; give global_every of 2 or more"
            )

    @property
    def heads_per_kv_head(self) -> int:
        """G = N / K, the query heads that share one key/value head."""
        return self.num_heads // self.num_kv_heads

    @property
    def has_final_norm(self) -> bool:
        """Post-norm blocks end in a norm already; every other placement needs one after the last block."""
        return self.norm_placement is not NormPlacement.POST

    def is_local(self, layer: int) -> bool:
        """Whether layer number `layer` (from 0) has a sliding window.

        Gemma 3 runs five local layers, then a global one: with `global_every = 6`, layers 5, 11, 17, … are global.
        """
        return self.window_size is not None and (layer + 1) % self.global_every != 0

    def window(self, layer: int) -> int | None:
        """W of layer number `layer`, None where it sees the whole context."""
        return self.window_size if self.is_local(layer) else None

    def theta(self, layer: int) -> float:
        """RoPE base of layer number `layer`."""
        local = self.is_local(layer) and self.rope_theta_local is not None
        return self.rope_theta_local if local else self.rope_theta

    def replace(self, **changes) -> "ModelConfig":
        """The same config with some fields changed: `GEMMA_2B.replace(scale_embedding=False)`."""
        return dataclasses.replace(self, **changes)
