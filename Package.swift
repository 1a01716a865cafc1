// swift-tools-version:6.2
import Foundation
import PackageDescription

// The kernels, one folder, are compiled once for every level of the processor; the program chooses when it starts. A
// level is a link to the folder of the kernels, because a target has a folder of its own.
#if arch(x86_64)
  let levels: [(name: String, setting: String, flags: [String])] = [
    ("KernelsV2", "KERNELS_V2", ["-Xcc", "-march=x86-64-v2"]),
    ("KernelsV3", "KERNELS_V3", ["-Xcc", "-march=x86-64-v3"]),
    ("KernelsV4", "KERNELS_V4", ["-Xcc", "-march=x86-64-v4"]),
  ]
#else
  let levels: [(name: String, setting: String, flags: [String])] = [("KernelsBase", "KERNELS_BASE", [])]
#endif

// A dependency by URL has no folders yet when its manifest is read.
let isCheckedOut = FileManager.default.fileExists(atPath: Context.packageDirectory + "/Sources")
for level in levels where isCheckedOut {
  let folder = Context.packageDirectory + "/Sources/" + level.name
  var isDirectory: ObjCBool = false
  guard FileManager.default.fileExists(atPath: folder, isDirectory: &isDirectory), isDirectory.boolValue
  else {
    fatalError(
      "Sources/\(level.name) is not the link to Sources/Kernels that it should be: check out with symbolic links "
        + "(git config core.symlinks true, then git checkout -- Sources), or copy the folder Sources/Kernels there"
    )
  }
}

// Documentation alone needs DocC's plugin. `scripts/docs` sets the variable; nobody else resolves the plugin.
let documentation: [Package.Dependency] =
  Context.environment["MOE_DIST_DOCC"] == nil
  ? [] : [.package(url: "https://github.com/swiftlang/swift-docc-plugin", exact: "1.5.0")]

// `scripts/lib.sh` hands on the commit that it builds; a plain build knows none.
let commit = Context.environment["MOE_DIST_COMMIT"].flatMap { text in
  text.allSatisfy { $0.isHexDigit || "-dirty".contains($0) } && !text.isEmpty ? text : nil
}

let belowTraining: [Target.Dependency] = [
  "MoE", "DataSets", "Records", "Dist", "Files", "Networks", "Numerics", "KernelInterface",
]

let package = Package(
  name: "moe-dist",
  products: [
    .executable(name: "moe-dist", targets: ["moe-dist"]),
    .library(name: "Dist", targets: ["Dist"]),
    .library(name: "MoE", targets: ["MoE", "Networks", "Numerics", "Dist", "KernelInterface"]),
    .library(name: "Training", targets: ["Training", "DataSets", "Records"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
  ] + documentation,
  targets: [
    // MARK: C libraries: a module map and one header each
    .systemLibrary(
      name: "COpenMPI", pkgConfig: "ompi-c",
      providers: [.apt(["libopenmpi-dev", "openmpi-bin"])]),
    .systemLibrary(
      name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),

    // MARK: What the build and the processor are; vector shims, the kernels' types, and the kernels once per level
    .target(name: "CLanes"),
    .target(name: "CProcessor"),
    .target(name: "CBuild", cSettings: commit.map { [.define("MOE_DIST_COMMIT", to: $0)] } ?? []),
    .target(name: "KernelInterface"),

    // MARK: Floors: a target imports only what stands above it in this list
    .target(
      name: "Numerics",
      dependencies: ["COpenBLAS", "CProcessor", "KernelInterface"]
        + levels.map { .init(stringLiteral: $0.name) }),
    .target(name: "Dist", dependencies: ["COpenMPI"]),
    .target(name: "Files", dependencies: ["CCrypto"]),
    .target(name: "Networks", dependencies: ["Numerics", "KernelInterface"]),
    .target(name: "MoE", dependencies: ["Dist", "Networks", "Numerics", "KernelInterface"]),
    .target(name: "DataSets", dependencies: ["Files", "Numerics", "KernelInterface", "CZlib"]),
    .target(
      name: "Records",
      dependencies: ["CBuild", "Dist", "Files", "Networks", "Numerics", "KernelInterface"]),
    .target(
      name: "Training",
      dependencies: [
        "MoE", "DataSets", "Records", "Dist", "Files", "Networks", "Numerics", "KernelInterface",
        .product(name: "Yams", package: "Yams"),
      ]),
    .target(name: "Planning", dependencies: ["Training"] + belowTraining),
    .target(name: "Reporting", dependencies: ["Training"] + belowTraining),
    .target(name: "Studies", dependencies: ["Training"] + belowTraining),

    // MARK: The program: its commands, and a main
    .target(
      name: "launcher",
      dependencies: [
        "Planning", "Reporting", "Studies", "Training",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ] + belowTraining),
    .executableTarget(name: "moe-dist", dependencies: ["launcher"]),

    // MARK: Tests
    // The same commands, with faults where the environment asks for one.
    .executableTarget(
      name: "faulty-rank", dependencies: ["launcher", "Dist", "Records"], path: "Tests/FaultyRank"),
    .target(
      name: "TestSupport", dependencies: ["Dist", "Files", "MoE", "Networks", "Numerics", "KernelInterface"],
      path: "Tests/TestSupport"),
    .target(
      name: "Fuzzing", dependencies: ["Planning", "Reporting", "Training"] + belowTraining,
      path: "Tests/Fuzzing"),
    .testTarget(name: "DistTests", dependencies: ["Dist", "TestSupport"]),
    .testTarget(name: "MPITests", dependencies: ["Dist", "TestSupport"]),
    // Two targets of half the size each, which are compiled side by side.
    .testTarget(
      name: "MoETests", dependencies: ["Training", "TestSupport"] + belowTraining, exclude: ["Fixtures"]),
    .testTarget(
      name: "RunTests",
      dependencies: ["Planning", "Reporting", "Studies", "Training", "TestSupport", "Fuzzing"]
        + belowTraining),
    .testTarget(
      name: "LauncherTests",
      dependencies: [
        "launcher", "Training", "Files", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
  ],
  swiftLanguageModes: [.v6]
)

// The flags of a level must stay its own: the program refuses to start where they did not. Optimised in debug builds
// too, because a loop over vectors is hundreds of times slower without.
package.targets += levels.map { level in
  .target(
    name: level.name, dependencies: ["CLanes", "KernelInterface"],
    swiftSettings: [.define(level.setting), .unsafeFlags(["-O"] + level.flags)])
}

// The fuzzer is linked with libFuzzer, and everything below it watched by it. `scripts/fuzz` sets the variable.
if Context.environment["MOE_DIST_FUZZ"] != nil {
  package.targets.append(
    .executableTarget(name: "fuzz", dependencies: ["Fuzzing", "Files"], path: "Tests/Fuzz"))
}

for target in package.targets where target.type != .system {
  target.swiftSettings =
    (target.swiftSettings ?? []) + [
      .enableUpcomingFeature("InternalImportsByDefault"),
      .enableUpcomingFeature("MemberImportVisibility"),
      .enableUpcomingFeature("ExistentialAny"),
    ]
}
