// swift-tools-version:6.2
import PackageDescription

// A program with experts, gate, routing loss and selection of its own: the product MoE, which brings Networks (modules,
// optimisers), Numerics (arithmetic), KernelInterface (feature maps) and Dist (ranks). No compiler flag is needed.
let package = Package(
  name: "own-expert",
  dependencies: [.package(name: "moe-dist", path: "../..")],
  targets: [
    .executableTarget(name: "OwnExpert", dependencies: [.product(name: "MoE", package: "moe-dist")])
  ]
)
