public import DataSets
public import Files
internal import KernelInterface
package import MoE
package import Networks
package import Numerics

extension Configuration {
  /// Experts of the model: 1 for the single model.
  package var modelExperts: Int { gate == .none ? 1 : experts }

  /// What chooses and scores experts; a gate that learns from an attentive one is a kind of its own.
  package var gateDesign: any GateDesign {
    distillFrom != nil && distillLoss == .kl ? DistillationGateDesign() : gate.design
  }

  /// What has to be said of figures of a gate that looks at the labels; nil for any other.
  package var oracleNote: Message? {
    guard gate.design.isOracle else { return nil }
    return
      "oracle: \(setting: "gate", gate.rawValue) chooses experts by the labels, so no figure is that of a model in use"
  }

  /// What has to be said where the chosen expert's weight is 1 whatever the gate says; nil elsewhere.
  var untrainedGateNote: Message? {
    guard combine == .topK, topK == 1, topKWeights == .renormalised, modelExperts > 1, trainsGate else {
      return nil
    }
    return
      "\(setting: "top-k-weights", topKWeights.rawValue) with \(setting: "top-k", 1) gives the chosen expert the weight 1: the "
      + "gate gets no gradient from the classes and does not learn from them; take \(setting: "top-k-weights", "full")"
  }

  /// The modules of the model; nil for a name that is none.
  package var family: (any NetworkFamily)? { NetworkFamilies.named(model) }
  /// Whether mixture layers lie inside a deeper network.
  package var isDeep: Bool { family?.isDeep ?? false }

  package var trainsGate: Bool { freeze != .gate }
  package var trainsExperts: Bool { freeze != .experts }

  /// Which experts a row's mixture takes under ``CombineRule/topK``.
  package var topSelection: any Selection {
    let top = TopK(topK, noise: noise > 0 ? ScoreNoise(factor: noise) : nil)
    return capacity.map { Capacity(top, factor: $0) } ?? top
  }

  // MARK: - Distances of the similarity loss

  @Sendable static func isSimilarityScale(_ text: String) -> Bool {
    if ["dataset", "batch-max", "none"].contains(text) { return true }
    guard let value = Double(text) else { return false }
    return value.isFinite && value > 0 && Precision.single.holds(value)
  }

  /// The scale as a number; `dataset` must have been resolved by ``resolvingScale(of:)``.
  package var resolvedSimilarityScale: SampleDistances.Scale {
    switch similarityScale {
    case "batch-max": .batchMaximum
    case "none": .fixed(1)
    default: .fixed(Double(similarityScale) ?? 1)
    }
  }

  /// The configuration with a similarity scale that no longer depends on the data: `dataset` as its number.
  public func resolvingScale(of data: DataSet) -> Configuration {
    guard similarity > 0 || dissimilarity > 0, similarityScale == "dataset" else { return self }
    var resolved = self
    resolved.similarityScale = Self.scale(of: data)
    return resolved
  }

  /// Checks that a scale `dataset` that is given again at a resume means the number that the run began with.
  ///
  /// - Throws: ``Failure`` for wrong usage that names both values.
  public func checkScale(_ given: ConfigurationLayer.Entry?, against data: DataSet) throws(Failure) {
    guard similarity > 0 || dissimilarity > 0, let given, given.text == "dataset" else { return }
    let scale = Self.scale(of: data)
    // Another kind of CPU gives other last digits; the run keeps its own.
    if let now = Double(scale), let then = Double(similarityScale), abs(now / then - 1) < 1e-4 { return }
    throw Failure(
      .usage,
      "\(given.words) is \(scale) here, but the run was trained with similarity-scale \(similarityScale); leave it out "
        + "to resume, or start a new run")
  }

  /// The mean distance of the first training samples, as text.
  private static func scale(of data: DataSet) -> String {
    // The bits of a product depend on the number of threads.
    BLAS.useOneThread()
    return String(SampleDistances.mean(of: data.train, first: 1000, normalisation: data.normalisation))
  }
}

extension SampleDistances {
  /// The mean distance between the first samples of a data set, in file order: a unit in which weights of the
  /// loss mean the same on every data set.
  package static func mean(of images: ImageSet, first count: Int, normalisation: Normalisation) -> Double {
    let rows = min(count, images.count)
    guard rows > 1 else { return 1 }
    let workspace = Workspace(
      capacity: Workspace.bytes(floats: Tiles.floats(pixels: images.shape.pixels, rows: rows)))
    let tiles = Tiles(
      base: workspace.floats(Tiles.floats(pixels: images.shape.pixels, rows: rows)),
      pixels: images.shape.pixels, rows: rows)
    normalisation.fill(tiles, of: ImageView(images)) { Int32($0) }
    let distances = SampleDistances(squared: false, scale: .fixed(1))
    let sum = distances.measure([.tiles(tiles)])
    // All samples equal: any scale will do, because all distances are 0.
    return sum > 0 ? sum / (Double(rows) * Double(rows - 1)) : 1
  }
}
