"""Words, facts and sentences of the grammar in `make_corpus`."""

PEOPLE = {
    "Mira": "she", "Tom": "he", "Anna": "she", "Ben": "he", "Lucy": "she", "Omar": "he", "Nina": "she",
    "Paul": "he", "Rosa": "she", "Sam": "he", "Tara": "she", "Viktor": "he", "Wendy": "she", "Yusuf": "he",
    "Clara": "she", "David": "he", "Elena": "she", "Felix": "he", "Greta": "she", "Hugo": "he",
}  # fmt: skip
FORMS = {"she": ("her", "her"), "he": ("him", "his")}
"""Pronoun → the forms after a verb and before a noun."""
PLACES = (
    "by the river", "in the garden", "at the market", "on the hill", "near the old mill", "in the forest",
    "at the harbour", "behind the school", "on the beach", "in the kitchen", "by the lake", "under the bridge",
)  # fmt: skip
TIMES = (
    "One morning", "One cold evening", "After breakfast", "On a windy day", "Late in the summer", "On Sunday",
    "Before school", "When the snow had melted", "On the first day of May", "Just before sunset",
)  # fmt: skip
THINGS = {
    "kite": "tail", "boat": "sail", "bicycle": "chain", "lamp": "wire", "drum": "skin", "sledge": "runner",
    "basket": "handle", "guitar": "string", "umbrella": "handle", "wagon": "wheel", "toy train": "wheel",
    "fiddle": "string", "telescope": "lens", "lantern": "hook", "puppet": "arm", "compass": "needle",
}  # fmt: skip
"""Thing → the part of it that breaks."""
COLOURS = ("red", "blue", "green", "yellow", "white", "brown", "silver", "grey", "purple", "golden")
MOODS = ("happy", "tired", "proud", "curious", "quiet", "hungry", "brave", "sleepy", "cheerful", "patient")
TOOLS = ("a bit of string", "a drop of glue", "two small nails", "a piece of wood", "an old key", "some tape")
FOODS = (
    "bread", "soup", "apples", "cheese", "honey", "beans", "pancakes", "plums", "rice", "carrots", "porridge",
    "cherries", "walnuts", "dumplings", "mushrooms", "raisins",
)  # fmt: skip
ANIMALS = {
    "owl": ("mice", "in hollow trees", "hunts at night", "owlet", 2),
    "fox": ("berries and mice", "in a den", "is awake at dusk", "cub", 4),
    "bee": ("nectar", "in a hive", "dances to show the way to flowers", "larva", 6),
    "frog": ("flies", "near ponds", "catches its food with its tongue", "tadpole", 4),
    "duck": ("water plants", "on lakes", "keeps its feathers dry with oil", "duckling", 2),
    "horse": ("grass and hay", "in a stable", "can sleep standing up", "foal", 4),
    "spider": ("insects", "in a web", "makes its own thread", "spiderling", 8),
    "goat": ("leaves", "on rocky hills", "climbs where others fall", "kid", 4),
    "heron": ("fish", "beside rivers", "stands very still and waits", "chick", 2),
    "hedgehog": ("beetles and worms", "under hedges", "sleeps through the winter", "hoglet", 4),
    "squirrel": ("nuts and seeds", "in the tops of trees", "hides food for the winter", "kit", 4),
    "ant": ("sugar and seeds", "under the ground", "carries more than its own weight", "larva", 6),
    "swallow": ("flying insects", "under roofs", "flies south in autumn", "nestling", 2),
    "otter": ("fish and crabs", "in clear rivers", "floats on its back", "pup", 4),
    "butterfly": ("nectar", "in meadows", "tastes with its feet", "caterpillar", 6),
    "penguin": ("fish", "on icy coasts", "swims but never flies", "chick", 2),
    "camel": ("thorny plants", "in the desert", "goes for days without water", "calf", 4),
    "bear": ("fish, berries and honey", "in the mountains", "sleeps in a cave all winter", "cub", 4),
}
"""Animal → what it eats, where it lives, what it is known for, its young, how many legs."""
MAKING = {
    "a pot of tea": ("Boil some water.", "Warm the pot.", "Add two spoons of leaves.", "Wait four minutes.", "Pour."),
    "a paper boat": ("Take a sheet of paper.", "Fold it in half.", "Fold down two corners.", "Pull the sides apart."),
    "a bean plant": ("Fill a pot with earth.", "Push the bean in.", "Water it.", "Put it in the sun.", "Wait a week."),
    "a simple soup": ("Cut the carrots.", "Fry them in butter.", "Add water and salt.", "Cook for twenty minutes."),
    "a camp fire": ("Find dry wood.", "Make a ring of stones.", "Light the small sticks first.", "Add bigger ones."),
    "a bird house": ("Saw six boards.", "Drill a round hole.", "Nail the boards together.", "Hang it in a tree."),
    "a warm bed": ("Shake the pillow.", "Spread the sheet.", "Lay the blanket on top.", "Close the window."),
}  # fmt: skip
JOBS = {
    "baker": ("bread and rolls", "flour", "an oven", "gets up long before the sun"),
    "carpenter": ("tables and doors", "wood", "a saw", "measures everything twice"),
    "tailor": ("coats and shirts", "cloth", "a needle", "sews by the window"),
    "potter": ("bowls and cups", "clay", "a turning wheel", "has dust on both sleeves"),
    "smith": ("horseshoes and hinges", "iron", "a heavy hammer", "works beside the fire"),
    "gardener": ("beds of flowers", "seeds", "a spade", "looks at the sky every morning"),
    "painter": ("portraits", "brushes and oil", "an easel", "waits for better light"),
    "printer": ("newspapers", "paper and ink", "a loud machine", "reads every word backwards"),
    "cobbler": ("boots and sandals", "leather", "a short knife", "knows who walks too fast"),
    "glazier": ("windows", "glass", "a diamond", "never hurries"),
}
"""Job → what is made, of what, with what, and a habit."""
ORDER = ("First", "Second", "Third", "Fourth", "Fifth")
WEATHER = ("warm", "cold", "noisy", "very quiet", "almost dark", "crowded")
NUMBERS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
PLURALS = ("apples", "books", "stones", "eggs", "coins", "shells", "pears", "stamps", "candles", "buttons")
OPENINGS = (
    "{time}, {name} went out with {his} {colour} {thing}.",
    "{name} had a {colour} {thing} that {he} loved more than anything.",
    "There was once a {mood} child called {name}, who owned a {colour} {thing}.",
)
MEETINGS = (
    "{He} met {friend} {place}.",
    "{friend} was waiting for {him} {place}.",
    '"May I come too?" asked {friend}. "Of course," said {name}.',
    "It was {weather} {place}, and {friend} was there too.",
)
TROUBLES = {
    "Suddenly the {part} broke, and the {thing} was of no use any more.": (
        "{friend} took {tool} from {friends} pocket and mended the {part}.",
        '"Look," said {friend}, "all it needs is {tool}."',
    ),
    "But when {he} looked again, the {thing} was gone.": (
        "They searched together, and {friend} found it {found}.",
        "{friend} said that it had to be {found}, and so it was.",
    ),
}
"""What goes wrong → how a friend helps."""
FEELINGS = (
    "{name} wanted to cry.",
    '"Oh no," said {name}.',
    "{name} did not know what to do.",
    "For a while {he} said nothing.",
)
ENDINGS = (
    "Then they shared some {food} and walked home.",
    '"Thank you," said {name}. "What would I do without you?"',
    "From that day on, {name} and {friend} were friends.",
    "{name} smiled, and the {colour} {thing} was as good as new.",
    "That night {he} told {his} mother everything.",
    "In the end both of them were {mood}.",
)
