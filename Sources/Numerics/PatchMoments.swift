internal import KernelInterface

/// First and second moments of the 3×3 patches of a batch, from which the statistics of a convolution's output follow.
///
/// The output is linear in the patch x ∈ R⁹: its mean is w·E[x] + b, its variance wᵀ Cov(x) w. So BatchNorm behind a
/// convolution over the input needs no pass over the convolution's output.
package struct PatchMoments: Equatable {
  /// As ``PatchSums`` orders them.
  package var sums: [Double]
  /// Rows × positions.
  package var count: Double

  package init(sums: [Double], count: Double) {
    self.sums = sums
    self.count = count
  }

  package func mean(_ d: Int) -> Double { sums[d] / count }

  package func covariance(_ a: Int, _ b: Int) -> Double {
    sums[9 + PatchSums.triangle(min(a, b), max(a, b))] / count - mean(a) * mean(b)
  }
}
