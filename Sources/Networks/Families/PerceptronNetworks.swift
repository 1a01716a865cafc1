public import Numerics

/// A perceptron with mixture layers, for images of any size: a dense layer, layers of dense experts, a head.
public struct PerceptronNetworks: NetworkFamily {
  public let name = "mlp"
  public let summary = "a dense layer, mixture layers of dense experts, a head; for images of any size"
  /// Features of a row between trunk and head.
  private let features = 128
  /// Hidden width of an expert.
  private let width = 256

  public init() {}

  public var hiddenWidths: (expert: Int, gate: Int) { (width, width) }

  public func trunk(_ images: ImageShape) -> (any ModuleSpec)? {
    SequentialSpec([Dense(features, rectified: true)], input: images)
  }

  public func head(rows: ImageShape, classes: Int) -> (any ModuleSpec)? {
    SequentialSpec([Dense(classes, label: "out")], input: rows)
  }

  public func expert(rows: ImageShape, classes: Int) -> any ModuleSpec {
    SequentialSpec([Dense(width, rectified: true), Dense(rows.pixels, label: "out")], input: rows)
  }

  public func gate(rows: ImageShape, experts: Int) -> any ModuleSpec {
    SequentialSpec([Dense(experts, label: "out")], input: rows)
  }

  public func gateTrunk(rows: ImageShape) -> any ModuleSpec { SequentialSpec([Dense(width)], input: rows) }
}
