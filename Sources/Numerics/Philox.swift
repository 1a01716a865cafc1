/// Four random words: Philox4x32 with ten rounds, a bijection of the counter for every key.
///
/// Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3" (SC 2011); checked against the
/// known answers of their library Random123. The generator has no state: a draw is a function of what it is for,
/// so it does not matter which rank or thread draws it, or in which order.
@inline(__always)
package func philox4x32(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
  // Scalars, not lanes: a round is two widening products whose halves change places.
  var (c0, c1, c2, c3) = (counter.x, counter.y, counter.z, counter.w)
  var (k0, k1) = (key.x, key.y)
  for round in 0..<10 {
    if round > 0 {
      k0 &+= 0x9E37_79B9
      k1 &+= 0xBB67_AE85
    }
    let first = UInt64(0xD251_1F53) &* UInt64(c0)
    let second = UInt64(0xCD9E_8D57) &* UInt64(c2)
    c0 = UInt32(truncatingIfNeeded: second >> 32) ^ c1 ^ k0
    c1 = UInt32(truncatingIfNeeded: second)
    c2 = UInt32(truncatingIfNeeded: first >> 32) ^ c3 ^ k1
    c3 = UInt32(truncatingIfNeeded: first)
  }
  return SIMD4(c0, c1, c2, c3)
}
