#!/usr/bin/env bash
# What a user has of an installation: version, completions, manual pages, the files of scripts/install, the tar archive and
# the Debian package. By --long both are installed and run in a root that has nothing else.
set -euo pipefail
# shellcheck source=Tests/cli/support.sh
source "$(dirname -- "$0")/support.sh"

# ---- Version -------------------------------------------------------------------------------------------------

# The first line has version and commit, the same commit as run.json.
version() {
  exits_with 0 "$moe_dist" --version
  equal "lines" "$(wc -l <"$scratch/out")" 4
  local commit
  commit=$(sed -nE '1s/^moe-dist [0-9.]+, commit (not known|[0-9a-f]{40}(-dirty)?), (release|debug) build$/\1/p' "$scratch/out")
  [[ -n $commit ]] || { cat "$scratch/out"; return 1; }
  grep -qE '^kernels of level (v[234] \(|base).* in use; built in: ' "$scratch/out"
  grep -q '^Open MPI ' "$scratch/out"
  grep -q '^OpenBLAS ' "$scratch/out"
  train_run versioned 1 --max-steps 0
  [[ $commit != "not known" ]] || commit=null
  equal "commit of run.json" "$(json_field "$scratch/versioned/run.json" 0.git_commit)" "$commit"
}
level_of_version() { MOE_DIST_LEVEL=v2 "$moe_dist" --version | grep -q '^kernels of level v2 (SSE4.2) in use; built in: v2, v3, v4$'; }
check "--version names commit, build, kernels and libraries" version
if [[ $(uname -m) == x86_64 ]]; then check "--version names the level in use" level_of_version; fi

# ---- Completion ----------------------------------------------------------------------------------------------

mkdir -p "$scratch/place/folder"
touch "$scratch/place/file.yaml"
"$moe_dist" --generate-completion-script bash >"$scratch/completion.bash"

