"""Texts that are not nice."""

from __future__ import annotations

from hypothesis import strategies as st

_NICE = "abcXYZ019 ,._-'"
_CHINESE = "梨花茶中华人民共和国歌北京清华大学調整音響々〇𠮷"
_ODD = (
    "éÉßİıΣςσΑ\u0301\u0308\u200b\u200c\u200d\ufeff\u00ad"
    "Ａｂかガﾊﾞ한글हिन्दीกี\U0001d7d8½Ⅷ👨👍🏽\U000e0100\U00010a01\0\n\t\u3000"
)
characters = st.sampled_from(_NICE + _CHINESE + _ODD) | st.characters(exclude_categories=["Cs"])
texts = st.text(characters, max_size=30)
chinese = st.text(st.sampled_from(_CHINESE), max_size=12)
