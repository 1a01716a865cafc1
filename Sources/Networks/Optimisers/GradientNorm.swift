internal import KernelInterface
internal import Numerics

/// The factor that brings gradients to a norm of at most `limit` (Pascanu et al. 2013, arXiv 1211.5063), as
/// torch.nn.utils.clip_grad_norm_ has it: min(1, limit / (norm + 1e-6)). A norm that is not a number scales nothing.
public func clippingScale(norm: Double, limit: Double) -> Double { min(1, limit / (norm + 1e-6)) }

extension Parameters {
  /// Trained floats per partial sum of ``squareSums(_:)``. Fixed, because the bits of a sum follow from it.
  package static var chunk: Int { 1024 }

  /// Σ g² in double precision of every chunk of the trained floats in a range, ascending. Chunks are counted from the
  /// first float; the last may be shorter.
  ///
  /// - Parameter floats: begins with a chunk, and ends with one or with the last float.
  package func squareSums(_ floats: Range<Int>) -> [Double] {
    guard let training else { preconditionFailure("only a network in training has gradients") }
    return stride(from: floats.lowerBound, to: floats.upperBound, by: Parameters.chunk).map { first in
      kernels.squareSum(
        training.gradients + first, count: min(Parameters.chunk, floats.upperBound - first))
    }
  }

  /// Σ g² of all trained floats: the sums of the chunks, added in ascending order.
  package func squareSum() -> Double {
    squareSums(0..<trainedCount).reduce(0, +)
  }
}
