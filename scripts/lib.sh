# shellcheck shell=bash
# What the scripts share: packages, the build, and how ranks are started. Sourced, never run.

# The repository, wherever the script was called from.
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# The program that every script runs.
# shellcheck disable=SC2034
moe_dist=$root/.build/release/moe-dist

say() { printf '%s\n' "$*" >&2; }
die() { say "$(basename -- "$0"): $*"; exit 1; }
# A wrong option.
refuse() { say "$(basename -- "$0"): $*"; exit 64; }
# count_of OPTION VALUE: the value, if it is a number from 1.
count_of() { [[ $2 =~ ^[1-9][0-9]{0,8}$ ]] || refuse "$1 takes a number from 1, not '$2'"; echo "$2"; }

# ---- Packages ------------------------------------------------------------------------------------------------

# Whether a Debian package's purpose is met. Looks for the thing itself, so that it also holds on systems without dpkg.
is_here() {
  case $1 in
    pkg-config) command -v pkg-config >/dev/null ;;
    libopenmpi-dev) pkg-config --exists ompi-c 2>/dev/null ;;
    openmpi-bin) command -v mpirun >/dev/null ;;
    libopenblas-dev) pkg-config --exists openblas 2>/dev/null ;;
    zlib1g-dev) pkg-config --exists zlib 2>/dev/null ;;
    libssl-dev) pkg-config --exists libcrypto 2>/dev/null ;;
    dataset-fashion-mnist) has_fashion_mnist ;;
    dpkg-dev) command -v dpkg-shlibdeps >/dev/null ;;
    python3) command -v python3 >/dev/null ;;
    python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
    *) die "no test is known for the package $1" ;;
  esac
}

# Whether the program will find FashionMNIST by itself (the data directories that `moe-dist train --help` lists).
has_fashion_mnist() {
  local directory
  for directory in "${MOE_DIST_DATA:-/nonexistent}/fashion-mnist" /usr/share/datasets/fashion-mnist \
    "${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/moe-dist/fashion-mnist"; do
    [[ -e $directory/train-images-idx3-ubyte.gz || -e $directory/train-images-idx3-ubyte ]] && return 0
  done
  return 1
}

# Runs apt-get as root, directly or by sudo.
as_root() {
  if ((EUID == 0)); then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else return 126; fi
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=2 install -y --no-install-recommends "$@" >&2
}

# install_packages PACKAGE...: installs those that are missing, nothing if none is.
install_packages() {
  local package missing=()
  for package in "$@"; do is_here "$package" || missing+=("$package"); done
  ((${#missing[@]})) || return 0

  say "missing: ${missing[*]}"
  command -v apt-get >/dev/null || { say "there is no apt-get here; please install what these Debian packages hold"; return 1; }
  if ((EUID != 0)) && ! command -v sudo >/dev/null; then
    say "neither root nor sudo; please run as root: apt-get install ${missing[*]}"
    return 1
  fi
  # A fresh image has no package lists, an old one stale ones.
  as_root apt-get -qq update >&2 || say "apt-get update failed (no network?); trying with the lists that are here"
  apt_install "${missing[@]}" || {
    say "apt-get could not install: ${missing[*]} (its reason is above; without a network, copy the packages here and use dpkg -i)"
    return 1
  }
}

# What building and running needs. The data set is not part of it: there is a built-in one.
install_requirements() {
  install_packages pkg-config libopenmpi-dev openmpi-bin libopenblas-dev zlib1g-dev libssl-dev \
    || die "the build needs these packages"
  [[ -d $root/Sources/KernelsV3/ ]] \
    || die "Sources/KernelsV3 is no link to Sources/Kernels: git config core.symlinks true, then git checkout -- Sources"
  command -v swift >/dev/null || die "Swift 6.2 or newer is needed; see https://www.swift.org/install/linux/"
}

# ---- Build ---------------------------------------------------------------------------------------------------

# Sets MOE_DIST_COMMIT, of which Package.swift makes what --version and run.json say, where the sources are a work tree
# of git. The plain `swift build` knows no commit.
export_commit() {
  local commit
  [[ $(git -C "$root" rev-parse --show-toplevel 2>/dev/null) == "$root" ]] || return 0
  commit=$(git -C "$root" rev-parse HEAD 2>/dev/null) || return 0
  [[ -z $(git -C "$root" status --porcelain --untracked-files=no 2>/dev/null) ]] || commit+=-dirty
  export MOE_DIST_COMMIT=$commit
}

# build_release [OPTION...]: builds into .build and says how. No flags: the program chooses its kernels by the processor.
build_release() {
  export_commit
  say "swift build -c release $*"
  (cd "$root" && swift build -c release "$@") >&2
}

# ---- Ranks ---------------------------------------------------------------------------------------------------

# Physical cores that this process may use: what Open MPI counts as slots.
core_count() {
  local allowed physical
  allowed=$(nproc)
  physical=$(lscpu -p=CORE,SOCKET 2>/dev/null | grep -v '^#' | sort -u | wc -l) || physical=0
  if ((physical > 0 && physical < allowed)); then echo "$physical"; else echo "$allowed"; fi
}

# The processor's name.
processor() { sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1; }

# Seconds after which run_ranks and run_alone end what they started.
: "${MOE_DIST_TIMEOUT:=120}"

# run_alone COMMAND...: one rank without mpirun.
run_alone() { timeout -k 5 "$MOE_DIST_TIMEOUT" "$@" </dev/null; }

# run_ranks N COMMAND...: N ranks under mpirun, never for longer than MOE_DIST_TIMEOUT. Further options for mpirun
# (a hostfile, binding) come from the array mpirun_options.
mpirun_options=()
run_ranks() {
  local ranks=$1 options=("${mpirun_options[@]}") settings=()
  shift
  # mpirun refuses root unless told; only these scripts, which run in containers, tell it.
  ((EUID == 0)) && settings+=(OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1)
  # More ranks than cores must give up the core while they wait; otherwise a collective is hundreds of times slower.
  # MOE_DIST_SHARED_CORES says that other jobs have the cores too.
  if [[ ${#options[@]} == 0 ]] && { [[ -n ${MOE_DIST_SHARED_CORES:-} ]] || ((ranks > $(core_count))); }; then
    options+=(--oversubscribe --bind-to none)
    settings+=(OMPI_MCA_mpi_yield_when_idle=1)
  fi
  env "${settings[@]}" timeout -k 5 "$MOE_DIST_TIMEOUT" mpirun -q "${options[@]}" -np "$ranks" "$@" </dev/null
}

# ---- JSON ----------------------------------------------------------------------------------------------------

# json_field FILE a.b.c: the value at that path, lists and objects as JSON; fails when there is none.
json_field() {
  python3 - "$1" "$2" <<'PYTHON'
import json, sys
value = json.load(open(sys.argv[1]))
for key in sys.argv[2].split("."):
    try:
        value = value[int(key)] if isinstance(value, list) else value[key]
    except (KeyError, IndexError, ValueError, TypeError):
        sys.exit(f"{sys.argv[1]} has no {sys.argv[2]}")
print(value if isinstance(value, str) else json.dumps(value, sort_keys=True))
PYTHON
}
