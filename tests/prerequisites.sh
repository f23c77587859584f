#!/usr/bin/env bash
# Installs what building and testing Herald needs on Debian or Ubuntu, and says what it installs.
#
#   tests/prerequisites.sh build        compilers: C, Rust
#   tests/prerequisites.sh lab          the above, Go, and the programs the lab runs (tests/packages.txt)
#   tests/prerequisites.sh lint         the above for building, and cargo-deny
#
# Does nothing, quickly and quietly, when all is there.
set -euo pipefail
cd "$(dirname "$0")"

say() { printf 'prerequisites: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else fail "installing packages needs root: run as root, or install sudo"
    fi
}

updated=
install_packages() { # PACKAGE...
    local missing=() package
    for package in "$@"; do
        dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    command -v apt-get >/dev/null || fail "this needs Debian or Ubuntu, or the counterparts of these packages: ${missing[*]}"
    say "installing ${missing[*]}"
    [ -n "$updated" ] || as_root apt-get update -qq
    updated=yes
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

have_package() { apt-cache show "$1" >/dev/null 2>&1; }

need_build() {
    install_packages build-essential ca-certificates pkg-config
    PATH="$HOME/.cargo/bin:$PATH"
    if ! command -v cargo >/dev/null; then
        have_package rustup || fail "Rust is missing and this release has no rustup package: install it from https://rustup.rs, then run this again"
        install_packages rustup
        say "installing the Rust toolchain of rust-toolchain.toml"
        (cd .. && rustup show active-toolchain >/dev/null 2>&1 || rustup toolchain install)
    fi
}

need_go() {
    if ! command -v go >/dev/null; then install_packages golang-go; fi
    # From 1.21 on, go fetches by itself the release that go.mod names.
    local version
    version=$(cd / && GOTOOLCHAIN=local go env GOVERSION)
    case "$version" in
        go1.[0-9] | go1.[0-9].* | go1.1[0-9]* | go1.20*) fail "$version is too old: Go 1.21 or newer is needed, which then fetches the release it needs (https://go.dev/dl)" ;;
    esac
}

need_deny() {
    local tools=${HERALD_LAB_CACHE:-/var/cache/herald-lab}/tools
    if ! command -v cargo-deny >/dev/null && ! [ -x "$tools/bin/cargo-deny" ]; then
        say "building cargo-deny, which checks licences and sources (some minutes, once)"
        cargo install --quiet --locked --no-default-features --root "$tools" cargo-deny@0.20.2
    fi
}

case "${1-}" in
    build) need_build ;;
    lint) need_build; need_deny ;;
    lab)
        need_build
        need_go
        mapfile -t packages < <(sed 's/#.*//' packages.txt | tr -s '[:space:]' '\n' | sed '/^$/d')
        install_packages "${packages[@]}"
        ;;
    *) fail "usage: tests/prerequisites.sh build|lab|lint" ;;
esac
