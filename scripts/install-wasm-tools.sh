#!/usr/bin/env bash
# Print the folder of a toolchain for wasm32-unknown-unknown, and nothing else. It is unpacked once, without
# root and outside the repository, from the Debian packages that scripts/wasm-tools.pins names.
#
#   scripts/install-wasm-tools.sh         the toolchain as pinned
#   scripts/install-wasm-tools.sh --pin   write the pins anew: what this machine's package lists have
set -euo pipefail
pins=$(realpath "$(dirname "$0")/wasm-tools.pins")

say() { echo "install-wasm-tools: $*" >&2; }

sudo=()
[ "$(id -u)" -eq 0 ] || sudo=(sudo -n)
update() {
    "${sudo[@]}" apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 update >&2 ||
        say "the package lists could not be renewed; going on with those that are there"
}

# Each line of the pins: name, version, SHA-256 of the package. `#` starts a comment.
pinned() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$pins"; }

pin() {
    local new name version hash
    new=$(mktemp)
    sed -n '/^#/p' "$pins" >"$new"
    while read -r name _; do
        version=$(apt-cache policy "$name" | sed -n 's/^  Candidate: //p')
        hash=$(apt-get download --print-uris "$name=$version" | sed -n 's/.*SHA256:\([0-9a-f]\{64\}\)$/\1/p')
        [ -n "$hash" ] || { say "no package $name here"; exit 1; }
        echo "$name $version $hash" >>"$new"
    done < <(pinned)
    cat "$new" >"$pins"
    rm "$new"
}

download() {
    local name version hash
    while read -r name version hash; do
        apt-get -qq -o Acquire::Retries=3 -o APT::Sandbox::User=root download "$name=$version" >&2 || {
            say "the mirror has no $name $version (any more?)."
            say "See what it has with: apt-cache policy $name"
            say "Then pin that: scripts/install-wasm-tools.sh --pin, and commit scripts/wasm-tools.pins."
            exit 1
        }
        echo "$hash $(compgen -G "${name}_*.deb")" | sha256sum --check --quiet >&2 || {
            say "$name $version is not the package that was pinned: its SHA-256 differs. Do not use it."
            exit 1
        }
    done < <(pinned)
}

# Whether the programs that a build runs start at all.
works() {
    local lib=$1/usr/lib
    export LD_LIBRARY_PATH=$lib/x86_64-linux-gnu:$lib/llvm-22/lib
    "$1/usr/bin/rustc" --version && "$lib/llvm-22/bin/clang" --version &&
        "$lib/llvm-22/bin/wasm-ld" --version && "$lib/llvm-22/bin/llvm-ar" --version
} >/dev/null

for tool in apt-get dpkg sha256sum; do
    command -v "$tool" >/dev/null || { say "needs $tool: the toolchain is made of Debian's packages"; exit 1; }
done
[ "$(dpkg --print-architecture)" = amd64 ] || { say "the pins are for amd64"; exit 1; }
case ${1:-} in
--pin) update && pin && exit 0 ;;
'') ;;
*) sed -n '5,6s/^#   //p' "$0" >&2 && exit 2 ;;
esac

cache=${TALLY_CI_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/tally-ci}
# Other pins are another folder, so an old one is never taken for a new one.
tools=$cache/wasm-$(pinned | sha256sum | cut -c1-16)
if [ ! -d "$tools" ]; then
    mkdir -p "$cache"
    part=$(mktemp -d "$cache/wasm.XXXXXX")
    trap 'rm -rf "$part"' EXIT
    chmod 755 "$part"
    update
    (
        mkdir "$part/root"
        cd "$part"
        download
        for package in *.deb; do dpkg -x "$package" root; done
    )
    works "$part/root" || { say "the toolchain does not run here: it is that of Debian 12"; exit 1; }
    mv "$part/root" "$tools"
fi
works "$tools" || { say "the toolchain in $tools does not run: remove it and try again"; exit 1; }
echo "$tools"
