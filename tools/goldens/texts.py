"""Texts that are hard on a tokenizer, drawn from a seed: scripts, emoji, code, digits, blanks, controls, markers."""

import random
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

WRITTEN = (
    "Hello, world!",
    "The quick brown fox jumps over the lazy dog.",
    " leading space",
    "trailing space ",
    "two  spaces",
    "three   four    five     six",
    "a                               b",
    "tab\tand\t\ttwo\t\t\tthree",
    "line\nbreak",
    "two\n\nbreaks",
    "\n\n\n\nmany\n\n\n",
    " \n \n ",
    "def f(x):\n    return x ** 2  # square\n",
    'for (int i = 0; i < 10; ++i) {\n\tprintf("%d\\n", i);\n}',
    "1234567890",
    "3.14159, 2.71828; 1e-6",
    "Year 2024, price £1,234.56 (≈ €1.450)",
    "Grüße aus München: Straße, Äpfel, Öl",
    "Voilà, c’est l’été à Paris…",
    "¿Qué tal? ¡Muy bien, señor!",
    "Привет, как дела? Ёлка.",
    "Γειά σου Κόσμε",
    "مرحبا بالعالم، كيف الحال؟",
    "שלום עולם",
    "नमस्ते दुनिया, आप कैसे हैं?",
    "สวัสดีชาวโลก",
    "こんにちは世界。カタカナも。",
    "你好，世界！今天天气很好。",
    "안녕하세요 세계",
    "Xin chào thế giới",
    "😀👍🏽👨\u200d👩\u200d👧\u200d👦🇬🇧 emoji",
    "∑_{i=1}^n x_i² ≤ ∞ ⇒ ∀ε>0",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐍈 𓀀 ꙮ",
    "é versus é, ﬁ ligature, ① Ⅷ",
    "zero\u200bwidth\xa0nbsp\u3000wide",
    "<b>bold</b> <table><tr><td>x</td></tr></table>",
    "https://example.org/a?b=c&d=%20",
    "email@example.org C:\\temp\\x",
    "antidisestablishmentarianism supercalifragilistic",
    "AAAaaaAAA!!!???...---",
    "\x07bell\x00null\x7f",
    "snake_case camelCase kebab-case SCREAMING_CASE",
    '{"key": [1, 2.5, null, true]}',
    "\\frac{a}{b} $x^2$",
    "x",
    "",
    "  ",
    "\t",
    "\r\n windows \r\n",
)
"""Everyday texts, and the shortest ones."""
SENTENCES = (
    "The old lighthouse keeper counted nineteen ships before breakfast, and waved at every one of them.",
    "Größere Straßen führen über Äcker und Höfe; übrigens heißt der Weiler Öd.",
    "L’été dernier, nous avons goûté les crêpes à Saint-Malo — où ça ? Là-bas, près du port.",
    "¿Dónde está el niño? ¡Mañana volverá con su cigüeña!",
    "Wieczorem łódź płynęła wzdłuż brzegu, a żaby śpiewały jeszcze głośniej.",
    "Trời hôm nay đẹp quá, chúng ta đi dạo quanh hồ nhé.",
    "İstanbul’da ışıklar söndü, çocuklar şarkı söylüyor.",
    "Бабушка испекла ещё один пирог, и мы съели его у крыльца.",
    "Ένα μικρό καράβι ταξιδεύει στο Αιγαίο με ούριο άνεμο.",
    "ذهب الولد إلى المدرسة، ثُمَّ عادَ مساءً ومعه ٣ كُتُب.",
    "הילד הלך לים ושב עם צדפה, אבן ו־12 קונכיות.",
    "सुबह की धूप में बच्चे क्रिकेट खेल रहे थे, और १५ रन बने।",
    "காலையில் பறவைகள் பாடின; குழந்தைகள் சிரித்தனர்.",
    "วันนี้อากาศดีมากเราจะไปเดินเล่นริมแม่น้ำกัน",
    "今朝はコーヒーを飲んで、図書館へ行きました。ｶﾀｶﾅもどうぞ。",
    "昨天下午，我們在湖邊釣魚；他说这条鱼有３斤重。",
    "할머니께서 김치찌개를 끓이셨고, 우리는 두 그릇씩 먹었다.",
    "დილით მზე ამოვიდა და ჩიტები გალობდნენ։ Առավոտը պարզ էր։",
)
CODE = (
    "def area(width, height=2):\n    if width < 0:\n        raise ValueError(f'{width} < 0')\n    return width",
    "for (size_t i = 0; i < n; ++i) {\n\tsum += a[i] * b[i];  // dot\n}\n",
    '{"name": "sparrow", "legs": 2, "songs": [null, true, 1.5e-3], "nested": {"k": []}}',
    "SELECT city, COUNT(*) FROM visits WHERE day >= '2024-02-21' GROUP BY city;\r\n",
    "<div class='x'><h1>Birds</h1>\n  <ul><li><b>wren</b></li><li>owl</li></ul>\n</div><!-- end -->",
    "$ grep -rn 'wren' birds/ | awk -F: '{print $1}' | sort -u > out.txt && echo \"done\"",
    'fn main() -> Result<(), Box<dyn Error>> {\n    let v: Vec<u8> = b"\\x00\\xff".to_vec();\n    Ok(())\n}',
    "\\begin{align}\n  e^{i\\pi} + 1 &= 0 \\\\\n  \\int_0^\\infty x^2 &\\to \\infty\n\\end{align}",
)
EMOJI = (
    "😀",
    "👍🏽",
    "👨‍👩‍👧",
    "🇬🇧",
    "🇯🇵",
    "❤️",
    "🏳️‍🌈",
    "1️⃣",
    "☕",
    "🧑🏿‍🚀",
    "🫠",
    "🦩",
    "™",
    "♟",
    "⌚",
    "🀄",
)
INVISIBLE = (
    *map(chr, range(32)),
    *map(chr, range(0x7F, 0xA1)),
    *"\u200b\u200d\u200e\u202e\u2028\ufeff\u0301\ufffd",
)
MARKERS = (
    "<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<pad>", "<unk>", "<mask>", "<unused0>", "<unused99>",
    "<start_of_turn>model\n", "<end_of_turn>\n", "[multimodal]", "<start_of_image>", "<end_of_image>",
    "<start_of_turn", "start_of_turn>", "<", ">", "<<", "<0x0A>", "<unused99999>", "</s>", "<b>", "[", "<|im_end|>",
)  # fmt: skip
SPACE_MARK = "▁"


