package import Files
package import Training

/// What `predict` can say of an image, by the names of `--output-columns`.
package enum OutcomeColumn: String, CaseIterable, Sendable {
  case `class`
  case probability
  case expert
  case distribution
  case gate
  case answers

  /// What is written unless the user asks for something else.
  package static let standard: [OutcomeColumn] = [.class, .probability, .expert]

  /// Whether it takes more than the model's answer.
  package var needsDetails: Bool {
    switch self {
    case .class, .probability, .expert: false
    case .distribution, .gate, .answers: true
    }
  }

  /// The columns of a list of names.
  ///
  /// - Parameter isDeep: whether the model's experts answer hidden rows.
  /// - Throws: ``Failure`` with the exit code for usage for a name that is unknown or comes twice, and for answers that a
  ///   model does not have.
  package static func list(_ text: String, isDeep: Bool) throws(Failure) -> [OutcomeColumn] {
    let names = allCases.map(\.rawValue)
    var columns: [OutcomeColumn] = []
    for name in text.split(separator: ",", omittingEmptySubsequences: false).map(String.init) {
      guard let column = OutcomeColumn(rawValue: name) else {
        throw Failure(
          .usage,
          "--output-columns: unknown column \(quoted(name))\(didYouMean(name, among: names)); columns are "
            + "\(names.joined(separator: ","))")
      }
      guard !columns.contains(column) else {
        throw Failure(.usage, "--output-columns: '\(name)' is there twice; name it once")
      }
      columns.append(column)
    }
    if isDeep, columns.contains(.answers) {
      throw Failure(
        .usage,
        "--output-columns: the experts of this model answer hidden rows, not classes; leave 'answers' out")
    }
    return columns
  }
}

/// A row of an output: what the model says of an image, with details where they were asked for.
package struct OutcomeRow {
  package let outcome: SampleOutcome
  package let detail: SampleDetail?

  package init(_ outcome: SampleOutcome) {
    self.outcome = outcome
    detail = nil
  }

  package init(_ detail: SampleDetail) {
    outcome = detail.outcome
    self.detail = detail
  }

  /// p(e|x) of every layer.
  package var gates: [[Float]] { detail?.layers.map(\.gate) ?? [outcome.gateProbabilities] }
}
