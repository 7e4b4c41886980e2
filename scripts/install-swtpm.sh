#!/usr/bin/env bash
# Install the TPM in software that the seal's tests and measurements run, from Debian's packages.
# Does nothing when it is there.
set -euo pipefail

if command -v swtpm >/dev/null && command -v swtpm_setup >/dev/null &&
    command -v swtpm_localca >/dev/null && command -v certtool >/dev/null; then
    exit 0
fi

sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
# certtool, of gnutls-bin, signs the certificates of the test authority.
$sudo apt-get install -y -qq --no-install-recommends swtpm swtpm-tools gnutls-bin
