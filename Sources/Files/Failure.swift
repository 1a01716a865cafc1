/// How the process ends; the codes follow sysexits.h where it has one.
public enum ExitCode: Int32, Sendable, CaseIterable {
  case finished = 0
  /// A wrong option or configuration key.
  case usage = 64
  /// A malformed data set or checkpoint.
  case badData = 65
  /// A file that should be there is not.
  case notFound = 66
  /// A defect of this program.
  case internalError = 70
  /// The run directory exists already or cannot be made.
  case cannotCreate = 73
  /// Reading or writing failed, the disk is full.
  case inputOutput = 74
  /// Stopped before the end, resumable.
  case stoppedEarly = 75
  /// The loss is not finite.
  case diverged = 80
  /// No phase was completed within the watchdog's limit.
  case stalled = 81
}

/// An error in one line for the user: what, where, and what to do about it.
public struct Failure: Error, CustomStringConvertible, Equatable {
  public let code: ExitCode
  /// What it says; settings can be spelled as options.
  public let words: Message

  /// - Parameter words: a literal, or a `Message` of a string that names no settings.
  public init(_ code: ExitCode, _ words: Message) {
    self.code = code
    self.words = words
  }

  public var exitCode: Int32 { code.rawValue }
  /// What it says, with settings by their names.
  public var message: String { words.description }
  public var description: String { message }
}

/// A name from an untrusted file, fit for one line of a message.
package func quoted(_ name: String) -> String {
  let shown = name.unicodeScalars.prefix(80).map { scalar in
    scalar.isASCII && scalar.value >= 0x20 && scalar.value != 0x7F ? String(scalar) : "?"
  }
  return "'" + shown.joined() + (name.unicodeScalars.count > 80 ? "…'" : "'")
}
