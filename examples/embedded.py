"""Lutra inside a Python program: which named colours look most like this one?

Run it as ``python examples/embedded.py``. A colour is a vector of three numbers here; text and pictures go the same
way, with the vectors of an embedding model.
"""

import lutra

COLOURS = [
    ("tomato", "red", (255, 99, 71)),
    ("salmon", "red", (250, 128, 114)),
    ("crimson", "red", (220, 20, 60)),
    ("coral", "orange", (255, 127, 80)),
    ("orange", "orange", (255, 165, 0)),
    ("gold", "yellow", (255, 215, 0)),
    ("olive", "green", (128, 128, 0)),
    ("forest green", "green", (34, 139, 34)),
    ("teal", "blue", (0, 128, 128)),
    ("sky blue", "blue", (135, 206, 235)),
    ("royal blue", "blue", (65, 105, 225)),
    ("indigo", "purple", (75, 0, 130)),
]

with lutra.connect("colours-data") as db:
    colours = db.create_table(
        "colours",
        key={"name": str},
        fields={"family": str, "brightness": int, "rgb": lutra.Vector(3, "euclidean")},
        exist_ok=True,
    )
    colours.put_many(
        {"name": name, "family": family, "brightness": sum(rgb) // 3, "rgb": rgb} for name, family, rgb in COLOURS
    )

    print("Most like (250, 110, 90):")
    for row in colours.search((250, 110, 90), limit=3):
        print(f"  {row.score:.4f}  {row['name']:<14} {row['rgb']}")

    print("Most like it among the bright ones that are not red:")
    bright = (lutra.col("brightness") >= 120) & (lutra.col("family") != "red")
    for row in colours.search((250, 110, 90), where=bright, limit=3):
        print(f"  {row.score:.4f}  {row['name']:<14} {row['rgb']}")

    colours.update("gold", set={"family": "orange"})
    print("Orange ones, darkest first:")
    for row in colours.search(where=lutra.col("family") == "orange", order_by=lutra.col("brightness")):
        print(f"  {row['brightness']}  {row['name']}")
