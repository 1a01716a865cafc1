internal import Files

/// The epoch of a run with the smallest validation error so far; of equals the first, as ``BestCheckpoint`` has it.
///
/// A fact of the training, not of when it stops: every checkpoint of a run with validation samples has it, so that
/// patience may be given or changed at a resume.
package struct BestEpoch: Equatable, Sendable {
  /// Counted from 1.
  package let epoch: Int
  /// Share of the validation samples with the wrong class.
  package let error: Double

  package init(epoch: Int, error: Double) {
    self.epoch = epoch
    self.error = error
  }

  /// The better of an epoch's error and what was best before.
  package static func best(of before: BestEpoch?, epoch: Int, error: Double) -> BestEpoch {
    if let before, before.error <= error { return before }
    return BestEpoch(epoch: epoch, error: error)
  }

  /// Whether so many epochs have passed without a smaller error.
  package func isOver(patience: Int, epoch: Int) -> Bool { epoch - self.epoch >= patience }

  private static let epochKey = "best_epoch"
  private static let errorKey = "best_error"

  func write(to metadata: inout [String: String]) {
    metadata[Self.epochKey] = String(epoch)
    // The fewest digits that read back as the same number.
    metadata[Self.errorKey] = String(error)
  }

  /// Reads what ``write(to:)`` wrote; nil where no epoch was validated, and in a checkpoint of before it was written.
  init?(_ metadata: [String: String], file: String) throws(Failure) {
    guard let epoch = metadata[Self.epochKey], let error = metadata[Self.errorKey] else { return nil }
    guard let epoch = Int(epoch), epoch > 0, let error = Double(error), (0...1).contains(error) else {
      throw Failure(
        .badData,
        "\(file): metadata entries '\(Self.epochKey)' and '\(Self.errorKey)' are not an epoch and a share")
    }
    self.init(epoch: epoch, error: error)
  }
}
