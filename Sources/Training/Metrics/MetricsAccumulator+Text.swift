package import Files
internal import Foundation

extension MetricsAccumulator {
  /// The sums as one line of JSON with sorted keys; doubles survive exactly.
  package func text() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }

  /// Reads ``text()`` back.
  ///
  /// - Throws: ``Failure`` with the exit code for bad data, naming the file.
  package init(text: String, file: String) throws(Failure) {
    do {
      self = try JSONDecoder().decode(MetricsAccumulator.self, from: Data(text.utf8))
    } catch {
      throw Failure(.badData, "\(file): metadata entry 'epoch_sums' does not hold the sums of an epoch")
    }
  }
}
