#!/bin/sh
# Installs Chromium for the tests in a browser, where it is missing and that is possible. Safe to run again.
set -eu

for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "browser: Chromium is not installed, so tests in a browser are skipped; on Debian: sudo apt-get install -y chromium" >&2
    exit 0
fi
echo "browser: installing Chromium for the tests in a browser"
install() {
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends chromium >/dev/null
}
install || { apt-get -qq update && install; }
