"""``python -m bench``: the quick benchmarks, one after the other, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

QUICK = ("bench.kernels", "bench.search", "bench.server")


def main() -> None:
    """Runs them; stops at the first that fails."""
    for module in QUICK:
        print(f"\n== python -m {module}", flush=True)
        status = subprocess.run([sys.executable, "-m", module], check=False).returncode
        if status:
            sys.exit(status)


if __name__ == "__main__":
    main()
