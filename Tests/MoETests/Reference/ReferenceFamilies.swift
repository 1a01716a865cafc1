import TestSupport

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
  ///
  /// The experts' output layers are four times as large as PyTorch's initial ones. With those every answer is nearly
  /// 1/C, the gate's gradient p − r is a small difference of large numbers, and rounding alone is 1e-5 of it in any
  /// Float implementation (PyTorch's float32 against its float64, top-1 on MNIST's networks: up to 5e-5).
  /// For the same reason an attentive gate's matrices are three times as large: p must differ from 1/E.
  func model(
    experts: Int, gate kind: ReferenceGate = .softmax, classes: Int = 10, seed: UInt64
  ) -> ReferenceModel {
    var network: ReferenceNetwork?
    if experts > 0, [.softmax, .attentive, .loss].contains(kind) {
      network = gate(experts: experts)
      network?.headless = kind == .attentive
    }
    var model = ReferenceModel.random(
      seed: seed, gate: network, expert: expert(classes: classes), count: max(1, experts))
    for name in model.trained where name.hasPrefix("attention.") {
      model.parameters[name] = model.parameters[name]!.map { 3 * $0 }
    }
    for name in model.trained where name.hasPrefix("experts.") && name.contains(".out.") {
      model.parameters[name] = model.parameters[name]!.map { 4 * $0 }
    }
    return model
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

  /// Images of noise; with a frame, zero in the border of that width, as scanned digits are.
  init(rows: Int, classes: Int = 10, side: Int = 28, frame: Int = 0, seed: UInt64) {
    var generator = SplitMix(state: seed)
    let inside = frame..<side - frame
    for _ in 0..<rows {
      for y in 0..<side {
        for x in 0..<side {
          let grey = UInt8(generator.below(256))
          bytes.append(inside.contains(y) && inside.contains(x) ? grey : 0)
        }
      }
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
