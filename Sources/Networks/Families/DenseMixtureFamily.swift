public import Numerics

/// A family whose mixture layers lie between a trunk and a head: linear gates, and dense experts of one hidden layer that keep
/// the width of a row.
public protocol DenseMixtureFamily: NetworkFamily {
  /// Features of a row between trunk and head.
  var features: Int { get }
  /// Hidden width of an expert.
  var width: Int { get }
}

extension DenseMixtureFamily {
  public var hiddenWidths: (expert: Int, gate: Int) { (width, width) }

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
