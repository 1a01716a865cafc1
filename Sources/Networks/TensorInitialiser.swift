internal import Numerics

/// FNV-1a of a text's UTF-8 bytes, 64 bits.
package func fnv1a64(_ text: String) -> UInt64 {
  var hash: UInt64 = 0xCBF2_9CE4_8422_2325
  for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
  return hash
}

extension TensorSpec {
  /// Writes the tensor's start values, ``count`` of them.
  ///
  /// A weight's element i is `symmetric(word i mod 4 at counters (fnv1a64(name), i / 4)) · Float(1/√fanIn)`:
  /// uniform in ±1/√fanIn. It depends on the seed, the tensor's name and i alone, so expert 3 starts the same whatever
  /// the number of experts, the gate, the rule of combination, or the rank that holds it.
  package func initialise(seed: UInt64, into values: UnsafeMutablePointer<Float>) {
    switch role {
    case .constant(let value), .statistic(let value):
      values.update(repeating: value, count: count)
    case .weight(let fanIn):
      precondition(fanIn > 0, "a weight has at least one input")
      let bound = Float(1 / Double(fanIn).squareRoot())
      let stream = RandomStream(seed: seed, purpose: .initialisation)
      let hash = fnv1a64(name)
      for quad in 0..<count / 4 {
        let words = stream.words(hash, UInt64(quad))
        values[4 * quad] = RandomStream.symmetric(words.x) * bound
        values[4 * quad + 1] = RandomStream.symmetric(words.y) * bound
        values[4 * quad + 2] = RandomStream.symmetric(words.z) * bound
        values[4 * quad + 3] = RandomStream.symmetric(words.w) * bound
      }
      let rest = stream.words(hash, UInt64(count / 4))
      for element in count / 4 * 4..<count {
        values[element] = RandomStream.symmetric(rest[element % 4]) * bound
      }
    }
  }
}
