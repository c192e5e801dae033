"""Right answers to lesson 01's exercises, written as learners write them."""

from collections import Counter
from itertools import pairwise


def merge_by_index(pieces, left, right):
    result, place = [], 0
    while place < len(pieces):
        if place + 1 < len(pieces) and pieces[place] == left and pieces[place + 1] == right:
            result.append(left + right)
            place += 2
        else:
            result.append(pieces[place])
            place += 1
    return result


def merge_in_a_copy(pieces, left, right):
    pieces = list(pieces)
    for place in range(len(pieces)):
        if pieces[place : place + 2] == [left, right]:
            pieces[place : place + 2] = [left + right]
    return tuple(pieces)


def pair_by_sorting(words, counts):
    found = {}
    for word, count in zip(words, counts, strict=True):
        for left, right in pairwise(word):
            found[left, right] = found.get((left, right), 0) + count
    ranked = sorted((-n, len(a) + len(b), a + b, a, b) for (a, b), n in found.items())
    return ranked[0][3:]


def pair_by_repetition(words, counts):
    repeated = [word for word, count in zip(words, counts, strict=True) for _ in range(count)]
    tally = Counter(pair for word in repeated for pair in zip(word, word[1:], strict=False))
    most = max(tally.values())
    tied = [pair for pair in tally if tally[pair] == most]
    return list(min(tied, key=lambda pair: (len(pair[0] + pair[1]), pair[0] + pair[1])))


def merges_one_pass(word, merges):
    pieces = list(word)
    for left, right in merges:
        pieces = merge_by_index(pieces, left, right)
    return pieces


def merges_by_rank(word, merges):
    rank = {tuple(pair): number for number, pair in enumerate(merges)}
    pieces = list(word)
    while True:
        candidates = [(rank[pair], place) for place, pair in enumerate(pairwise(pieces)) if pair in rank]
        if not candidates:
            return pieces
        _, place = min(candidates)
        pieces[place : place + 2] = ["".join(pieces[place : place + 2])]


def spell_with_a_loop(text, known):
    pieces = []
    for character in text:
        if character in known:
            pieces.append(character)
            continue
        for byte in bytes(character, "utf-8"):
            pieces.append("<0x" + hex(byte)[2:].upper().zfill(2) + ">")
    return pieces


def spell_in_one_line(text, known):
    return [p for c in text for p in ([c] if c in known else map("<0x{:02X}>".format, c.encode("utf8")))]


def chat_by_parts(turns, encode):
    ids = encode("")
    for role, text in turns:
        ids.append(105)
        ids.extend(encode({"assistant": "model"}.get(role, role), add_bos=False))
        ids.append(107)
        ids.extend(encode(text, add_bos=False))
        ids.extend([106, 107])
    ids.append(105)
    ids.extend(encode("model", add_bos=False))
    return ids + [107]


def chat_recursive(turns, encode):
    if not turns:
        return [2, 105, *encode("model\n")[1:]]
    *before, (role, text) = turns
    role = "user" if role == "user" else "model"
    opening = [105, *encode("model\n")[1:]]
    return chat_recursive(before, encode)[: -len(opening)] + [
        105, *encode(role + "\n" + text)[1:], 106, *encode("\n")[1:], *opening,
    ]  # fmt: skip


def shown_by_growing_text(chunks):
    received, text, result = b"", "", []
    for chunk in chunks:
        received += chunk
        now = received.decode("utf-8", errors="ignore")
        result.append(now[len(text) :])
        text = now
    return result


def shown_by_holding_bytes(chunks):
    held, result = b"", []
    for chunk in chunks:
        held += chunk
        for end in range(len(held), -1, -1):
            try:
                result.append(held[:end].decode())
            except UnicodeDecodeError:
                continue
            held = held[end:]
            break
    return result


RIGHT_ANSWERS = {
    "merge_pair": (merge_by_index, merge_in_a_copy),
    "best_pair": (pair_by_sorting, pair_by_repetition),
    "apply_merges": (merges_one_pass, merges_by_rank),
    "spell": (spell_with_a_loop, spell_in_one_line),
    "chat_ids": (chat_by_parts, chat_recursive),
    "shown": (shown_by_growing_text, shown_by_holding_bytes),
}