class Text(NamedTuple):
    """A text and what makes it hard."""

    kind: str
    text: str


def draw(seed: int, count: int) -> Iterator[Text]:
    """`count` texts, the kinds in turn: the same ones for the same seed."""
    source = random.Random(seed)
    kinds = list(KINDS.items())
    for index in range(count):
        kind, make = kinds[index % len(kinds)]
        yield Text(kind, make(source))


def _cut(source: random.Random, text: str) -> str:
    """A piece of `text`, perhaps from the middle of a word or of a character's parts."""
    start, end = sorted(source.randrange(len(text) + 1) for _ in range(2))
    return text[start:end]


def _script(source: random.Random) -> str:
    return source.choice(("", " ", "\n")).join(
        _cut(source, source.choice(SENTENCES)) for _ in range(source.randint(1, 3))
    )


def _emoji(source: random.Random) -> str:
    return "".join(source.choice((*EMOJI, " ", "ok ")) for _ in range(source.randint(1, 12)))


def _code(source: random.Random) -> str:
    indent = source.choice(("", "  ", "    ", "\t", " " * 12))
    return "".join(indent + line for line in _cut(source, source.choice(CODE)).splitlines(keepends=True))


def _digits(source: random.Random) -> str:
    alphabet = "0123456789" * 3 + ".,:-+%€ eE/٣१３²½Ⅷ"
    return "".join(source.choice(alphabet) for _ in range(source.randint(1, 30)))


def _blanks(source: random.Random) -> str:
    """Runs of at most 31 spaces, and of newlines and tabs of any length, between words."""
    runs = (
        " " * source.randint(1, 31),
        "\n" * source.randint(1, 70),
        "\t" * source.randint(1, 70),
        "\r\n",
        "\u3000",
    )
    parts = [part for run in runs for part in (run, source.choice(("", "a", "Word", "42", "é", "。")))]
    source.shuffle(parts)
    joined = "".join(parts[: source.randint(1, len(parts))])
    return joined.replace(" " * 32, " ")  # two runs may have met


def _long_spaces(source: random.Random) -> str:
    """At least one run of spaces longer than any piece of the vocabulary."""
    return f"{_cut(source, SENTENCES[0])}x{' ' * source.randint(32, 200)}{source.choice(('', 'y', '.', chr(10)))}"


def _controls(source: random.Random) -> str:
    return "".join(source.choice((*INVISIBLE, "a", "the ", "0")) for _ in range(source.randint(1, 25)))


def _space_marks(source: random.Random) -> str:
    """The character by which SentencePiece writes a space."""
    parts = (SPACE_MARK, SPACE_MARK * 2, " ", "a", "the", "\uffff", "日", "\n")
    return SPACE_MARK + "".join(source.choice(parts) for _ in range(source.randint(0, 15)))


def _markers(source: random.Random) -> str:
    parts = (*MARKERS, "user", "model\n", " ", "hi ")
    return "".join(source.choice(parts) for _ in range(source.randint(1, 12)))


def _anything(source: random.Random) -> str:
    """Characters of all planes, assigned or not."""
    planes = (0x80, 0x800, 0x3000, 0x10000, 0x20000, 0x110000)
    characters = (chr(source.randrange(source.choice(planes))) for _ in range(source.randint(1, 30)))
    return "".join(c for c in characters if unicodedata.category(c) != "Cs" and c != SPACE_MARK)


KINDS = {
    "scripts": _script, "emoji": _emoji, "code": _code, "digits": _digits, "blanks": _blanks,
    "long spaces": _long_spaces, "controls": _controls, "space marks": _space_marks, "markers": _markers,
    "any characters": _anything,
}  # fmt: skip
