"""Write data/corpus.txt: small English documents from a grammar, for training a tokenizer and a tiny model.

    python tools/make_corpus.py

Six kinds of document, in a random order and with an empty line between them: stories, facts about animals, people
and their jobs, arithmetic, dialogues, instructions. Statements hold across documents (owls always hunt at night,
sums are right), so that a model has something to learn beyond spelling. The same seed gives the same bytes.
"""

import random
from pathlib import Path

import corpus_words as words

PATH = Path(__file__).resolve().parents[1] / "data" / "corpus.txt"
SEED = 2403_08295
DOCUMENTS = 1000


def story(r: random.Random) -> str:
    """Somebody has something, it breaks or is lost, a friend helps, all is well."""
    name, friend = two(r, tuple(words.PEOPLE))
    he, thing = words.PEOPLE[name], r.choice(tuple(words.THINGS))
    him, his = words.FORMS[he]
    slots = {
        "name": name, "he": he, "He": he.capitalize(), "him": him, "his": his,
        "friend": friend, "friends": words.FORMS[words.PEOPLE[friend]][1],
        "thing": thing, "part": words.THINGS[thing], "colour": r.choice(words.COLOURS),
        "time": r.choice(words.TIMES), "place": r.choice(words.PLACES), "found": r.choice(words.PLACES),
        "mood": r.choice(words.MOODS), "weather": r.choice(words.WEATHER), "tool": r.choice(words.TOOLS),
        "food": r.choice(words.FOODS),
    }  # fmt: skip
    trouble, rescues = r.choice(tuple(words.TROUBLES.items()))
    sentences = (
        r.choice(words.OPENINGS), r.choice(words.MEETINGS), trouble,
        r.choice(words.FEELINGS), r.choice(rescues), r.choice(words.ENDINGS),
    )  # fmt: skip
    return " ".join(sentences).format(**slots)


def fact(r: random.Random) -> str:
    """What is so of one animal, and often how it compares with another."""
    animal, other = two(r, tuple(words.ANIMALS))
    food, home, habit, young, legs = words.ANIMALS[animal]
    subject = f"{article(animal).capitalize()} {animal}"
    sentences = [
        f"{subject} lives {home}.",
        f"It eats {food}.",
        f"{subject} {habit}.",
        f"It has {words.NUMBERS[legs]} legs.",
        f"A young {animal} is called {article(young)} {young}.",
    ]
    shuffle(r, sentences)
    sentences[0] = sentences[0].replace("It ", f"{subject} ", 1)
    difference = legs - words.ANIMALS[other][4]
    if difference and r.random() < 0.7:
        comparison = "more" if difference > 0 else "fewer"
        sentences.append(
            f"That is {words.NUMBERS[abs(difference)]} legs {comparison} than {article(other)} {other} has."
            if "legs" in sentences[-1]
            else f"{subject} has {comparison} legs than {article(other)} {other}."
        )
    return " ".join(sentences)


def job(r: random.Random) -> str:
    """What somebody makes for a living."""
    name, (work, (product, material, tool, habit)) = (
        r.choice(tuple(words.PEOPLE)),
        r.choice(tuple(words.JOBS.items())),
    )
    he = words.PEOPLE[name]
    sentences = [
        f"{he.capitalize()} makes {product} out of {material}.",
        f"Like every {work}, {he} {habit}.",
        f"What {he} needs most is {tool}.",
        f'"Without {material} there are no {product}," says {name}.',
        f"You find {words.FORMS[he][0]} {r.choice(words.PLACES)}.",
    ]
    shuffle(r, sentences)
    return " ".join([f"{name} is {article(work)} {work}.", *sentences[: r.randrange(2, 5)]])


def arithmetic(r: random.Random) -> str:
    """A few sums, or a small problem in words."""
    if r.random() < 0.5:
        return "\n".join(equation(r) for _ in range(r.randrange(3, 8)))
    name, friend = two(r, tuple(words.PEOPLE))
    many, few = sorted((r.randrange(2, 60), r.randrange(2, 60)), reverse=True)
    what, he = r.choice(words.PLURALS), words.PEOPLE[name]
    start = f"{name} has {many} {what}."
    if r.random() < 0.5:
        total = f"{many} + {few} = {many + few}, so now {he} has {many + few}."
        return f"{start} {friend} gives {words.FORMS[he][0]} {few} more. {total}"
    rest = f"{many} - {few} = {many - few}, so {he} keeps {many - few}."
    return f"{start} {he.capitalize()} gives {few} of them to {friend}. {rest}"


