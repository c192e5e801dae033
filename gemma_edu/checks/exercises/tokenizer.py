"""Lesson 01: the exercises on cutting text into pieces, and the wrong versions that their checks know."""

from collections import Counter

from gemma_edu.checks.exercise import exercise

LESSON = "01_tokenizer"


def _merge_cases(random):
    yield list("banana"), "a", "n"
    yield list("aaaaa"), "a", "a"
    yield ["xa", "b", "a", "b"], "a", "b"
    yield ["b", "an", "an", "a"], "an", "an"
    yield ["o", "w", "l"], "w", "o"


@exercise(lesson=LESSON, cases=_merge_cases)
def merge_pair(pieces, left, right):
    """Join every left-right pair of neighbours in a list of pieces."""
    result = []
    for piece in pieces:
        if piece == right and result and result[-1] == left:
            result[-1] = left + right
        else:
            result.append(piece)
    return result


@merge_pair.mutant()
def only_the_first(pieces, left, right):
    """the result with the first pair joined and the later ones left apart; join all of them."""
    for place, pair in enumerate(zip(pieces, pieces[1:], strict=False)):
        if pair == (left, right):
            return [*pieces[:place], left + right, *pieces[place + 2 :]]
    return pieces


@merge_pair.mutant()
def overlapping(pieces, left, right):
    """the result in which a piece can be joined to both sides; after a join, go on behind the pair."""
    result, joined = [], False
    for place, piece in enumerate(pieces):
        if pieces[place : place + 2] == [left, right]:
            result.append(left + right)
            joined = True
        else:
            result += [] if joined else [piece]
            joined = False
    return result


@merge_pair.mutant()
def right_one_kept(pieces, left, right):
    """the result in which the right piece stands once more behind the joined one; after a join, skip it."""
    pairs = zip(pieces, [*pieces[1:], None], strict=True)
    return [left + right if pair == (left, right) else pair[0] for pair in pairs]


@merge_pair.mutant()
def from_the_right(pieces, left, right):
    """the result of going from right to left, which makes a aa aa of five a; go from left to right."""
    return [
        piece[::-1] for piece in merge_pair.solution([p[::-1] for p in pieces[::-1]], right[::-1], left[::-1])
    ][::-1]


@merge_pair.mutant()
def as_text(pieces, left, right):
    """the result of replacing text: a piece that ends in the left one was joined too. Compare whole pieces."""
    return "\0".join(pieces).replace(f"{left}\0{right}", left + right).split("\0")


@merge_pair.mutant()
def tail_lost(pieces, left, right):
    """the result without the last piece; a loop over pairs of neighbours ends one piece early."""
    result, place = [], 0
    while place < len(pieces) - 1:
        joined = pieces[place : place + 2] == [left, right]
        result.append(left + right if joined else pieces[place])
        place += 1 + joined
    return result


def _pair_cases(random):
    yield [["o", "w", "l"], ["b", "o", "w"], ["a", "s"]], [3, 1, 9]
    yield [["t", "o"], ["o", "n"], ["o", "n"]], [4, 2, 3]
    yield [["a", "b"], ["c", "d"], ["e", "f"], ["g", "b", "c"]], [1, 1, 1, 2]
    yield [["ar", "row"], ["n", "o"], ["t", "o"]], [2, 2, 2]
    yield [["sh", "e"], ["h", "e"], ["th", "e"], ["s", "h"]], [2, 3, 5, 4]
    yield [["x", "y", "z"], ["x", "y"], ["p", "q"], ["x"]], [1, 1, 2, 50]
    yield [["ab", "c"], ["ab", "a"], ["a", "zz"]], [1, 1, 1]


@exercise(lesson=LESSON, cases=_pair_cases)
def best_pair(words, counts):
    """The most frequent pair of neighbours in words that occur several times; ties as in SentencePiece."""
    tally = _tally(words, counts)
    return min(tally, key=lambda pair: (-tally[pair], len("".join(pair)), "".join(pair)))


def _tally(words, counts):
    tally = Counter()
    for pieces, count in zip(words, counts, strict=True):
        for pair in zip(pieces, pieces[1:], strict=False):
            tally[pair] += count
    return tally


@best_pair.mutant()
def each_word_once(words, counts):
    """the pair that is in the most words of the list; a word that occurs nine times counts nine times."""
    return best_pair.solution(words, [1] * len(words))


