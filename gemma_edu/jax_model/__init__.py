"""The model in JAX: the same files, names and argument order as `gemma_edu.numpy_model`, compiled and fast.

What is here and not there: `params.py` (initialisation), `products.py` (activations times weights, in the forms that a
CPU is quick with), `kv_cache.py` (keys and values kept while text grows), `online_softmax.py` (attention to them block
by block), `layer_scan.py` (one compiled layer, run L times), `loss.py` (how well the model expects a text),
`decoding.py` (token ids in, token ids out) and `generation.py` (text in, text out). Activations and softmax come from
`jax.nn`. Shapes use the same letters; S is also the capacity of a cache.
"""
