internal import Glibc

/// An error of the operating system, and the exit code that it stands for. The one place where that is decided.
package struct SystemError: Equatable, Sendable {
  /// The system's number, see errno(3).
  package let number: Int32

  package init(_ number: Int32) { self.number = number }

  /// That of the last call.
  package static var last: SystemError { SystemError(errno) }

  /// The system's words.
  package var words: String { String(cString: strerror(number)) }

  /// Whether the name stands for nothing.
  package var isAbsence: Bool { [ENOENT, ENOTDIR, ENAMETOOLONG, ELOOP].contains(number) }

  /// Whether the device is at its end, or fails: no other name in the same place would help.
  package var isOfDevice: Bool { [ENOSPC, EDQUOT, EFBIG, EIO].contains(number) }

  /// What a user can do; empty where the system's words are all there is.
  package var advice: String {
    switch number {
    case ENOSPC: "; free some space and resume"
    case EDQUOT: "; free some of your quota and resume"
    case EFBIG: "; raise the limit on the size of files (ulimit -f) and resume"
    case EIO: "; the device fails, use another"
    default: ""
    }
  }

  /// The failure of something that could not be done with what is there: writing, reading, synchronising (74).
  ///
  /// - Parameter what: such as `cannot write PATH`.
  package func failure(_ what: String) -> Failure { Failure(.inputOutput, "\(what): \(words)\(advice)") }

  /// The failure of a file or directory that cannot be made: its place is wrong (73), or the device is full or fails (74).
  ///
  /// - Parameter advice: for a wrong place.
  package func making(_ path: String, advice: Message = "choose another place") -> Failure {
    isOfDevice
      ? failure("cannot make \(path)")
      : Failure(.cannotCreate, "cannot make \(path): \(words); \(advice)")
  }

  /// The failure of a name that cannot be opened for reading: nothing is there (66), or it cannot be read (74).
  package func opening(_ path: String) -> Failure {
    isAbsence ? Failure(.notFound, "cannot read \(path): \(words)") : failure("cannot read \(path)")
  }
}
