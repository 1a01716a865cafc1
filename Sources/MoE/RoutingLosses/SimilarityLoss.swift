package import KernelInterface
internal import Networks
internal import Numerics

/// What is divided by what in the sample-similarity loss.
public enum SimilarityScaling: String, CaseIterable, Sendable {
  /// Both terms by B(B−1), the number of ordered pairs.
  case perPair = "per-pair"
  /// As the authors' code does: only the dissimilarity term, by B².
  case authors
}

/// The sample-similarity loss of arXiv 2302.14703, section 5: L_s = β_s·S − β_d·D, where
/// S = c_S/E·Σ_{x≠x'} d(x,x') Σ_e p_e(x) p_e(x') and D = c_D/(E²−E)·Σ_{x≠x'} d(x,x') Σ_{e≠e'} p_e(x) p_e'(x').
///
/// Because Σ_e p_e = 1, the inner sum of D is 1 minus that of S. So with a = β_s c_S/E and b = β_d c_D/(E²−E)
/// L_s = (a + b)·Σ d∘(PᵀP) − b·Σ d: **the two weights act as one**, a + b, up to a constant without gradient. One product
/// P·d gives both the sum, ⟨P, P d⟩, and the gradient, 2 (a + b) P d.
package final class SimilarityLoss: RoutingLoss {
  package let name = "similarity_loss"
  package let scope = LossScope.batch(needsRows: true)
  package let variable = LossVariable.probabilities
  private let similarity: Double
  private let dissimilarity: Double
  private let scaling: SimilarityScaling
  private let distances: SampleDistances
  private var product: [Float] = []

  /// - Parameters:
  ///   - similarity, dissimilarity: β_s and β_d.
  package init(
    similarity: Double, dissimilarity: Double, scaling: SimilarityScaling, distances: SampleDistances
  ) {
    self.similarity = similarity
    self.dissimilarity = dissimilarity
    self.scaling = scaling
    self.distances = distances
  }

  package func add(_ view: RoutingView, to gradient: FeatureMap) -> LossValue {
    let p = view.probabilities
    let rows = Double(p.rows)
    guard p.rows > 1 else { return LossValue(reported: 0, weighted: 0) }
    let experts = Double(p.features)
    let pairs = rows * (rows - 1)
    let ofSame = similarity / experts / (scaling == .authors ? 1 : pairs)
    // One expert has no other: D is 0.
    let ofOther =
      experts > 1
      ? dissimilarity / (experts * experts - experts) / (scaling == .authors ? rows * rows : pairs) : 0
    let sumOfDistances = distances.measure(view.inputs)
    if product.count < p.features * p.stride { product = Array(repeating: 0, count: p.features * p.stride) }
    return product.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return LossValue(reported: 0, weighted: 0) }
      let pd = FeatureMap(base: base, features: p.features, rows: p.rows)
      distances.multiply(p, into: pd)
      var together = 0.0
      let factor = Float(2 * (ofSame + ofOther))
      for expert in 0..<p.features {
        together += kernels.dotProduct(p[expert], pd[expert], count: p.columns)
        kernels.addProduct(factor, pd[expert], to: gradient[expert], count: p.columns)
      }
      let loss = (ofSame + ofOther) * together - ofOther * sumOfDistances
      return LossValue(reported: loss, weighted: loss)
    }
  }
}
