import Glibc

/// L_imp = (std(I)/mean(I))² of I_e = Σ_x p_e(x), with the unbiased std (Shazeer et al. 2017), and its gradient by p.
///
/// - Parameter p: [row][E].
func referenceImportance(_ p: [[Double]]) -> (loss: Double, gradient: [[Double]]) {
  let experts = p[0].count
  guard experts > 1 else { return (0, p.map { _ in [0] }) }
  let importance = (0..<experts).map { e in p.reduce(0) { $0 + $1[e] } }
  let mean = importance.reduce(0, +) / Double(experts)
  let variance = importance.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(experts - 1)
  let loss = variance / (mean * mean)
  let ofImportance = importance.map {
    2 * ($0 - mean) / Double(experts - 1) / (mean * mean) - 2 * loss / mean / Double(experts)
  }
  return (loss, p.map { _ in ofImportance })
}

/// The mean over rows of (ln Σ_e exp s_e)² (Zoph et al. 2022, equation 5), and its gradient by s.
///
/// - Parameter scores: [row][E].
func referenceZLoss(_ scores: [[Double]]) -> (loss: Double, gradient: [[Double]]) {
  let rows = Double(scores.count)
  let logs = scores.map(logSumExp)
  return (
    logs.reduce(0) { $0 + $1 * $1 } / rows,
    zip(scores, logs).map { s, l in s.map { 2 * l * exp($0 - l) / rows } }
  )
}

/// E·Σ_e f_e P_e (Fedus et al. 2021, equations 4 to 6): f the experts' shares of all choices, a constant; P the means of p.
///
/// - Parameters:
///   - p: [row][E].
///   - chosen: the experts of each row.
func referenceLoadBalance(_ p: [[Double]], chosen: [[Int]]) -> (loss: Double, gradient: [[Double]]) {
  let experts = p[0].count
  let choices = chosen.joined()
  let f = (0..<experts).map { e in Double(choices.count { $0 == e }) / Double(choices.count) }
  let means = (0..<experts).map { e in p.reduce(0) { $0 + $1[e] } / Double(p.count) }
  return (
    Double(experts) * zip(f, means).reduce(0) { $0 + $1.0 * $1.1 },
    p.map { _ in f.map { Double(experts) * $0 / Double(p.count) } }
  )
}

/// The sample-similarity regulariser L_s = β_s·S − β_d·D of arXiv 2302.14703, section 5, pair by pair.
struct ReferenceSimilarity: Equatable {
  enum Scale: Equatable {
    case number(Double)
    /// The largest distance of the batch.
    case batchMaximum
  }

  /// β_s and β_d.
  var similarity = 0.0
  var dissimilarity = 0.0
  /// The authors' code divides D alone, by B²; otherwise S and D are divided by the number of ordered pairs.
  var authors = false
  var squared = false
  var scale = Scale.number(1)

  /// d(x, x') of all rows, [row][row].
  func distances(_ images: [[Double]]) -> [[Double]] {
    let raw = images.map { a in
      images.map { b in zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot() }
    }
    let divisor =
      switch scale {
      case .number(let value): value
      case .batchMaximum: raw.joined().max() ?? 0
      }
    guard divisor > 0 else { return raw.map { $0.map { _ in 0 } } }
    return raw.map { $0.map { squared ? ($0 / divisor) * ($0 / divisor) : $0 / divisor } }
  }

  /// - Parameters:
  ///   - p: [row][E], the full softmax.
  ///   - images: the inputs as the networks see them, normalised and augmented.
  func loss(_ p: [[Double]], _ images: [[Double]]) -> (loss: Double, gradient: [[Double]]) {
    let rows = p.count
    let experts = p[0].count
    var gradient = p.map { $0.map { _ in 0.0 } }
    guard rows > 1 else { return (0, gradient) }
    let pairs = Double(rows * (rows - 1))
    let ofSame = similarity / Double(experts) / (authors ? 1 : pairs)
    let ofOther =
      experts == 1
      ? 0 : dissimilarity / Double(experts * experts - experts) / (authors ? Double(rows * rows) : pairs)
    let d = distances(images)
    var loss = 0.0
    for x in 0..<rows {
      for other in 0..<rows where other != x {
        for e in 0..<experts {
          for f in 0..<experts {
            let weight = (e == f ? ofSame : -ofOther) * d[x][other]
            loss += weight * p[x][e] * p[other][f]
            gradient[x][e] += weight * p[other][f]
            gradient[other][f] += weight * p[x][e]
          }
        }
      }
    }
    return (loss, gradient)
  }
}