@best_pair.mutant()
def across_words(words, counts):
    """the result with pairs across the border of two words; the last piece of a word has no right neighbour."""
    tally = _tally(words, counts)
    for left, right, count in zip(words, words[1:], counts, strict=False):
        tally[left[-1], right[0]] += count
    return min(tally, key=lambda pair: (-tally[pair], len("".join(pair)), "".join(pair)))


@best_pair.mutant()
def ties_to_the_first(words, counts):
    """the result in which a tie goes to the pair seen first; it goes to the shorter, then to the alphabet."""
    return _tally(words, counts).most_common(1)[0][0]


@best_pair.mutant()
def ties_to_the_alphabet(words, counts):
    """the result in which a tie goes to the alphabet at once; a shorter joined piece goes first."""
    tally = _tally(words, counts)
    return min(tally, key=lambda pair: (-tally[pair], "".join(pair)))


@best_pair.mutant()
def ties_to_the_left_piece(words, counts):
    """the result in which the left pieces alone decide the last tie; compare the joined pieces."""
    tally = _tally(words, counts)
    return min(tally, key=lambda pair: (-tally[pair], len("".join(pair)), pair))


@best_pair.mutant()
def ties_turned(words, counts):
    """the result with the ties turned round; only the count goes by the largest, length and alphabet do not."""
    tally = _tally(words, counts)
    return max(tally, key=lambda pair: (tally[pair], len("".join(pair)), "".join(pair)))


@best_pair.mutant()
def count_replaced(words, counts):
    """the result in which the last word with a pair sets its count; add up the counts of all words."""
    tally = {}
    for pieces, count in zip(words, counts, strict=True):
        tally |= dict.fromkeys(zip(pieces, pieces[1:], strict=False), count)
    return min(tally, key=lambda pair: (-tally[pair], len("".join(pair)), "".join(pair)))


@best_pair.mutant()
def pairs_of_letters(words, counts):
    """the most frequent pair of letters; the words are cut into pieces already, and pairs are pairs of pieces."""
    return best_pair.solution([list("".join(word)) for word in words], counts)


def _merges_cases(random):
    learnt = [("o", "w"), ("ow", "l"), ("b", "o"), ("b", "ow"), ("e", "r"), ("l", "er"), ("bow", "l")]
    yield "bowl", [("o", "w"), ("ow", "l"), ("b", "ow")]
    yield "bow", learnt
    yield "owls", learnt
    yield "bowler", learnt
    yield "powwow", learnt
    yield "abab", [("a", "b"), ("b", "a"), ("ab", "a"), ("ab", "ab")]
    yield "abcd", [("b", "c"), ("a", "b"), ("c", "d")]
    yield "xyz", learnt


@exercise(lesson=LESSON, cases=_merges_cases)
def apply_merges(word, merges):
    """Cut a word as GPT-2 does: one merge after another, in the order in which they were learnt."""
    pieces = list(word)
    for left, right in merges:
        pieces = merge_pair.solution(pieces, left, right)
    return pieces


@apply_merges.mutant()
def longest_match(word, merges):
    """the result of taking the longest known piece from the left; BPE makes the earliest learnt merge first."""
    known = {left + right for left, right in merges}
    pieces, place = [], 0
    while place < len(word):
        ends = [end for end in range(len(word), place + 1, -1) if word[place:end] in known] or [place + 1]
        pieces.append(word[place : ends[0]])
        place = ends[0]
    return pieces


@apply_merges.mutant()
def last_learnt_first(word, merges):
    """the result of making the merges in the reverse order; the first learnt comes first."""
    return apply_merges.solution(word, merges[::-1])


@apply_merges.mutant()
def leftmost_first(word, merges):
    """the result of making the leftmost merge that fits; which merge was learnt earlier decides, not the place."""
    pieces, place = list(word), 0
    while place < len(pieces) - 1:
        if (pieces[place], pieces[place + 1]) in merges:
            pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]
            place = 0
        else:
            place += 1
    return pieces


@apply_merges.mutant()
def one_place_for_each(word, merges):
    """the result with each merge made in one place only; a merge is made wherever its pair stands."""
    pieces = list(word)
    for left, right in merges:
        pieces = only_the_first(pieces, left, right)
    return pieces


@apply_merges.mutant()
def merged_as_text(word, merges):
    """the result of replacing in a text with gaps: a piece that ends in the left one was joined too. Compare
    whole pieces."""
    text = " ".join(word)
    for left, right in merges:
        text = text.replace(f"{left} {right}", left + right)
    return text.split()
