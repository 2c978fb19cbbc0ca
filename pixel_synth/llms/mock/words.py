"""Plain English to fill answers with: sentences of a small word list, cut to a length."""

from __future__ import annotations

from random import Random

OPENERS = "Today|Yesterday|Most mornings|After lunch|Before work|Last week|That night|Later|In the end|At first".split("|")
SUBJECTS = "I|we|they|my sister|the neighbour|my brother|the manager|a friend|my father|the nurse".split("|")
VERBS = (
    "kept|left|found|carried|moved|opened|closed|dropped|washed|painted|mended|bought|sold|lost|held|pushed|pulled|counted|watched|"
    "folded|packed|cleaned|fixed|hid|lifted|turned|measured|ordered|passed|remembered|forgot|missed|showed|wanted|needed"
).split("|")
QUALITIES = (
    "old|small|quiet|heavy|green|broken|warm|cold|plain|long|short|empty|full|spare|wet|dry|bright|dark|narrow|wide|soft|rough|"
    "thin|round|cheap|new|blue|red|grey|clean|dusty|early|late|odd|simple"
).split("|")
THINGS = (
    "kettle|letter|coat|ladder|window|ticket|blanket|chair|lamp|bucket|basket|bicycle|radio|phone|table|mirror|parcel|notebook|"
    "umbrella|suitcase|jacket|plate|spoon|bottle|clock|pillow|towel|drawer|hammer|rope|scarf|shoe|pencil|candle|cup|map|bag|box|"
    "key|fence|gate|carpet|curtain|shelf|receipt"
).split("|")
PLACES = (
    "in the kitchen|by the door|at the station|near the river|on the stairs|behind the shop|under the bridge|in the garden|"
    "at the market|beside the bed|across the street|in the car|at the office|on the bus|by the window|in the hall|near the school|"
    "at the corner|on the roof|in the yard"
).split("|")
TAILS = "again|for once|as usual|without a word|in a hurry|by mistake|on purpose|for an hour|for the first time|with some help".split("|")


def sentence(rng: Random) -> str:
    """Return one sentence of about 30–80 characters; the past tense agrees with every subject."""
    words = [rng.choice(SUBJECTS), rng.choice(VERBS), "the", rng.choice(QUALITIES), rng.choice(THINGS), rng.choice(PLACES)]
    if rng.random() < 0.4:
        words.insert(0, rng.choice(OPENERS) + ",")
    if rng.random() < 0.4:
        words.append(rng.choice(TAILS))
    text = " ".join(words)
    return text[0].upper() + text[1:] + "."


_RNG = Random(7)
# Made once: joining whole sentences is ten times cheaper than drawing words for every answer.
SENTENCES = tuple(sentence(_RNG) for _ in range(1024))


def prose(rng: Random, want: int, low: int = 0, high: int = 1_000_000) -> str:
    """Return text of about ``want`` characters, never shorter than ``low`` nor longer than ``high``."""
    want = min(max(want, low), high)
    if want == 0:
        return ""
    parts: list[str] = []
    size = -1
    while size < want:
        parts.append(SENTENCES[int(rng.random() * len(SENTENCES))])
        size += len(parts[-1]) + 1
    whole = " ".join(parts)
    if size <= high:
        return whole
    cut = whole[:want]
    at_word = cut[: cut.rfind(" ") + 1].rstrip(" ,.") + "."
    return at_word if max(low, 2) <= len(at_word) else cut.rstrip().ljust(want, "s")