def equation(r: random.Random) -> str:
    """One true line: a sum, a difference, a product or a quotient."""
    a, b, sign = r.randrange(1, 100), r.randrange(1, 100), r.choice("+-*/")
    if sign == "-":
        a, b = max(a, b), min(a, b)
    if sign in "*/":
        a, b = r.randrange(1, 13), r.randrange(1, 13)
    if sign == "/":
        return f"{a * b} / {b} = {a}"
    return f"{a} {sign} {b} = {a + b if sign == '+' else a - b if sign == '-' else a * b}"


def dialogue(r: random.Random) -> str:
    """Two people, a line each in turn."""
    name, friend = two(r, tuple(words.PEOPLE))
    food, place = r.choice(words.FOODS), r.choice(words.PLACES)
    animal = r.choice(tuple(words.ANIMALS))
    eats, home = words.ANIMALS[animal][:2]
    topics = [
        (
            f"Where does {article(animal)} {animal} live?",
            f"{article(animal).capitalize()} {animal} lives {home}.",
        ),
        (f"What does {article(animal)} {animal} eat?", f"It eats {eats}, as far as I know."),
        (f"Do you like {food}?", r.choice((f"Yes, {food} with salt!", f"No, I never eat {food}."))),
        (f"Where were you yesterday, {friend}?", f"I was {place} all day. Why do you ask?"),
        (f"What is {equation(r).replace(' = ', '? Is it ')}?", "Yes, that is right."),
        (
            "Shall we go?",
            r.choice(("Let me find my coat first.", "Not yet. Wait a minute.", "Yes, it is late.")),
        ),
    ]
    shuffle(r, topics)
    lines = [f"{name}: {r.choice(('Hello', 'Good morning', 'Hi'))}, {friend}!", f"{friend}: Hello, {name}."]
    for question, answer in topics[: r.randrange(2, 5)]:
        lines += [f"{name}: {question}", f"{friend}: {answer}"]
    return "\n".join(lines)


def instructions(r: random.Random) -> str:
    """How to make something, as a list or in sentences."""
    what, steps = r.choice(tuple(words.MAKING.items()))
    if r.random() < 0.5:
        return "\n".join(
            [f"How to make {what}:", *(f"  {number}. {step}" for number, step in enumerate(steps, 1))]
        )
    told = " ".join(
        f"{order}, {step[0].lower()}{step[1:]}" for order, step in zip(words.ORDER, steps, strict=False)
    )
    return f"{r.choice(tuple(words.PEOPLE))} knows how to make {what}. {told} That is all."


def article(noun: str) -> str:
    """`a` or `an`, by the letter: right for every noun above."""
    return "an" if noun[0] in "aeiou" else "a"


def two(r: random.Random, items: tuple[str, ...]) -> tuple[str, str]:
    """Two different items."""
    first = r.randrange(len(items))
    return items[first], items[(first + r.randrange(1, len(items))) % len(items)]


def shuffle(r: random.Random, items: list) -> None:
    """In place, by draws that every version of Python makes alike."""
    for last in range(len(items) - 1, 0, -1):
        other = r.randrange(last + 1)
        items[last], items[other] = items[other], items[last]


KINDS = (
    story,
    story,
    story,
    story,
    fact,
    fact,
    job,
    arithmetic,
    arithmetic,
    dialogue,
    dialogue,
    instructions,
)
"""Often named is often drawn."""


def corpus(seed: int = SEED, documents: int = DOCUMENTS) -> str:
    """The whole file: no document twice, an empty line between two."""
    r = random.Random(seed)
    found = {}
    while len(found) < documents:
        found[r.choice(KINDS)(r)] = None
    return "\n\n".join(found) + "\n"


if __name__ == "__main__":
    PATH.write_text(corpus(), encoding="utf-8", newline="\n")
    print(f"{PATH.name}: {PATH.stat().st_size / 1000:.0f} kB")
