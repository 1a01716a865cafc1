public import Numerics

/// The modules that make up a model, by name: what is in front of its mixture layers, what is in them, and what is behind.
///
/// Adding a family: one file with a conformance, and its line in ``NetworkFamilies``.
public protocol NetworkFamily: Sendable {
  /// As it is called on the command line and in checkpoints, e.g. `mnist`.
  var name: String { get }
  /// What it is, for help texts.
  var summary: String { get }
  /// Widths of the last hidden layers of expert and gate, H; an attentive gate needs them to be equal.
  var hiddenWidths: (expert: Int, gate: Int) { get }

  /// What images pass before the first mixture layer; nil: the layer takes the images.
  func trunk(_ images: ImageShape) -> (any ModuleSpec)?
  /// What makes logits of the classes from the rows behind the last mixture layer; nil: the experts of the one layer answer
  /// log-probabilities of the classes.
  func head(rows: ImageShape, classes: Int) -> (any ModuleSpec)?
  /// One expert of a layer.
  ///
  /// - Parameters:
  ///   - rows: the shape of the layer's rows.
  ///   - classes: what an expert answers for where there is no head.
  func expert(rows: ImageShape, classes: Int) -> any ModuleSpec
  /// The gate of a layer, with an output per expert.
  func gate(rows: ImageShape, experts: Int) -> any ModuleSpec
  /// The gate without its output layer; its output is the last hidden layer, before ReLU.
  func gateTrunk(rows: ImageShape) -> any ModuleSpec
  /// Why the modules cannot take these images, as the end of a sentence; nil where they can.
  func misfit(_ images: ImageShape) -> String?
}

extension NetworkFamily {
  public func trunk(_ images: ImageShape) -> (any ModuleSpec)? { nil }
  public func head(rows: ImageShape, classes: Int) -> (any ModuleSpec)? { nil }
  public func misfit(_ images: ImageShape) -> String? { nil }

  /// Whether mixture layers lie inside a deeper network.
  public var isDeep: Bool { head(rows: ImageShape(features: 1), classes: 1) != nil }
}

/// The one list of families.
public enum NetworkFamilies {
  /// In the order in which help texts list them.
  public static let all: [any NetworkFamily] = PaperNetworks.all + [TrunkNetworks(), PerceptronNetworks()]

  /// The family of a name; nil where there is none.
  public static func named(_ name: String) -> (any NetworkFamily)? { all.first { $0.name == name } }
}
