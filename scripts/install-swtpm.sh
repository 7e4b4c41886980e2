#!/usr/bin/env bash
# Install the TPM in software that the seal's tests, measurements and demonstration run, from
# Debian's packages. Does nothing when it is there. Tests run this by themselves where it is not.
set -euo pipefail

installed() {
    command -v swtpm && command -v swtpm_setup && command -v swtpm_localca && command -v certtool
} >/dev/null

installed && exit 0
if ! command -v apt-get >/dev/null; then
    echo "no apt-get here: install swtpm, swtpm_setup, swtpm_localca and certtool by hand" >&2
    exit 1
fi

# Tests start in several processes: one installs, the others wait for it.
exec 9>"${TMPDIR:-/tmp}/install-swtpm-$(id -u).lock"
flock --timeout 600 9
installed && exit 0

# Without a password prompt: nobody may be there to answer it.
sudo=()
[ "$(id -u)" -eq 0 ] || sudo=(sudo -n)
export DEBIAN_FRONTEND=noninteractive
options=(-qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
"${sudo[@]}" apt-get "${options[@]}" update
# certtool, of gnutls-bin, signs the certificates of the test authority.
"${sudo[@]}" apt-get "${options[@]}" install -y --no-install-recommends \
    swtpm swtpm-tools gnutls-bin
installed
