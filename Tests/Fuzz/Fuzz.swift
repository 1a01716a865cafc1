internal import Files
internal import Foundation
internal import Fuzzing

/// Gives bytes that libFuzzer makes to a reader of files; `scripts/fuzz` builds and calls it.
///
/// The environment says what to do, because the command line is libFuzzer's: `MOE_DIST_FUZZ_READER` names the format, and
/// with `MOE_DIST_FUZZ_SAMPLES` the process writes valid files of all formats into that directory and ends.
struct Fuzz {
  private let format: FileFormat
  private let readers: FileReaders

  init(_ environment: [String: String]) {
    do {
      readers = try FileReaders()
      if let folder = environment["MOE_DIST_FUZZ_SAMPLES"] {
        try Self.write(readers, to: folder)
        exit(0)
      }
    } catch { fatalError("no samples: \(error)") }
    guard let format = environment["MOE_DIST_FUZZ_READER"].flatMap(FileFormat.init(rawValue:)) else {
      fatalError("MOE_DIST_FUZZ_READER is one of \(FileFormat.allCases.map(\.rawValue))")
    }
    self.format = format
  }

  /// A trap, and an end that no reader may have, are findings.
  func test(_ bytes: UnsafeBufferPointer<UInt8>) {
    if let failure = readers.read(Array(bytes), as: format), !format.allows(failure) {
      fatalError("\(failure.code): \(failure.message)")
    }
  }

  private static func write(_ readers: FileReaders, to folder: String) throws {
    for format in FileFormat.allCases {
      let folder = "\(folder)/\(format.rawValue)"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      for (number, bytes) in try readers.samples(of: format).enumerated() {
        try Data(bytes).write(to: URL(fileURLWithPath: "\(folder)/sample-\(number)"))
      }
    }
  }
}
