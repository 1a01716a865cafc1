#!/usr/bin/env bash
# `moe-dist data fetch` against a server on this host: checksums, a download that broke off, mirrors, no network.
set -euo pipefail
# shellcheck source=Tests/cli/support.sh
source "$(dirname -- "$0")/support.sh"

unset MOE_DIST_DATA
# Proxies of the machine are no part of the test.
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
export XDG_CACHE_HOME=$scratch/cache no_proxy=127.0.0.1

# FashionMNIST's files as Debian has them: the content is the published one.
published=/usr/share/datasets/fashion-mnist
if ! command -v curl >/dev/null || ! command -v python3 >/dev/null; then
  skip "data fetch" "curl or python3 is missing"
  finish
  exit
elif [[ ! -e $published/train-images-idx3-ubyte.gz ]]; then
  skip "data fetch" "$published is not there"
  finish
  exit
fi
mirror=$scratch/mirror
mkdir "$mirror"
cp "$published"/*.gz "$mirror"

# serve NAME [OPTION...]: sets url to a server of the mirror; its log is NAME.log.
serve() {
  local name=$1
  shift
  python3 "$(dirname -- "$0")/file_server.py" "$mirror" "$scratch/$name.port" "$@" >"$scratch/$name.log" 2>&1 &
  servers+=($!)
  local tries=0
  until [[ -e $scratch/$name.port ]]; do
    ((tries++ < 100)) || { echo "the server does not start"; cat "$scratch/$name.log"; return 1; }
    sleep 0.1
  done
  url=http://127.0.0.1:$(<"$scratch/$name.port")
}
servers=()
# shellcheck disable=SC2317
end_servers() { kill "${servers[@]}" 2>/dev/null || true; rm -rf "$scratch"; }
cleanup=(end_servers)

fetch() { run_alone "$moe_dist" data fetch "$@"; }
data=$scratch/cache/moe-dist/fashion-mnist
as_published() {
  run_alone "$moe_dist" data verify fashion-mnist --data-dir "$1" >"$scratch/verified"
  equal "files that are as published" "$(grep -c '(as published)' "$scratch/verified")" 4
  grep -q "images, 10 classes, $1\$" "$scratch/verified" || { cat "$scratch/verified"; return 1; }
  equal "what is left of downloads" "$(find "$1" -name '*.download' -o -name '*.part-*')" ""
}

whole() {
  fetch fashion-mnist --mirror "$url" >"$scratch/out" 2>"$scratch/err"
  as_published "$data"
  # Nothing is fetched twice.
  fetch fashion-mnist --mirror http://127.0.0.1:9 | grep -q 'already in'
}
broken() {
  local log=$scratch/broken.log
  rm -rf "$data"
  # curl tries again by itself where it may; a break ends this one, and the next goes on.
  if fetch fashion-mnist --mirror "$url"; then echo "a broken connection was not noticed"; return 1; fi
  [[ -s $data/train-images-idx3-ubyte.gz.download ]]
  fetch fashion-mnist --mirror "$url/"
  as_published "$data"
  grep -q 'train-images-idx3-ubyte.gz bytes=1000000-' "$log" || { cat "$log"; return 1; }
}
without_ranges() {
  rm -rf "$data"
  mkdir -p "$data"
  head -c 5000 "$mirror/train-images-idx3-ubyte.gz" >"$data/train-images-idx3-ubyte.gz.download"
  fetch fashion-mnist --mirror "$url"
  as_published "$data"
}
folder() {
  fetch fashion-mnist --mirror "$mirror" --data-dir "$scratch/own"
  as_published "$scratch/own/fashion-mnist"
}
# Other content, a page instead of the file, and half of it under the whole's name.
wrong() {
  local other
  mkdir -p "$scratch/wrong"
  cp "$mirror"/* "$scratch/wrong"
  for other in "printf x" "echo <!DOCTYPE html>" "head -c 1000 $mirror/t10k-labels-idx1-ubyte.gz" \
    "cat $mirror/train-labels-idx1-ubyte.gz"; do
    rm -rf "$data"
    $other >"$scratch/wrong/t10k-labels-idx1-ubyte.gz"
    exits_with 65 fetch fashion-mnist --mirror "$scratch/wrong"
    [[ ! -e $data/t10k-labels-idx1-ubyte.gz ]] || { echo "a wrong file was taken: $other"; return 1; }
  done
  rm "$scratch/wrong/t10k-labels-idx1-ubyte.gz"
  exits_with 66 fetch fashion-mnist --mirror "$scratch/wrong"
}
unreachable() {
  rm -rf "$data"
  # Nothing listens on port 9; the name is of a domain that never exists (RFC 2606).
  exits_with 66 fetch fashion-mnist --mirror http://127.0.0.1:9
  says 'is there a network'
  exits_with 66 fetch fashion-mnist --mirror http://moe-dist.invalid
  says 'no such host; is there a network'
  exits_with 66 fetch fashion-mnist --mirror "$url/none"
  mkdir -p "$scratch/bare"
  exits_with 66 env PATH="$scratch/bare" "$moe_dist" data fetch fashion-mnist
  says 'curl was not found; install it'
  exits_with 64 fetch synthetic
  says 'those that are: fashion-mnist, mnist, cifar-10, cifar-100'
  exits_with 64 fetch mnits
}
# An address is a word for curl, and no option or command.
no_shell() {
  rm -rf "$data"
  exits_with 66 fetch fashion-mnist --mirror "http://127.0.0.1:9/\$(touch $scratch/owned);touch $scratch/owned;"
  exits_with 66 fetch fashion-mnist --mirror "file://$mirror"
  [[ ! -e $scratch/owned ]]
}
archive() {
  exits_with 65 fetch cifar-100 --mirror "$scratch/archives"
  says 'is not cifar-100-binary.tar.gz as it was published'
  [[ ! -e $scratch/cache/moe-dist/cifar-100/train.bin ]]
}
named() {
  exits_with 66 env HOME="$scratch" "$moe_dist" train --dataset mnist
  says "mnist: not found in .*$scratch/cache/moe-dist/mnist.*'moe-dist data fetch mnist'"
  run_alone "$moe_dist" doctor >"$scratch/doctor" 2>&1 || true
  grep -q "data set mnist: not found in .*'moe-dist data fetch mnist'" "$scratch/doctor"
}

serve plain
check "files are fetched, checked and found" whole
check "an address is no command" no_shell
check "66: what cannot be reached" unreachable
serve broken --break 1000000
check "a download that broke off goes on" broken
serve ranges --no-ranges
check "a server that sends no parts" without_ranges
check "a folder as a mirror" folder
check "65: other content" wrong
mkdir "$scratch/archives"
printf 'no archive' >"$scratch/archives/cifar-100-binary.tar.gz"
check "65: another archive" archive
check "who lacks data is told the command" named
finish
