"""The model in plain NumPy: short, slow, and the definition of correct.

Shapes use the course's letters: B batch, T positions processed now (queries), S positions attended to (keys),
D width, N query heads, K key/value heads, G = N / K, H head size, F feed-forward width, V vocabulary.
No file here imports JAX; each has a twin of the same name in `gemma_edu.jax_model`.
"""
