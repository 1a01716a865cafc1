# shellcheck shell=bash
# What an installation of moe-dist is made of, for scripts/install, make-tarball and make-deb. Sourced after lib.sh.

# Dates of what is made: those of the commit, so that the same sources give the same bytes.
: "${SOURCE_DATE_EPOCH:=$(git -C "$root" log -1 --format=%ct 2>/dev/null || date +%s)}"
export SOURCE_DATE_EPOCH

# The program that is packed: --program, or one that is built here.
program=""

# program_of FILE
program_of() {
  program=$(realpath -- "$1" 2>/dev/null) || program=""
  [[ -f $program && -x $program ]] || refuse "--program $1 is no program; build one with swift build -c release"
  if ldd "$program" 2>/dev/null | grep -q libswiftCore; then
    say "NOTE: $program needs Swift's libraries where it runs; without --program one is built that has them inside"
  fi
}

# Builds the program with Swift's library inside, so that it runs where there is no Swift. A build of its own: others in
# .build stay as they are.
build_program() {
  [[ -z $program ]] || return 0
  install_requirements
  export_commit
  local options=(-c release --static-swift-stdlib --scratch-path "$root/.build-install")
  say "swift build ${options[*]} --product moe-dist"
  (cd "$root" && swift build "${options[@]}" --product moe-dist) >&2
  program=$root/.build-install/release/moe-dist
}

version_of_program() { "$program" --version | sed -nE '1s/^moe-dist ([0-9.]+).*/\1/p'; }

# put MODE FILE PLACE
put() { install -D -m "$1" -- "$2" "$3"; }

# stage DIR [ZSH]: all files of an installation below DIR, which stands for the prefix. ZSH: where zsh looks.
stage() {
  local to=$1 zsh=${2:-share/zsh/site-functions} doc=$1/share/doc/moe-dist page file
  install -d -m 755 "$to" "$doc"
  put 755 "$program" "$to/bin/moe-dist"
  strip --strip-unneeded "$to/bin/moe-dist"

  install_packages python3 || die "the manual pages are made with python3"
  "$root/scripts/make-man" "$program" "$scratch/man"
  for page in "$scratch/man"/*.1; do put 644 "$page" "$to/share/man/man1/${page##*/}"; done
  "$program" --generate-completion-script bash | sed '1{/^#!/d}' >"$scratch/completion.bash"
  "$program" --generate-completion-script zsh >"$scratch/completion.zsh"
  "$program" --generate-completion-script fish >"$scratch/completion.fish"
  put 644 "$scratch/completion.bash" "$to/share/bash-completion/completions/moe-dist"
  put 644 "$scratch/completion.zsh" "$to/$zsh/_moe-dist"
  put 644 "$scratch/completion.fish" "$to/share/fish/vendor_completions.d/moe-dist.fish"

  for file in README.md CHANGELOG.md SECURITY.md LICENSE; do put 644 "$root/$file" "$doc/$file"; done
  put 644 "$root/scripts/packaging/copyright" "$doc/copyright"
  # As in the sources, so that the links between the documents hold.
  while IFS= read -r file; do put 644 "$root/$file" "$doc/$file"; done \
    < <(cd "$root" && find docs hostfiles scripts/slurm -type f ! -name '.*' ! -name '*.swp' | LC_ALL=C sort)
  find "$to" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

scratch=$(mktemp -d "${TMPDIR:-/tmp}/moe-dist-package.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
