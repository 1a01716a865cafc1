package import KernelInterface
internal import Networks
internal import Numerics

/// Noise on the gate's scores in training: s_e + factor/E · N(0, 1), independent for every epoch, sample, layer and expert.
///
/// Shazeer et al. 2017 (equation 4) scale the normal number by a trained softplus(x·W_noise). The standard deviation is fixed
/// here, as in V-MoE (Riquelme et al. 2021, arXiv 2106.05974), whose 1/E is the factor 1: nothing is learned of
/// it, and the scores' gradient passes unchanged.
///
/// A draw is a function of seed, epoch, sample, layer and expert, so that every rank that needs it makes it itself: Philox's
/// words at (epoch·2³² + sample, hash of the layer's name·2³² + expert/4), the word e mod 4 as the number of one of 2³² cells
/// of equal probability, of whose middle the quantile of the normal distribution is taken. So it lies within ±6.4 and is
/// symmetric.
public struct ScoreNoise: Equatable, Sendable {
  /// Of 1/E.
  public let factor: Double

  /// - Parameter factor: of 1/E, the standard deviation; from 0.
  public init(factor: Double) { self.factor = factor }

  /// Adds noise to scores.
  ///
  /// - Parameters:
  ///   - rows: of the batch, those of the scores.
  ///   - noisy: [experts][rows], overwritten.
  package func add(
    to scores: FeatureMap, rows: Range<Int>, at point: StepPoint, into noisy: FeatureMap
  ) {
    let stream = RandomStream(seed: point.seed, purpose: .routing)
    let layer = fnv1a64(point.layer) << 32
    let deviation = factor / Double(scores.features)
    for expert in 0..<scores.features { noisy[expert].update(from: scores[expert], count: scores.columns) }
    for row in 0..<rows.count {
      let sample = point.samples[point.samples.startIndex + rows.lowerBound + row]
      let place = UInt64(point.epoch) << 32 | UInt64(UInt32(bitPattern: sample))
      for first in stride(from: 0, to: scores.features, by: 4) {
        let words = stream.words(place, layer | UInt64(first / 4))
        for expert in first..<min(first + 4, scores.features) {
          let cell = (Double(words[expert - first]) + 0.5) * 0x1p-32
          noisy[expert][row] += Float(deviation * normalQuantile(cell))
        }
      }
    }
  }
}
