public import Files

/// What ranks sent each other in the exchanges of a run's mixture layers, all layers together; [N][N] by sender and
/// receiver.
public struct RankTraffic: Equatable, Sendable {
  /// Rows to the owners of their experts, a row at most once per owner; on the diagonal those that stayed where they were.
  public var rowsDispatched: [[Int]]
  /// The diagonal is zero, here and in ``bytesCombined``.
  public var bytesDispatched: [[Int]]
  /// Answers back to where the row came from, one per expert and row.
  public var rowsCombined: [[Int]]
  public var bytesCombined: [[Int]]

  public init(
    rowsDispatched: [[Int]], bytesDispatched: [[Int]], rowsCombined: [[Int]], bytesCombined: [[Int]]
  ) {
    self.rowsDispatched = rowsDispatched
    self.bytesDispatched = bytesDispatched
    self.rowsCombined = rowsCombined
    self.bytesCombined = bytesCombined
  }

  public var ranks: Int { rowsDispatched.count }

  /// The tables by their keys, each a list of a list per sender.
  public var json: JSONValue {
    func table(_ rows: [[Int]]) -> JSONValue { .array(rows.map { .array($0.map { .integer($0) }) }) }
    return [
      "rows_dispatched": table(rowsDispatched), "bytes_dispatched": table(bytesDispatched),
      "rows_combined": table(rowsCombined), "bytes_combined": table(bytesCombined),
    ]
  }
}
