/// Random words for one purpose of one run: a function of the seed, the purpose and two 64-bit counters.
///
/// The Philox key is `mixed(seed) + purpose · 0x9E3779B97F4A7C15` (mod 2⁶⁴), its low word first.
/// `mixed` is SplitMix64's finaliser, a bijection, and the factor is odd. So two seeds never share a key within a
/// purpose, nor two purposes within a seed; across both, a shared key is a coincidence of 64 mixed bits.
public struct RandomStream: Sendable {
  /// What the words are for. The raw values are part of every run's meaning: they never change.
  public enum Purpose: UInt32, Sendable, CaseIterable {
    /// Start values of tensors; counters (FNV-1a hash of the tensor's name, element / 4).
    case initialisation = 1
    /// Order of the training samples; counters (epoch, sample).
    case shuffle = 2
    /// Which samples are held out; counters (sample, 0), the seed always 0.
    case validation = 3
    /// The built-in task; counters (sample, draw), the seed always the task's own.
    case synthetic = 4
    /// Changes to training images; counters (epoch, sample).
    case augmentation = 5
    /// Noise on the scores of experts; counters (epoch·2³² + sample, layer·2³² + expert / 4).
    case routing = 6
  }

  /// Philox's key.
  package let key: SIMD2<UInt32>

  /// The words of a seed for one purpose.
  public init(seed: UInt64, purpose: Purpose) {
    let key = Self.mixed(seed) &+ UInt64(purpose.rawValue) &* 0x9E37_79B9_7F4A_7C15
    self.key = SIMD2(UInt32(truncatingIfNeeded: key), UInt32(truncatingIfNeeded: key >> 32))
  }

  /// The four words at counters (a, b): the Philox counter is a's low and high word, then b's.
  @inline(__always)
  public func words(_ a: UInt64, _ b: UInt64) -> SIMD4<UInt32> {
    philox4x32(
      counter: SIMD4(
        UInt32(truncatingIfNeeded: a), UInt32(truncatingIfNeeded: a >> 32),
        UInt32(truncatingIfNeeded: b), UInt32(truncatingIfNeeded: b >> 32)),
      key: key)
  }

  /// The upper 24 bits of a word times 2⁻²⁴: uniform on the multiples of 2⁻²⁴ in [0, 1), exact.
  @inline(__always)
  public static func uniform01(_ word: UInt32) -> Float { Float(word >> 8) * 0x1p-24 }

  /// The upper 53 bits of two words (`high` leading) times 2⁻⁵³: uniform on the multiples of 2⁻⁵³ in [0, 1), exact.
  @inline(__always)
  public static func uniform01(high: UInt32, low: UInt32) -> Double {
    Double((UInt64(high) << 32 | UInt64(low)) >> 11) * 0x1p-53
  }

  /// The upper 24 bits of a word as an odd multiple of 2⁻²⁴ in (−1, 1): exact, symmetric about zero, never ±1 nor 0.
  @inline(__always)
  public static func symmetric(_ word: UInt32) -> Float {
    Float(((Int32(bitPattern: word) >> 8) << 1) | 1) * 0x1p-24
  }

  /// SplitMix64's finaliser (Steele, Lea, Flood 2014): a bijection in which each input bit moves half the output's.
  static func mixed(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
