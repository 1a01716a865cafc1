/// The attentive gate (arXiv 2302.14703, section 4): score of expert e is Q·K_e/√H with Q = W_q h_g and K_e = W_k h_e.
///
/// h_g and h_e are the last hidden layers of gate and experts before ReLU, all of width H.
struct ReferenceAttention {
  static let query = "attention.query.weight"
  static let key = "attention.key.weight"

  private let width: Int
  private let query: [Double]
  private let key: [Double]

  init(_ parameters: Tensors, width: Int) {
    self.width = width
    query = parameters[Self.query]!
    key = parameters[Self.key]!
  }

  static func shapes(width: Int) -> [String: [Int]] { [query: [width, width], key: [width, width]] }

  private func times(_ matrix: [Double], _ x: [Double]) -> [Double] {
    (0..<width).map { o in (0..<width).reduce(0) { $0 + matrix[o * width + $1] * x[$1] } }
  }

  private func timesTransposed(_ matrix: [Double], _ y: [Double]) -> [Double] {
    (0..<width).map { i in (0..<width).reduce(0) { $0 + matrix[$1 * width + i] * y[$1] } }
  }

  /// The scores of one row, [E].
  func scores(gate: [Double], experts: [[Double]]) -> [Double] {
    let q = times(query, gate)
    return experts.map { dot(q, times(key, $0)) / Double(width).squareRoot() }
  }

  struct Gradients {
    /// By h_g.
    var gate: [Double]
    /// By h_e, [E][H].
    var experts: [[Double]]
    var query: [Double]
    var key: [Double]
  }

  /// The gradients of one row.
  ///
  /// - Parameters:
  ///   - ofGate: of the scores, in the loss that trains the gate: goes to W_q, W_k and h_g.
  ///   - ofExperts: of the scores, in the loss that trains the experts: goes to h_e.
  func backward(
    gate: [Double], experts: [[Double]], ofGate: [Double], ofExperts: [Double]
  ) -> Gradients {
    let scale = 1 / Double(width).squareRoot()
    let q = times(query, gate)
    var ofQuery = [Double](repeating: 0, count: width)
    var keyGradient = [Double](repeating: 0, count: key.count)
    for (hidden, g) in zip(experts, ofGate) {
      let k = times(key, hidden)
      for o in 0..<width {
        ofQuery[o] += g * scale * k[o]
        for i in 0..<width { keyGradient[o * width + i] += g * scale * q[o] * hidden[i] }
      }
    }
    let back = timesTransposed(key, q)
    return Gradients(
      gate: timesTransposed(query, ofQuery), experts: ofExperts.map { g in back.map { g * scale * $0 } },
      query: ofQuery.flatMap { g in gate.map { g * $0 } }, key: keyGradient)
  }
}

func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
