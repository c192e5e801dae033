"""The model in JAX: the same files, names and argument order as `gemma_edu.numpy_model`, compiled and fast.

What is here and not there: `params.py` (initialisation), `kv_cache.py` (keys and values kept while text grows)
and `generation.py` (text in, text out). Shapes use the same letters; S is also the capacity of a cache.
"""
