internal import Files
internal import Glibc

/// How evenly the gate of one mixture layer uses its E experts, by the share of the samples that each is chosen for.
///
/// The share is hard: that of the samples whose most probable expert it is. The usage entropy H_u of the paper is soft, of the
/// mean of the gate's probabilities, and can be high where the shares are uneven.
public struct ExpertUse: Equatable, Sendable {
  /// [E] shares; they add up to 1.
  public let shares: [Double]

  /// - Parameter shares: [E], at least one.
  public init(shares: [Double]) {
    precondition(!shares.isEmpty, "no expert has no use")
    self.shares = shares
  }

  /// The share below which one of so many experts is dead: a twentieth of an even one, 0.05/E.
  public static func deadBelow(experts: Int) -> Double { 1 / Double(20 * experts) }

  /// Whether an expert is dead that so many of the samples chose.
  public static func isDead(selected: Int, of samples: Int, experts: Int) -> Bool {
    selected * 20 * experts < samples
  }

  /// The experts that are dead, those that are never chosen among them.
  public var dead: [Int] {
    // A share is a rounded quotient of counts; one that is exactly at the limit is alive.
    let limit = Self.deadBelow(experts: shares.count) * (1 - 1e-12)
    return shares.indices.filter { shares[$0] < limit }
  }

  /// The expert that is chosen most, the first of them.
  public var most: Int { shares.indices.max { (shares[$0], -$0) < (shares[$1], -$1) } ?? 0 }
  /// The expert that is chosen least, the first of them.
  public var least: Int { shares.indices.min { (shares[$0], $0) < (shares[$1], $1) } ?? 0 }

  /// [E] load against an even one: 1 everywhere where all are used alike.
  public var loads: [Double] { shares.map { $0 * Double(shares.count) } }

  /// The largest load; 1 where all are alike, E where one expert takes all.
  public var maxOverMean: Double { loads[most] }

  /// Standard deviation of the loads over their mean, 1: the coefficient of variation of Shazeer et al. (arXiv 1701.06538).
  public var variation: Double {
    let squares = loads.reduce(0) { $0 + ($1 - 1) * ($1 - 1) }
    return (squares / Double(shares.count)).squareRoot()
  }

  /// Entropy of the shares in bits, the hard counterpart of H_u.
  public var entropy: Double { shares.reduce(0) { $1 > 0 ? $0 - $1 * log2($1) : $0 } }

  /// `experts 0, 2 and 4 of 5 are dead (chosen for less than 1.00 % of the samples, 0.05/E)`; nil where all are alive.
  public var deadWords: String? {
    let dead = dead
    guard !dead.isEmpty else { return nil }
    let limit = fixed(100 * Self.deadBelow(experts: shares.count), 2)
    let list = Self.list(dead)
    let who =
      dead.count == 1
      ? "expert \(list) of \(shares.count) is dead"
      : dead.count > 12
        ? "\(list) of \(shares.count) experts are dead" : "experts \(list) of \(shares.count) are dead"
    return "\(who) (chosen for less than \(limit) % of the samples, 0.05/E)"
  }

  /// `largest load 3.61 of an even one (expert 1, 72.1 % of the samples), coefficient of variation 1.32`.
  public var loadWords: String {
    "largest load \(fixed(maxOverMean, 2)) times an even one (expert \(most), \(fixed(100 * shares[most], 1)) % of the samples), "
      + "coefficient of variation \(fixed(variation, 2))"
  }

  /// `1`, `1 and 4`, `0, 1 and 4`; of more than twelve their number.
  public static func list(_ numbers: [Int]) -> String {
    if numbers.count > 12 { return "\(numbers.count)" }
    guard numbers.count > 1, let last = numbers.last else { return numbers.first.map { "\($0)" } ?? "" }
    return numbers.dropLast().map(String.init).joined(separator: ", ") + " and \(last)"
  }
}

extension GateFigures {
  /// How evenly the experts are used; nil where that is not known, or there is one expert alone.
  public var use: ExpertUse? {
    expertShare.flatMap { $0.count > 1 ? ExpertUse(shares: $0) : nil }
  }
}
