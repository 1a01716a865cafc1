package import KernelInterface
package import Networks
internal import Numerics

/// A loss of the whole batch's gate probabilities, taken on rank 0 in one call.
///
/// Adding a regulariser: one file with a conformance, and one line where settings become regularisers.
package protocol Regulariser: AnyObject {
  /// The figure under which the loss is reported.
  var kind: RegulariserKind { get }

  /// Adds ∂(weighted loss)/∂p to the gradient; returns the loss as it is reported and as it is minimised.
  ///
  /// - Parameters:
  ///   - p: [experts][rows], the full softmax of every row.
  ///   - gradient: like p.
  func add(_ p: FeatureMap, of rows: [RowBlock], to gradient: FeatureMap) -> (
    reported: Double, weighted: Double
  )
}

package enum RegulariserKind: Sendable { case importance, similarity }

/// What the regularisers said of a batch.
package struct RegulariserLosses: Equatable, Sendable {
  /// (std(I)/mean(I))², without its weight.
  package var importance: Double?
  /// L_s = β_s·S − β_d·D.
  package var similarity: Double?
  /// What they add to the loss.
  package var total = 0.0
}

/// All regularisers of a run.
package final class Regularisers {
  private let list: [any Regulariser]
  private let temperature: Float
  private let workspace = Workspace()

  /// - Parameter temperature: T of p = softmax(score/T).
  package init(_ list: [any Regulariser], temperature: Float) {
    self.list = list
    self.temperature = temperature
  }

  /// Writes the gradient of all regularisers with respect to the scores, ∂L/∂s = p∘(∂L/∂p − ⟨p, ∂L/∂p⟩)/T.
  ///
  /// - Parameters:
  ///   - scores: [experts][rows] of the whole batch.
  ///   - rows: the batch's rows, block by block.
  ///   - gradient: [experts][rows], overwritten.
  package func gradient(
    _ scores: FeatureMap, rows: [RowBlock], into gradient: FeatureMap
  ) -> RegulariserLosses {
    workspace.reset()
    let p = workspace.map(features: scores.features, rows: scores.rows)
    kernels.softmax(scores, scale: 1 / temperature, into: p)
    p.clearPadding()
    gradient.clear()
    var losses = RegulariserLosses()
    for regulariser in list {
      let (reported, weighted) = regulariser.add(p, of: rows, to: gradient)
      losses.total += weighted
      switch regulariser.kind {
      case .importance: losses.importance = reported
      case .similarity: losses.similarity = reported
      }
    }
    kernels.softmaxGradient(gradient, probabilities: p, scale: 1 / temperature)
    return losses
  }
}
