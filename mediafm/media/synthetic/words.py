"""Word lists of the timed text, and how a line is made of a scene's latent variables.

Words are kept apart on purpose: no content word stands in two lists, so a word speaks for one latent variable only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

PLACE_WORDS: Mapping[str, Sequence[str]] = {
    "sea": ("harbour", "waves", "tide", "sail", "lighthouse", "anchor", "gulls"),
    "forest": ("pines", "mushrooms", "clearing", "owls", "ferns", "moss", "branches"),
    "city": ("rooftops", "traffic", "avenue", "subway", "billboard", "skyline", "sirens"),
    "room": ("sofa", "curtains", "bookshelf", "carpet", "fireplace", "hallway", "armchair"),
    "desert": ("dunes", "cactus", "mirage", "camel", "oasis", "scorpion", "canyon"),
    "snow": ("blizzard", "icicles", "sledge", "frost", "igloo", "glacier", "mittens"),
    "mountain": ("summit", "ridge", "valley", "boulders", "eagle", "cliffs", "trail"),
    "cafe": ("terrace", "waiter", "counter", "barstool", "jukebox", "corner table", "doorbell"),
    "space": ("orbit", "airlock", "nebula", "antenna", "gravity", "comet", "hull"),
    "meadow": ("clover", "fence", "barn", "haystack", "windmill", "poppies", "bees"),
}

GENRE_WORDS: Mapping[str, Sequence[str]] = {
    "action": ("run", "explosion", "chase", "jump", "helicopter", "cover me", "dynamite"),
    "anime": ("sensei", "tournament", "ultimate technique", "rival", "transform", "spirit blade", "power level"),
    "comedy": ("banana peel", "hilarious", "pancakes on the ceiling", "awkward", "nonsense", "moustache", "oops"),
    "documentary": ("researchers", "species", "decades", "habitat", "evidence", "measured", "population"),
    "drama": ("father", "forgive", "letter", "inheritance", "promise", "mother", "funeral"),
    "fantasy": ("dragon", "spell", "wizard", "kingdom", "enchanted", "prophecy", "crystal"),
    "horror": ("blood", "cellar", "ghost", "scream", "corpse", "haunted", "claws"),
    "kids": ("teddy bear", "rainbow", "bedtime", "puppy", "balloons", "hide and seek", "lullaby"),
    "romance": ("kiss", "wedding", "roses", "sweetheart", "dance with me", "valentine", "engagement"),
    "scifi": ("android", "hyperdrive", "quantum", "clone", "laser", "teleporter", "colony"),
    "thriller": ("blackmail", "witness", "alibi", "suspect", "wiretap", "double agent", "ransom"),
}

TONE_WORDS: Mapping[str, Sequence[str]] = {
    "tense": ("hurry", "danger", "quickly", "somebody is coming", "no time", "trapped"),
    "joyful": ("wonderful", "hooray", "splendid", "celebrate", "delightful", "brilliant"),
    "melancholic": ("lonely", "regret", "gone", "tears", "farewell", "empty"),
    "tender": ("gently", "darling", "hold my hand", "softly", "dear", "cherish"),
    "comic": ("silly", "tickle", "goofy", "giggle", "ridiculous", "wobbly"),
}

TOPIC_WORDS: Mapping[str, Sequence[str]] = {
    "travel": ("suitcase", "passport", "boarding", "hotel", "tickets", "luggage"),
    "food": ("soup", "bakery", "cheese", "noodles", "cherries", "recipe"),
    "cars": ("engine", "steering", "garage", "gearbox", "tyres", "convertible"),
    "technology": ("laptop", "software", "password", "download", "keyboard", "gadget"),
    "sport": ("goal", "referee", "stadium", "coach", "penalty", "league"),
    "finance": ("mortgage", "savings", "dividend", "interest rate", "broker", "pension"),
}

CALM_OPENINGS: Sequence[str] = ("Hm", "Well", "Perhaps", "Slowly now", "You know", "Let us see")
LIVELY_OPENINGS: Sequence[str] = ("Now", "Go go go", "Hey", "Watch out", "Come on", "Yes")
"""How lines begin, the more often the one or the other, the further the energy lies from the middle."""

FILLER_WORDS: Sequence[str] = (
    "morning", "yesterday", "window", "number", "story", "question", "corner", "minute", "door", "voice",
    "reason", "picture", "answer", "colour", "paper", "water", "idea", "box", "plan", "week",
)  # fmt: skip

FILLER_SHARE = 0.15
"""How many words of a line are fillers."""

TEMPLATES: Sequence[str] = (
    "{name}, look: {a}. And {b}.",
    "I never said {a}, {name}. I said {b}.",
    "{a} and {b}, that is all.",
    "{name} told me: {a}, {b}.",
    "Do you remember? {a}. And {b}.",
    "First {a}, then {b}.",
    "It was {a}, {name}. Or was it {b}?",
    "Nobody said {a}. I said {b}!",
    "Wait. {a}, {b}, and {name}.",
    "{a}? Ask {name}. Or {b}.",
)

SOUND_CUES: Mapping[str, str] = {
    "sea": "[waves breaking]",
    "forest": "[birds calling]",
    "city": "[cars passing]",
    "room": "[clock ticking]",
    "desert": "[wind over sand]",
    "snow": "[wind howling]",
    "mountain": "[distant echo]",
    "cafe": "[cups clinking]",
    "space": "[low hum]",
    "meadow": "[crickets]",
}

NAMES: Sequence[str] = (
    "Ada", "Bruno", "Cleo", "Dario", "Elif", "Femi", "Greta", "Hugo", "Ines", "Jonas", "Kaya", "Leon", "Mira", "Nils",
    "Olga", "Pablo", "Quinn", "Rosa", "Sami", "Tilda", "Umar", "Vera", "Wim", "Xenia", "Yara", "Zeno",
)  # fmt: skip

TITLE_FIRST: Sequence[str] = (
    "amber", "silent", "crooked", "golden", "restless", "paper", "wandering", "midnight", "clumsy", "distant",
    "velvet", "hollow", "brave", "electric", "patient", "scarlet",
)  # fmt: skip

TITLE_SECOND: Sequence[str] = (
    "harbour", "lantern", "orchard", "clockwork", "sparrow", "compass", "parade", "river", "carousel", "chimney",
    "postcard", "umbrella", "garden", "whistle", "ladder", "island",
)  # fmt: skip


def pick(rng: np.random.Generator, values: Sequence[str]) -> str:
    """One of `values`."""
    return values[int(rng.integers(len(values)))]


def spoken_line(rng: np.random.Generator, *, name: str, content_words: Sequence[str], energy: float) -> str:
    """One line: an opening by energy, a template with a name and two words, of which some are fillers."""
    first, second = (pick(rng, FILLER_WORDS) if rng.random() < FILLER_SHARE else word for word in content_words)
    text = pick(rng, TEMPLATES).format(name=name, a=first, b=second)
    if rng.random() < abs(2 * energy - 1):
        text = f"{pick(rng, LIVELY_OPENINGS)}! {text}" if energy > 0.5 else f"{pick(rng, CALM_OPENINGS)}. {text}"
    return re.sub(r"(?:^|[.?!] )[a-z]", lambda start: start.group().upper(), text)
