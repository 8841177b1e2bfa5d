#!/usr/bin/env bash
# Installs what a fresh machine lacks, saying so first. Usage: setup.sh rust|servers|python
set -euo pipefail

have() { command -v "$1" >/dev/null 2>&1; }

apt_install() {
  if ! have apt-get; then
    echo "please install with your package manager, then run make again: $*" >&2
    exit 1
  fi
  local sudo=""
  [ "$(id -u)" = 0 ] || sudo="sudo"
  echo "installing with apt-get: $*" >&2
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

case "${1:-}" in
  rust)
    have cc || apt_install gcc libc6-dev
    if ! have cargo && [ ! -x "$HOME/.cargo/bin/cargo" ]; then
      have curl || apt_install curl ca-certificates
      echo "installing Rust with rustup (https://rustup.rs) into ~/.cargo and ~/.rustup" >&2
      curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal --default-toolchain none
    fi
    ;;
  servers)
    have redis-server || apt_install redis-server
    # promtool comes with it.
    have prometheus || apt_install prometheus
    # KenLM's Python module, which the tests hold ours against, is compiled where it is installed.
    have g++ || apt_install g++
    python3 -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null || apt_install python3-dev
    ;;
  python)
    # ensurepip is what Debian leaves out of python3; a virtual environment needs it.
    python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3 python3-venv
    ;;
  *)
    echo "usage: $0 rust|servers|python" >&2
    exit 2
    ;;
esac
