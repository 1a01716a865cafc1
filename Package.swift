// swift-tools-version:6.1
import PackageDescription

let package = Package(
  name: "moe-dist",
  products: [
    .executable(name: "moe-dist", targets: ["launcher"]),
    .library(name: "Dist", targets: ["Dist"]),
    .library(name: "MoE", targets: ["MoE"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
  ],
  targets: [
    // MARK: C libraries: a module map and one header each
    .systemLibrary(
      name: "COpenMPI", pkgConfig: "ompi-c",
      providers: [.apt(["libopenmpi-dev", "openmpi-bin"])]),
    .systemLibrary(
      name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CLanes"),

    // MARK: Ranks, collectives, exchanges
    .target(name: "Dist", dependencies: ["COpenMPI"]),

    // MARK: Everything that learns
    .target(
      name: "MoE",
      dependencies: [
        "Dist", "COpenBLAS", "CZlib", "CCrypto", "CLanes",
        .product(name: "Yams", package: "Yams"),
      ]),

    // MARK: The program
    .executableTarget(
      name: "launcher",
      dependencies: [
        "Dist", "MoE",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),

    // MARK: Tests
    .target(name: "TestSupport", dependencies: ["Dist", "MoE"], path: "Tests/TestSupport"),
    .testTarget(name: "DistTests", dependencies: ["Dist", "TestSupport"]),
    .testTarget(name: "MPITests", dependencies: ["Dist", "TestSupport"]),
    .testTarget(name: "MoETests", dependencies: ["Dist", "MoE", "TestSupport"], exclude: ["Fixtures"]),
  ],
  swiftLanguageModes: [.v6]
)

for target in package.targets where target.type != .system {
  target.swiftSettings = [
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("ExistentialAny"),
  ]
}
