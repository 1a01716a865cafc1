/// One named tensor of a network: its shape, how it starts, and whether it is trained.
public struct TensorSpec: Equatable, Sendable {
  /// What a tensor is, and thereby how it starts.
  public enum Role: Equatable, Sendable {
    /// Trained; starts uniform in ±1/√fanIn (PyTorch's default for convolution and dense layers, weights and biases alike).
    case weight(fanIn: Int)
    /// Trained; starts at a constant (BatchNorm's scale and shift).
    case constant(Float)
    /// Not trained; starts at a constant (BatchNorm's running statistics).
    case statistic(Float)
  }

  /// The full name, e.g. `experts.3.fc1.weight`.
  public let name: String
  /// As PyTorch has it: [outputs][inputs] of a dense layer, [filters][channels][height][width] of a convolution.
  public let shape: [Int]
  /// What it is, and how it starts.
  public let role: Role

  /// A tensor of a full name.
  public init(name: String, shape: [Int], role: Role) {
    self.name = name
    self.shape = shape
    self.role = role
  }

  /// Values, without padding.
  public var count: Int { shape.reduce(1, *) }
  /// Whether it has a gradient; statistics have none.
  public var isTrained: Bool {
    if case .statistic = role { return false }
    return true
  }
}
