"""Training a model: pure functions on trees of arrays, like the model itself.

    split = data.split(data.encode(texts, tokenizer), held_out=50)
    state = step.start(params.init(key, config), training)
    run = loop.train(state, partial(data.batches, split.train, 16, 128, seed), config, training)

What happens, in order of the files: `data.py` packs documents into batches, `forward.py` runs the blocks, `loss.py`
judges each next token, `optimizer.py` turns gradients into updates by the settings in `config.py`, `step.py` does all
of that once, in one compiled call, `loop.py` does it many times, and `checkpointing.py` keeps what came out.
`ablation.py` does it for twenty models that differ in one choice; `ablation_rows.py` reads what came of that.
"""