# completes EXPECTED WORD...: what bash offers, sorted, for the last of the words, in a folder with folder and file.yaml.
completes() {
  local expected=$1 found
  shift
  # shellcheck disable=SC2016
  found=$(cd "$scratch/place" && bash --norc --noprofile -c '
    source "$1"
    shift
    COMP_WORDS=(moe-dist "$@") COMP_CWORD=$# COMPREPLY=()
    COMP_LINE="${COMP_WORDS[*]}"
    COMP_POINT=${#COMP_LINE}
    read -r -a words < <(complete -p moe-dist)
    for ((i = 0; i < ${#words[@]}; i++)); do [[ ${words[i]} != -F ]] || function=${words[i + 1]}; done
    "$function" moe-dist "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    printf "%s\n" "${COMPREPLY[@]}"' bash "$scratch/completion.bash" "$@" | LC_ALL=C sort)
  equal "completion of '$*'" "${found//$'\n'/ }" "$expected"
}

commands_complete() {
  completes "checkpoint" che
  completes "verify" checkpoint ver
  completes "--help --version -h export fetch list verify" data ""
  completes "--epochs" train --ep
  completes "--shuffle" train --shuf
  completes "--no-shuffle" train --no-sh
}
values_complete() {
  completes "softmax" train --gate sof
  completes "expectation stochastic top-k" train --combine ""
  completes "mnist" train --dataset mn
  completes "cifar cifar-small cifar-trunk" train --model cifar
  completes "auto block round-robin" train --placement ""
  completes "batch-max dataset none" train --similarity-scale ""
  completes "auto" train --resume a
  completes "plain" train --progress p
  completes "softmax" distill run --gate sof
  completes "test train validation" evaluate run --split ""
  completes "stochastic" evaluate run --combine st
  completes "best latest" evaluate run --checkpoint ""
  completes "csv jsonl safetensors" predict run --format ""
  completes "mnist" reproduce mn
  completes "small wide" reproduce cifar-100 --group ""
  completes "mnist" data fetch mn
  completes "synthetic synthetic-rgb" data verify synth
  completes "step" bench --sections st
}
paths_complete() {
  completes "file.yaml folder" train --config ""
  completes "file.yaml" train --init-from "fi"
  completes "folder" train --data-dir ""
  completes "folder" train --run-dir ""
  completes "file.yaml folder" evaluate ""
  completes "folder" report ""
  completes "file.yaml" checkpoint verify "fi"
  completes "file.yaml" launch -np 2 --hostfile "fi"
}
# Every option that takes a file, a folder, a run or one of some words has something to offer, in all of the shells.
everything_completes() {
  "$moe_dist" --experimental-dump-help >"$scratch/commands.json"
  python3 - "$scratch/commands.json" <<'PYTHON'
import json, sys
missing = []
def visit(command, path):
    for argument in command.get("arguments", []):
        name = argument["valueName"]
        words = "|" in name or name in ("FILE", "DIR", "RUN", "SPLIT", "RULE", "WORD", "WORDS", "TABLE")
        if argument["kind"] != "flag" and words and "completionKind" not in argument:
            missing.append(f"{path} {argument.get('preferredName', {}).get('name', '')} {name}")
    for one in command.get("subcommands", []):
        visit(one, f"{path} {one['commandName']}")
visit(json.load(open(sys.argv[1]))["command"], "moe-dist")
sys.exit("nothing to offer for: " + ", ".join(missing) if missing else 0)
PYTHON
}
shell_reads() {
  "$moe_dist" --generate-completion-script "$1" >"$scratch/completion.$1"
  local option=-n
  [[ $1 != fish ]] || option=--no-execute
  "$1" "$option" "$scratch/completion.$1"
  grep -q 'round-robin' "$scratch/completion.$1"
}
check "bash completes commands and options" commands_complete
check "bash completes values" values_complete
check "bash completes files and folders" paths_complete
check "every option with words or a path completes" everything_completes
for shell in bash zsh fish; do
  if command -v "$shell" >/dev/null; then
    check "$shell reads its completions" shell_reads "$shell"
  else
    skip "$shell reads its completions" "there is no $shell"
  fi
done

# ---- Manual pages --------------------------------------------------------------------------------------------

manual_pages() {
  "$root/scripts/make-man" "$moe_dist" "$scratch/man"
  "$moe_dist" --experimental-dump-help >"$scratch/commands.json"
  python3 - "$scratch/commands.json" "$scratch/man" <<'PYTHON'
import json, pathlib, sys
directory, pages = pathlib.Path(sys.argv[2]), 0
def visit(command, path):
    global pages
    text = (directory / f"{'-'.join(path)}.1").read_text().replace("\\-", "-")
    pages += 1
    headings = [line for line in text.split("\n") if line.startswith((r"\fB-", r"\fI"))]
    for argument in command.get("arguments", []):
        for name in argument.get("names", []):
            word = ("--" if name["kind"] == "long" else "-") + name["name"]
            if sum(rf"\fB{word}\fR" in line for line in headings) != 1:
                sys.exit(f"{' '.join(path)} {word} is not once in its page")
        if argument["kind"] == "positional" and rf"\fI{argument['valueName']}\fR" not in headings:
            sys.exit(f"{' '.join(path)} {argument['valueName']} is not in its page")
    for one in command.get("subcommands", []):
        if one["commandName"] != "help":
            visit(one, path + [one["commandName"]])
visit(json.load(open(sys.argv[1]))["command"], ["moe-dist"])
found = len(list(directory.iterdir()))
sys.exit(0 if pages == found > 15 else f"{found} pages for {pages} commands")
PYTHON
}
pages_are_clean() {
  local page
  for page in "$scratch/man"/*.1; do
    LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>>"$scratch/warnings" >/dev/null
  done
  equal "warnings" "$(cat "$scratch/warnings")" ""
}
check "every option of every command is in its manual page" manual_pages
if command -v man >/dev/null && wanted "every option of every command is in its manual page"; then
  check "man has no warning about the pages" pages_are_clean
else
  skip "man has no warning about the pages" "there is no man"
fi

# ---- Installing ----------------------------------------------------------------------------------------------

refused() {
  exits_with 64 "$root/scripts/$1" "${@:2}"
  equal "lines of the error of $*" "$(wc -l <"$scratch/err")" 1
}
scripts_refuse() {
  local script
  for script in install make-tarball make-deb; do
    exits_with 0 "$root/scripts/$script" --help
    grep -q '^usage: ' "$scratch/out"
    refused "$script" --prefx /opt
    refused "$script" --program "$scratch/none"
  done
  refused install --prefix
  refused make-deb --output
  exits_with 1 "$root/scripts/install" --uninstall --prefix "$scratch/nowhere"
  grep -q 'nothing was installed there' "$scratch/err"
}

installs() {
  local prefix=$scratch/prefix
  mkdir -p "$prefix/bin" "$prefix/share/doc/moe-dist"
  touch "$prefix/bin/other"
  # An earlier version had a page that this one has not.
  mkdir -p "$prefix/share/man/man1"
  touch "$prefix/share/man/man1/moe-dist-old.1"
  echo share/man/man1/moe-dist-old.1 >"$prefix/share/doc/moe-dist/installed-files"
  "$root/scripts/install" --prefix "$prefix" --program "$moe_dist"
  [[ ! -e $prefix/share/man/man1/moe-dist-old.1 ]]
  "$prefix/bin/moe-dist" --version | grep -q '^moe-dist '
  local file
  for file in bin/moe-dist share/man/man1/moe-dist-train.1 share/bash-completion/completions/moe-dist \
    share/zsh/site-functions/_moe-dist share/fish/vendor_completions.d/moe-dist.fish share/doc/moe-dist/README.md \
    share/doc/moe-dist/docs/install.md share/doc/moe-dist/hostfiles/localhost \
    share/doc/moe-dist/scripts/slurm/train.sbatch; do
    [[ -f $prefix/$file ]] || { echo "no $file"; return 1; }
    grep -qx "$file" "$prefix/share/doc/moe-dist/installed-files"
  done
  "$root/scripts/install" --uninstall --prefix "$prefix"
  equal "files that stay" "$(cd "$prefix" && find . -type f)" "./bin/other"
}
uninstall_stays_inside() {
  local prefix=$scratch/inside
  mkdir -p "$prefix/share/doc/moe-dist"
  touch "$scratch/precious"
  echo ../precious >"$prefix/share/doc/moe-dist/installed-files"
  exits_with 1 "$root/scripts/install" --uninstall --prefix "$prefix"
  [[ -e $scratch/precious ]]
}

tarball() {
  "$root/scripts/make-tarball" --program "$moe_dist" --output "$scratch/a"
  mkdir -p "$scratch/unpacked"
  tar -C "$scratch/unpacked" -xzf "$scratch/a"/moe-dist-*.tar.gz
  (cd "$scratch/unpacked"/moe-dist-* && bin/moe-dist --version | grep -q '^moe-dist ' && [[ -f share/man/man1/moe-dist.1 ]])
  "$root/scripts/make-tarball" --program "$moe_dist" --output "$scratch/b"
  same "two archives" "$scratch/a"/moe-dist-*.tar.gz "$scratch/b"/moe-dist-*.tar.gz
}
package() {
  local package
  package=$("$root/scripts/make-deb" --program "$moe_dist" --output "$scratch/a")
  local depends
  depends=$(dpkg-deb --field "$package" Depends)
  for library in libc6 libopenmpi3 libopenblas0 openmpi-bin zlib1g; do
    [[ $depends == *"$library"* ]] || { echo "no $library in: $depends"; return 1; }
  done
  dpkg-deb --contents "$package" >"$scratch/contents"
  equal "files that are not root's" "$(grep -v ' root/root ' "$scratch/contents" || true)" ""
  grep -q ' ./usr/bin/moe-dist$' "$scratch/contents"
  grep -q ' ./usr/share/man/man1/moe-dist.1.gz$' "$scratch/contents"
  grep -q ' ./usr/share/doc/moe-dist/changelog.Debian.gz$' "$scratch/contents"
}
check "the scripts refuse wrong options" scripts_refuse
check "install puts everything in its place, and takes it away" installs
check "uninstall removes nothing outside of its prefix" uninstall_stays_inside
check "the tar archive runs where it is unpacked, and is the same each time" tarball
if command -v dpkg-shlibdeps >/dev/null; then
  check "the package names the libraries' packages" package
else
  skip "the package names the libraries' packages" "there is no dpkg-shlibdeps"
fi

# ---- A root that has nothing else ----------------------------------------------------------------------------

# Package and archive of the build with Swift's library inside, in a root of Debian's smallest packages from the sources of
# this host: both train to the bytes of this build, alone and by mpirun, and say which libraries they found.
clean_root() {
  local package archive release sources
  package=$("$root/scripts/make-deb" --output "$scratch/long")
  archive=$("$root/scripts/make-tarball" --program "$root/.build-install/release/moe-dist" --output "$scratch/long")
  release=$(. /etc/os-release && echo "$VERSION_CODENAME")
  sources=$(find /etc/apt/sources.list /etc/apt/sources.list.d -type f \( -name '*.list' -o -name '*.sources' \) 2>/dev/null)
  cat >"$scratch/inside" <<'TEXT'
set -eu
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 HOME=/root LC_ALL=C.UTF-8
cd /root
! ls -d /opt/swift /usr/lib/swift /usr/libexec/swift 2>/dev/null
tar -C /opt -xzf /root/archive.tar.gz
for program in /usr/bin/moe-dist /opt/moe-dist-*/bin/moe-dist; do
  rm -rf run alone
  $program --version
  $program doctor || test $? = 1
  mpirun -q --oversubscribe -np 2 $program train @OPTIONS@ --run-dir run
  $program train @OPTIONS@ --run-dir alone
  cmp run/$(cat run/latest) alone/$(cat alone/latest)
  sha256sum run/$(cat run/latest)
done
test -s /usr/share/bash-completion/completions/moe-dist
dpkg -V moe-dist || test $? = 0
apt-get -qq -y remove moe-dist
! test -e /usr/bin/moe-dist
TEXT
  sed -i "s|@OPTIONS@|${small[*]} --seed 3 --max-steps 3|" "$scratch/inside"
  # shellcheck disable=SC2016,SC2086  # mmdebstrap's shell sets $1; one word per file of sources
  mmdebstrap --mode=root --variant=minbase --format=null \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Check-Valid-Until "false"' \
    --customize-hook="copy-in $scratch/inside /root" \
    --customize-hook="upload $package /root/moe-dist.deb" --customize-hook="upload $archive /root/archive.tar.gz" \
    --customize-hook='chroot "$1" apt-get -qq -y install /root/moe-dist.deb' \
    --customize-hook='chroot "$1" sh /root/inside' \
    "$release" /dev/null $sources >"$scratch/clean" 2>&1 || { tail -n 40 "$scratch/clean"; return 1; }
  train_run host 1 --max-steps 3
  equal "trainings to the bytes of this build" "$(grep -c "^$(hash_of host) " "$scratch/clean")" 2
}
lint_package() {
  lintian --no-tag-display-limit "$scratch/long"/*.deb | tee "$scratch/lint"
  ! grep -q '^E:' "$scratch/lint"
}
name="package and archive run in a clean root"
if ! $long; then
  skip "$name" "a second build, and a root made by mmdebstrap: --long"
elif ! command -v mmdebstrap >/dev/null || ((EUID != 0)); then
  skip "$name" "there is no mmdebstrap, or it is not root that runs this"
else
  check "$name" clean_root
fi
if $long; then
  if command -v lintian >/dev/null; then
    check "lintian finds no error" lint_package
  else
    skip "lintian finds no error" "there is no lintian"
  fi
fi

finish
