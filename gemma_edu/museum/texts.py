"""Bugs before the model reads and after it has written: `<bos>`, and where an answer ends."""

from dataclasses import replace

import numpy as np

from gemma_edu.museum.exhibit import Exhibit, Hiding
from gemma_edu.museum.port import BOS, Port
from gemma_edu.museum.probes import Letters

TEXT = "rain"


def without_bos(tokenizer, text: str) -> list[int]:
    """The ids of the text alone."""
    return tokenizer.encode(text.removeprefix(BOS))


def with_template_and_flag(tokenizer, text: str) -> list[int]:
    """The template's `<bos>` is read as the control token that it is, and the tokenizer adds its own."""
    return tokenizer.encode(text, add_bos=True, control_tokens=True)


def only_eos(tokenizer) -> frozenset[int]:
    """The end of a document, and nothing else."""
    return frozenset({tokenizer.eos})


def comes_back(port: Port) -> None:
    """Encoded and decoded, a text is itself again."""
    assert Letters().decode(port.encode(Letters(), TEXT)) == TEXT


def begins_with_bos(port: Port) -> None:
    """The first id is `<bos>`, and the second is not."""
    first, second, *_ = port.encode(Letters(), TEXT)
    assert first == Letters.bos != second


def one_bos_with_a_template(port: Port) -> None:
    """A text that already brings its `<bos>` has one afterwards."""
    assert port.encode(Letters(), BOS + TEXT).count(Letters.bos) == 1


def ends_at_eos(port: Port) -> None:
    """A text that ends with `<eos>` ends there."""
    assert cut([1082, 1, 1083], port.end_tokens(Letters())) == [1082]


def ends_with_the_turn(port: Port) -> None:
    """An answer in a conversation ends at `<end_of_turn>`."""
    assert cut([1082, 106, 1083], port.end_tokens(Letters())) == [1082]


def cut(ids: list[int], ends: frozenset[int]) -> list[int]:
    """The ids before the first end token."""
    stops = np.isin(ids, list(ends))
    return ids[: int(stops.argmax())] if stops.any() else ids


MISSING_BOS = Exhibit(
    name="missing_bos",
    title="No <bos> in front",
    lesson="11_real_gemma",
    happened="EleutherAI/lm-evaluation-harness #1465: Gemma 7B had a perplexity of 5.9e9 on LAMBADA without <bos>, and "
    "3.464 with it; #2049 is the same for Gemma 2. It is also number 1 in Unsloth's list of Gemma bugs.",
    right="ids = tokenizer.encode(text, add_bos=True)",
    wrong="ids = tokenizer.encode(text)",
    hiding=Hiding.OUTSIDE,
    missed="A comparison of logits is given tokens, and compares what both programs make of them. Decoding leaves "
    "<bos> out, so the text comes back as it was.",
    caught="The first id of an encoded text is <bos>.",
    port=replace(Port(), encode=without_bos),
    weak_test=comes_back,
    good_test=begins_with_bos,
)

DOUBLE_BOS = Exhibit(
    name="double_bos",
    title="<bos> twice",
    lesson="01_tokenizer",
    happened="DeepMind's own tutorial until commit 20cb3da (2024-07-29) of google-deepmind/gemma: the template wrote "
    "<bos>, and the tokenizer added one. A comment in unslothai/unsloth #10312 counts 11 of 30 chat models.",
    right="text = template(turns)  # begins with <bos>\nids = tokenizer.encode(text, add_bos=False)",
    wrong="text = template(turns)  # begins with <bos>\nids = tokenizer.encode(text, add_bos=True)",
    hiding=Hiding.OUTSIDE,
    missed="Each half is right by itself: the template begins with <bos>, and an encoded text does.",
    caught="Through template and tokenizer together, <bos> is there exactly once.",
    port=replace(Port(), encode=with_template_and_flag),
    weak_test=begins_with_bos,
    good_test=one_bos_with_a_template,
)

EOS_ONLY = Exhibit(
    name="eos_only",
    title="Stop at <eos> only",
    lesson="10_generation",
    happened='keras-team/keras-hub #1518, "Stop on multiple end tokens"; google/gemma_pytorch still cut at eos_id '
    "alone at 014acb7. A tuned model ends its turns with <end_of_turn>: 107 in Gemma 1, 106 in Gemma 3.",
    right='ends = {tokenizer.eos, tokenizer.control["<end_of_turn>"]}\nif token in ends:\n    break',
    wrong="ends = {tokenizer.eos}\nif token in ends:\n    break",
    hiding=Hiding.OUTSIDE,
    missed="No logit is wrong. A pretrained model ends its texts with <eos>, and so do tests written with one.",
    caught="An answer with <end_of_turn> in it is cut there.",
    port=replace(Port(), end_tokens=only_eos),
    weak_test=ends_at_eos,
    good_test=ends_with_the_turn,
    unseen="Nothing is computed differently; answers run on into the user's next turn.",
)

EXHIBITS = (MISSING_BOS, DOUBLE_BOS, EOS_ONLY)
