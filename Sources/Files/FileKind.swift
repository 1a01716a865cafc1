internal import Glibc

/// What a name stands for.
package enum FileKind: String, Sendable {
  case plain = "a plain file"
  case directory = "a directory"
  case link = "a symbolic link"
  case fifo = "a FIFO"
  case socket = "a socket"
  case device = "a device"

  /// What stands at a path; nil: nothing, or nothing that can be looked at.
  ///
  /// - Parameter followingLinks: whether a link is what it leads to.
  package init?(at path: String, followingLinks: Bool) {
    var status = stat()
    guard (followingLinks ? stat(path, &status) : lstat(path, &status)) == 0 else { return nil }
    self.init(status)
  }

  init(_ status: stat) {
    switch status.st_mode & S_IFMT {
    case S_IFREG: self = .plain
    case S_IFDIR: self = .directory
    case S_IFLNK: self = .link
    case S_IFIFO: self = .fifo
    case S_IFSOCK: self = .socket
    default: self = .device
    }
  }

  /// The failure of a path at which something else stands than should.
  package func failure(at path: String, expected: FileKind = .plain, isOfRun: Bool) -> Failure {
    let advice =
      isOfRun
      ? "remove it, or put the run's own \(expected == .plain ? "file" : "directory") in its place"
      : "name a file"
    return Failure(.badData, "\(path): expected \(expected.rawValue), found \(rawValue); \(advice)")
  }
}
