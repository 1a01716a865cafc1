/// Steps of a run, counted from its beginning, resumes included: those after the first number up to the second.
package struct TraceWindow: Equatable {
  /// Steps at most; a rank keeps a few kilobytes of each.
  package static let most = 1000

  /// Steps that are done before.
  package let first: Int
  /// Steps that are done after.
  package let last: Int

  /// - Parameter text: `10:30`; nil for anything else.
  package init?(_ text: String) {
    let numbers = text.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
    guard numbers.count == 2, let first = numbers[0], let last = numbers[1], first >= 0, last > first,
      last - first <= Self.most
    else { return nil }
    self.first = first
    self.last = last
  }

  /// Whether the step that comes after so many is one of them.
  package func contains(after step: Int) -> Bool { first <= step && step < last }
}
