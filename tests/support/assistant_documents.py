"""Documents of every kind that the assistant reads."""

from __future__ import annotations

from pathlib import Path

from support.sample_pdf import pdf_of

from examples.assistant.sources import Source, sources_in

OTTERS = """<!DOCTYPE html><html lang="en"><head><title>Otters</title></head><body>
<h1 id="otters">Otters</h1><p>Otters live in rivers and at the coast.</p>
<h2 id="food">What they eat</h2><p>They eat fish, crabs and mussels. A stone opens the mussels.</p>
<h2 id="sleep">How they sleep</h2><p>At sea they sleep on their backs, and hold hands so as not to drift apart.</p>
<h2 id="danger">A heading with <i>markup</i> &lt;script&gt;alert(1)&lt;/script&gt;</h2>
<p>&lt;img src=x onerror="document.title='broken'"&gt; Pollution is what harms them most. "Quotes" &amp;
ampersands stay.</p>
</body></html>"""
OTTERS_ZH = """<!DOCTYPE html><html lang="zh-CN"><head><title>水獭</title></head><body>
<h1 id="otters">水獭</h1><p>水獭生活在河流和海边。</p>
<h2 id="food">它们吃什么</h2><p>它们吃鱼、螃蟹和贻贝。它们用石头打开贻贝。</p>
<h2 id="sleep">它们怎样睡觉</h2><p>在海上，它们仰面睡觉，手拉着手，以免漂走。</p>
</body></html>"""
MACHINES = """# Machines

## Backups
Copy everything to another disk every night. A backup that was never restored is none.

## Passwords
A good password is long. The administrator changes a forgotten one:

```
passwd ada
```
"""
RIVERS = [
    "Rivers in winter\nIce on a river carries a person from ten centimetres on.",
    "Rivers in spring\nMelting snow floods the valley.",
]
NOTES = "The telescope shows four moons of Jupiter.\n\nSaturn has rings."


def write_documents(folder: Path) -> None:
    """A folder of documents: HTML in two languages, Markdown, PDF, text, a broken PDF and a picture."""
    (folder / "animals").mkdir(parents=True)
    (folder / "animals" / "otters.en.html").write_text(OTTERS, encoding="utf-8")
    (folder / "animals" / "otters.zh-cn.html").write_text(OTTERS_ZH, encoding="utf-8")
    (folder / "machines.md").write_text(MACHINES, encoding="utf-8")
    (folder / "rivers.pdf").write_bytes(pdf_of(RIVERS))
    (folder / "notes.txt").write_text(NOTES, encoding="utf-8")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4\nnot much of one")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    (folder / ".hidden.txt").write_text("hidden", encoding="utf-8")


def sources_of(folder: Path) -> list[Source]:
    """What of the folder can be read."""
    return sources_in([folder])[0]
