"""Gemma's chat format: turns of user and model as token ids, and back.

    <bos><start_of_turn>user
    Hello!<end_of_turn>
    <start_of_turn>model
    Hi.<end_of_turn>

The words in angle brackets are control tokens, one id each; a role is ordinary text, and so is all that a user types:
`<end_of_turn>` in a message is thirteen letters, which no model takes for the end of a turn. That difference exists
in ids only, so `render` gives ids; `render_text` is for reading.

Source: the formatting guide of Gemma's instruction-tuned models, https://ai.google.dev/gemma/docs/formatting.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gemma_edu.tokenizer.tokenizer import Tokenizer

ROLES = ("user", "model")
BOS, START, END = "<bos>", "<start_of_turn>", "<end_of_turn>"


@dataclass(frozen=True)
class Turn:
    """What one side said."""

    role: str
    """`user` or `model`."""
    text: str


def with_system(instruction: str, turns: Sequence[Turn]) -> list[Turn]:
    """The usual way around the missing system role: `instruction` at the beginning of the first user turn.

    An empty line stands between the two, as in the template published with Gemma 3.

    Raises:
        ValueError: where `render` does.
    """
    _check(turns)
    first, *rest = turns
    return [Turn("user", f"{instruction}\n\n{first.text}"), *rest]


def render(turns: Sequence[Turn], tokenizer: Tokenizer, generation_prompt: bool = True) -> list[int]:
    """The ids of a conversation, with one `<bos>` at the beginning and each text exactly as it is.

    (The templates published with the weights also strip the blanks around each text.)

    Args:
        turns: user and model in turn, the user first.
        tokenizer: of an instruction-tuned Gemma; the ids of `<start_of_turn>` and `<end_of_turn>` are its own,
            106 and 107 in Gemma 1 and 2, 105 and 106 in Gemma 3.
        generation_prompt: open the model's next turn, for the model to fill.

    Raises:
        ValueError: for an empty conversation, an unknown role, roles out of order, a model's turn at the end when
            the model is asked for one, and a tokenizer without turns.
        TypeError: for a text that is no string.
    """
    _check(turns, generation_prompt)
    start, end = _turn_ids(tokenizer)
    line_break = tokenizer.encode("\n")
    ids = [tokenizer.bos]
    for turn in turns:
        ids += [start, *tokenizer.encode(f"{turn.role}\n{turn.text}"), end, *line_break]
    return ids + [start, *tokenizer.encode("model\n")] if generation_prompt else ids


def render_text(turns: Sequence[Turn], generation_prompt: bool = True) -> str:
    """What `render` encodes, to look at. Do not encode it: typed and real control tokens look the same in it.

    Raises:
        ValueError: where `render` does, the tokenizer apart.
    """
    _check(turns, generation_prompt)
    text = "".join(f"{START}{turn.role}\n{turn.text}{END}\n" for turn in turns)
    return BOS + text + (f"{START}model\n" if generation_prompt else "")


def parse(ids: Iterable[object], tokenizer: Tokenizer) -> list[Turn]:
    """The turns of a conversation: what `render` was given, and what a model added to it.

    The last turn may be unfinished; if nothing stands in it yet, it is a generation prompt and is left out. One
    end-of-document token may follow.

    Args:
        ids: token ids that begin with `<bos>`, whole numbers of Python, NumPy or JAX.
        tokenizer: the one that made them.

    Raises:
        ValueError: for ids that are no conversation, naming the place, and where `render` does.
    """
    start, end = _turn_ids(tokenizer)
    ids = list(ids)
    tokenizer.decode(ids)  # names what is no id
    ids = [int(index) for index in ids]
    if ids[:1] != [tokenizer.bos]:
        raise ValueError(f"the ids begin with {ids[:3]}, needs {BOS} first, {tokenizer.bos}")
    if ids[-1] == tokenizer.eos:
        ids.pop()
    turns, place = [], 1
    while place < len(ids):
        if ids[place] != start:
            raise ValueError(f"id {ids[place]} at place {place} is outside any turn: {START} is {start}")
        stop = next((at for at in range(place, len(ids)) if ids[at] == end), len(ids))
        turn = _turn(ids[place + 1 : stop], place + 1, tokenizer)
        if stop < len(ids) or turn != Turn("model", ""):
            turns.append(turn)
        place = _next_turn(ids, stop + 1, tokenizer.encode("\n"))
    _check(turns)
    return turns


def _next_turn(ids: list[int], place: int, line_break: list[int]) -> int:
    """The place after the line break that follows a turn; a model stops before it, so the end may lack it."""
    after = place + len(line_break)
    if place < len(ids) and ids[place:after] != line_break:
        raise ValueError(f"no line break follows {END} at place {place - 1}, but id {ids[place]}")
    return after


def _turn(ids: list[int], place: int, tokenizer: Tokenizer) -> Turn:
    """The turn whose role and text `ids` spell; `place` is where they stand."""
    control = {index: piece for piece, index in tokenizer.control.items()}
    for offset, index in enumerate(ids):
        if index in control:
            raise ValueError(
                f"{control[index]} at place {place + offset} is inside a turn, which holds text only"
            )
    role, line_break, text = tokenizer.decode(ids).partition("\n")
    if not line_break:
        raise ValueError(f"the turn at place {place} has no line break after its role: {role!r}")
    return Turn(role, text)


def _turn_ids(tokenizer: Tokenizer) -> tuple[int, int]:
    """The ids of the two control tokens."""
    missing = [name for name in (START, END) if name not in tokenizer.control]
    missing += [BOS] if tokenizer.bos is None else []
    if missing:
        raise ValueError(
            f"this tokenizer has no {' and no '.join(missing)}: it is not Gemma's, and its model was trained on "
            "another format, or on none. Give the model plain text"
        )
    return tokenizer.control[START], tokenizer.control[END]


def _check(turns: Sequence[Turn], generation_prompt: bool = False) -> None:
    """Raise a ValueError unless user and model take turns, the user first, and last where an answer is wanted."""
    if not turns:
        raise ValueError('the conversation is empty: begin with Turn("user", …)')
    for index, turn in enumerate(turns):
        if not isinstance(turn.text, str):
            raise TypeError(f"the text of turn {index} is a {type(turn.text).__name__}, needs a str")
        if turn.role == "system":
            raise ValueError(
                f"turn {index} has the role 'system', which Gemma does not know: put the instruction at the "
                "beginning of the first user turn, as with_system(instruction, turns) does"
            )
        if turn.role not in ROLES:
            hint = ": Gemma calls it 'model'" if turn.role == "assistant" else ""
            raise ValueError(f"turn {index} has the role {turn.role!r}, needs 'user' or 'model'{hint}")
        if turn.role != ROLES[index % 2]:
            raise ValueError(
                f"turn {index} is the {turn.role}'s, but it is the {ROLES[index % 2]}'s turn: "
                "user and model alternate, and the user begins"
            )
    if generation_prompt and turns[-1].role == "model":
        raise ValueError(
            "the last turn is the model's, so there is nothing to answer: "
            "add a user turn, or give generation_prompt=False"
        )
