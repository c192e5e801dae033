"""Google's Gemma, built piece by piece: first in plain NumPy, then in JAX, then on real weights.

Data flows one way: `config → params → tokens → logits`. `gemma_edu.numpy_model` is the definition of
correct and imports without JAX; `gemma_edu.jax_model` is the fast twin, file by file.
"""
