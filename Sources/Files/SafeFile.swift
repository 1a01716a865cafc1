internal import Glibc

/// Small files whose writing is checked to the end. Every failure says which file, what was done and why not.
package enum SafeFile {
  /// Replaces a file at once: a reader sees the old content or the new, whole. Several processes may, at the same time: the
  /// last one stays.
  ///
  /// - Throws: ``Failure``: something that is no plain file stands there (65), writing fails (74).
  package static func replace(_ path: String, _ text: String) throws(Failure) {
    try replace(path, Array(text.utf8))
  }

  package static func replace(_ path: String, _ bytes: [UInt8]) throws(Failure) {
    if let kind = FileKind(at: path, followingLinks: false), kind != .plain {
      throw kind.failure(at: path, isOfRun: true)
    }
    try make(
      path, failure: { $0.failure("cannot write \(path)") },
      writing: { file throws(Failure) in try file.write(bytes) })
  }

  /// Makes a file beside its place, and puts it there when it is whole and on the disk.
  ///
  /// - Parameters:
  ///   - failure: where it cannot be made.
  ///   - write: its content.
  package static func make(
    _ path: String, failure: (SystemError) -> Failure,
    writing write: (borrowing CheckedFile) throws(Failure) -> Void
  ) throws(Failure) {
    let temporary = temporaryPath(for: path)
    var file = try CheckedFile.creating(temporary, failure: failure)
    do throws(Failure) {
      try write(file)
      try file.synchronise()
      try file.close()
      guard rename(temporary, path) == 0 else { throw SystemError.last.failure("cannot replace \(path)") }
    } catch {
      unlink(temporary)
      throw error
    }
  }

  /// Stands in the names of files that are not whole yet, behind the name that they are to have.
  package static let temporaryMark = ".part-"

  /// A new name for a file that is to become another, beside it.
  package static func temporaryPath(for path: String) -> String {
    path + temporaryMark + String(UInt64.random(in: 0 ... .max), radix: 36)
  }

  /// Whether a directory is at a path, or a link to one.
  package static func isDirectory(_ path: String) -> Bool {
    FileKind(at: path, followingLinks: true) == .directory
  }

  /// Whether a plain file is at a path, or a link to one.
  package static func isPlain(_ path: String) -> Bool { FileKind(at: path, followingLinks: true) == .plain }

  /// Adds to the end of a file of a run, which is made if it is not there.
  package static func append(_ path: String, _ text: String) throws(Failure) {
    try append(path, Array(text.utf8))
  }

  package static func append(_ path: String, _ bytes: [UInt8]) throws(Failure) {
    var file = try CheckedFile.appending(path)
    try file.write(bytes)
    try file.close()
  }

  /// The whole of a file; nil where there is none.
  ///
  /// - Parameters:
  ///   - limit: The most bytes that such a file may sensibly have.
  ///   - followingLinks: Whether it may be a link: a file that a user names may, one inside a run may not.
  /// - Throws: ``Failure``: no plain file, too large (65), not readable (74).
  package static func read(_ path: String, limit: Int, followingLinks: Bool) throws(Failure) -> [UInt8]? {
    let tooLarge = Failure(
      .badData, "\(path) is larger than the \(limit) bytes that such a file may have")
    guard let file = try CheckedFile.readingIfThere(path, followingLinks: followingLinks) else { return nil }
    guard try file.size() <= limit else { throw tooLarge }
    // Read to the end, wherever that is by now; the size of a file of the kernel is 0.
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = try buffer.withUnsafeMutableBufferPointer { (room) throws(Failure) in
        try file.readSome(into: UnsafeMutableRawBufferPointer(room), at: bytes.count)
      }
      bytes += buffer[..<count]
      guard bytes.count <= limit else { throw tooLarge }
      if count < buffer.count { return bytes }
    }
  }

  /// The text of a file of the system, such as those of /proc; nil where it cannot be read.
  package static func systemText(_ path: String) -> String? {
    do {
      return try read(path, limit: 1 << 26, followingLinks: true).map { String(decoding: $0, as: UTF8.self) }
    } catch { return nil }
  }

  /// The first bytes of a file that a user named; nil where there is none.
  package static func head(_ path: String, bytes count: Int) throws(Failure) -> [UInt8]? {
    guard let file = try CheckedFile.readingIfThere(path, followingLinks: true) else { return nil }
    return try file.bytes(at: 0, count: min(count, try file.size()))
  }

  /// Makes a directory and those above it that are not there.
  package static func makeDirectories(_ path: String) throws(Failure) {
    var made = path.hasPrefix("/") ? "/" : ""
    for part in path.split(separator: "/") {
      made += (made.isEmpty || made.hasSuffix("/") ? "" : "/") + part
      if mkdir(made, 0o755) != 0, errno != EEXIST { throw SystemError.last.making("directory \(made)") }
    }
  }
}

/// The directory and the name of a file.
package func pathParts(of path: String) -> (directory: String, name: String) {
  guard let slash = path.lastIndex(of: "/") else { return (".", path) }
  let directory = path[..<slash]
  return (directory.isEmpty ? "/" : String(directory), String(path[path.index(after: slash)...]))
}
