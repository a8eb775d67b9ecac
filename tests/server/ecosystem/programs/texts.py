"""Texts that mix Chinese and English, and vectors made of the characters that stand in them."""

from __future__ import annotations

import math

DIMENSION = 16
OTTER = "水獭在冬天的河流里游泳。Otters swim in winter rivers."
STORE = "这个数据库支持向量检索。This database finds neighbours by vector search."
TRAIN = "从北京到上海的高铁 takes four and a half hours."
TEA = "杭州的龙井茶很有名。Longjing tea from Hangzhou."
INDEX = "全文索引把句子切成单词 and keeps a posting for every term."
RAIN = "今天下雨，带上雨伞 before the rain begins"
TEXTS = {"otter": OTTER, "store": STORE, "train": TRAIN, "tea": TEA, "index": INDEX, "rain": RAIN}


def vector_of(text: str) -> list[float]:
    """Of length one; the same for the same characters in any order."""
    counts = [0.01] * DIMENSION
    for character in text:
        counts[ord(character) % DIMENSION] += 1
    length = math.hypot(*counts)
    return [count / length for count in counts]


def cosine_score(one: str, other: str) -> float:
    """What Tablestore scores two texts' vectors."""
    return (1 + sum(a * b for a, b in zip(vector_of(one), vector_of(other), strict=True))) / 2
