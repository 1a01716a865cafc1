#!/usr/bin/env bash
# The build of the kernels, in a small package of their own: flags for the whole build are noticed, faults in the machine
# code are found, an edit of a C header rebuilds what uses it.
set -euo pipefail
# shellcheck source=Tests/cli/support.sh
source "$(dirname -- "$0")/support.sh"

if [[ $(uname -m) != x86_64 ]]; then
  skip "levels of the processor" "x86-64 has them"
  finish
  exit
fi

package=$scratch/small
mkdir -p "$package/Sources/level"
for target in CLanes CProcessor KernelInterface Kernels; do cp -r "$root/Sources/$target" "$package/Sources/$target"; done
for level in V2 V3 V4; do ln -s Kernels "$package/Sources/Kernels$level"; done
cp "$root/Sources/Numerics/ProcessorLevel.swift" "$package/Sources/level/"
cat >"$package/Sources/level/main.swift" <<'SWIFT'
internal import KernelInterface

print(ProcessorLevel.objection ?? "level \(ProcessorLevel.current.implementation.level)")
SWIFT
# The targets as our own package declares them.
awk '/^let package = Package/ { exit } { print }' "$root/Package.swift" >"$package/Package.swift"
cat >>"$package/Package.swift" <<'SWIFT'
let package = Package(
  name: "small",
  targets: [
    .target(name: "CLanes"), .target(name: "CProcessor"), .target(name: "KernelInterface"),
    .executableTarget(
      name: "level",
      dependencies: ["CProcessor", "KernelInterface"] + levels.map { .init(stringLiteral: $0.name) }),
  ], swiftLanguageModes: [.v6])
SWIFT
awk '/^package.targets \+=/ { on = 1 } on { print }' "$root/Package.swift" >>"$package/Package.swift"

# built OPTION...: the package, in release mode unless an option says otherwise.
built() { (cd "$package" && swift build -c release "$@") >"$scratch/build.log" 2>&1 || { tail -n 20 "$scratch/build.log"; return 1; }; }
level() { MOE_DIST_LEVEL=$1 "$package/.build/release/level"; }

every_level_is_its_own() {
  built
  local found
  for found in v2 v3 v4; do
    # Above the processor's own there is an objection of another kind.
    level "$found" | grep -q "offer" || equal "kernels of $found" "$(level "$found")" "level ${found#v}"
  done
  "$root/scripts/check-kernels" "$package/.build/release/level"
}
check "the kernels of every level are of that level, their loops sound" every_level_is_its_own

# One build for two edits: eight rows of two registers are more sums than AVX2 has registers, and the header of the vector
# shims says another level.
edits_count() {
  sed -i 's/case 6: TileSums<6, registers>/case 6: TileSums<8, registers>/' "$package/Sources/Kernels/DenseTile.swift"
  sed -i 's/  return 3;/  return 33;/' "$package/Sources/CLanes/include/lanes.h"
  built
}
spills_are_found() {
  exits_with 1 "$root/scripts/check-kernels" "$package/.build/release/level"
  grep -q 'tile 8 x 2 of level v3.*stack' "$scratch/out" || { cat "$scratch/out"; return 1; }
}
edited_header_counts() { level v3 | grep -qE "compiled for level 33|offer" || { level v3; return 1; }; }
check "edited kernels are built" edits_count
check "check-kernels finds a tile that does not fit the registers" spills_are_found
check "an edit of lanes.h rebuilds the kernels" edited_header_counts
cp "$root/Sources/Kernels/DenseTile.swift" "$package/Sources/Kernels/"
cp "$root/Sources/CLanes/include/lanes.h" "$package/Sources/CLanes/include/"

flags_are_noticed() {
  built -Xcc -march=x86-64-v3
  level v2 | grep -q "the kernels of level v2 were compiled for level 3: a flag for the whole build" \
    || { level v2; return 1; }
}
check "kernels that a flag has made another level are refused" flags_are_noticed

if $long; then
  whole_in_debug() {
    (cd "$root" && swift build --scratch-path "$scratch/debug" --product moe-dist) >"$scratch/build.log" 2>&1 \
      || { tail -n 20 "$scratch/build.log"; return 1; }
    "$root/scripts/check-kernels" "$scratch/debug/debug/moe-dist" --leaks-only
  }
  check "no AVX instruction outside the kernels in a debug build of the program" whole_in_debug
fi
finish
