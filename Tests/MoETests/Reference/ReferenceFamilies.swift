/// The networks of arXiv 2302.14703 for 28×28 images, as the reference sees them.
enum ReferenceFamily: String, CaseIterable {
  case mnist
  case fashionMNIST = "fashion-mnist"

  /// The network of an expert, which is the single model too.
  func expert(classes: Int) -> ReferenceNetwork {
    ReferenceNetwork(
      name: "", side: 28, filters: 1, hidden: self == .mnist ? [5, 32] : [64, 32], outputs: classes)
  }

  func gate(experts: Int) -> ReferenceNetwork {
    switch self {
    case .mnist:
      ReferenceNetwork(name: "gate", side: 28, filters: 1, hidden: [128, 32], outputs: experts)
    case .fashionMNIST:
      ReferenceNetwork(
        name: "gate", side: 28, filters: 8, batchNorm: true, hidden: [512, 32], outputs: experts)
    }
  }

  /// A model with random weights that a Float holds exactly; experts 0: the single model.
  func model(experts: Int, classes: Int = 10, seed: UInt64) -> ReferenceModel {
    .random(
      seed: seed, gate: experts > 0 ? gate(experts: experts) : nil, expert: expert(classes: classes),
      count: max(1, experts))
  }
}

extension ReferenceNetwork {
  /// How many numbers are trained.
  var trainedCount: Int {
    shapes.filter { !$0.key.contains(".running_") }.reduce(0) { $0 + $1.value.reduce(1, *) }
  }
}

/// Bytes as a data set holds them, with labels, and the same as the reference takes them.
struct ReferenceBatch {
  /// rows × 784 bytes.
  var bytes: [UInt8] = []
  var labels: [UInt8] = []

  /// Images of noise; every grey value is likely somewhere, so that no two windows tie by design.
  init(rows: Int, classes: Int = 10, pixels: Int = 784, seed: UInt64) {
    var generator = SplitMix(state: seed)
    for _ in 0..<rows {
      for _ in 0..<pixels { bytes.append(UInt8(generator.below(256))) }
      labels.append(UInt8(generator.below(classes)))
    }
  }

  /// A byte b becomes (b/255 − mean) / standardDeviation.
  func images(mean: Double, standardDeviation: Double) -> [[Double]] {
    let pixels = bytes.count / labels.count
    return labels.indices.map { row in
      bytes[row * pixels..<(row + 1) * pixels].map { (Double($0) / 255 - mean) / standardDeviation }
    }
  }
}
