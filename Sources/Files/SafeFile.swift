internal import Glibc

/// Small files whose writing is checked to the end. Every failure says which file, what was done and why not.
package enum SafeFile {
  /// Replaces a file at once: a reader sees the old content or the new, whole. Several processes may, at the same time: the
  /// last one stays.
  package static func replace(_ path: String, _ text: String) throws(Failure) {
    let temporary = temporaryPath(for: path)
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw failure("write", path) }
    do throws(Failure) {
      try write(text, to: descriptor, path)
      guard fsync(descriptor) == 0 else { throw failure("write", path) }
    } catch {
      close(descriptor)
      unlink(temporary)
      throw error
    }
    guard close(descriptor) == 0, rename(temporary, path) == 0 else {
      let reason = failure("replace", path)
      unlink(temporary)
      throw reason
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
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// Adds to the end of a file, which is made if it is not there.
  package static func append(_ path: String, _ text: String) throws(Failure) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw failure("append to", path) }
    do throws(Failure) {
      try write(text, to: descriptor, path)
    } catch {
      close(descriptor)
      throw error
    }
    guard close(descriptor) == 0 else { throw failure("append to", path) }
  }

  /// The whole of a file; nil where there is none.
  ///
  /// - Parameters:
  ///   - limit: The most bytes that such a file may sensibly have.
  ///   - followingLinks: Whether it may be a link: a file that a user names may, one inside a run may not.
  /// - Throws: ``Failure``: no plain file, too large (65), not readable (74).
  package static func read(_ path: String, limit: Int, followingLinks: Bool = true) throws(Failure)
    -> [UInt8]?
  {
    // Without O_NONBLOCK, opening a FIFO waits for a writer that may never come.
    let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | (followingLinks ? 0 : O_NOFOLLOW))
    if descriptor < 0 {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      if errno == ELOOP { throw Failure(.badData, "\(path): expected a plain file, found a link") }
      throw failure("read", path)
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw failure("read", path) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw Failure(.badData, "\(path): expected a plain file, found a directory or a special file")
    }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw failure("read", path) }
      if count == 0 { return bytes }
      bytes += buffer[..<count]
      guard bytes.count <= limit else {
        throw Failure(.badData, "\(path) is larger than the \(limit) bytes that such a file may have")
      }
    }
  }

  /// The first bytes of a file; nil where there is none.
  package static func head(_ path: String, bytes count: Int) throws(Failure) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    if descriptor < 0 {
      if errno == ENOENT { return nil }
      throw failure("read", path)
    }
    defer { close(descriptor) }
    var buffer = [UInt8](repeating: 0, count: count)
    var found = Glibc.read(descriptor, &buffer, count)
    while found < 0 && errno == EINTR { found = Glibc.read(descriptor, &buffer, count) }
    guard found >= 0 else { throw failure("read", path) }
    return Array(buffer[..<found])
  }

  /// Makes a directory and those above it that are not there.
  package static func makeDirectories(_ path: String) throws(Failure) {
    var made = path.hasPrefix("/") ? "/" : ""
    for part in path.split(separator: "/") {
      made += (made.isEmpty || made.hasSuffix("/") ? "" : "/") + part
      if mkdir(made, 0o755) != 0, errno != EEXIST {
        throw Failure(
          .cannotCreate, "cannot make directory \(made): \(errorText()); choose another place")
      }
    }
  }

  package static func errorText() -> String { String(cString: strerror(errno)) }

  private static func failure(_ verb: String, _ path: String) -> Failure {
    let hint = errno == ENOSPC || errno == EDQUOT ? "; free some space and resume" : ""
    return Failure(.inputOutput, "cannot \(verb) \(path): \(errorText())\(hint)")
  }

  package static func write(_ text: String, to descriptor: Int32, _ path: String) throws(Failure) {
    try write(Array(text.utf8), to: descriptor, path)
  }

  package static func write(_ bytes: [UInt8], to descriptor: Int32, _ path: String) throws(Failure) {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + done, $0.count - done) }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw failure("write", path) }
      done += count
    }
  }
}

/// The directory and the name of a file.
package func pathParts(of path: String) -> (directory: String, name: String) {
  guard let slash = path.lastIndex(of: "/") else { return (".", path) }
  let directory = path[..<slash]
  return (directory.isEmpty ? "/" : String(directory), String(path[path.index(after: slash)...]))
}
