// swift-tools-version:6.2
import PackageDescription

// A program that uses moe-dist as an MPI library: the product Dist alone, no arithmetic, no experts. In a package of your
// own the dependency is .package(url: …) or the path to a checkout; Open MPI's headers are found by pkg-config.
let package = Package(
  name: "class-counts",
  dependencies: [.package(name: "moe-dist", path: "../..")],
  targets: [
    .executableTarget(name: "ClassCounts", dependencies: [.product(name: "Dist", package: "moe-dist")])
  ]
)
