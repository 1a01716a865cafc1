import Files
import Records
import Training

/// Writes what a model says of samples, to a file or to standard output.
final class OutcomeFile {
  private var form: any OutcomeForm
  /// nil: nothing is kept, or it goes to standard output.
  private let file: OutputFile?
  private let isKept: Bool

  /// - Parameter path: `-` for standard output, nil for nowhere.
  init(_ path: String?, as form: any OutcomeForm) throws {
    self.form = form
    isKept = path != nil
    file = try path.flatMap { (path) throws(Failure) in path == "-" ? nil : try OutputFile(path) }
  }

  func write(_ rows: [OutcomeRow]) throws {
    guard isKept else { return }
    try put(form.bytes(of: rows))
  }

  private func put(_ bytes: [UInt8]) throws {
    guard !bytes.isEmpty else { return }
    if let file { try file.write(bytes) } else { Console.data(bytes) }
  }

  func close() throws {
    guard isKept else { return }
    try put(form.end())
    try file?.close()
  }
}
